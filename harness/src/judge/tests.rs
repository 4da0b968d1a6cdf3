//! What comes of records that the tests write themselves, in a short form: a line is `SECONDS WHAT DETAILS`.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::board::Board;
use crate::report::Class;
use crate::scenario::Scenario;
use crate::scenario::testing::{project, raspi3b};
use crate::testing;
use crate::timeline::{
    AnswerEvent, BoardId, Bound, BudgetClock, Event, HostTrouble, Power, Record, ServiceId,
    StoppedBy, TIMELINE_VERSION, TlsEvent,
};

mod behind;
mod boots;
mod cards;
mod ends;
mod forwarded;
mod logs;
mod steps;

/// What the container says if it is the registry's.
const NONCE: &str = "c0ffee";
/// The digest of the image's only layer.
const LAYER: &str = "sha256:1a2b";

/// A run that goes through the whole chain over plain HTTP.
const GOOD: &str = "\
0.0 firmware
0.1 power on
0.5 uart0 U-Boot 2025.01
3.0 uart1 iPXE initialising devices...
3.9 lease PXEClient:Arch:00011:UNDI:003010
4.0 boot 200 /boot/b8:27:eb:00:00:01/boot.ipxe
5.5 boot 200 /files/kernel
7.3 boot 200 /files/initramfs
17.2 uart1 [    0.000000] Booting Linux on physical CPU 0x0000000000 [0x410fd034]
20.1 uart1 [    7.887577] Run /init as init process
22.9 lease boot2container
23.4 uart1 section_start:1795985354:container_1
26.7 registry 200 /v2/
28.0 registry 200 /v2/library/alpine/blobs/sha256:1a2b
32.8 uart1 NAME=\"Alpine Linux\"
32.9 uart1 nonce is c0ffee
33.0 uart1 section_end:1795985364:container_1
33.1 uart1 [20.44]: Execution is over, pipeline status: 0
33.2 power guest-shutdown
";

/// Such a run up to and without the line that starts with this, and then these.
fn until(last: &str, then: &str) -> String {
    let before: String = GOOD
        .lines()
        .take_while(|line| !line.starts_with(last))
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(before.len() < GOOD.len(), "{last}");
    before + then
}

fn records(text: &str) -> Vec<Record> {
    text.lines().map(record).collect()
}

fn record(line: &str) -> Record {
    let mut words = line.splitn(3, ' ');
    let at: f64 = words.next().unwrap().parse().unwrap();
    let what = words.next().unwrap();
    let details = words.next().unwrap_or_default();
    let event = match what {
        "firmware" => Event::Firmware {
            kernel: "u-boot.bin".into(),
            device_tree: "board.dtb".into(),
        },
        "power" => Event::Power {
            action: match details {
                "on" => Power::On,
                "guest-reset" => Power::GuestReset,
                "guest-shutdown" => Power::GuestShutdown,
                other => panic!("{other}"),
            },
        },
        "uart0" | "uart1" => Event::Serial {
            uart: u8::from(what == "uart1"),
            line: details.into(),
        },
        "lease" => Event::Lease {
            mac: "b8:27:eb:00:00:01".into(),
            address: [10, 42, 1, 0].into(),
            vendor_class: Some(details.into()),
        },
        "boot" | "registry" => {
            let service = match what {
                "boot" => ServiceId::Boot,
                _ => ServiceId::Registry,
            };
            let (status, target) = details.split_once(' ').unwrap();
            Event::Request(testing::request(service, target, status.parse().unwrap()))
        }
        "tls" => Event::Tls(TlsEvent {
            service: ServiceId::Boot,
            server_name: None,
            fingerprint: None,
            error: (!details.is_empty()).then(|| details.into()),
            duration: Duration::ZERO,
        }),
        // Service, number, bytes before and now; the connection has had as many.
        "answer" => {
            let words: Vec<_> = details.split(' ').collect();
            let [service, number, before, now] = words[..] else {
                panic!("{details}")
            };
            let (before, now) = (before.parse().unwrap(), now.parse().unwrap());
            Event::Answer(AnswerEvent {
                service: match service {
                    "boot" => ServiceId::Boot,
                    _ => ServiceId::Registry,
                },
                client: [10, 42, 1, 0].into(),
                server_name: None,
                number: number.parse().unwrap(),
                bytes: now,
                bytes_before: before,
                total: now,
                total_before: before,
            })
        }
        "dns" => Event::Dns {
            query: details.into(),
            answer: None,
        },
        "silence" => Event::Silence {
            seconds: 60.0,
            since_power_on: details == "since power-on",
        },
        "asleep" => Event::Asleep { pc: 0x3b36_a1c4 },
        "budget" => Event::Budget {
            of: match details {
                "run" => Bound::Run,
                "proofs" => Bound::Proofs,
                "refusal" => Bound::Refusal,
                "reason" => Bound::Reason,
                "last output" => Bound::LastOutput,
                stage => Bound::Stage(stage.into()),
            },
            seconds: 60.0,
            clock: BudgetClock::Wall,
        },
        "qemu" => Event::EmulatorEnded {
            words: details.into(),
        },
        "stopped" => Event::Stopped {
            by: StoppedBy::User,
        },
        "starved" => Event::Host {
            trouble: HostTrouble::Starved,
            text: String::new(),
        },
        "disk" => Event::Host {
            trouble: HostTrouble::DiskFull,
            text: details.into(),
        },
        "flood" => Event::Flood {
            of: details.into(),
            bytes: 64 << 20,
        },
        "restored" => Event::Restored {
            stage: details.into(),
            run: "another".into(),
        },
        other => panic!("{other}"),
    };
    Record::new(Duration::from_secs_f64(at), event)
}

