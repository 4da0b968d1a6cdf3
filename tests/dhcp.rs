//! The LAN's DHCP server in the hands of real clients: busybox' udhcpc, which boot2container uses, and ISC's dhclient.
//!
//! This program starts itself again in a network namespace of its own, where it needs no rights, and where the LAN is on a tap interface.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use libtest_mimic::{Arguments, Failed};
use shakedown_harness::lab::Tap;
use shakedown_harness::lan::{Config, Lan};
use shakedown_harness::timeline::{Event, Timeline};
use shakedown_tests::namespace::{IP, UDHCPC, UNSHARE, checked, in_namespaces, write_script};
use shakedown_tests::{Tool, trial_with};

/// Set for the process inside: the client to try.
const INSIDE: &str = "SHAKEDOWN_DHCP_CLIENT";
/// The interface.
const TAP: &str = "tap0";

const DHCLIENT: Tool = Tool::new("dhclient", "isc-dhcp-client");

fn main() -> Result<ExitCode> {
    if let Ok(client) = std::env::var(INSIDE) {
        inside(&client)?;
        return Ok(ExitCode::SUCCESS);
    }
    let trials = [UDHCPC, DHCLIENT].map(|client| {
        let name = format!("{}_gets_a_lease", client.program);
        trial_with(&[UNSHARE, IP, client], &name, move || {
            in_namespaces(INSIDE, client.program)
                .map_err(|error| Failed::from(format!("{error:#}")))
        })
    });
    Ok(libtest_mimic::run(&Arguments::from_args(), trials.into()).exit_code())
}

/// Has a client get a lease, and compares what it was told with what the server gave.
fn inside(client: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (script, told) = (folder.path().join("script"), folder.path().join("told"));
    write_script(&script, &script_text(&told))?;
    let config = Config::default();
    let (gateway, first) = (config.gateway, config.dhcp.first);
    let timeline = Timeline::start();
    let runtime = tokio::runtime::Runtime::new()?;
    let _guard = runtime.enter();
    let lan = Lan::start(config, timeline.clone())?;
    let _tap = Tap::plug_in(TAP, lan.attach())?;
    checked(Command::new(IP.program).args(["link", "set", TAP, "up"]))?;
    let mut command = Command::new(client);
    if client == UDHCPC.program {
        // In the foreground, once, and without it after ten tries.
        command
            .args(["-i", TAP, "-f", "-q", "-n", "-t", "10", "-s"])
            .arg(&script);
    } else {
        command
            .args(["-1", "-v", "-cf", "/dev/null", "-sf"])
            .arg(&script);
        command.arg("-lf").arg(folder.path().join("leases"));
        command.arg("-pf").arg(folder.path().join("pid")).arg(TAP);
    }
    checked(&mut command)?;
    let told = std::fs::read_to_string(&told).context("the client did not call its script")?;
    let wanted = format!("{first} {gateway} {gateway}");
    ensure!(
        told.lines().any(|line| line == wanted),
        "the client was told {told:?} instead of {wanted:?}"
    );
    let leases = timeline
        .snapshot()
        .into_iter()
        .filter_map(|record| match record.event {
            Event::Lease { address, .. } => Some(address),
            _ => None,
        });
    let leases: Vec<_> = leases.collect();
    ensure!(leases == [first], "the server gave {leases:?}");
    Ok(())
}

/// What a client calls: writes down address, router and DNS server, by udhcpc's names or dhclient's.
fn script_text(told: &Path) -> String {
    format!(
        "#!/bin/sh\necho \"$ip$new_ip_address $router$new_routers $dns$new_domain_name_servers\" >>{}\n",
        told.display()
    )
}
