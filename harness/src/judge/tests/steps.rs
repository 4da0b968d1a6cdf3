//! Steps: what they wait for, what they make a live run do, and what comes of them.

use super::*;
use crate::timeline::FrameKind;

/// Records in the short form of this module; `= N SECONDS` begins boot N, whose seconds count from there.
fn story(text: &str) -> Vec<Record> {
    let (mut boot, mut start) = (0, Duration::ZERO);
    let mut all = Vec::new();
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("= ") {
            let (number, seconds) = head.split_once(' ').unwrap();
            boot = number.parse().unwrap();
            start = Duration::from_secs_f64(seconds.parse().unwrap());
            continue;
        }
        let mut words = line.splitn(3, ' ');
        let (at, what) = (words.next().unwrap(), words.next().unwrap());
        let details = words.next().unwrap_or_default().to_owned();
        let event = match what {
            "typed" => Event::Typed {
                uart: 1,
                text: format!("{details}\r"),
            },
            "prompt" => Event::Prompt {
                uart: 1,
                text: details,
            },
            "deaf" => Event::NotRepeated {
                uart: 1,
                text: details,
            },
            "frames" => Event::Frames {
                of: FrameKind::Dhcp,
                count: details.parse().unwrap(),
            },
            "step-budget" => Event::Budget {
                of: Bound::Step(details.parse().unwrap()),
                seconds: 60.0,
                clock: BudgetClock::Wall,
            },
            "deployed" => Event::Deployed { name: details },
            "link" => Event::Link {
                state: serde_json::from_value(details.into()).unwrap(),
            },
            "plug-off" => Event::Power { action: Power::Off },
            "plug-reset" => Event::Power {
                action: Power::Reset,
            },
            "stage" => Event::Stage {
                name: details,
                reached: Duration::ZERO,
            },
            _ => record(line).event,
        };
        all.push(Record {
            boot,
            ..Record::new(start + Duration::from_secs_f64(at.parse().unwrap()), event)
        });
    }
    all
}

fn told_of(steps: &str, text: &str) -> String {
    told(&judge(&with_tables(steps).unwrap(), &story(text)))
}

/// What a live run would be told to do, record by record.
fn due(steps: &str, text: &str) -> Vec<String> {
    let mut progress = Progress::new(&with_tables(steps).unwrap());
    let (mut next, mut all) = (0, Vec::new());
    for record in story(text) {
        if let Some(due) = progress.due()
            && due.number >= next
        {
            next = due.number + 1;
            let keys = due.keys.map(|k| format!("uart{} {:?}", k.uart, k.text));
            let deploy = due.deploy.map(|name| format!("deploy {name}"));
            let link = due.link.map(|state| format!("link {state}"));
            let what = [deploy, due.power.map(|p| p.to_string()), link, keys];
            let what: Vec<_> = what.into_iter().flatten().collect();
            all.push(format!("{}: {}", due.number, what.join(", ")));
        }
        progress.take(&record);
    }
    all
}

/// The whole chain of a later boot.
fn again(boot: u32, at: u32) -> String {
    let good = GOOD.replace(NONCE, &nonce_of_boot(NONCE, None, boot));
    format!("= {boot} {at}\n{good}")
}

