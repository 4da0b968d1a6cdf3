//! G09 and G10: machines and plugs by the REST interface.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use shakedown_base::timeline::OutletState;

use super::network;
use super::setup::{PORT, Setup, last_exception};
use crate::outcome::Check;
use crate::world::Machine;

/// A machine that is registered by hand and never boots.
const BY_HAND: &str = "52:54:00:42:00:77";
/// Training: a registration and two boots, each with power off and on.
const TRAINED: Duration = Duration::from_secs(240);

/// All of them, in order.
pub(super) fn all(setup: &Setup<'_>, machine: &Machine) -> Vec<Check> {
    setup.say("G10: plugs");
    let mut checks = vec![
        Check::of(
            "G10a",
            "a plug that nobody owns is switched, and its state is read back",
            switched(setup),
        ),
        Check::of(
            "G10b",
            "the least off time is kept between off and on",
            least_off(setup),
        ),
    ];
    setup.say("G09: registration and training");
    checks.push(Check::of(
        "G09b",
        "an unknown machine that netboots is registered at once",
        unknown(setup),
    ));
    checks.push(Check::of(
        "G09c",
        "discovery ties the next new machine to the plug; it is trained and becomes idle",
        trained(setup, machine),
    ));
    checks.push(Check::of(
        "G10c",
        "the plug of a machine that is not retired is not switched: 400, and the plug is untouched",
        owned(setup),
    ));
    checks.push(Check::of(
        "G10d",
        "unknown machines, ports and fields are 400 with an error",
        unknown_ids(setup),
    ));
    checks
}

fn port_state(setup: &Setup<'_>, port: &str) -> Result<String> {
    let answer = setup
        .get(&format!("/api/v1/pdu/harness/port/{port}"))?
        .json()?;
    answer["state"]
        .as_str()
        .map(str::to_owned)
        .context("no state")
}

fn patch(setup: &Setup<'_>, port: &str, body: &Value) -> Result<u16> {
    Ok(setup
        .rest(
            "PATCH",
            &format!("/api/v1/pdu/harness/port/{port}"),
            Some(body),
        )?
        .status)
}

fn switched(setup: &Setup<'_>) -> Result<String> {
    for (state, is) in [("on", OutletState::On), ("off", OutletState::Off)] {
        let status = patch(setup, "0", &json!({ "state": state }))?;
        ensure!(status == 200, "{state}: status {status}");
        setup.wait(
            Duration::from_secs(15),
            &format!("the plug is {state}"),
            || (setup.outside.free_port().ok()? == is).then_some(()),
        )?;
        setup.wait(
            Duration::from_secs(15),
            &format!("the gateway says {state}"),
            || {
                port_state(setup, "0")
                    .ok()
                    .filter(|s| s.eq_ignore_ascii_case(state))
            },
        )?;
    }
    Ok("on and off again".into())
}

fn least_off(setup: &Setup<'_>) -> Result<String> {
    let least = 4.0;
    let status = patch(setup, PORT, &json!({ "min_off_time": least.to_string() }))?;
    ensure!(status == 200, "min_off_time: status {status}");
    for state in ["on", "off"] {
        patch(setup, PORT, &json!({ "state": state }))?;
        ensure!(
            setup
                .outside
                .wait_for_power(state == "on", Duration::from_secs(30)),
            "the plug was not switched {state}"
        );
    }
    patch(setup, PORT, &json!({ "state": "on" }))?;
    ensure!(
        setup.outside.wait_for_power(true, Duration::from_secs(30)),
        "the plug was not switched on again"
    );
    let switched = setup.outside.switched();
    let [.., (off, false), (on, true)] = switched.as_slice() else {
        anyhow::bail!("the plug was not switched off and on");
    };
    let seconds = on.duration_since(*off).as_secs_f64();
    patch(setup, PORT, &json!({ "state": "off" }))?;
    ensure!(
        setup.outside.wait_for_power(false, Duration::from_secs(30)),
        "the plug was not switched off"
    );
    patch(setup, PORT, &json!({ "min_off_time": "0.1" }))?;
    // The gateway counts from its own note of the switching, which it makes a moment after the plug has switched.
    ensure!(
        seconds > least - 0.5,
        "off for {seconds:.1} s and not {least} s"
    );
    Ok(format!("off for {seconds:.1} s, of {least} s"))
}

/// A machine that is registered by hand and has no plug. At the end: executor 0.0.3 answers 500 for all machines while there is one.
pub(super) fn by_hand(setup: &Setup<'_>) -> Result<String> {
    let (gateway, _) = setup.start_and_wait()?;
    let registered = register(setup);
    let log = gateway.log().text();
    let registered = registered.with_context(|| last_exception(&log));
    drop(gateway);
    setup.restore()?;
    registered
}

