//! Sessions and the scenarios that come of them: each is read by the reader of scenarios, and judged to do what was done.

use std::time::Duration;

use super::*;
use crate::board::Board;
use crate::input::Library;
use crate::judge::{JudgePlan, Outcome, Source, judge};
use crate::scenario::Scenario;
use crate::scenario::testing::{project, raspi3b};
use crate::testing;
use crate::timeline::{Event, Power, Record, ServiceId, TIMELINE_VERSION};

/// What the container says.
const NONCE: &str = "0123456789abcdef";
/// The digest of the image's only layer.
const LAYER: &str = "sha256:1a2b";

/// What happened, a tenth of a second apart.
fn records(events: impl IntoIterator<Item = Event>) -> Vec<Record> {
    let at = |number: u32| Duration::from_millis(100) * number;
    let numbered = (0..).zip(events);
    numbered
        .map(|(n, event)| Record::new(at(n), event))
        .collect()
}

/// A session in a few words, a line for each event: `> ` what was typed, key by key, `? ` a prompt, `! ` another event, anything else a line
/// of the console.
fn events(session: &str, key_by_key: bool) -> Vec<Event> {
    let mut events = Vec::new();
    for line in session.lines().map(str::trim_start) {
        let typed = |text: String| Event::Typed { uart: 0, text };
        if let Some(keys) = line.strip_prefix("> ") {
            let keys = keys
                .replace("<enter>", "\r")
                .replace("<tab>", "\t")
                .replace("<erase>", "\u{7f}");
            let keys = keys
                .replace("<ctrl-u>", "\u{15}")
                .replace("<up>", "\u{1b}[A");
            let keys = keys
                .replace("<ctrl-c>", "\u{3}")
                .replace("<report>", "\u{1b}[24;5R");
            match key_by_key {
                true => events.extend(keys.chars().map(|key| typed(key.into()))),
                false => events.push(typed(keys)),
            }
        } else if let Some(text) = line.strip_prefix("? ") {
            events.push(Event::Prompt {
                uart: 0,
                text: text.into(),
            });
        } else if let Some(event) = line.strip_prefix("! ") {
            let power = |action| Event::Power { action };
            events.push(match event {
                "on" => power(Power::On),
                "reset" => power(Power::GuestReset),
                "off" => power(Power::GuestShutdown),
                "firmware" => Event::Firmware {
                    kernel: "u-boot.bin".into(),
                    device_tree: "bcm2710-rpi-3-b.dtb".into(),
                },
                other => {
                    let (what, details) = other.split_once(' ').unwrap();
                    let asked = |service| Event::Request(testing::request(service, details, 200));
                    match what {
                        "lease" => Event::Lease {
                            mac: "b8:27:eb:00:00:01".into(),
                            address: [10, 42, 1, 0].into(),
                            vendor_class: Some(details.into()),
                        },
                        "boot" => asked(ServiceId::Boot),
                        "registry" => asked(ServiceId::Registry),
                        _ => panic!("what is {other}?"),
                    }
                }
            });
        } else if !line.is_empty() {
            events.push(Event::Serial {
                uart: 0,
                line: line.into(),
            });
        }
    }
    events
}

/// What a session makes of `scenario`, and what the reader of scenarios says to it.
fn written(scenario: &str, session: &str) -> (String, Result<Scenario, String>) {
    let board = raspi3b();
    let boards = Board::read_all(&project().join("boards")).unwrap();
    let library = Library::folder(project().join("scenarios"));
    let all = Scenario::read_all(library.clone(), &boards).unwrap();
    let scenario = all.into_iter().find(|s| s.name == scenario).unwrap();
    let session_of = Session {
        scenario: &scenario,
        board: &board,
        nonce: NONCE,
        layers: &[LAYER.into()],
    };
    let text = text(&session_of, &records(events(session, true))).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("again.toml"), &text).unwrap();
    let library = library.with_folder(folder.path());
    let read = Scenario::read_from(&library, "again.toml", &board);
    (text, read.map_err(|error| error.to_string()))
}

const AT_U_BOOT: &str = "\
! on
! firmware
U-Boot 2025.01 (Jan 01 2025 - 00:00:00 +0000)
DRAM:  948 MiB
Net:   No ethernet found.
> s
Hit any key to stop autoboot:  0
? U-Boot>
> printenx<erase>v bootcmd<enter>
U-Boot> printenv bootcmd
bootcmd=run distro
? U-Boot>
";

#[test]
fn a_session_is_written_down_step_by_step() {
    let (text, read) = written("alpine-http", AT_U_BOOT);
    insta::assert_snapshot!(text);
    assert_eq!(read.unwrap().steps.len(), 5);
}