/// The plan of one of the project's scenarios on a Raspberry Pi 3B.
fn plan(scenario: &str) -> JudgePlan {
    let board = raspi3b();
    let path = project().join(format!("scenarios/{scenario}.toml"));
    let scenario = Scenario::read_for(&path, &board).unwrap();
    let mut plan = plan_on(&scenario, &board);
    // What the servers must have seen is the matter of other tests.
    plan.journal.clear();
    plan
}

/// The plan of `alpine-http` with such tables in place of its statements about requests.
fn with_tables(tables: &str) -> Result<JudgePlan, String> {
    let folder = tempfile::tempdir().unwrap();
    let http = std::fs::read_to_string(project().join("scenarios/alpine-http.toml")).unwrap();
    let (head, _) = http.split_once("[[journal]]").unwrap();
    let path = folder.path().join("s.toml");
    std::fs::write(&path, format!("{head}\n{tables}")).unwrap();
    let board = raspi3b();
    let shown = |e: crate::input::InputError| {
        let text = e.to_string();
        text.replace(&format!("{}/", folder.path().display()), "")
    };
    let scenario = Scenario::read_for(&path, &board).map_err(shown)?;
    Ok(plan_on(&scenario, &board))
}

/// The records of a boot of one of several boards, which says its own nonce.
fn of_named(board: &str, text: &str) -> Vec<Record> {
    let board: BoardId = board.parse().unwrap();
    let nonce = nonce_of_boot(NONCE, Some(&board), 0);
    let mut records = records(&text.replace(NONCE, &nonce));
    for record in &mut records {
        record.board = Some(board.clone());
    }
    records
}

/// The verdict on two boards of a run. Of records of the same time the first board's are first.
fn judged_together(plan: &JudgePlan, boards: [&[Record]; 2]) -> Verdict {
    let mut all = boards.concat();
    all.sort_by_key(|record| record.at);
    judge(plan, &all)
}

/// The plan of a scenario on a board, with all that a run knows.
fn plan_on(scenario: &Scenario, board: &Board) -> JudgePlan {
    let source = Source::Run {
        version: TIMELINE_VERSION,
    };
    let plan = JudgePlan::of_scenario(scenario, board, scenario.stages(board), source);
    plan.knowing(Some(NONCE), &[LAYER.into()])
}

