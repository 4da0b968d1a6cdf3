//! G13 to G15: power cuts, broken settings, and the container's end.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::farm;
use super::setup::{Setup, last_lines};
use crate::outcome::Check;
use crate::wire::{self, Kind};
use crate::world::{Cards, Container, Job, Machine, PRIVATE_CARD, submit};

const RUNS: Duration = Duration::from_secs(120);
/// How long a broken file stands there, unless the gateway says something of it before.
const BROKEN: Duration = Duration::from_secs(30);

/// All of them, in order. The gateway is cut and stopped on the way.
pub(super) fn all(setup: &Setup<'_>, gateway: Container, machine: &Machine) -> Vec<Check> {
    setup.say("G13: a power cut in mid-job");
    let address = machine.boots().last().and_then(|boot| boot.address);
    let states = "after a power cut in mid-job the machine is off or was cycled, and idle";
    let (found, gateway) = match power_cut(setup, gateway, machine) {
        Ok((seen, gateway)) => (Ok(seen), Some(gateway)),
        Err(error) => (Err(error), None),
    };
    let mut checks = vec![Check::of("G13", states, found)];
    let same = || -> Result<String> {
        let lease = wire::exchange(PRIVATE_CARD, &machine.client(), Kind::Discover, None)?
            .context("no offer")?;
        ensure!(
            Some(lease.address) == address,
            "{address:?} became {}",
            lease.address
        );
        Ok(lease.address.to_string())
    };
    let states = "the same lease after the gateway's power cycle";
    checks.push(Check::of(
        "G04d",
        states,
        if gateway.is_some() {
            same()
        } else {
            Err(anyhow::anyhow!("the gateway did not come back"))
        },
    ));
    setup.say("G15: the container is stopped");
    let stopped = gateway
        .context("there is no gateway that runs")
        .and_then(|gateway| {
            let took = gateway.stop()?;
            Ok(format!("after {:.1} s", took.as_secs_f64()))
        });
    checks.push(Check::of(
        "G15a",
        "the container is stopped: everything in it ends in time",
        stopped,
    ));
    let why =
        "boot2container and its console are not around the gateway here: a board's run is needed";
    checks.push(Check::not_run(
        "G15b",
        "b2c's console survives the container, and the pipeline's status is right",
        why,
    ));
    for (id, states, found) in [
        (
            "G14a",
            "a broken mars_db.yaml: once it is mended it is read, and the interface answers",
            broken_database(setup),
        ),
        (
            "G14b",
            "a broken config.env: the services start",
            broken_settings(setup),
        ),
        (
            "G14c",
            "a full /mnt/tmp: the interface answers",
            full(setup),
        ),
    ] {
        setup.say(&format!("{id}: {states}"));
        checks.push(Check::of(id, states, found));
    }
    setup.say("G09a: a machine that is registered by REST");
    let states = "a machine that is registered by REST waits for its configuration";
    checks.push(Check::of("G09a", states, farm::by_hand(setup)));
    checks
}

fn power_cut(
    setup: &Setup<'_>,
    gateway: Container,
    machine: &Machine,
) -> Result<(String, Container)> {
    let id = machine.id();
    setup.wait_for_state(&id, "IDLE", RUNS)?;
    let target = format!("{{id: \"{id}\"}}");
    let submitted = submit(
        setup.root(),
        &Job {
            what: "wait",
            target: &target,
            timeouts: "",
        },
    )?;
    submitted
        .log()
        .wait_for("still running", RUNS)
        .context("the job did not run")?;
    gateway.cut()?;
    drop(submitted);
    ensure!(
        setup.outside.has_power(),
        "the board lost power with the gateway"
    );
    let (gateway, _) = setup.start_and_wait()?;
    let came_back = setup.state(&id)?;
    ensure!(came_back != "BORKED", "it is BORKED");
    // A quick check, which cycles its power, before it gets jobs again.
    setup.wait_for_state(&id, "IDLE", RUNS)?;
    let off = setup.outside.wait_for_power(false, Duration::from_secs(5));
    ensure!(off, "it is idle and its plug is on: first {came_back}");
    Ok((format!("{came_back}, then IDLE with the plug off"), gateway))
}

fn answers(setup: &Setup<'_>, gateway: &Container) -> Result<()> {
    let up = || {
        setup
            .get("/api/v1/full-state")
            .ok()
            .filter(|answer| answer.status == 200)
    };
    let waited = setup.wait(Duration::from_secs(90), "the interface answers", up);
    waited
        .map(drop)
        .with_context(|| last_lines(&gateway.log().text()))
}

fn broken_database(setup: &Setup<'_>) -> Result<String> {
    setup.write("mars_db.yaml", "pdus: [not: {a database\n")?;
    let gateway = setup.start(Cards::Two, "128m")?;
    // By its log or by its silence: it has started and does not know the power distribution unit.
    let begun = gateway.log().wait_for("mars_db", BROKEN);
    let known = setup.get("/api/v1/full-state").and_then(|a| a.json());
    let is_known = known.is_ok_and(|state| state["pdus"]["harness"].is_object());
    setup.restore()?;
    ensure!(!is_known, "it knows what the broken file does not say");
    setup
        .wait_until_up()
        .with_context(|| last_lines(&gateway.log().text()))?;
    let said = begun.unwrap_or_else(|| "it said nothing of it".into());
    Ok(format!("{said}; read once it was mended"))
}

fn broken_settings(setup: &Setup<'_>) -> Result<String> {
    setup.write("config.env", "if then ((\n")?;
    let gateway = setup.start(Cards::Two, "128m")?;
    let found = setup
        .wait_until_up()
        .with_context(|| last_lines(&gateway.log().text()));
    setup.write("config.env", "")?;
    found?;
    drop(gateway);
    let gateway = setup.start(Cards::Two, "128m")?;
    answers(setup, &gateway)?;
    Ok("with a broken file and with an empty one".into())
}

fn full(setup: &Setup<'_>) -> Result<String> {
    // A tmpfs of one page has no room for anything.
    let gateway = setup.start(Cards::Two, "4k")?;
    answers(setup, &gateway)?;
    Ok("with room for one page".into())
}
