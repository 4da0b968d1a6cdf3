//! A run on a board on a desk. The board is a stand-in: a thread that says on a serial port and asks for on the network what a board does up to its initramfs. The
//! harness knows it only by the address of its serial port, the commands that switch it, and a tap interface.
//!
//! This program starts itself again in a network namespace of its own, where it may create the interface.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::{Arguments, Failed};
use shakedown_fixtures::{Kit, KitOptions};
use shakedown_harness::board::Board;
use shakedown_harness::plan::{Extras, Job, Lab, Start};
use shakedown_harness::report::{Report, Verdict, failure_text};
use shakedown_harness::run::run_on_desk;
use shakedown_harness::scenario::Scenario;
use shakedown_harness::timeline::Timeline;
use shakedown_tests::namespace::{IP, UDHCPC, UNSHARE, checked, in_namespaces, write_script};
use shakedown_tests::trial_with;

/// Set for the process inside.
const INSIDE: &str = "SHAKEDOWN_LAB_INSIDE";
/// The interface, and its address.
const TAP: &str = "tap0";
const MAC: &str = "b8:27:eb:01:02:03";
/// The boot server, as DHCP tells it.
const SERVER: &str = "10.42.0.1:80";
/// What udhcpc calls: gives the interface the address that it got.
const LEASE_SCRIPT: &str = "#!/bin/sh\n[ \"$1\" = bound ] || exit 0\nip addr flush dev $interface\nip addr add $ip/16 dev $interface\n";
/// How often the board looks whether it has power.
const TURN: Duration = Duration::from_millis(20);

fn main() -> Result<ExitCode> {
    if std::env::var_os(INSIDE).is_some() {
        inside()?;
        return Ok(ExitCode::SUCCESS);
    }
    let name = "a_board_on_a_desk_is_power_cycled_and_comes_to_its_initramfs";
    let trial = trial_with(&[UNSHARE, IP, UDHCPC], name, || {
        in_namespaces(INSIDE, "1").map_err(|error| Failed::from(format!("{error:#}")))
    });
    Ok(libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit_code())
}

