//! Assertions against journals that hold and that do not.

use crate::timeline::ServiceId;
use std::fs;
use std::time::Duration;

use super::*;
use crate::testing;

#[derive(Deserialize)]
struct File {
    journal: Vec<AssertionTable>,
}

/// The assertions of a file of a scenario with one board and one boot, or the error in it.
fn read(toml: &str) -> Result<Vec<Assertion>, String> {
    read_of(toml, &[(None, 1)])
}

/// The same of a scenario with these boards.
fn read_of(toml: &str, boards: &[BootsOfBoard]) -> Result<Vec<Assertion>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.toml");
    fs::write(&path, toml).unwrap();
    let document = Document::read(&path).unwrap();
    let short = |text: &str| text.replace(&folder.path().display().to_string(), "scenarios");
    let file: File = document.parse().map_err(|e| short(&e.to_string()))?;
    let mut all =
        Assertion::read_all(file.journal, boards, &document).map_err(|e| short(&e.to_string()))?;
    for assertion in &mut all {
        assertion.place = short(&assertion.place);
    }
    Ok(all)
}

fn at(seconds: f64, service: ServiceId, target: &str, status: u16, offset: Option<u64>) -> Record {
    Record::new(
        Duration::from_secs_f64(seconds),
        Event::Request(RequestEvent {
            offset,
            complete: offset.is_none(),
            ..testing::request(service, target, status)
        }),
    )
}

fn journal() -> Vec<Record> {
    vec![
        at(1.0, ServiceId::Boot, "/files/kernel", 200, None),
        at(2.0, ServiceId::Boot, "/files/initramfs", 200, None),
        at(3.0, ServiceId::Boot, "/files/kernel", 200, None),
        at(4.0, ServiceId::Registry, "/v2/", 401, None),
        at(
            5.0,
            ServiceId::Registry,
            "/v2/a/blobs/sha256:0",
            206,
            Some(4096),
        ),
    ]
}

/// The violations of the journal by assertions, each named by its number.
fn violations(tables: &[&str]) -> Vec<Option<String>> {
    let toml = tables
        .iter()
        .enumerate()
        .map(|(number, table)| format!("[[journal]]\nname = \"{number}\"\n{table}\n"));
    let toml: String = toml.collect();
    let assertions = read(&toml).unwrap_or_else(|error| panic!("{error}"));
    assertions.iter().map(|a| a.violation(&journal())).collect()
}

#[test]
fn what_holds_is_no_violation() {
    let holding = [
        "service = 'boot'\ntarget = '^/files/kernel$'\nexactly = 2",
        "service = 'boot'\ntarget = 'initramfs'\nafter = '0'",
        "service = 'registry'\nstatus = 401\nmethod = 'GET'\nhost = 'host.example'\nafter = '1'",
        "service = 'registry'\noffset_at_least = '4KiB'\ncomplete = false",
        "service = 'registry'\nat_least = 1\nat_most = 2",
        "service = 'registry'\nmethod = 'PUT'\nexactly = 0",
        // Of what did not happen there is no order.
        "service = 'registry'\nmethod = 'PUT'\nat_most = 1\nafter = '0'",
    ];
    assert_eq!(violations(&holding), vec![None; holding.len()]);
}

#[test]
fn each_criterion_and_each_bound_can_fail() {
    let failing = [
        "service = 'boot'\ntarget = '^/files/kernel$'\nexactly = 1",
        "service = 'boot'\ntarget = 'secrets'",
        "service = 'boot'\nstatus = 404",
        "service = 'boot'\nhost = 'other.example'",
        "service = 'boot'\nmethod = 'HEAD'",
        "service = 'boot'\ncomplete = false",
        "service = 'boot'\nat_most = 2",
        "service = 'registry'\noffset_at_least = '5KiB'",
        "service = 'registry'\nat_least = 3",
    ];
    for (table, violation) in failing.iter().zip(violations(&failing)) {
        assert!(violation.is_some(), "{table}");
    }
    let order = violations(&["service = 'registry'", "service = 'boot'\nafter = '0'"]);
    assert!(order[0].is_none() && order[1].is_some());
}

/// Two boards, of which the second boots twice.
fn two_boards() -> [BootsOfBoard; 2] {
    [("one", 1), ("two", 2)].map(|(name, boots)| (Some(name.parse().unwrap()), boots))
}

/// A request for the kernel by one of several boards.
fn by(board: &str, boot: u32, seconds: f64) -> Record {
    Record {
        board: Some(board.parse().unwrap()),
        boot,
        ..at(seconds, ServiceId::Boot, "/files/kernel", 200, None)
    }
}

