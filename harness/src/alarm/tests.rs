use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::board::Board;
use crate::timeline::{Event, Record};

static BOARD: LazyLock<Board> = LazyLock::new(|| {
    let boards = Path::new(env!("CARGO_MANIFEST_DIR")).join("../boards");
    Board::read(&boards, "raspi3b").unwrap()
});

/// Serial lines, a second apart.
fn lines(lines: &[&str]) -> Vec<Record> {
    let record = |(second, line): (u64, &&str)| {
        let line = (*line).to_owned();
        Record::new(Duration::from_secs(second), Event::Serial { uart: 1, line })
    };
    (0..).zip(lines).map(record).collect()
}

fn raised(records: &[Record], stage: Option<&str>, in_container: bool) -> Vec<Raised> {
    let progress = Progress {
        stage,
        in_container,
    };
    let mut watch = AlarmWatch::new(&BOARD.alarms);
    let mut out: Vec<_> = records
        .iter()
        .flat_map(|r| watch.observe(r, progress))
        .collect();
    out.extend(watch.end(Duration::from_secs(1000), progress));
    out
}

/// Kind, class and name of what one line raises.
fn one(line: &str, stage: Option<&str>) -> String {
    let raised = raised(&lines(&[line]), stage, false);
    raised.first().map_or("-".into(), |r| match r.alarm.kind {
        AlarmKind::Fatal(class) => format!("fatal {} {}", class.name(), r.alarm.name),
        AlarmKind::Note(class) => format!("note {} {}", class.name(), r.alarm.name),
        AlarmKind::Harmless => "harmless".into(),
    })
}

fn table(stage: Option<&str>, cases: &[(&str, &str)]) {
    let wrong: Vec<_> = cases
        .iter()
        .map(|(line, expected)| (*line, one(line, stage), (*expected).to_owned()))
        .filter(|(_, got, expected)| got != expected)
        .collect();
    assert!(wrong.is_empty(), "(line, got, expected): {wrong:#?}");
}

