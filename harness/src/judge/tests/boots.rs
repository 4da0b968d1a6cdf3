//! Several boots of one board.

use super::*;

fn plan_of(name: &str) -> JudgePlan {
    let boards = Board::read_all(&project().join("boards")).unwrap();
    let all = Scenario::read_all(&project().join("scenarios"), &boards).unwrap();
    let scenario = all.iter().find(|s| &*s.name == name).unwrap();
    let board = boards.iter().find(|b| &*b.name == "raspi3b").unwrap();
    plan_on(scenario, board)
}

/// Records of a boot that begins at `start`.
fn of_boot(boot: u32, start: u64, text: &str) -> Vec<Record> {
    let mut records = records(text);
    for record in &mut records {
        record.boot = boot;
        record.at += Duration::from_secs(start);
    }
    records
}

fn both(first: &str, second: &str) -> Verdict {
    let mut all = of_boot(0, 0, first);
    all.extend(of_boot(1, 60, second));
    let mut plan = plan_of("power-cycle-linux");
    // These records have no card.
    plan.card = None;
    judge(&plan, &all)
}

fn second_boot() -> String {
    GOOD.replace(NONCE, &nonce_of_boot(NONCE, None, 1))
}

#[test]
fn each_boot_goes_through_its_own_stages() {
    let verdict = both(&until("20.1", ""), &second_boot());
    assert_eq!(told(&verdict), "Passed");
    let reached = |boot: u32| {
        let of_boot = verdict.stages.iter().filter(|s| s.boot == boot);
        let reached = of_boot.filter(|s| s.outcome.reached().is_some());
        reached.map(|s| s.name.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(reached(0).last(), Some(&"Linux"));
    assert_eq!(reached(1).last(), Some(&"powered off"));
    let labels = plan_of("power-cycle-linux").labels();
    assert!(labels.contains(&"Linux".into()) && labels.contains(&"boot 2: Linux".into()));
}

#[test]
fn a_later_boot_must_say_its_own_nonce() {
    let verdict = both(&until("20.1", ""), GOOD);
    assert_eq!(verdict.outcome, Outcome::Failed);
    let finding = verdict.finding.unwrap();
    assert_eq!(finding.stage_reached.as_deref(), Some("container started"));
}

/// A boot that asks for no layer.
fn without_layer(text: &str) -> String {
    let asks = |line: &&str| line.contains(&format!("/blobs/{LAYER}"));
    text.lines()
        .filter(|line| !asks(line))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn a_layer_of_an_earlier_boot_may_be_on_the_card() {
    let plan = plan_of("cache-filled");
    let judged = |first: &str, second: &str| {
        let mut all = of_boot(0, 0, first);
        all.extend(of_boot(1, 60, second));
        let mut plan = plan.clone();
        (plan.journal, plan.card) = (Vec::new(), None);
        for boot in &mut plan.boots {
            if let EndPlan::Expected { expect, .. } = &mut boot.end {
                expect.proofs.clear();
            }
        }
        judge(&plan, &all)
    };
    let second = without_layer(&second_boot());
    assert_eq!(told(&judged(GOOD, &second)), "Passed");
    // A layer that nobody has served cannot be in a container.
    let never = judged(&without_layer(GOOD), &second);
    assert_eq!(never.outcome, Outcome::Failed);
    // The nonce of the boot before is no proof that the container has run again.
    let stale = judged(GOOD, &without_layer(GOOD));
    assert_eq!(stale.outcome, Outcome::Failed);
}

#[test]
fn a_boot_that_does_not_come_to_its_stage_fails_the_run() {
    let verdict = both(&until("7.3", "9.0 power guest-reset\n"), &second_boot());
    assert!(
        told(&verdict).contains("the board has reset itself"),
        "{}",
        told(&verdict)
    );
}

#[test]
fn a_card_that_has_booted_before_and_an_address_that_changes_are_told() {
    let silent = "0.0 firmware\n0.1 power on\n60 silence since-power-on\n";
    let card = told(&both(&until("20.1", ""), silent));
    assert!(
        card.contains("; the card may no longer boot: boot 1 came from it"),
        "{card}"
    );
    let ended = silent.replace(
        "60 silence since-power-on",
        "5 qemu Bus error\n9 budget last output",
    );
    let ended = told(&both(&until("20.1", ""), &ended));
    assert!(
        ended.contains("Bus error") && !ended.contains("no longer boot"),
        "{ended}"
    );
    // The first boot has no other before it, and a boot loader that speaks came from the card.
    let first = told(&both(silent, ""));
    assert!(!first.contains("no longer boot"), "{first}");
    let hangs = until("3.0", "160 silence\n");
    let later = told(&both(&until("20.1", ""), &hangs));
    assert!(!later.contains("no longer boot"), "{later}");

    let refused = until("4.0", "100 budget boot script\n");
    let mut all = of_boot(0, 0, &until("20.1", ""));
    all.extend(of_boot(1, 60, &refused));
    for record in &mut all {
        if let Event::Lease { mac, .. } = &mut record.event
            && record.boot == 1
        {
            *mac = "b8:27:eb:00:00:99".into();
        }
    }
    let mut plan = plan_of("power-cycle-linux");
    plan.card = None;
    let changed = told(&judge(&plan, &all));
    assert!(
        changed.contains("its hardware address was b8:27:eb:00:00:01 and is now b8:27:eb:00:00:99"),
        "{changed}"
    );
}

#[test]
fn a_console_that_is_asked_for_a_stage_has_one_boot() {
    let plan = plan_of("power-cycle-linux").until("/init");
    assert_eq!(plan.boots.len(), 1);
    assert_eq!(plan.boots[0].stages.last().unwrap().name, "/init");
    assert_eq!(plan.boots[0].nonces, [NONCE]);
}

fn two_boards(one: &[Record], two: &[Record]) -> Verdict {
    judged_together(&plan_of_two(), [one, two])
}

/// Two boards over HTTP, as the records are.
fn plan_of_two() -> JudgePlan {
    with_tables("[board.one]\n[board.two]\n").unwrap()
}

#[test]
fn each_of_several_boards_goes_through_its_own_chain() {
    let [one, two] = ["one", "two"].map(|board| of_named(board, GOOD));
    assert_eq!(told(&two_boards(&one, &two)), "Passed");
    let labels = plan_of_two().labels();
    for label in ["one: iPXE", "two: iPXE"] {
        assert!(labels.contains(&label.into()), "{labels:?}");
    }
    let verdict = two_boards(&one, &of_named("two", &until("20.1", "")));
    let missing = verdict
        .stages
        .iter()
        .find(|s| s.outcome.reached().is_none());
    let missing = missing.unwrap();
    assert_eq!(missing.board.as_ref().unwrap().to_string(), "two");
    assert_ne!(verdict.outcome, Outcome::Passed);
}

#[test]
fn a_board_proves_nothing_for_another() {
    // All that the servers saw of the second board is said to be the first's.
    let one = of_named("one", GOOD);
    let mut two = of_named("two", GOOD);
    let is_served = |record: &Record| matches!(record.event, Event::Request(_) | Event::Tls(_));
    for record in two.iter_mut().filter(|record| is_served(record)) {
        record.board = one[0].board.clone();
    }
    assert_eq!(two_boards(&one, &two).outcome, Outcome::Failed);
    // Nor does its nonce.
    let mut swapped = of_named("one", GOOD);
    for record in &mut swapped {
        record.board = Some("two".parse().unwrap());
    }
    let verdict = two_boards(&one, &swapped);
    let finding = verdict.finding.unwrap();
    assert_eq!(finding.stage_reached.as_deref(), Some("container started"));
}
