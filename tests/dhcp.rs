//! The LAN's DHCP server in the hands of real clients: busybox' udhcpc, which boot2container uses, and ISC's dhclient.
//!
//! This program starts itself again in a network namespace of its own, where it needs no rights, and where the LAN is on a tap interface.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, ExitCode, Output};

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::{Arguments, Failed};
use shakedown_harness::lab::Tap;
use shakedown_harness::lan::{Config, Lan};
use shakedown_harness::timeline::{Event, Timeline};
use shakedown_tests::{Tool, trial_with};

/// Set for the process inside: the client to try.
const INSIDE: &str = "SHAKEDOWN_DHCP_CLIENT";
/// The interface.
const TAP: &str = "tap0";

const UNSHARE: Tool = tool("unshare", "util-linux");
const IP: Tool = tool("ip", "iproute2");
const UDHCPC: Tool = tool("udhcpc", "udhcpc");
const DHCLIENT: Tool = tool("dhclient", "isc-dhcp-client");

const fn tool(program: &'static str, package: &'static str) -> Tool {
    Tool { program, package }
}

fn main() -> Result<ExitCode> {
    if let Ok(client) = std::env::var(INSIDE) {
        inside(&client)?;
        return Ok(ExitCode::SUCCESS);
    }
    let trials = [UDHCPC, DHCLIENT].map(|client| {
        let name = format!("{}_gets_a_lease", client.program);
        trial_with(&[UNSHARE, IP, client], &name, move || {
            outside(client.program).map_err(|error| Failed::from(format!("{error:#}")))
        })
    });
    Ok(libtest_mimic::run(&Arguments::from_args(), trials.into()).exit_code())
}

/// Runs this program in namespaces of its own. They end with it, and whatever a client has left in them too.
fn outside(client: &str) -> Result<()> {
    let mut command = Command::new(UNSHARE.program);
    command
        .args([
            "--user",
            "--map-root-user",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
        ])
        .arg(std::env::current_exe()?)
        .env(INSIDE, client);
    checked(&mut command).map(drop)
}

/// Has a client get a lease, and compares what it was told with what the server gave.
fn inside(client: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (script, told) = (folder.path().join("script"), folder.path().join("told"));
    write_script(&script, &told)?;
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
fn write_script(script: &Path, told: &Path) -> Result<()> {
    let text = format!(
        "#!/bin/sh\necho \"$ip$new_ip_address $router$new_routers $dns$new_domain_name_servers\" >>{}\n",
        told.display()
    );
    std::fs::write(script, text)?;
    std::fs::set_permissions(script, PermissionsExt::from_mode(0o755))?;
    Ok(())
}

/// The command's output, if it succeeds.
fn checked(command: &mut Command) -> Result<Output> {
    let program = command.get_program().to_os_string();
    let output = command.output();
    let output = output.with_context(|| format!("cannot start {}", program.display()))?;
    if output.status.success() {
        return Ok(output);
    }
    let said = [&output.stdout[..], &output.stderr].concat();
    bail!(
        "{} has failed: {}",
        program.display(),
        String::from_utf8_lossy(&said)
    )
}