/// Outcome, class, last stage and cause, as a line each.
fn told(verdict: &Verdict) -> String {
    match &verdict.finding {
        None => format!("{:?}", verdict.outcome),
        Some(finding) => format!(
            "{:?}, {}, after {}: {}",
            verdict.outcome,
            finding.class.name(),
            finding.stage_reached.as_deref().unwrap_or("nothing"),
            finding.cause
        ),
    }
}

fn judged(scenario: &str, text: &str) -> String {
    told(&judge(&plan(scenario), &records(text)))
}

#[test]
fn a_good_run_passes_and_every_stage_has_its_time() {
    let verdict = judge(&plan("alpine-http"), &records(GOOD));
    assert_eq!(told(&verdict), "Passed");
    let at = |name: &str| {
        let stage = verdict.stages.iter().find(|s| s.name == name).unwrap();
        match stage.outcome {
            StageOutcome::Reached { at, .. } => (at.as_secs_f64() * 10.0).round() / 10.0,
            other => panic!("{name}: {other:?}"),
        }
    };
    // Since power-on.
    assert_eq!(
        (at("firmware"), at("U-Boot"), at("powered off")),
        (0.0, 0.4, 33.1)
    );
}

#[test]
fn what_comes_after_the_decision_changes_nothing() {
    let plan = plan("alpine-http");
    let text = format!("{GOOD}33.3 uart1 Kernel panic - not syncing: x\n40 qemu boom\n");
    assert_eq!(told(&judge(&plan, &records(&text))), "Passed");
}

#[test]
fn stages_are_reached_in_order() {
    // The initramfs prints an os-release before its network is up; the container prints nothing.
    let early = "21.0 uart1 NAME=\"initramfs\"\n";
    let text = until("22.9", early)
        + "22.9 lease boot2container\n"
        + "23.4 uart1 section_start:1:container_1\n28.0 registry 200 /v2/a/blobs/sha256:1a2b\n\
           33.0 uart1 section_end:1:container_1\n33.1 uart1 x: pipeline status: 0\n33.2 power guest-shutdown\n40 budget run\n";
    insta::assert_snapshot!(judged("alpine-http", &text));
    // iPXE asks for a lease once more, and the kernel's network never comes up.
    let again = "8.0 lease PXEClient:Arch:00011:UNDI:003010\n";
    let text = until("17.2", again)
        + "17.2 uart1 Booting Linux on physical CPU 0x0\n20 uart1 Run /init as init process\n\
           28.0 registry 200 /v2/a/blobs/sha256:1a2b\n90 budget network\n";
    insta::assert_snapshot!(judged("alpine-http", &text));
    // A stage's evidence that comes twice proves one stage.
    let text = until("4.0", "90 budget boot script\n");
    assert!(judged("alpine-http", &text).contains("after DHCP"));
}

#[test]
fn an_event_of_ours_may_overtake_a_line_but_not_by_much() {
    // The power goes off before the container's last lines have come through the UART.
    let (head, tail) = GOOD.split_at(GOOD.find("32.9").unwrap());
    let lines = tail.replace("33.2 power guest-shutdown\n", "");
    let text = format!("{head}32.85 power guest-shutdown\n{lines}");
    assert_eq!(judged("alpine-http", &text), "Passed");
    let late = lines.replace("32.9", "36.0").replace("33.", "36.");
    let text = format!("{head}32.85 power guest-shutdown\n{late}");
    insta::assert_snapshot!(judged("alpine-http", &text));
}

#[test]
fn what_is_silent_before_the_network_is_of_the_image() {
    // U-Boot's environment sends its output nowhere; the container has run all the same.
    let silent = |stage: &str| {
        let lines = GOOD.lines().filter(|line| !line.contains(stage));
        let text: String = lines.map(|line| format!("{line}\n")).collect();
        judge(&plan("alpine-http"), &records(&text))
            .finding
            .unwrap()
    };
    let finding = silent("U-Boot 2025");
    assert_eq!(finding.class, Class::Image, "{}", finding.cause);
    assert!(finding.cause.contains("the container has run all the same"));
    // A silent kernel was told so by the server.
    let finding = silent("Booting Linux");
    assert_eq!(finding.class, Class::Board, "{}", finding.cause);
}

