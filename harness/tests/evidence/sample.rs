//! Two runs as their folders hold them, written by hand: one that passed, one that the kernel's panic ended.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

/// A grey picture of one pixel.
const PNG: &[u8] = &[
    0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', 0, 0, 0, 13, b'I', b'H', b'D', b'R', 0, 0,
    0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0, 0x3a, 0x7e, 0x9b, 0x55, 0, 0, 0, 10, b'I', b'D', b'A', b'T',
    0x78, 0xda, 0x63, 0x68, 0, 0, 0, 0x82, 0, 0x81, 0x77, 0xcd, 0x72, 0xb6, 0, 0, 0, 0, b'I', b'E',
    b'N', b'D', 0xae, 0x42, 0x60, 0x82,
];

const CHAIN: [&str; 4] = ["U-Boot", "iPXE", "kernel fetched", "Linux"];

/// Writes the folder of a run that passed.
pub(crate) fn passed(folder: &Path) {
    let stages = [(0.5, 0.5), (3.0, 2.5), (12.0, 9.0), (30.0, 18.0)];
    let report = report("passed", &stages, Value::Null);
    write(folder, &report, &timeline(&stages));
}

/// Writes the folder of a run that failed while it awaited Linux, under two faults, of which one took effect.
pub(crate) fn failed(folder: &Path) {
    let stages = [(0.5, 0.5), (3.5, 3.0), (12.0, 8.5)];
    let failure = json!({
        "class": "board",
        "cause": "stage \"Linux\" was not reached: kernel panic on the console: Kernel panic - not syncing: <no init>",
        "stage_reached": "kernel fetched",
        "awaited": "Linux (a UART says /Booting Linux/)",
        "waited": 7.25,
        "last_serial": ["[   19.00] uart1: Kernel panic - not syncing: <no init>"],
        "last_request": "[   12.00] GET boot.farm.example/files/kernel -> 200, 13700000 bytes",
        "last_network": null,
    });
    let mut timeline = timeline(&stages);
    timeline.push(json!({
        "at": 20.0, "event": "alarm", "name": "kernel panic", "line": "Kernel panic - not syncing: <no init>",
    }));
    timeline.push(json!({
        "at": 13.5, "event": "request", "service": "registry", "client": "10.42.1.0", "fingerprint": null,
        "host": "registry-1.docker.io", "method": "GET", "target": "/v2/library/alpine/manifests/latest", "status": 429,
        "bytes": 98, "complete": true, "duration": 0.25,
    }));
    let mut report = report("failed", &stages, failure);
    report["faults"] = json!([
        { "what": "the registry is tired", "shows": { "answer": { "service": "registry", "host": null, "status": 429 } } },
        { "what": "the card is bent", "shows": { "refusal": { "service": "boot" } } },
    ]);
    write(folder, &report, &timeline);
}

fn report(verdict: &str, stages: &[(f64, f64)], failure: Value) -> Value {
    let named = CHAIN.iter().zip(stages);
    let stages: Vec<_> = named
        .map(|(name, (reached, took))| json!({ "name": name, "reached": reached, "took": took }))
        .collect();
    json!({
        "scenario": "alpine-https", "title": "Alpine over mutual TLS", "board": "raspi3b", "verdict": verdict,
        "started": "2026-11-24T23:15:00Z", "uarts": ["PL011", "mini UART"], "chain": CHAIN, "stages": stages,
        "failure": failure, "container_system": "Alpine Linux v3.20", "container_version": "3.20.3",
        "nonce": "c0ffee", "container_source": "Alpine 3.20.3", "stand_in": false, "qemu_cpu_seconds": 35.5,
        "harness_cpu_seconds": 1.5, "host_scale": 1.0,
        "parts": [{ "name": "u-boot-rpi", "version": "2025.01", "sha256": "ab".repeat(32) }],
        "reproduce": "cargo xtask e2e alpine-https --board raspi3b",
    })
}

/// Power comes on after one second.
fn timeline(stages: &[(f64, f64)]) -> Vec<Value> {
    let mut records = vec![
        json!({ "at": 1.0, "event": "power", "action": "on" }),
        json!({ "at": 1.0, "event": "usb", "link": "plugged" }),
        json!({ "at": 1.5, "event": "serial", "uart": 0, "line": "U-Boot 2025.01" }),
        json!({ "at": 4.0, "event": "serial", "uart": 1, "line": "iPXE initialising devices..." }),
        json!({ "at": 4.1, "event": "screenshot", "stage": "iPXE", "file": "screens/00-iPXE.png" }),
        json!({ "at": 4.2, "event": "lease", "mac": "b8:27:eb:00:00:01", "address": "10.42.1.0", "vendor_class": "PXEClient" }),
        json!({ "at": 4.3, "event": "name", "query": "boot.farm.example", "answer": "192.0.2.10" }),
        json!({ "at": 4.9, "event": "tls", "service": "boot", "server_name": "boot.farm.example", "fingerprint": null,
                "error": null, "duration": 0.5 }),
        json!({ "at": 6.0, "event": "traffic", "from_board": 1000, "to_board": 2_000_000 }),
        json!({ "at": 13.0, "event": "request", "service": "boot", "client": "10.42.1.0", "fingerprint": null,
                "host": "boot.farm.example", "method": "GET", "target": "/files/kernel", "status": 200,
                "bytes": 13_700_000, "complete": true, "duration": 7.5 }),
        json!({ "at": 13.1, "event": "note", "room": "run", "text": "a kernel has taken over" }),
    ];
    records.extend(CHAIN.iter().zip(stages).map(|(name, (reached, _))| {
        json!({ "at": reached + 1.0, "event": "stage", "name": name, "reached": reached })
    }));
    records
}

fn write(folder: &Path, report: &Value, timeline: &[Value]) {
    fs::create_dir_all(folder.join("screens")).unwrap();
    fs::write(folder.join("report.json"), report.to_string()).unwrap();
    let lines: String = timeline
        .iter()
        .map(|record| format!("{record}\n"))
        .collect();
    fs::write(folder.join("timeline.jsonl"), lines).unwrap();
    fs::write(folder.join("screens/00-iPXE.png"), PNG).unwrap();
    // Colours, markup and a search word that lies across two colours.
    let cast = [
        json!({ "version": 2, "width": 80, "height": 25 }),
        json!([4.0, "o", "iPXE initialising devices...\r\n"]),
        json!([
            4.5,
            "o",
            "\u{1b}[1;31mred <b>\u{1b}[0m alert: spl\u{1b}[32mit word\u{1b}[0m\r\n"
        ]),
        json!([19.0, "o", "last words\r\n"]),
    ];
    let cast: String = cast.iter().map(|line| format!("{line}\n")).collect();
    fs::write(folder.join("uart1.cast"), cast).unwrap();
}