fn inside() -> Result<()> {
    for words in [
        &["link", "set", "lo", "up"][..],
        &["tuntap", "add", "dev", TAP, "mode", "tap"],
        &["link", "set", TAP, "address", MAC],
        &["link", "set", TAP, "up"],
    ] {
        checked(Command::new(IP.program).args(words))?;
    }
    let folder = tempfile::tempdir()?;
    let plug = folder.path().join("plug");
    let serial = TcpListener::bind("127.0.0.1:0")?;
    let lab = folder.path().join("lab.toml");
    std::fs::write(&lab, lab_file(&serial, &plug)?)?;
    let script = folder.path().join("lease");
    write_script(&script, LEASE_SCRIPT)?;
    let at_plug = plug.clone();
    thread::spawn(move || {
        for boot in serial.incoming() {
            // A board whose power goes says nothing more.
            let _ = boot
                .map_err(Into::into)
                .and_then(|console| boot_board(console, &at_plug, &script));
        }
    });

    let root = shakedown_tests::project_root();
    let boards = Board::read_all(&root.join("boards"))?;
    let board = boards.iter().find(|b| b.name == "raspi3b");
    let board = board.context("there is no raspi3b")?;
    let scenario = scenario(&root, folder.path(), board)?;
    let lab = Lab::read(&lab)?;
    let parts = Kit::open(KitOptions::default())?.parts(board)?;
    let runs = folder.path().join("run");
    let job = Job {
        board,
        scenario: &scenario,
        parts: &parts,
        others: &[],
        start: Start::Card,
        folder: runs.clone(),
        keep: false,
        checkpoints: None,
        extras: Extras::default(),
        reproduce: "cargo test -p shakedown-tests --test lab".into(),
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let timeline = Timeline::start();
    let report = runtime.block_on(run_on_desk(&job, &lab, &timeline, std::future::pending()));
    check(&report, &runs)?;
    ensure!(!plug.exists(), "the board was left on");

    // What needs the card or the firmware is refused with its reason.
    let https = Scenario::read_for(&root.join("scenarios/alpine-https.toml"), board)?;
    let job = Job {
        scenario: &https,
        folder: folder.path().join("refused"),
        ..job
    };
    let timeline = Timeline::start();
    let refused = run_on_desk(&job, &lab, &timeline, std::future::pending());
    let refused = runtime.block_on(refused);
    let cause = refused.failure.map(|f| f.cause).unwrap_or_default();
    ensure!(
        refused.verdict == Verdict::CouldNotRun && cause.contains("the card is not touched"),
        "{cause}"
    );
    Ok(())
}

fn check(report: &Report, runs: &Path) -> Result<()> {
    if let Some(failure) = &report.failure {
        bail!("{}", failure_text(report, failure));
    }
    ensure!(report.verdict == Verdict::Passed, "{:?}", report.verdict);
    let reached: Vec<_> = report.stages.iter().map(|s| s.name.as_str()).collect();
    let first = ["U-Boot", "iPXE", "DHCP", "boot script", "kernel fetched"];
    let second = first.iter().map(|stage| format!("boot 2: {stage}"));
    let second = second.chain(["boot 2: initramfs fetched".into()]);
    let expected: Vec<String> = first
        .iter()
        .map(ToString::to_string)
        .chain(second)
        .collect();
    ensure!(reached == expected, "reached {reached:?}");
    let boots: Vec<_> = report.boots.iter().map(|b| b.verdict).collect();
    ensure!(boots == [Verdict::Passed; 2], "{boots:?}");
    let log = std::fs::read_to_string(runs.join("transcript.log"))?;
    ensure!(log.matches("U-Boot 2025.01").count() == 2, "{log}");
    ensure!(runs.join("report.html").is_file());
    Ok(())
}

/// Two boots: the power goes when the kernel has been fetched, and the second one ends at the initramfs.
fn scenario(root: &Path, folder: &Path, board: &Board) -> Result<Scenario> {
    std::fs::copy(
        root.join("scenarios/alpine-http.toml"),
        folder.join("alpine-http.toml"),
    )?;
    let path = folder.join("desk.toml");
    std::fs::write(
        &path,
        "extends = \"alpine-http\"\ntitle = \"A board on a desk\"\njournal = []\n\
         step = [{ power = \"on\", await = \"kernel fetched\" }, { power = \"cycle\" }]\n\
         [expect]\nuntil = \"initramfs fetched\"\n",
    )?;
    Ok(Scenario::read_for(&path, board)?)
}

fn lab_file(serial: &TcpListener, plug: &Path) -> Result<String> {
    let (port, plug) = (serial.local_addr()?, plug.display());
    Ok(format!(
        "board = \"raspi3b\"\nmac = \"{MAC}\"\ntap = \"{TAP}\"\n\
         [serial]\nport = \"tcp:{port}\"\n\
         [power]\non = \"touch {plug}\"\noff = \"rm -f {plug}\"\n\
         state = \"test -e {plug} && echo on || echo off\"\nleast_off = \"100ms\"\n"
    ))
}

/// The board: waits for its power, says what a board says, and asks for what a board asks for.
fn boot_board(mut console: TcpStream, plug: &Path, script: &Path) -> Result<()> {
    while !plug.exists() {
        thread::sleep(TURN);
    }
    console.write_all(b"\r\nU-Boot 2025.01 (Jan 06 2025)\r\n\r\n")?;
    console.write_all(b"iPXE initialising devices...ok\r\n")?;
    let mut lease = Command::new(UDHCPC.program);
    lease.args(["-i", TAP, "-f", "-q", "-n", "-t", "10"]);
    lease.args(["-V", "PXEClient:Arch:00011:UNDI:003010", "-s"]);
    checked(lease.arg(script))?;
    fetch(&format!(
        "/boot/{MAC}/boot.ipxe?platform=efi&buildarch=arm64"
    ))?;
    for file in ["kernel", "initramfs"] {
        fetch(&format!("/files/{file}"))?;
    }
    console.write_all(b"EFI stub: Booting Linux Kernel...\r\n")?;
    // On until the plug is pulled.
    let _ = console.read(&mut [0]);
    Ok(())
}

fn fetch(path: &str) -> Result<u64> {
    let mut stream = TcpStream::connect(SERVER)?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: ci-gateway\r\nConnection: close\r\n\r\n"
    )?;
    Ok(std::io::copy(&mut stream, &mut std::io::sink())?)
}