#[test]
fn a_line_that_stood_still_and_went_on_was_no_prompt() {
    let halted =
        "Net:   No ethernet found.\n? Loading Environment...\n> s\nLoading Environment... OK\n";
    let session = AT_U_BOOT.replace("Net:   No ethernet found.\n> s\n", halted);
    let text = written("alpine-http", &session).0;
    assert!(text.contains("serial = '^Net:"), "{text}");
    assert!(!text.contains("Loading"), "{text}");
}

#[test]
fn a_prompt_shows_in_the_echo_where_it_stood_too_short_a_time() {
    let session = AT_U_BOOT.replace("  0\n? U-Boot>\n", "  0\n");
    assert_eq!(
        written("alpine-http", &session).0,
        written("alpine-http", AT_U_BOOT).0
    );
    // Keys that do nothing leave the prompt as it is.
    let spaces = AT_U_BOOT.replace("? U-Boot>\n> p", "? U-Boot>\n>  \n? U-Boot>\n> p");
    let text = written("alpine-http", &spaces).0;
    assert_eq!(text.matches("expect = \"U-Boot> *$\"").count(), 2, "{text}");
}

#[test]
fn a_prompt_alone_on_its_line_is_no_alarm() {
    let scenario = written("alpine-http", &format!("{AT_U_BOOT}U-Boot>\n"))
        .1
        .unwrap();
    assert!(scenario.harmless.is_empty());
}

/// A run of the scenario that a session has made.
fn judged(scenario: &str, session: &str, run: &str) -> Outcome {
    let scenario = written(scenario, session).1.unwrap();
    let board = raspi3b();
    let source = Source::Run {
        version: TIMELINE_VERSION,
    };
    let plan = JudgePlan::of_scenario(&scenario, &board, scenario.stages(&board), source);
    let plan = plan.knowing(Some(NONCE), &[LAYER.into()]);
    // A run types a line at once.
    judge(&plan, &records(events(run, false))).outcome
}

#[test]
fn the_session_itself_passes_as_a_run_of_the_scenario() {
    let run = AT_U_BOOT.replace("printenx<erase>v", "printenv");
    assert_eq!(judged("alpine-http", AT_U_BOOT, &run), Outcome::Passed);
}

#[test]
fn a_board_that_answers_something_else_fails_the_scenario() {
    let run = AT_U_BOOT.replace("printenx<erase>v", "printenv");
    let run = run.replace("bootcmd=", "## Error: ");
    assert_ne!(judged("alpine-http", AT_U_BOOT, &run), Outcome::Passed);
}

/// A session that goes through the whole chain.
const WHOLE: &str = "\
! on
! firmware
U-Boot 2025.01 (Jan 01 2025 - 00:00:00 +0000)
iPXE initialising devices...ok
! lease PXEClient:Arch:00011:UNDI:003010
! boot /boot/b8:27:eb:00:00:01/boot.ipxe
! boot /files/kernel
! boot /files/initramfs
[    0.000000] Booting Linux on physical CPU 0x0000000000 [0x410fd034]
[    7.887577] Run /init as init process
! lease boot2container
section_start:1795985354:container_1
! registry /v2/library/alpine/blobs/sha256:3c4d
! registry /v2/library/alpine/blobs/sha256:1a2b
NAME=\"Alpine Linux\"
nonce is 0123456789abcdef
? / #
> <report>cat /etc/hostname<enter>
/ # cat /etc/hostname
[   20.123456] random: crng init done
shakedown
? / #
> su -c id<enter>
/ # su -c id
? Password:
> secret<enter>
uid=0(root)
? / #
> exit<enter>
/ # exit
section_end:1795985364:container_1
[20.44]: Execution is over, pipeline status: 0
! off
";

#[test]
fn a_session_through_the_whole_chain_must_go_through_it_again() {
    let (text, read) = written("alpine-http", WHOLE);
    insta::assert_snapshot!(text);
    assert!(read.unwrap().expect.is_none());
    let run = WHOLE.replace("<report>", "");
    assert_eq!(judged("alpine-http", WHOLE, &run), Outcome::Passed);
    let run = run.replace("! registry /v2/library/alpine/blobs/sha256:3c4d\n", "");
    let outcome = judged("alpine-http", WHOLE, &run);
    assert_ne!(outcome, Outcome::Passed, "the journal is judged, too");
}

#[test]
fn what_the_board_says_to_a_command_is_no_alarm() {
    let version = "> version<enter>\nU-Boot> version\nU-Boot 2025.01 (Jan 01 2025)\n? U-Boot>\n";
    let session = AT_U_BOOT.to_owned() + version;
    let run = session.replace("printenx<erase>v", "printenv");
    assert_eq!(judged("alpine-http", &session, &run), Outcome::Passed);
    let scenario = written("alpine-http", &session).1.unwrap();
    let harmless = scenario.harmless.iter().map(|pattern| pattern.as_str());
    assert!(harmless.eq(["^U-Boot"]));
    // A board that says it before anything is typed has reset itself.
    let session = AT_U_BOOT.replace("> s\n", "U-Boot 2025.01 (Jan 01 2025)\n> s\n");
    let scenario = written("alpine-http", &session).1.unwrap();
    assert!(scenario.harmless.is_empty());
}

