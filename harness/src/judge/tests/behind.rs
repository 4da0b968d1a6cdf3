//! A board behind another: what its serial ports and its power show is all that it is judged by.

use super::*;

/// A board `dut` behind a board `gateway`, over HTTP, as the records are.
fn plan_of_both(rest: &str) -> JudgePlan {
    read_both(rest).unwrap()
}

fn read_both(rest: &str) -> Result<JudgePlan, String> {
    with_tables(&format!(
        "[board.gateway]\ntype = \"virt-uefi\"\n[board.dut]\nbehind = \"gateway\"\n{rest}"
    ))
}

/// Such a run of the board as nobody sees on the LAN. The gateway has fetched its container's image, which says the gateway's nonce.
fn unseen(text: &str) -> String {
    let is_seen = |line: &&str| {
        ["lease", "boot", "registry"]
            .iter()
            .any(|what| line.split(' ').nth(1) == Some(what))
    };
    let lines = text.lines().filter(|line| !is_seen(line));
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    let gateway: BoardId = "gateway".parse().unwrap();
    text.replace(NONCE, &nonce_of_boot(NONCE, Some(&gateway), 0))
}

/// They are switched on in the order of their names.
fn both(plan: &JudgePlan, dut: &str) -> Verdict {
    judged_together(plan, [&of_named("dut", dut), &of_named("gateway", GOOD)])
}

#[test]
fn its_serial_ports_and_its_power_are_enough() {
    let plan = plan_of_both("");
    assert_eq!(told(&both(&plan, &unseen(GOOD))), "Passed");
    let labels = plan.labels().into_iter();
    let own: Vec<_> = labels.filter(|l| l.starts_with("dut: ")).collect();
    assert_eq!(
        own,
        [
            "dut: firmware",
            "dut: U-Boot",
            "dut: iPXE",
            "dut: Linux",
            "dut: /init",
            "dut: container started",
            "dut: nonce said",
            "dut: powered off"
        ]
    );
    assert!(plan.labels().contains(&"gateway: nonce said".into()));
    // From iPXE to Linux: lease, script, kernel and initramfs have their time as on the LAN.
    let dut = &plan.boots[0].stages;
    assert_eq!((&*dut[3].name, dut[3].budget.as_secs()), ("Linux", 570));
    let gateway = &plan.boots[1].stages;
    let linux = gateway.iter().find(|stage| stage.name == "Linux").unwrap();
    assert_eq!(linux.budget.as_secs(), 90);
}

#[test]
fn what_the_run_sees_on_the_lan_proves_nothing_of_it() {
    // All that servers can see is there, and the board says nothing after iPXE.
    let silent = until("17.2", "90 budget Linux\n");
    let verdict = both(&plan_of_both(""), &silent);
    assert_eq!(
        told(&verdict),
        "Failed, board, after iPXE: stage \"Linux\" was not reached: its budget of 60 s is used up"
    );
}

#[test]
fn the_image_that_the_gateway_fetched_is_what_its_container_must_be_of() {
    // The nonce of an image that no registry of the run has handed out to the gateway.
    let lines = GOOD
        .lines()
        .filter(|line| !line.contains(" boot ") && !line.contains(" registry "));
    let other: String = lines.map(|line| format!("{line}\n")).collect();
    let verdict = told(&both(&plan_of_both(""), &other));
    assert!(
        verdict.contains("\"nonce said\" was not reached"),
        "{verdict}"
    );
    // It may be one that was fetched in an earlier boot of the gateway.
    let steps = "[[step]]\nboard = \"gateway\"\npower = \"on\"\nawait = \"nonce said\"\n\
                 [[step]]\nboard = \"gateway\"\npower = \"cycle\"\n[[step]]\nboard = \"dut\"\nawait = { power = \"on\" }\n";
    let plan = plan_of_both(steps);
    assert_eq!(plan.boots[0].nonces.len(), 2);
}

#[test]
fn proofs_of_the_lan_are_wanted_of_boards_on_it() {
    let rest = "[expect]\nuntil = \"container started\"\nproofs = [\n\
                { request = { service = \"registry\", target = '/v2/' } },\n{ serial = 'Linux' },\n]\n";
    let plan = plan_of_both(rest);
    assert_eq!(told(&both(&plan, &unseen(GOOD))), "Passed");
    // The same proof is missing where the board is on the LAN.
    let [dut, gateway] = ["dut", "gateway"].map(|board| of_named(board, &unseen(GOOD)));
    let verdict = judged_together(&plan, [&dut, &gateway]);
    assert_ne!(verdict.outcome, Outcome::Passed);
}

#[test]
fn a_step_waits_until_software_switches_the_board_on() {
    let steps = "[[step]]\nboard = \"gateway\"\npower = \"on\"\n[[step]]\nboard = \"dut\"\nawait = { power = \"on\" }\n";
    let plan = plan_of_both(steps);
    let with =
        |dut: &str| judged_together(&plan, [&of_named("gateway", GOOD), &of_named("dut", dut)]);
    assert_eq!(told(&with(&unseen(GOOD))), "Passed");
    // The gateway's own power is not the board's.
    let verdict = with("");
    assert_ne!(verdict.outcome, Outcome::Passed, "{}", told(&verdict));
}

#[test]
fn a_step_that_waits_for_power_is_after_one_that_gives_it() {
    let refused = |steps: &str| read_both(steps).unwrap_err();
    let awaits = "[[step]]\nboard = \"dut\"\nawait = { power = \"on\" }\n";
    let on = "[[step]]\nboard = \"gateway\"\npower = \"on\"\n";
    let first = refused(&format!("{awaits}{on}"));
    assert!(first.contains("no board is on whose software"), "{first}");
    let after = refused(&format!("{on}{awaits}after = {{ elapsed = \"1s\" }}\n"));
    assert!(after.contains("leave `after` out"), "{after}");
}