#[test]
fn a_cut_at_a_request_needs_no_stage() {
    let steps = "[[step]]\npower = \"on\"\n[[step]]\nafter = { request = { service = \"boot\", nth = 2 } }\npower = \"cut\"\n\
                 [[step]]\npower = \"on\"\n";
    let text = until("7.3", "5.6 plug-off\n") + &again(1, 60);
    assert_eq!(told_of(steps, &text), "Passed");
    assert_eq!(due(steps, &text), ["0: on", "1: cut", "2: on"]);
    // Without the second request nothing cuts, and the record ends.
    let early = until("5.5", "");
    assert_eq!(due(steps, &early), ["0: on"]);
    insta::assert_snapshot!(told_of(steps, &early), @r#"Failed, board, after boot script: stage "kernel fetched" was not reached: the record ends before"#);
}

#[test]
fn a_step_that_changes_the_link_is_done_when_the_record_says_so() {
    let steps = "[[step]]\npower = \"on\"\nawait = \"boot script\"\n[[step]]\nlink = \"down\"\n\
                 [[step]]\nafter = { elapsed = \"6s\" }\nlink = \"up\"\n";
    let (down, up) = ("5.4 link down\n", "6.5 link up\n");
    let with = |down: &str, up: &str| {
        let text = GOOD.replace("5.5 boot", &format!("{down}5.5 boot"));
        text.replace("7.3 boot", &format!("6.1 uart1 .\n{up}7.3 boot"))
    };
    assert_eq!(told_of(steps, &with(down, up)), "Passed");
    assert_eq!(
        due(steps, &with(down, up)),
        ["0: on", "1: link down", "2: link up"]
    );
    // Another change of the link is not what the step says, and none is not either.
    for wrong in [with(down, "6.5 link down\n"), with(down, ""), with("", up)] {
        assert_ne!(told_of(steps, &wrong), "Passed");
    }
}

#[test]
fn a_step_that_deploys_is_done_when_the_boot_server_has_switched() {
    let deployments =
        "[deployment.broken]\narguments = \"init=/nonexistent\"\n[deployment.other]\n";
    let steps = deployments.to_owned()
        + "[[step]]\npower = \"on\"\ndeploy = \"broken\"\nawait = \"alarm:kernel panic\"\n\
           [[step]]\npower = \"cycle\"\ndeploy = \"default\"\nawait = \"powered off\"\n";
    let panic = "20.5 uart1 [    8.100000] Kernel panic - not syncing: VFS\n";
    let begin = |deployed: &str| format!("0.0 {deployed}\n") + &until("22.9", panic);
    let text = |first: &str, second: &str| {
        begin(first) + &format!("25.0 {second}\n26.0 plug-off\n") + &again(1, 60)
    };
    let good = text("deployed broken", "deployed default");
    assert_eq!(told_of(&steps, &good), "Passed");
    assert_eq!(
        due(&steps, &good),
        ["0: deploy broken, on", "1: deploy default, cycle"]
    );
    // The power alone is not what the steps say, and neither is another deployment.
    for wrong in [
        text("note", "deployed default"),
        text("deployed other", "deployed default"),
        text("deployed broken", "note"),
        text("deployed broken", "deployed broken"),
    ] {
        let wrong = wrong.replace(" note\n", " deployed nothing\n");
        let told = told_of(&steps, &wrong);
        assert_ne!(told, "Passed", "{wrong}");
        assert!(told.contains("the record ends before"), "{told}");
    }
    // While a board runs.
    let running = deployments.to_owned()
        + "[[step]]\npower = \"on\"\n[[step]]\nafter = { stage = \"Linux\" }\ndeploy = \"broken\"\nawait = \"powered off\"\n";
    let linux = "17.3 stage Linux\n17.4 deployed broken\n20.1 ";
    let text = GOOD.replacen("20.1 ", linux, 1);
    assert_eq!(told_of(&running, &text), "Passed");
    assert_eq!(due(&running, &text), ["0: on", "1: deploy broken"]);
    let told = told_of(&running, &text.replace("17.4 deployed broken\n", ""));
    assert!(
        told.ends_with("the record ends before step 2 is done"),
        "{told}"
    );
}

#[test]
fn an_alarm_that_is_expected_fails_nothing() {
    let steps = "[[step]]\npower = \"on\"\nawait = \"alarm:kernel panic\"\n[[step]]\npower = \"cycle\"\nawait = \"powered off\"\n";
    let panic = "20.5 uart1 [    8.100000] Kernel panic - not syncing: VFS\n26.0 plug-off\n";
    let text = until("22.9", panic) + &again(1, 60);
    assert_eq!(told_of(steps, &text), "Passed");
    assert_eq!(due(steps, &text), ["0: on", "1: cycle"]);
    // Another alarm still does.
    let other = until(
        "22.9",
        "20.5 uart1 [    8.100000] Unable to handle kernel NULL pointer\n",
    );
    assert!(told_of(steps, &other).contains("kernel fault on the console"));
    // And none at all is a failure, too.
    let none = until("22.9", "90 step-budget 1\n");
    assert!(told_of(steps, &none).ends_with(
        "step 1 has waited for 60 s, and it did not come that the console raises the alarm \"kernel panic\""
    ));
}

#[test]
fn what_is_typed_and_what_comes_of_it_are_judged_from_the_record() {
    let steps = "[[step]]\npower = \"on\"\nawait = { serial = '^U-Boot' }\n\
                 [[step]]\nsend = { text = \" \", enter = false }\nexpect = '=> $'\n\
                 [[step]]\nsend = \"printenv bootcmd\"\nexpect = '^bootcmd=bootflow'\n\
                 [[step]]\nsend = \"test 1 = 1\"\nstatus = 0\n\
                 [[step]]\nsend = \"boot\"\n";
    let command = crate::scenario::bracketed("test 1 = 1", 3);
    let talk = format!(
        "0.6 uart1 Net: none\n0.7 typed  \n1.2 prompt => \n1.3 typed printenv bootcmd\n1.4 uart1 => printenv bootcmd\n\
         1.5 uart1 bootcmd=bootflow scan\n1.9 prompt => \n2.0 typed {}\n2.1 uart1 => {}\n2.2 uart1 {}\n2.3 uart1 {} STATUS\n2.4 typed boot\n",
        command.text, command.text, command.begins, command.ends
    );
    let (head, tail) = GOOD.split_at(GOOD.find("3.0 ").unwrap());
    let text = format!("{head}{talk}{tail}");
    let good = text.replace("STATUS", "0");
    assert_eq!(told_of(steps, &good), "Passed");
    let todo = due(steps, &good);
    assert_eq!(todo.len(), 5, "{todo:?}");
    assert_eq!(todo[2], "2: uart1 \"printenv bootcmd\"");
    insta::assert_snapshot!(told_of(steps, &text.replace("STATUS", "1")), @r#"Failed, board, after U-Boot: step 4: the command "test 1 = 1" ended with status 1 instead of 0"#);
    // The echo is no answer.
    let echo = text.replace("1.5 uart1 bootcmd=bootflow scan\n", "");
    let echo = echo.replace("printenv bootcmd", "printenv bootcmd=bootflow");
    let echoing = steps.replace("printenv bootcmd", "printenv bootcmd=bootflow");
    let echoing = echoing.replace("^bootcmd", "bootcmd");
    assert!(!told_of(&echoing, &echo.replace("STATUS", "0")).starts_with("Passed"));
    // Nor may the board be deaf.
    let deaf = text.replace("1.3 typed printenv bootcmd", "1.3 deaf printenv bootcmd");
    assert!(
        told_of(steps, &deaf)
            .ends_with("step 3 typed \"printenv bootcmd\", and the board did not repeat it")
    );
}

#[test]
fn a_prompt_that_nobody_awaits_is_still_an_alarm() {
    let steps = "[[step]]\npower = \"on\"\n";
    let (head, _) = GOOD.split_at(GOOD.find("3.0 ").unwrap());
    let verdict = told_of(steps, &format!("{head}1.2 prompt => \n"));
    assert!(verdict.contains("U-Boot prompt"), "{verdict}");
}

#[test]
fn what_must_never_be_said_fails_from_its_step_on() {
    let steps = "[[step]]\npower = \"on\"\nawait = \"Linux\"\n[[step]]\nnever = 'EXT4-fs error'\n";
    let error = "30.0 uart1 EXT4-fs error (device mmcblk0p3)\n";
    let before = until("17.2", "17.0 uart1 EXT4-fs error\n17.1 stage x\n")
        + &GOOD[GOOD.find("17.2").unwrap()..];
    assert_eq!(told_of(steps, &before), "Passed");
    let (head, tail) = GOOD.split_at(GOOD.find("32.8").unwrap());
    insta::assert_snapshot!(told_of(steps, &format!("{head}{error}{tail}")), @"Failed, board, after image pulled: a UART says what must never appear since step 2: EXT4-fs error (device mmcblk0p3)");
}

#[test]
fn a_reset_that_is_expected_begins_the_next_boot() {
    let steps = "[[step]]\npower = \"on\"\nawait = { power = \"guest-reset\" }\n[[step]]\nawait = \"powered off\"\n";
    let reset = until("22.9", "22.0 power guest-reset\n");
    let text = reset.clone()
        + "= 1 23\n"
        + &again(1, 23)["= 1 23\n".len()..].replace("power on", "plug-reset");
    assert_eq!(told_of(steps, &text), "Passed");
    let mut progress = Progress::new(&with_tables(steps).unwrap());
    story(&reset).iter().for_each(|r| progress.take(r));
    assert_eq!(
        (progress.take_reset(), progress.take_reset()),
        (Some(None), None)
    );
    // One that nobody expects is a failure.
    let alone = told_of("[[step]]\npower = \"on\"\n", &(reset + "40.0 uart1 x\n"));
    assert!(alone.contains("the board has reset itself"), "{alone}");
    let button = "[[step]]\npower = \"on\"\nawait = \"iPXE\"\n[[step]]\npower = \"reset\"\n";
    let text = until("3.9", "") + &again(1, 10).replace("power on", "plug-reset");
    assert_eq!(told_of(button, &text), "Passed");
}

#[test]
fn a_step_may_be_done_many_times() {
    let steps = "[[step]]\npower = \"on\"\nawait = \"iPXE\"\n[[step]]\npower = \"cycle\"\nawait = \"iPXE\"\ntimes = 3\n[[step]]\npower = \"cycle\"\n";
    let plan = with_tables(steps).unwrap();
    assert_eq!((plan.boots.len(), plan.steps.len()), (5, 5));
    let text: String = (0..4)
        .map(|boot| format!("= {boot} {}\n{}", boot * 10, until("3.9", "9.0 plug-off\n")))
        .collect();
    assert_eq!(told_of(steps, &(text + &again(4, 40))), "Passed");
}

#[test]
fn errors_point_at_the_place() {
    let error = |steps: &str| with_tables(steps).unwrap_err();
    let on = "[[step]]\npower = \"on\"\n";
    let all = [
        error("[[step]]\npower = \"cycle\"\n"),
        error(&format!("{on}[[step]]\npower = \"on\"\n")),
        error(&format!(
            "{on}[[step]]\npower = \"off\"\n[[step]]\npower = \"cycle\"\n"
        )),
        error(&format!("{on}await = \"alarm:kernel panik\"\n")),
        error(&format!("{on}await = \"iPXF\"\n")),
        error(&format!("{on}await = {{ serail = 'x' }}\n")),
        error(&format!("{on}send = \"x\"\n")),
        error(&format!("{on}[[step]]\nstatus = 0\n")),
        error(&format!(
            "{on}[[step]]\nsend = \"x\"\nexpect = 'y'\nstatus = 0\n"
        )),
        error(&format!("{on}[[step]]\nsend = {{ test = \"x\" }}\n")),
        error(&format!("{on}[[step]]\nlink = \"down\"\nsend = \"x\"\n")),
        error(&format!("{on}[[step]]\nlink = \"off\"\n")),
        error(&format!("{on}within = \"5s\"\n")),
        error(&format!("{on}[[step]]\n")),
        error(&format!("{on}times = 0\n")),
        error(&format!("{on}board = \"gateway\"\n")),
        error("[[step]]\nawait = \"iPXE\"\n"),
        error(&format!(
            "{on}[[step]]\nafter = {{ stage = \"iPXE\" }}\npower = \"off\"\n"
        )),
    ];
    insta::assert_snapshot!(all.join("\n"));
}
