//! Serial logs as other tools record them, and boards that die in every other way: one line of the snapshot each.

use std::fmt::Write;
use std::fs;

use super::*;
use crate::console::{Clock, Transcript};

/// Judges a log by `alpine-https`.
fn replayed(bytes: &[u8]) -> (Transcript, Verdict) {
    let transcript = Transcript::read(bytes);
    let board = Board::read(&project().join("boards"), "raspi3b").unwrap();
    let path = project().join("scenarios/alpine-https.toml");
    let scenario = Scenario::read_for(&path, &board).unwrap();
    let source = Source::SerialLog {
        has_times: transcript.clock == Clock::Seconds,
    };
    let stages = scenario.stages(&board);
    let plan = JudgePlan::of_scenario(&scenario, &board, stages, source);
    let verdict = judge(&plan, &transcript.records);
    (transcript, verdict)
}

#[test]
fn every_log_has_its_verdict() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/logs");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    paths.sort();
    let mut out = String::new();
    for path in paths {
        let (transcript, verdict) = replayed(&fs::read(&path).unwrap());
        let name = path.file_stem().unwrap().to_string_lossy();
        let stamps = transcript.stamps;
        writeln!(out, "{name}: {stamps}\n    {}", told(&verdict)).unwrap();
    }
    insta::assert_snapshot!(out);
}

/// Whatever stands before the lines, and in whatever encoding: a good boot is not a failed one.
#[test]
fn a_good_boot_is_good_with_any_recorder() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/logs");
    let good = fs::read_to_string(folder.join("good-plain.log")).unwrap();
    let stamps: [fn(usize) -> String; 8] = [
        |_| String::new(),
        |n| format!("{:02}:{:02}:{:02}.123 > ", n / 3600, n / 60, n % 60),
        |n| format!("#{n:05} | "),
        |n| format!("4/5/26 10.{n:02} "),
        |_| "rpi3-07: ".into(),
        |n| format!("<13>1 2026-05-04T10:00:{n:02}.000Z gw console 7 - - "),
        |n| format!("\x1b[90m[10:00:{n:02}]\x1b[0m "),
        |n| format!("2026-05-04 10:00:{n:02}.5 +0200\t"),
    ];
    for stamp in stamps {
        let lines = good.lines().enumerate();
        let text: String = lines.map(|(n, l)| format!("{}{l}\r\n", stamp(n))).collect();
        let utf16: Vec<u8> = [0xfeff_u16]
            .into_iter()
            .chain(text.encode_utf16())
            .flat_map(u16::to_be_bytes)
            .collect();
        for bytes in [text.as_bytes(), &utf16] {
            let (transcript, verdict) = replayed(bytes);
            assert!(
                verdict.finding.is_none(),
                "{text}\n{:?} {:?}",
                transcript.stamps,
                verdict.finding
            );
        }
    }
}

/// A kernel that runs has been fetched, although a log shows nothing of the network.
#[test]
fn what_linux_says_before_it_stops_is_not_the_images_fault() {
    let boot = "U-Boot 2025.01\niPXE initialising devices...\n";
    let class = |log: &str| {
        let (_, verdict) = replayed(log.as_bytes());
        verdict.finding.unwrap().class
    };
    assert_eq!(class(boot), Class::Image);
    let linux = "[    0.000000] Booting Linux on physical CPU 0x0\n[    1.5] mmc0: error -110\n";
    assert_eq!(class(&format!("{boot}{linux}")), Class::Board);
}
