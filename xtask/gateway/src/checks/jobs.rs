//! G05, G11 and G12: jobs, from the published client to the plug.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::setup::{Setup, netboot};
use crate::outcome::Check;
use crate::wire::{self, Kind};
use crate::world::{
    FILES, GATEWAY_PRIVATE, Job, Machine, Mode, PRIVATE_CARD, give_address, submit,
};

/// An address of the private network that is no machine's.
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 42, 0, 203);
/// Longest from a job's begin until the board's first line.
const RUNS: Duration = Duration::from_secs(90);

/// The client's exit codes.
const PASS: i32 = 0;
const WARN: i32 = 1;
const FAIL: i32 = 3;
const INCOMPLETE: i32 = 4;

/// All of them, in order.
pub(super) fn all(setup: &Setup<'_>, machine: &Machine) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut check = |id, states, what: &str, timeouts: &str, exit: i32, boots: usize| {
        setup.say(&format!("{id}: {states}"));
        let found = finished(setup, machine, what, timeouts).and_then(|done| {
            ensure!(
                done.exit == exit,
                "exit code {} and not {exit}: {}",
                done.exit,
                done.last
            );
            ensure!(done.boots == boots, "{} boots and not {boots}", done.boots);
            Ok(format!("exit code {exit}, {boots} boots, the plug is off"))
        });
        checks.push(Check::of(id, states, found));
    };
    check("G11a", "PASS", "pass", "", PASS, 1);
    check("G11b", "FAIL", "fail", "", FAIL, 1);
    check("G11c", "WARN", "warn", "", WARN, 1);
    let hang = "console_activity: {seconds: 6, retries: 0}";
    check(
        "G11d",
        "INCOMPLETE: console_activity ran out and has no retry",
        "hang",
        hang,
        INCOMPLETE,
        1,
    );
    let silent = "first_console_activity: {seconds: 8, retries: 1}";
    check(
        "G11e",
        "first_console_activity: one retry, then INCOMPLETE",
        "silent",
        silent,
        INCOMPLETE,
        2,
    );
    let retry = "console_activity: {seconds: 8, retries: 1}";
    check(
        "G11f",
        "a boot that hangs is retried, and the job passes",
        "hang-once",
        retry,
        PASS,
        2,
    );
    let cycle = "boot_cycle: {minutes: 2, retries: 1}";
    check(
        "G11g",
        "session_reboot begins another boot",
        "reboot-once",
        cycle,
        PASS,
        2,
    );
    let short = "boot_cycle: {seconds: 12, retries: 0}";
    check(
        "G11h",
        "boot_cycle ends a boot that goes on, INCOMPLETE",
        "wait",
        short,
        INCOMPLETE,
        1,
    );
    setup.say("G11i: firmware_boot");
    let states = "firmware_boot: a board that does not ask for an address, INCOMPLETE";
    checks.push(Check::of("G11i", states, dead(setup, machine)));
    setup.say("G05, G12: a job that runs");
    checks.extend(while_running(setup, machine));
    checks
}

/// What a job came to.
struct Done {
    exit: i32,
    boots: usize,
    last: String,
}

fn target(machine: &Machine) -> String {
    format!("{{id: \"{}\"}}", machine.id())
}

/// Waits until the board can have a job, submits one, and waits for its end and for the plug.
fn finished(setup: &Setup<'_>, machine: &Machine, what: &str, timeouts: &str) -> Result<Done> {
    setup.wait_for_state(&machine.id(), "IDLE", RUNS)?;
    let before = machine.boots().len();
    let target = target(machine);
    let submitted = submit(
        setup.root(),
        &Job {
            what,
            target: &target,
            timeouts,
        },
    )?;
    let log = submitted.log().clone();
    let exit = submitted.wait()?;
    let off = setup.outside.wait_for_power(false, Duration::from_secs(15));
    ensure!(off, "the plug is on after the job");
    let boots = machine.boots().len() - before;
    let text = log.text();
    let last = text
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    Ok(Done {
        exit,
        boots,
        last: last.to_owned(),
    })
}

fn dead(setup: &Setup<'_>, machine: &Machine) -> Result<String> {
    machine.set_mode(Mode::Dead);
    let done = finished(
        setup,
        machine,
        "pass",
        "firmware_boot: {seconds: 6, retries: 0}",
    );
    machine.set_mode(Mode::Boots);
    let done = done?;
    ensure!(
        done.exit == INCOMPLETE,
        "exit code {}: {}",
        done.exit,
        done.last
    );
    Ok(format!("exit code {INCOMPLETE}, the plug is off"))
}

/// A job that does not end by itself: what others see of it, and its cancellation.
fn while_running(setup: &Setup<'_>, machine: &Machine) -> Vec<Check> {
    let states = [
        (
            "G05a",
            "the board gets script, kernel and initrd with the right lengths",
        ),
        (
            "G05b",
            "another machine's address gets 404 for the same files",
        ),
        ("G05c", "a file of more than 32 MiB in blocks of 512 bytes"),
        ("G04c", "option 67 by architecture, and a pad byte after it"),
        ("G12a", "409 while all machines with the tags are busy"),
        ("G11j", "cancel: the job ends, the plug is off"),
    ];
    let running = || -> Result<_> {
        setup.wait_for_state(&machine.id(), "IDLE", RUNS)?;
        let target = target(machine);
        let submitted = submit(
            setup.root(),
            &Job {
                what: "wait",
                target: &target,
                timeouts: "",
            },
        )?;
        let line = submitted.log().wait_for("still running", RUNS);
        line.context("the board's console did not reach the client")?;
        Ok(submitted)
    };
    let submitted = match running() {
        Ok(submitted) => submitted,
        Err(error) => {
            let why = format!("{error:#}");
            return states
                .map(|(id, states)| Check::of(id, states, Err(anyhow::anyhow!("{why}"))))
                .into();
        }
    };
    let found = [
        lengths(machine),
        others(machine),
        long_file(machine),
        by_architecture(setup, machine),
        busy(setup),
        cancelled(setup, machine, submitted),
    ];
    let checks = states.into_iter().zip(found);
    checks
        .map(|((id, states), found)| Check::of(id, states, found))
        .collect()
}

