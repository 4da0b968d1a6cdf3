//! The card when the run has ended.

use super::*;
use crate::timeline::{CardChange, CardEvent, CardFileEvent};

const UNCHANGED: &str = "[card]\nunchanged_except = [\"cache\"]\n";
const FILE: &str = "[[card.file]]\npath = \"storage/images.json\"\ncontains = 'alpine'\n";

fn change(offset: u64, partition: Option<u32>, role: Option<&str>) -> CardChange {
    CardChange {
        offset,
        length: 512,
        partition,
        role: role.map(str::to_owned),
    }
}

fn file(exists: bool, contains: Option<bool>) -> CardEvent {
    CardEvent {
        files: vec![CardFileEvent {
            partition: "cache".into(),
            path: "storage/images.json".into(),
            exists,
            contains,
            trouble: None,
        }],
        ..CardEvent::default()
    }
}

fn changed(changes: Vec<CardChange>) -> CardEvent {
    CardEvent {
        allowed: 1 << 20,
        changed: changes.iter().map(|c| c.length).sum(),
        changes,
        ..CardEvent::default()
    }
}

/// The verdict of a run that is good, and leaves a card with this.
fn judged_card(table: &str, card: Option<CardEvent>) -> String {
    let plan = with_tables(table).unwrap();
    let mut all = records(GOOD);
    let mut progress = Progress::new(&plan);
    for record in &all {
        assert!(!progress.awaits_card() && !progress.is_decided());
        progress.take(record);
    }
    assert!(progress.awaits_card(), "the boot has done what it should");
    if let Some(card) = card {
        let record = Record::new(Duration::from_secs(40), Event::Card(card));
        progress.take(&record);
        assert!(progress.is_decided() && !progress.awaits_card());
        all.push(record);
    }
    let verdict = judge(&plan, &all);
    assert_eq!(
        told(&verdict),
        told(&progress.finish(Duration::from_secs(41)))
    );
    told(&verdict)
}

#[test]
fn a_card_that_is_as_it_must_be_passes() {
    assert_eq!(judged_card(UNCHANGED, Some(changed(Vec::new()))), "Passed");
    assert_eq!(judged_card(FILE, Some(file(true, Some(true)))), "Passed");
    let nothing = FILE.replace("contains = 'alpine'", "exists = false");
    assert_eq!(judged_card(&nothing, Some(file(false, None))), "Passed");
    // Nobody asked whether it has changed.
    let both = CardEvent {
        changed: 512,
        ..file(true, Some(true))
    };
    assert_eq!(judged_card(FILE, Some(both)), "Passed");
}

#[test]
fn a_change_is_named_with_its_place() {
    let esp = changed(vec![change(71_303_168, Some(2), Some("esp"))]);
    insta::assert_snapshot!(judged_card(UNCHANGED, Some(esp)));
    let mut table = changed(vec![
        change(0, None, None),
        change(4_194_304, Some(1), Some("firmware")),
    ]);
    table.changed += 4096;
    insta::assert_snapshot!(judged_card(UNCHANGED, Some(table)));
}

#[test]
fn what_else_is_wrong_with_a_card_is_named() {
    let missing = CardEvent {
        missing: vec!["cache".into()],
        ..CardEvent::default()
    };
    let mut unreadable = file(false, None);
    unreadable.files[0].trouble = Some("damaged superblock".into());
    let trouble = CardEvent {
        trouble: Some("damaged: an L2 table that is not in the file at byte 7".into()),
        ..CardEvent::default()
    };
    let nothing = FILE.replace("contains = 'alpine'", "exists = false");
    let all = [
        judged_card(UNCHANGED, Some(missing)),
        judged_card(FILE, Some(file(false, None))),
        judged_card(FILE, Some(file(true, Some(false)))),
        judged_card(FILE, Some(file(true, None))),
        judged_card(FILE, Some(CardEvent::default())),
        judged_card(FILE, Some(unreadable)),
        judged_card(&nothing, Some(file(true, None))),
        judged_card(UNCHANGED, Some(trouble)),
        judged_card(UNCHANGED, None),
    ];
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn a_log_says_nothing_of_the_card() {
    let plan = with_tables(UNCHANGED).unwrap();
    let plan = JudgePlan {
        source: Source::SerialLog { has_times: true },
        steps: Vec::new(),
        ..plan
    };
    let verdict = judge(&plan, &records(GOOD));
    assert!(verdict.not_judged.contains(&"what is on the card".into()));
    assert!(plan.until("Linux").card.is_none());
}

#[test]
fn errors_point_at_the_place() {
    let wrong = [
        "[card]\n",
        "[card]\nunchanged_exept = []\n",
        "[[card.file]]\npath = \"/\"\n",
        "[[card.file]]\npath = \"a\"\nexists = false\ncontains = 'b'\n",
        "[[card.file]]\npath = \"a\"\ncontains = '('\n",
    ];
    let mut shown: Vec<_> = wrong
        .iter()
        .map(|table| with_tables(table).unwrap_err())
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.toml");
    let layer = std::fs::read_to_string(project().join("scenarios/alpine-http.toml")).unwrap();
    let layer = layer.replacen(
        "[boot]",
        &format!("checkpoint = \"/init\"\n{UNCHANGED}[boot]"),
        1,
    );
    std::fs::write(&path, layer).unwrap();
    let board = Board::read(&project().join("boards"), "raspi3b").unwrap();
    let error = Scenario::read_for(&path, &board).unwrap_err().to_string();
    shown.push(error.replace(&format!("{}/", folder.path().display()), ""));
    insta::assert_snapshot!(shown.join("\n"));
}