#[test]
fn a_reset_at_the_prompt_begins_another_boot() {
    let session = AT_U_BOOT.to_owned()
        + "> reset<enter>\nU-Boot> reset\nresetting ...\n> s\n! reset\n"
        + AT_U_BOOT.trim_start_matches("! on\n! firmware\n");
    let (text, read) = written("alpine-http", &session);
    insta::assert_snapshot!(text);
    assert_eq!(read.unwrap().boots(None), 2);
}

#[test]
fn what_cannot_be_extended_is_written_out() {
    // A variant; and a scenario that goes on from a checkpoint, which a run with steps cannot.
    for name in ["power-cycle-linux", "mirror"] {
        let (text, read) = written(name, AT_U_BOOT);
        assert!(!text.contains("extends"), "{text}");
        let scenario = read.unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!((scenario.steps.len(), &scenario.checkpoint), (5, &None));
    }
    let registry = written("mirror", AT_U_BOOT).1.unwrap().registry;
    assert!(
        registry.mirror.is_some(),
        "what is not of the session stays"
    );
}

#[test]
fn a_board_that_has_come_nowhere_makes_no_scenario() {
    let boards = Board::read_all(&project().join("boards")).unwrap();
    let all = Scenario::read_all(&project().join("scenarios"), &boards).unwrap();
    let session = Session {
        scenario: all.iter().find(|s| s.name == "alpine-http").unwrap(),
        board: &raspi3b(),
        nonce: NONCE,
        layers: &[],
    };
    let nothing = text(&session, &records(events("! on\n", true)));
    assert!(matches!(nothing, Err(SessionError::NoStage)));
}

/// The entries of a session, each as text and whether Enter follows.
fn typed(session: &str) -> Vec<(String, bool)> {
    let records = records(events(session, true));
    let entries = entries::entries(&records, &heard::Heard::of(&records));
    entries.into_iter().map(|e| (e.text, e.enter)).collect()
}

#[test]
fn keys_make_lines_as_a_line_editor_does() {
    for (session, lines) in [
        ("> lx<erase>s<enter>", &[("ls", true)][..]),
        ("> rm<ctrl-u>ls<enter>", &[("ls", true)]),
        ("> <enter>", &[("", true)]),
        ("> ls<enter>pwd<enter>", &[("ls", true), ("pwd", true)]),
        // Only the board knows what these become.
        ("> l<tab><enter>", &[("l\t", true)]),
        ("> <up><enter>", &[("\u{1b}[A", true)]),
        (
            "> sleep 9<ctrl-c>ls<enter>",
            &[("sleep 9\u{3}", false), ("ls", true)],
        ),
        // A terminal's own answers, whole or not.
        ("> <report>", &[]),
        ("> l<report>s<enter>", &[("ls", true)]),
        // A key that stops an autoboot, and what is typed at the prompt then.
        (
            "> s\nHit any key\n? =>\n> ls<enter>",
            &[("s", false), ("ls", true)],
        ),
        ("> s\n? U-Boot>\n> ls<enter>", &[("s", false), ("ls", true)]),
        // The kernel's log and the echo so far leave a line as it is.
        (
            "> l\n/ # l[   12.345678] usb 1-1: new\n> s<enter>",
            &[("ls", true)],
        ),
        ("> l\n? / # l\n> s<enter>", &[("ls", true)]),
        (
            "> l\n=> lcyclic function video_init took too long: 7us vs 5us max\n> s<enter>",
            &[("ls", true)],
        ),
    ] {
        let lines: Vec<_> = lines.iter().map(|(t, e)| ((*t).to_owned(), *e)).collect();
        assert_eq!(typed(session), lines, "{session}");
    }
}

#[test]
fn patterns_leave_numbers_out() {
    for (line, pattern) in [
        (
            "Net:   No ethernet found.",
            Some(r"^Net:   No ethernet found\."),
        ),
        ("DRAM:  948 MiB (total 1 GiB)", Some("^DRAM:")),
        ("12 files", None),
        ("- a", None),
        ("it costs (a lot)", Some(r"^it costs \(a lot\)")),
    ] {
        assert_eq!(patterns::of_line(line).as_deref(), pattern, "{line}");
    }
    for (prompt, pattern) in [
        ("U-Boot> ", "U-Boot> *$"),
        ("/ # ", "/ # *$"),
        ("root@alpine3:/$ ", r":/\$ *$"),
        ("100", r"\S *$"),
    ] {
        assert_eq!(patterns::of_prompt(prompt), pattern, "{prompt}");
        assert!(regex::Regex::new(pattern).unwrap().is_match(prompt));
    }
}