#[test]
fn boards_and_boots_are_told_apart() {
    let records = [by("one", 0, 1.0), by("two", 0, 2.0), by("two", 1, 3.0)];
    let holds = |table: &str| {
        let toml = format!("[[journal]]\nname = \"it\"\nservice = \"boot\"\n{table}\n");
        let all = read_of(&toml, &two_boards()).unwrap_or_else(|error| panic!("{error}"));
        all[0].violation(&records).is_none()
    };
    for table in [
        "exactly = 3",
        "board = 'one'\nexactly = 1",
        "board = 'two'\nexactly = 2",
        "board = 'two'\nboot = 1\nexactly = 1",
        "board = 'two'\nboot = 2\nexactly = 1",
    ] {
        assert!(holds(table), "{table}");
    }
    for table in ["board = 'one'\nexactly = 2", "board = 'two'\nexactly = 3"] {
        assert!(!holds(table), "{table}");
    }
    // What another board or another boot did is no evidence.
    let toml = "[[journal]]\nname = \"it\"\nservice = \"boot\"\nboard = \"two\"\nboot = 2\n";
    let all = read_of(toml, &two_boards()).unwrap();
    insta::assert_snapshot!(all[0].violation(&records[..2]).unwrap());
}

#[test]
fn errors_of_boards_and_boots_point_at_the_place() {
    let error = |body: &str, boards: &[BootsOfBoard]| {
        let toml = format!("[[journal]]\nname = \"it\"\nservice = \"boot\"\n{body}\n");
        read_of(&toml, boards).unwrap_err()
    };
    let errors = [
        error("board = \"one\"", &[(None, 1)]),
        error("boot = 2", &[(None, 1)]),
        error("boot = 0", &[(None, 2)]),
        error("board = \"three\"", &two_boards()),
        error("board = \"One\"", &two_boards()),
        error("boot = 1", &two_boards()),
        error("board = \"two\"\nboot = 3", &two_boards()),
    ];
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn a_violation_names_the_assertion_its_place_and_the_requests() {
    let toml = "\
[[journal]]
name = \"the kernel is fetched exactly once\"
service = \"boot\"
target = '^/files/kernel$'
exactly = 1

[[journal]]
name = \"a secret is used\"
service = \"boot\"
target = '^/secrets/'
after = \"the kernel is fetched exactly once\"
";
    let violations: Vec<_> = read(toml)
        .unwrap()
        .iter()
        .filter_map(|a| a.violation(&journal()))
        .collect();
    insta::assert_snapshot!(violations.join("\n"), @r#"
    the journal does not show that the kernel is fetched exactly once: 2 such requests instead of exactly 1 (scenarios/s.toml:2); the boot server saw
        [    1.00] GET host.example/files/kernel -> 200, 7 bytes
        [    3.00] GET host.example/files/kernel -> 200, 7 bytes
    the journal does not show that a secret is used: 0 such requests instead of at least 1 (scenarios/s.toml:8); the boot server saw
        [    1.00] GET host.example/files/kernel -> 200, 7 bytes
        [    2.00] GET host.example/files/initramfs -> 200, 7 bytes
        [    3.00] GET host.example/files/kernel -> 200, 7 bytes
    "#);
}

#[test]
fn errors_point_at_the_place() {
    let error = |body: &str| {
        let toml = format!("[[journal]]\nname = \"it\"\nservice = \"boot\"\n{body}\n");
        read(&toml).unwrap_err()
    };
    let errors = [
        error("exactly = 1\nat_most = 2"),
        error("at_least = 3\nat_most = 2"),
        error("after = \"them\""),
        error("target = '('"),
        error("offset_at_least = \"much\""),
        error("method = \"FETCH\""),
        error("count = 1"),
    ];
    insta::assert_snapshot!(errors.join("\n"), @r#"
    scenarios/s.toml:2:8: `exactly` says all: leave `at_least` and `at_most` out
      | name = "it"
      |        ^^^^
    scenarios/s.toml:4:12: `at_least` is more than `at_most`
      | at_least = 3
      |            ^
    scenarios/s.toml:4:9: no assertion before this one has that name
      | after = "them"
      |         ^^^^^^
    scenarios/s.toml:4:10: not a regular expression: regex parse error:
        (
        ^
    error: unclosed group
      | target = '('
      |          ^^^
    scenarios/s.toml:4:19: not a size such as "64KiB" or "2MB": `much` is no unit; write kB, KiB, MB, MiB, GB or GiB
      | offset_at_least = "much"
      |                   ^^^^^^
    scenarios/s.toml:4:10: unknown variant `FETCH`, expected one of `GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE`, `RRQ`
      | method = "FETCH"
      |          ^^^^^^^
    scenarios/s.toml:4:1: unknown field `count`, expected one of `name`, `says`, `service`, `board`, `boot`, `host`, `method`, `target`, `status`, `complete`, `offset_at_least`, `exactly`, `at_least`, `at_most`, `after`
      | count = 1
      | ^^^^^
    "#);
}