#[test]
fn the_kernel_in_every_wording() {
    let fault = "fatal board kernel fault";
    let hardware = "fatal board hardware error";
    let stall = "fatal board kernel stall";
    table(
        Some("Linux"),
        &[
            ("[    9.0] [    9.000000] x", "-"),
            (
                "[    9.000000] Kernel panic - not syncing: System is deadlocked on memory",
                "fatal board kernel panic",
            ),
            (
                "[    9.000000][    T1] Kernel panic - not syncing: VFS: Unable to mount root fs",
                "fatal board kernel panic",
            ),
            (
                "Kernel panic - not syncing: no stamps",
                "fatal board kernel panic",
            ),
            (
                "[    2.000000] Internal error: Oops: 0000000096000004 [#1] SMP",
                fault,
            ),
            (
                "[    2.000000] Internal error: Oops - BTI: 0000000036000001 [#1] PREEMPT SMP",
                fault,
            ),
            ("[    2.000000] Internal error: : 96000210 [#1] SMP", fault),
            (
                "[    2.000000] Internal error: synchronous external abort: 0000000096000210 [#1] SMP",
                fault,
            ),
            (
                "[    2.000000] BUG: scheduling while atomic: swapper/0/1/0x00000002",
                fault,
            ),
            ("[    2.000000] kernel BUG at mm/slub.c:4000!", fault),
            (
                "[    2.000000] Unable to handle kernel NULL pointer dereference at virtual address 0",
                fault,
            ),
            (
                "[    2.000000] SError Interrupt on CPU0, code 0x00000000bf000002 -- SError",
                hardware,
            ),
            (
                "[    2.000000] Unhandled fault: synchronous external abort (0x96000210) at 0xffffff8008",
                hardware,
            ),
            (
                "[    2.000000] Synchronous External Abort: synchronous external abort (0x96000210) at 0x0",
                hardware,
            ),
            (
                "[    2.000000] Bad mode in Error handler detected on CPU0, code 0xbf000000 -- SError",
                hardware,
            ),
            (
                "[    2.000000] Unhandled 64-bit el1h sync exception on CPU0, ESR 0x1",
                hardware,
            ),
            (
                "[   63.000000] INFO: rcu_sched self-detected stall on CPU",
                stall,
            ),
            (
                "[   63.000000] INFO: rcu_sched self-detected stall on CPU { 0}  (t=2100 jiffies)",
                stall,
            ),
            (
                "[   63.000000] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
                stall,
            ),
            (
                "[   63.000000] rcu: INFO: rcu_preempt self-detected stall on CPU",
                stall,
            ),
            (
                "[   63.000000] rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 0-... } 21382 jiffies s: 117 root: 0x1/.",
                stall,
            ),
            (
                "[   63.000000] INFO: rcu_tasks detected stalls on tasks:",
                stall,
            ),
            (
                "[   63.000000] rcu: rcu_sched kthread starved for 2100 jiffies! g1 f0x0",
                stall,
            ),
            (
                "[   63.000000] rcu: rcu_preempt kthread timer wakeup didn't happen for 5247 jiffies!",
                stall,
            ),
            (
                "[   63.000000] BUG: soft lockup - CPU#0 stuck for 22s! [swapper/0:1]",
                stall,
            ),
            (
                "[   63.000000] NMI watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [swapper/0:1]",
                stall,
            ),
            (
                "[   63.000000] watchdog: BUG: soft lockup - CPU#3 stuck for 23s! [podman:149]",
                stall,
            ),
            (
                "[   63.000000] NMI watchdog: Watchdog detected hard LOCKUP on cpu 0",
                stall,
            ),
            (
                "[   63.000000] watchdog: CPU2: Watchdog detected hard LOCKUP on cpu 3",
                stall,
            ),
            (
                "[   63.000000] BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 34s!",
                stall,
            ),
            (
                "[  245.000000] INFO: task kworker/0:1:12 blocked for more than 120 seconds.",
                "fatal board hung task",
            ),
            (
                "[  245.000000] INFO: task mount:12 is blocked on a mutex likely owned by task x:3.",
                "fatal board hung task",
            ),
            (
                "[    9.000000] Out of memory: Kill process 12 (x) score 900 or sacrifice child",
                "fatal board out of memory",
            ),
            (
                "[    9.000000] Memory cgroup out of memory: Killed process 12 (x) total-vm:1kB",
                "fatal board out of memory",
            ),
            (
                "[    9.000000] podman invoked oom-killer: gfp_mask=0x0",
                "fatal board out of memory",
            ),
            (
                "[    1.567526] Initramfs unpacking failed: junk within compressed archive",
                "fatal board initramfs damaged",
            ),
            (
                "EFI stub: ERROR: Failed to relocate kernel",
                "fatal board EFI stub error",
            ),
            ("/ # ", "fatal board shell of the initramfs"),
            ("(initramfs) ", "fatal board shell of the initramfs"),
            (
                "sh: can't access tty; job control turned off",
                "fatal board shell of the initramfs",
            ),
            ("rpi3 login: ", "note board login prompt"),
        ],
    );
}

#[test]
fn what_only_looks_like_an_alarm_of_the_kernel() {
    table(
        Some("Linux"),
        &[
            (
                "[    0.000000] Kernel command line: kernel x=\"Kernel panic - not syncing\" BUG: soft lockup",
                "-",
            ),
            (
                "[    0.000000] Kernel command line: Kernel panic - not syncing",
                "-",
            ),
            (
                "[    0.000000] Unknown kernel command line parameters \"kernel Internal error: Oops\", will be passed to user space.",
                "-",
            ),
            ("[    7.900000]     x=Kernel panic - not syncing", "-"),
            (
                "[10.88]: Running -ti docker://x sh -c 'echo Kernel panic - not syncing'",
                "-",
            ),
            (
                "[    0.100000] NMI watchdog: Perf NMI watchdog permanently disabled",
                "-",
            ),
            ("[    0.100000] rcu: Hierarchical RCU implementation.", "-"),
            (
                "[    0.100000] rcu: RCU calculated value of scheduler-enlistment delay is 25 jiffies.",
                "-",
            ),
            (
                "[    0.100000] watchdog: Delayed init of the lockup detector failed: -19",
                "-",
            ),
            (
                "[    0.100000] BUG: KASAN is what this kernel lacks",
                "fatal board kernel fault",
            ),
            (
                "EFI stub: ERROR: FIRMWARE BUG: kernel image not aligned on 64k boundary",
                "-",
            ),
            (
                "EFI stub: ERROR: efi_get_random_bytes() failed (0x8000000000000003), KASLR will be disabled",
                "-",
            ),
            ("EFI stub: Booting Linux Kernel...", "-"),
            ("https://ipxe.org/2d0c613b", "-"),
            ("=> ", "-"),
        ],
    );
}