fn lengths(machine: &Machine) -> Result<String> {
    let boots = machine.boots();
    let boot = boots.last().context("no boot")?;
    let wanted: Vec<_> = FILES
        .iter()
        .take(2)
        .map(|(_, length)| *length as u64)
        .collect();
    ensure!(
        boot.lengths == wanted,
        "{:?} and not {wanted:?}",
        boot.lengths
    );
    ensure!(
        boot.script.starts_with("#!ipxe"),
        "the script begins with {:?}",
        boot.script.lines().next()
    );
    Ok(format!("{} and {} bytes", boot.lengths[0], boot.lengths[1]))
}

fn others(machine: &Machine) -> Result<String> {
    give_address(OTHER)?;
    let boots = machine.boots();
    let script = &boots.last().context("no boot")?.script;
    let url = script
        .split_whitespace()
        .find(|word| word.starts_with("http://"))
        .context("no URL")?;
    let (to, path) = crate::world::place(url)?;
    let answer = wire::request(OTHER, to, "GET", path, None)?;
    ensure!(answer.status == 404, "HTTP: status {}", answer.status);
    let tftp = wire::read_file(OTHER, GATEWAY_PRIVATE, "/long");
    let error = tftp.err().context("TFTP: it got the file")?.to_string();
    ensure!(error.contains("error 1"), "TFTP: {error}");
    Ok("404 by HTTP, not found by TFTP".into())
}

fn long_file(machine: &Machine) -> Result<String> {
    let address = machine
        .boots()
        .last()
        .and_then(|boot| boot.address)
        .context("no address")?;
    let wanted = FILES
        .iter()
        .find(|(name, _)| *name == "long")
        .map_or(0, |(_, length)| *length as u64);
    let length = wire::read_file(address, GATEWAY_PRIVATE, "/long")
        .with_context(|| format!("a file of {wanted} bytes"))?;
    ensure!(length == wanted, "{length} bytes and not {wanted}");
    Ok(format!("{length} bytes"))
}

/// The board's own address asks again as other kinds of boards would: rules go by what is asked, and not by the client.
fn by_architecture(setup: &Setup<'_>, machine: &Machine) -> Result<String> {
    let mac = machine.client().mac;
    let mut seen = Vec::new();
    for (what, architecture, class, wanted) in [
        ("iPXE", 0x0b, Some("iPXE"), "/boot/boot.ipxe"),
        ("UEFI on arm64", 0x0b, None, "/boot/ipxe.efi"),
        ("UEFI on x86-64", 0x07, None, "/boot/ipxe.efi"),
        ("BIOS", 0x00, None, "/boot/ipxe.kpxe"),
        ("U-Boot on arm64", 0x16, None, "/boot.scr.uimg"),
    ] {
        let lease = wire::exchange(
            PRIVATE_CARD,
            &netboot(mac, architecture, class),
            Kind::Discover,
            None,
        )?;
        let lease = lease.with_context(|| format!("{what}: no offer"))?;
        let file = lease
            .options
            .get(&67)
            .map(|file| String::from_utf8_lossy(file).into_owned());
        let file = file.with_context(|| format!("{what}: no boot file"))?;
        ensure!(file.ends_with(wanted), "{what}: {file}");
        ensure!(
            lease.order.ends_with(&[67, 0]),
            "{what}: options {:?}",
            lease.order
        );
        seen.push(what);
    }
    // The rules are those of the last request again.
    wire::exchange(PRIVATE_CARD, &machine.client(), Kind::Discover, None)?;
    setup.say(&format!("boot files for {}", seen.join(", ")));
    Ok(seen.join(", "))
}

fn busy(setup: &Setup<'_>) -> Result<String> {
    let submitted = submit(
        setup.root(),
        &Job {
            what: "pass",
            target: "{tags: [\"farm:farm\"]}",
            timeouts: "",
        },
    )?;
    let log = submitted.log().clone();
    submitted.wait()?;
    let text = log.text();
    let line = text
        .lines()
        .find(|line| line.contains("IDLE") || line.contains("409"));
    let line = line.with_context(|| text.lines().last().unwrap_or_default().to_owned())?;
    ensure!(
        text.contains("No DUT matching the tags") || text.contains("409"),
        "{line}"
    );
    Ok(line.trim().to_owned())
}

fn cancelled(
    setup: &Setup<'_>,
    machine: &Machine,
    submitted: crate::world::Submitted,
) -> Result<String> {
    let answer = setup.rest(
        "POST",
        &format!("/api/v1/dut/{}/cancel_job", machine.id()),
        None,
    )?;
    ensure!(
        answer.status == 200,
        "status {}: {}",
        answer.status,
        answer.text()
    );
    let exit = submitted.wait()?;
    ensure!(
        setup.outside.wait_for_power(false, Duration::from_secs(15)),
        "the plug is on"
    );
    ensure!(exit == INCOMPLETE, "exit code {exit}");
    let again = setup.rest(
        "POST",
        &format!("/api/v1/dut/{}/cancel_job", machine.id()),
        None,
    )?;
    ensure!(
        again.status == 400,
        "without a job: status {}",
        again.status
    );
    Ok(format!("exit code {exit}; 400 without a job"))
}