fn register(setup: &Setup<'_>) -> Result<String> {
    let machine = json!({
        "base_name": "by-hand", "tags": ["test:by-hand"], "mac_address": BY_HAND, "ip_address": "10.42.0.150", "local_tty_device": "ttyS0",
    });
    let answer = setup.rest("POST", "/api/v1/dut/", Some(&machine))?;
    ensure!(
        answer.status == 200,
        "status {}: {}",
        answer.status,
        answer.brief()
    );
    let seen = waits(setup);
    // A machine that nobody can read would be in the way of all that follows.
    let gone = setup.rest("DELETE", &format!("/api/v1/dut/{BY_HAND}"), None)?;
    seen?;
    ensure!(gone.status == 200, "DELETE: status {}", gone.status);
    Ok("WAIT_FOR_CONFIG, stored, deleted again".into())
}

/// What is seen of the machine that was registered by hand.
fn waits(setup: &Setup<'_>) -> Result<()> {
    let state = setup.state(BY_HAND)?;
    ensure!(state == "WAIT_FOR_CONFIG", "it is {state}");
    let stored = setup.read("mars_db.yaml")?;
    ensure!(stored.contains("by-hand"), "it is not in mars_db.yaml");
    let odd = json!({ "id": BY_HAND, "colour": "red" });
    let odd = setup.rest("POST", "/api/v1/dut/", Some(&odd))?;
    ensure!(odd.status == 400, "an unknown field: status {}", odd.status);
    Ok(())
}

fn unknown(setup: &Setup<'_>) -> Result<String> {
    let mac = [0x52, 0x54, 0, 0x42, 0, 0x55];
    let has_file = network::without_job(mac)?;
    ensure!(!has_file, "it was told to load something, without a job");
    let state = setup.state("52:54:00:42:00:55");
    let state = state.context("a netboot request without a discovery registers nobody")?;
    Ok(state)
}

fn trained(setup: &Setup<'_>, machine: &Machine) -> Result<String> {
    let started = Instant::now();
    let order = json!({ "pdu": "harness", "port_id": PORT, "timeout": 120 });
    let answer = setup.rest("POST", "/api/v1/dut/discover", Some(&order))?;
    ensure!(
        answer.status == 200,
        "discovery: status {}: {}",
        answer.status,
        answer.text()
    );
    let again = setup.rest("POST", "/api/v1/dut/discover", Some(&order))?;
    ensure!(
        again.status == 400,
        "a second discovery: status {}",
        again.status
    );
    let id = machine.id();
    let trains = || {
        setup
            .state(&id)
            .is_ok_and(|state| state == "TRAINING")
            .then_some(())
    };
    setup.wait(Duration::from_secs(60), "the board is in training", trains)?;
    setup.wait_for_state(&id, "IDLE", TRAINED)?;
    ensure!(
        setup.outside.wait_for_power(false, Duration::from_secs(30)),
        "the plug is on after the training"
    );
    let boots = machine.boots();
    let whole = boots.iter().filter(|boot| boot.lengths.len() == 2).count();
    ensure!(
        whole >= 3,
        "{whole} whole boots of {}: {:?}",
        boots.len(),
        boots.last()
    );
    Ok(format!(
        "{whole} boots, idle after {:.0} s",
        started.elapsed().as_secs_f64()
    ))
}

fn owned(setup: &Setup<'_>) -> Result<String> {
    let before = setup.outside.switched().len();
    let answer = setup.rest(
        "PATCH",
        &format!("/api/v1/pdu/harness/port/{PORT}"),
        Some(&json!({ "state": "on" })),
    )?;
    ensure!(answer.status == 400, "status {}", answer.status);
    let error = answer.json()?["error"]
        .as_str()
        .map(str::to_owned)
        .context("no error in the answer")?;
    ensure!(
        setup.outside.switched().len() == before,
        "the plug was switched"
    );
    Ok(error)
}

fn unknown_ids(setup: &Setup<'_>) -> Result<String> {
    for (method, path, body) in [
        ("GET", "/api/v1/dut/nobody", None),
        ("POST", "/api/v1/dut/nobody/cancel_job", None),
        ("GET", "/api/v1/pdu/none", None),
        ("GET", "/api/v1/pdu/harness/port/77", None),
        (
            "PATCH",
            "/api/v1/pdu/harness/port/0",
            Some(json!({ "colour": "red" })),
        ),
        (
            "PATCH",
            "/api/v1/pdu/harness/port/0",
            Some(json!({ "state": "half" })),
        ),
        (
            "POST",
            "/api/v1/dut/discover",
            Some(json!({ "pdu": "harness" })),
        ),
    ] {
        let answer = setup.rest(method, path, body.as_ref())?;
        ensure!(
            answer.status == 400,
            "{method} {path}: status {}",
            answer.status
        );
        ensure!(
            answer.json()?["error"].is_string(),
            "{method} {path}: {}",
            answer.text()
        );
    }
    Ok("seven requests".into())
}