#[test]
fn an_event_that_came_long_before_its_stage_proves_nothing() {
    let lease = |at: &str| {
        let early = format!("{at} lease boot2container\n20.1 uart1 Run /init as init process\n");
        judged(
            "alpine-http",
            &(until("20.1", &early) + "90 budget network\n"),
        )
    };
    assert!(lease("19.0").contains("after network"), "{}", lease("19.0"));
    assert!(lease("17.0").contains("after /init"), "{}", lease("17.0"));
}

#[test]
fn the_nonce_counts_in_the_containers_section_and_after_its_layer() {
    let said = "32.9 uart1 nonce is c0ffee\n";
    let rest = "33.0 uart1 section_end:1:container_1\n33.1 uart1 x: pipeline status: 0\n33.2 power guest-shutdown\n40 budget run\n";
    // Before the section, as an initramfs does that prints the image's configuration.
    let text = GOOD
        .replace(said, "")
        .replace("23.4 uart1", "23.3 uart1 nonce is c0ffee\n23.4 uart1");
    assert!(
        judged("alpine-http", &(text + "40 budget run\n"))
            .contains("\"nonce said\" was not reached")
    );
    // In the image's configuration, which an initramfs can print without running anything.
    let text = GOOD.replace(said, "32.9 uart1 [PATH=/bin SHAKEDOWN_NONCE=c0ffee]\n");
    assert!(
        judged("alpine-http", &(text + "40 budget run\n"))
            .contains("\"nonce said\" was not reached")
    );
    // Before its layer was served.
    let text = until("26.7", said) + "32.95 uart1 NAME=x\n" + rest;
    assert!(judged("alpine-http", &text).contains("\"image pulled\" was not reached"));
    // Before the container names its system: the order within the section is the container's.
    let text = until("32.8", said) + "32.95 uart1 NAME=x\n" + rest;
    assert_eq!(judged("alpine-http", &text), "Passed");
}

#[test]
fn an_alarm_says_what_it_means_and_what_to_do() {
    let panic =
        "19 uart1 [    6.100000] Kernel panic - not syncing: VFS: Unable to mount root fs\n";
    let verdict = judge(&plan("alpine-http"), &records(&until("20.1", panic)));
    let advice = verdict.finding.unwrap().advice.unwrap();
    let plan = plan("alpine-http");
    let known = plan.boots[0].alarms.iter().map(|alarm| alarm.advice());
    assert!(known.into_iter().any(|known| known == advice), "{advice}");
    // What explains a failure that comes later, too.
    let note = "19 uart1 Initramfs unpacking failed: broken padding\n100 budget /init\n";
    let verdict = judge(&plan, &records(&until("20.1", note)));
    let finding = verdict.finding.unwrap();
    assert!(
        finding.cause.contains("unpacking failed"),
        "{}",
        finding.cause
    );
    assert!(finding.advice.is_some());
}

#[test]
fn what_the_run_of_a_checkpoint_saw_proves_nothing_of_this_one() {
    let border = GOOD.find("22.9").unwrap();
    let (before, after) = GOOD.split_at(border);
    let text = format!("{before}22.0 restored /init\n{after}");
    let verdict = judge(&plan("alpine-http"), &records(&text));
    assert_eq!(told(&verdict), "Passed");
    let restored =
        |s: &&JudgedStage| matches!(s.outcome, StageOutcome::Reached { restored: true, .. });
    let restored: Vec<_> = verdict
        .stages
        .iter()
        .filter(restored)
        .map(|s| &*s.name)
        .collect();
    assert_eq!((restored.len(), restored.last()), (9, Some(&"/init")));
    // A lease of that run is none of this one's.
    let text =
        format!("{before}21.0 lease boot2container\n22.0 restored /init\n90 budget network\n");
    assert!(judged("alpine-http", &text).contains("after /init: stage \"network\""));
}
