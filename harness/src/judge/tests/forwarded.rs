//! Runs whose servers are outside of them.

use super::*;
use crate::scenario::Services;

/// Boot server and registry are the user's own.
const OUTSIDE: &str = "boot = { forwarded = \"127.0.0.1:8443\" }\n\
    registry = { forwarded = \"127.0.0.1:5000\", nonce = \"c0ffee-c0ffee-c0ffee\" }";
const SAID: &str = "c0ffee-c0ffee-c0ffee";

fn scenario() -> (Scenario, Board) {
    let board = Board::read(&project().join("boards"), "raspi3b").unwrap();
    let path = project().join("scenarios/alpine-https.toml");
    let scenario = Scenario::read_for(&path, &board).unwrap();
    let services: Services = toml::from_str(OUTSIDE).unwrap();
    (scenario.with_services(services, &[&board]).unwrap(), board)
}

fn judged(text: &str) -> String {
    let (scenario, board) = scenario();
    let source = Source::Run {
        version: TIMELINE_VERSION,
    };
    let stages = scenario.stages(&board);
    let plan = JudgePlan::of_scenario(&scenario, &board, stages, source).knowing(Some(SAID), &[]);
    told(&judge(&plan, &records(text)))
}

/// The good run, as it looks with servers outside.
fn good() -> String {
    let mut text = GOOD
        .replace("nonce is c0ffee", &format!("nonce is {SAID}"))
        .replace(
            "4.0 boot 200 /boot/b8:27:eb:00:00:01/boot.ipxe\n",
            "3.95 tls \n4.0 answer boot 0 0 700\n",
        );
    for (request, answer) in [
        (
            "5.5 boot 200 /files/kernel\n",
            "4.5 answer boot 1 0 1000\n4.6 answer boot 1 1000 600000\n5.5 answer boot 1 600000 1200000\n",
        ),
        (
            "7.3 boot 200 /files/initramfs\n",
            "5.6 answer boot 2 0 16000\n7.3 answer boot 2 16000 18000000\n",
        ),
        ("26.7 registry 200 /v2/\n", "26.7 answer registry 0 0 900\n"),
        (
            "28.0 registry 200 /v2/library/alpine/blobs/sha256:1a2b\n",
            "28.0 answer registry 1 900 3000000\n",
        ),
    ] {
        assert!(text.contains(request), "{request}");
        text = text.replace(request, answer);
    }
    text
}

#[test]
fn connections_prove_what_requests_would() {
    assert_eq!(judged(&good()), "Passed");
}

#[test]
fn what_is_missing_is_missed() {
    let without = |line: &str| {
        let text = good();
        assert!(text.contains(line), "{line}");
        judged(&(text.replace(line, "") + "90 budget run\n"))
    };
    for (line, stage) in [
        ("3.95 tls \n", "TLS"),
        // The kernel's answer is not one for the initramfs, too, however long it is.
        ("7.3 answer boot 2 16000 18000000\n", "initramfs fetched"),
        ("28.0 answer registry 1 900 3000000\n", "image pulled"),
        (&format!("32.9 uart1 nonce is {SAID}\n"), "nonce said"),
    ] {
        let told = without(line);
        assert!(
            told.contains(&format!("\"{stage}\" was not reached")),
            "{told}"
        );
    }
    // Requests of the run's own servers prove nothing then.
    let told = judged(&GOOD.replace("c0ffee", SAID));
    assert!(!told.contains("Passed"), "{told}");
}

#[test]
fn a_refusal_by_the_server_outside_blames_the_image() {
    let refused = "3.95 tls TLS alert of the server: unknown_ca (48)\n90 budget TLS\n";
    let told = judged(&until("4.0", refused));
    assert!(told.starts_with("Failed, image, after DHCP"), "{told}");
}

#[test]
fn statements_about_requests_are_not_held_against_it() {
    let (scenario, board) = scenario();
    let source = Source::Run {
        version: TIMELINE_VERSION,
    };
    let plan = JudgePlan::of_scenario(&scenario, &board, scenario.stages(&board), source);
    assert!(plan.journal.is_empty());
    assert!(scenario.assertions().count() > 3);
    assert!(
        scenario
            .assertions()
            .all(|(_, can_be_checked)| !can_be_checked)
    );
}

#[test]
fn a_scenario_that_does_not_go_with_its_servers_says_why() {
    let (scenario, board) = scenario();
    let error = |services: &str| {
        let services = toml::from_str(services).unwrap();
        scenario.with_services(services, &[&board]).unwrap_err()
    };
    for (services, why) in [
        (
            "boot = { forwarded = \"192.0.2.1:443\" }",
            "not on this machine",
        ),
        (
            "registry = { forwarded = \"127.0.0.1:1\" }",
            "nothing would prove",
        ),
        (
            "registry = { forwarded = \"127.0.0.1:1\", nonce = \"short\" }",
            "too short",
        ),
        ("registry = \"absent\"", "nothing would prove"),
    ] {
        assert!(
            error(services).contains(why),
            "{services}: {}",
            error(services)
        );
    }
    let allowed = "allow_remote = true\nboot = { forwarded = \"192.0.2.1:443\" }";
    let allowed = toml::from_str(allowed).unwrap();
    assert!(scenario.with_services(allowed, &[&board]).is_ok());
}