#[test]
fn ipxe_in_every_form() {
    let refused = "fatal image iPXE is refused";
    let distrust = "fatal server iPXE does not trust the server";
    let missing = "fatal server boot server lacks a file";
    let network = "fatal network iPXE finds no server";
    table(
        Some("iPXE"),
        &[
            (
                "iPXE 1.21.1 -- Open Source Network Boot Firmware -- https://ipxe.org",
                "-",
            ),
            (
                "file:autoexec.ipxe... Not found (https://ipxe.org/7f4de18e)",
                "-",
            ),
            (
                "file:/autoexec.ipxe... Error 0x7f4de18e (https://ipxe.org/7f4de18e)",
                "-",
            ),
            (
                "autoexec.ipxe... Not found (https://ipxe.org/2d12618e)",
                "-",
            ),
            (
                "tftp://10.0.0.1/autoexec.ipxe... Not found (http://ipxe.org/err/2d1261)",
                "-",
            ),
            (" Not found (https://ipxe.org/7f4de18e)", "-"),
            ("  [Link status: Unknown (https://ipxe.org/1a086194)]", "-"),
            (
                "  [RXE: 2 x \"Operation not supported (https://ipxe.org/3c086083)\"]",
                "-",
            ),
            (
                "https://boot.example/boot/ipxe... Permission denied (https://ipxe.org/err/0216eb)",
                distrust,
            ),
            (
                "https://boot.example/boot/ipxe... Error 0x0216ea8f (https://ipxe.org/0216ea8f)",
                distrust,
            ),
            (
                "https://boot.example/boot/ipxe... Operation not permitted (https://ipxe.org/410de18f)",
                refused,
            ),
            (
                "/files/nosuchkernel... Not found (https://ipxe.org/2d0c618e)",
                missing,
            ),
            (
                "Could not boot: Error 0x2d0c613b (https://ipxe.org/2d0c613b)",
                missing,
            ),
            (
                "http://boot.example/boot/ipxe... Exec format error (http://ipxe.org/2e008001)",
                "fatal server boot server answers wrongly",
            ),
            (
                "Could not select: Exec format error (https://ipxe.org/2e008081)",
                "fatal board iPXE cannot start an image",
            ),
            (
                "Could not boot: Not enough space (https://ipxe.org/31008089)",
                "fatal board iPXE cannot start an image",
            ),
            (
                "http://no-such.example/files/kernel... Error 0x3e11618e (https://ipxe.org/3e11618e)",
                network,
            ),
            (
                "http://x/y... Connection timed out (https://ipxe.org/4c0a6092)",
                network,
            ),
            (
                "Configuring (net0 b8:27:eb:00:00:01)...... No configuration methods succeeded (https://ipxe.org/040ee186)",
                network,
            ),
            (
                "file:/boot.ipxe... Not found (https://ipxe.org/7f4de18e)",
                "fatal image iPXE lacks a file of the card",
            ),
            (
                "x... No space left on device (https://ipxe.org/34008089)",
                "fatal board iPXE error",
            ),
            (
                "The boot script came back without booting",
                "note server boot script without boot",
            ),
            ("iPXE> ", "fatal image iPXE prompt"),
            ("U-Boot> ", "fatal image U-Boot prompt"),
            (
                "## Application failed, r = 127",
                "fatal image boot loader falls back",
            ),
            ("BOOTP broadcast 1", "fatal image boot loader falls back"),
            ("/files/kernel... 61%     ok", "-"),
            ("Not a PE-COFF file", "-"),
        ],
    );
}

#[test]
fn u_boot_in_every_form() {
    let crash = "fatal board U-Boot crash";
    table(
        Some("U-Boot"),
        &[
            ("\"Synchronous Abort\" handler, esr 0x86000004", crash),
            ("Bad mode in \"Error\" handler, esr 0xbf000002", crash),
            ("data abort", crash),
            ("prefetch abort", crash),
            ("undefined instruction", crash),
            (
                "initcall failed at call 0000000000081234 (err=-22)",
                "fatal board U-Boot cannot go on",
            ),
            (
                "### ERROR ### Please RESET the board ###",
                "fatal board U-Boot cannot go on",
            ),
            (
                "## Error: \"nosuch\" not defined",
                "note image U-Boot command failed",
            ),
            ("U-Boot> ", "fatal image U-Boot prompt"),
            ("=> ", "fatal image U-Boot prompt"),
            ("resetting ...", "fatal image U-Boot resets the board"),
            (
                "U-Boot 2025.01-3 (Jan 01 2025 - 00:00:00 +0000)",
                "fatal board board reset",
            ),
            ("No EFI system partition", "note image nothing to start"),
            ("BOOTP broadcast 1", "note image nothing to start"),
            (
                "scanning bus usb@7e980000 for devices... ?L???2`",
                "note image unreadable text",
            ),
            ("MMC: no card present", "-"),
            ("Failed to load EFI variables", "-"),
            ("Net:   No ethernet found.", "-"),
            ("Hit any key to stop autoboot:  0 ", "-"),
        ],
    );
    table(
        Some("firmware"),
        &[("U-Boot 2025.01-3 (Jan 01 2025 - 00:00:00 +0000)", "-")],
    );
    table(
        None,
        &[("U-Boot 2025.01-3 (Jan 01 2025 - 00:00:00 +0000)", "-")],
    );
}

#[test]
fn a_container_may_say_anything_and_the_kernel_is_heard_through_it() {
    let texts = |records: &[Record]| -> Vec<String> {
        let raised = raised(records, Some("container started"), true);
        raised.into_iter().map(|r| r.line).collect()
    };
    let none: [String; 0] = [];
    let panic = "Kernel panic - not syncing: x";
    assert_eq!(
        texts(&lines(&[panic, "/ # ", "=> ", "resetting ..."])),
        none
    );
    // A stamp that no kernel would write now.
    let fake = format!("[   99.000000] {panic}");
    assert_eq!(texts(&lines(&[&fake])), none);
    let mut records = lines(&["[    5.000000] random: crng init done", &fake]);
    assert_eq!(raised(&records[..1], Some("/init"), false).len(), 0);
    let progress = |in_container| Progress {
        stage: Some("container started"),
        in_container,
    };
    let mut watch = AlarmWatch::new(&BOARD.alarms);
    watch.observe(&records[0], progress(false));
    assert_eq!(watch.observe(&records[1], progress(true)).len(), 0);
    // The kernel's own, 94 seconds later by both clocks.
    records[1].at = Duration::from_secs(94);
    let heard = watch.observe(&records[1], progress(true));
    assert_eq!(heard[0].alarm.name, "kernel panic");
    assert_eq!(heard[0].line, panic);
}

#[test]
fn a_prompt_is_judged_like_a_line() {
    let mut records = lines(&["x"]);
    records[0].event = Event::Prompt {
        uart: 1,
        text: "U-Boot> ".into(),
    };
    let raised = raised(&records, Some("U-Boot"), false);
    assert_eq!(raised[0].alarm.name, "U-Boot prompt");
}

#[test]
fn what_is_wrong_in_the_file_is_shown() {
    let error = |alarm: &str| {
        let folder = tempfile::tempdir().unwrap();
        let boards = Path::new(env!("CARGO_MANIFEST_DIR")).join("../boards");
        std::fs::copy(
            boards.join("raspi3b.toml"),
            folder.path().join("raspi3b.toml"),
        )
        .unwrap();
        let stage = "[[stage]]\nname = \"U-Boot\"\nevidence.serial = 'U-Boot'\nbudget = \"1s\"\n";
        let chain = folder.path().join("netboot.chain.toml");
        std::fs::write(
            chain,
            format!("{stage}[[alarm]]\nmeans = \"x\"\nname = \"x\"\n{alarm}\n"),
        )
        .unwrap();
        let error = Board::read(folder.path(), "raspi3b")
            .unwrap_err()
            .to_string();
        error.replace(&folder.path().display().to_string(), "boards")
    };
    insta::assert_snapshot!(error("kind = \"fatal\"\npatterns = ['x']"));
    insta::assert_snapshot!(error(
        "kind = \"note\"\nclass = \"board\"\npatterns = ['(']"
    ));
    insta::assert_snapshot!(error("kind = \"note\"\nclass = \"board\"\npatterns = []"));
    insta::assert_snapshot!(error(
        "kind = \"note\"\nclass = \"board\"\npatterns = ['x']\nafter = \"U-Boat\""
    ));
    insta::assert_snapshot!(error(
        "kind = \"harmless\"\nclass = \"board\"\npatterns = ['x']"
    ));
}

/// The example of the book is an alarm.
#[test]
fn the_books_example_can_be_read() {
    let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/book/src/board.md");
    let book = std::fs::read_to_string(book).unwrap();
    let example = book
        .split("```")
        .find(|block| block.starts_with("toml\n[[alarm]]"));
    let example = example.unwrap().trim_start_matches("toml");
    #[derive(serde::Deserialize)]
    struct File {
        alarm: Vec<crate::input::Span<AlarmFile>>,
    }
    let file: File = toml::from_str(example).unwrap();
    let alarms = Alarms::new(file.alarm, vec!["Linux".into()]).unwrap();
    let hot =
        "[   99.000000] thermal thermal_zone0: critical temperature reached (110 C), shutting down";
    let mut watch = AlarmWatch::new(&alarms);
    let progress = Progress {
        stage: Some("Linux"),
        in_container: false,
    };
    let records = lines(&[hot]);
    assert_eq!(
        watch.observe(&records[0], progress)[0].alarm.name,
        "board too hot"
    );
    assert!(watch.observe(&records[0], Progress::default()).is_empty());
}

/// A chain of somebody else's, who has not written down alarms.
#[test]
fn a_chain_without_alarms_has_the_usual_ones() {
    let folder = tempfile::tempdir().unwrap();
    let boards = Path::new(env!("CARGO_MANIFEST_DIR")).join("../boards");
    std::fs::copy(
        boards.join("raspi3b.toml"),
        folder.path().join("raspi3b.toml"),
    )
    .unwrap();
    let stage = "[[stage]]\nname = \"Barebox\"\nevidence.serial = 'barebox'\nbudget = \"1s\"\n";
    std::fs::write(folder.path().join("netboot.chain.toml"), stage).unwrap();
    let alarms = Board::read(folder.path(), "raspi3b").unwrap().alarms;
    let names: Vec<_> = alarms.iter().map(|a| a.name.as_str()).collect();
    assert!(names.contains(&"kernel panic") && names.contains(&"U-Boot prompt"));
    // There is no stage after which it could count.
    assert!(!names.contains(&"board reset"));
}

#[test]
fn every_alarm_is_explained_and_no_name_comes_twice() {
    let mut names: Vec<_> = BOARD.alarms.iter().map(|a| a.name.clone()).collect();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all);
    for alarm in BOARD.alarms.iter() {
        assert!(
            alarm.means.ends_with('.'),
            "{}: {}",
            alarm.name,
            alarm.means
        );
        let is_fatal = matches!(alarm.kind, AlarmKind::Fatal(_));
        assert!(
            !is_fatal || alarm.remedy.is_some(),
            "{} has no remedy",
            alarm.name
        );
    }
}

proptest! {
    /// Wherever U-Boot's diagnostic comes in iPXE's harmless line, there is no alarm.
    #[test]
    fn a_remark_in_a_harmless_line_is_no_alarm(place in 0_usize..59, disabling: bool) {
        let whole = "file:autoexec.ipxe... Not found (https://ipxe.org/7f4de18e)";
        let end = if disabling { ", disabling" } else { "" };
        let (first, rest) = whole.split_at(place);
        let first = format!("{first}cyclic function video_init took too long: 7108us vs 5000us max{end}");
        prop_assert!(raised(&lines(&[&first, rest]), Some("iPXE"), false).is_empty());
    }
}
