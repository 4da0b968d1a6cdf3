use std::fmt::Write;

use proptest::prelude::*;

use shakedown_base::timeline::Event;

use super::*;

fn read(text: &str) -> (Clock, String) {
    let transcript = Transcript::read(text.as_bytes());
    let mut out = String::new();
    for record in transcript.records {
        if let Event::Serial { uart, line } = record.event {
            let _ = writeln!(out, "{:.3} {uart} {line}", record.at.as_secs_f64());
        }
    }
    (transcript.clock, out)
}

#[test]
fn our_own() {
    let text = "[    0.812345] uart0: U-Boot 2025.01\n[   31.000000] uart1: [    0.000000] Booting Linux\n";
    insta::assert_snapshot!(read(text).1, @r"
    0.812 0 U-Boot 2025.01
    31.000 1 [    0.000000] Booting Linux
    ");
}

#[test]
fn tio_with_the_time_of_day_over_midnight() {
    let text =
        "[23:59:59.500] U-Boot 2025.01\r\n[00:00:01.000] \x1b[2Khello\r\n\n[00:00:00.900] late\r\n";
    let (clock, text) = read(text);
    assert_eq!(clock, Clock::Seconds);
    insta::assert_snapshot!(text, @r"
    0.000 0 U-Boot 2025.01
    1.500 0 hello
    1.500 0 late
    ");
}

#[test]
fn other_stamps() {
    let iso = "[2026-11-24T23:11:34.100] a\n[2026-11-24T23:11:35.200+0100] b\n";
    assert_eq!(read(iso), (Clock::Seconds, "0.000 0 a\n1.100 0 b\n".into()));
    let epoch = "[1700000000.25] a\n[1700000001.75] b\n";
    assert_eq!(read(epoch).1, "0.000 0 a\n1.500 0 b\n");
    let grabserial = "[0.000002 0.000002] a\n[2.500002 2.500000] b\n";
    assert_eq!(read(grabserial).1, "0.000 0 a\n2.500 0 b\n");
}

#[test]
fn a_plain_log_counts_lines_and_leaves_the_kernels_stamps_alone() {
    let (clock, text) =
        read("Terminal ready\r\n[    0.000000] Booting Linux\r\n[    1.000000] Run /init\r\n");
    assert_eq!(clock, Clock::Lines);
    insta::assert_snapshot!(text, @r"
    1.000 0 Terminal ready
    2.000 0 [    0.000000] Booting Linux
    3.000 0 [    1.000000] Run /init
    ");
}

proptest! {
    #[test]
    fn whatever_is_read_its_times_never_go_back(bytes: Vec<u8>, stamped in "(\\[[0-9:. T-]{0,24}\\] ?[a-z\n]{0,4}){0,40}") {
        for bytes in [bytes.as_slice(), stamped.as_bytes()] {
            let transcript = Transcript::read(bytes);
            let times: Vec<_> = transcript.records.iter().map(|r| r.at).collect();
            prop_assert!(times.is_sorted(), "{times:?}");
        }
    }
}

/// A boot, recorded by a tool that puts `stamp` of the line's number before each line.
fn boot(stamp: impl Fn(usize) -> String) -> String {
    let lines = [
        "U-Boot 2025.01-3 (Jan 01 2025 - 00:00:00 +0000)",
        "",
        "DRAM:  948 MiB",
        "Hit any key to stop autoboot:  0 ",
        "iPXE initialising devices...",
        "file:/autoexec.ipxe... ok",
        "[    0.000000] Booting Linux on physical CPU 0x0000000000 [0x410fd034]",
        "[    4.000000] Run /init as init process",
        "NAME=\"Alpine Linux\"",
    ];
    let line = |(n, line): (usize, &&str)| format!("{}{line}\r\n", stamp(n));
    lines.iter().enumerate().map(line).collect()
}

fn said(text: &[u8]) -> (Vec<String>, Transcript) {
    let transcript = Transcript::read(text);
    let line = |r: &shakedown_base::timeline::Record| match &r.event {
        Event::Serial { line, .. } => Some(line.clone()),
        _ => None,
    };
    (
        transcript.records.iter().filter_map(line).collect(),
        transcript,
    )
}

/// With any recorder the board says the same, and it takes as long.
#[test]
fn every_recorder_gives_the_same_lines() {
    type Recorder = (&'static str, fn(usize) -> String);
    let recorders: [Recorder; 20] = [
        ("ts", |n| format!("May 04 10:00:{n:02} ")),
        ("time of day", |n| format!("00:00:{n:02} ")),
        ("time of day", |n| format!("[10:00:{n:02}.000] ")),
        ("time of day", |n| format!("10:00:{n:02}.000 | ")),
        ("seconds", |n| format!("{n}.000000 ")),
        ("seconds since 1970", |n| format!("{} ", 1_700_000_000 + n)),
        ("date and time", |n| format!("[2026.05.04 10:00:{n:02}] ")),
        ("date and time", |n| {
            format!("2026-05-04T10:00:{n:02}+02:00 ")
        }),
        ("date and time", |n| {
            format!("[2026-05-04T10:00:{n:02}.100+0200] ")
        }),
        ("GitHub", |n| format!("2026-05-04T10:00:{n:02}.1234567Z ")),
        ("GitHub", |n| {
            format!("boot\tRun e2e\t2026-05-04T10:00:{n:02}.1234567Z ")
        }),
        ("GitLab", |n| {
            format!("2026-05-04T10:00:{n:02}.123456Z 00O ")
        }),
        ("journald", |n| {
            format!("May 04 10:00:{n:02} gateway conserver[812]: ")
        }),
        ("journald", |n| {
            format!("2026-05-04T10:00:{n:02}+0200 gateway conserver[812]: ")
        }),
        ("journald", |n| {
            format!("[   {n:02}.000000] gateway conserver[812]: ")
        }),
        ("Tera Term or ctime", |n| {
            format!("[Mon May 04 10:00:{n:02}.000 2026] ")
        }),
        ("Tera Term or ctime", |n| {
            format!("[Mon May  4 10:00:{n:02} 2026] ")
        }),
        ("grabserial", |n| format!("[10:00:{n:02}.000000 1.000000] ")),
        ("grabserial", |n| format!("[{n}.000000 1.000000] ")),
        ("grabserial", |n| format!("[{n}.000000] ")),
    ];
    let (plain, transcript) = said(boot(|_| String::new()).as_bytes());
    assert_eq!(transcript.stamps, Stamps::None);
    for (name, stamp) in recorders {
        let text = boot(stamp);
        let (lines, transcript) = said(text.as_bytes());
        assert_eq!(transcript.stamps, Stamps::Known(name), "{text}");
        assert_eq!(lines, plain, "{text}");
        let last = transcript.records.last().map(|r| r.at.as_secs());
        assert_eq!(last, Some(8), "{text}");
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(said(&utf16).0, plain);
        let marked = [b"\xef\xbb\xbf", text.as_bytes()].concat();
        assert_eq!(said(&marked).0, plain);
    }
}

#[test]
fn deltas_are_added_up() {
    let deltas = [0, 1, 2, 1, 3, 1, 1, 2, 1];
    let text = boot(|n| format!("[00:00:{:02}.000] ", deltas[n]));
    let (_, transcript) = said(text.as_bytes());
    assert_eq!(transcript.records.last().map(|r| r.at.as_secs()), Some(12));
}

#[test]
fn lava_writes_its_own_words_between_the_boards() {
    let lava = |level: &str, text: &str| {
        format!(
            "- {{\"dt\": \"2026-05-04T10:00:00.1\", \"lvl\": \"{level}\", \"msg\": \"{text}\"}}\n"
        )
    };
    let text = lava("info", "start: 2 uboot-action")
        + &lava("target", "U-Boot 2025.01-3 (Jan 01 2025)")
        + &lava("debug", "Wait for prompt")
        + &lava("target", "NAME=\\\"Alpine Linux\\\"");
    assert_eq!(
        said(text.as_bytes()).0,
        ["U-Boot 2025.01-3 (Jan 01 2025)", "NAME=\"Alpine Linux\""]
    );
}

#[test]
fn other_programs_of_a_journal_are_left_out() {
    let mut text = boot(|n| format!("May 04 10:00:{n:02} gateway conserver[812]: "));
    text += "May 04 10:00:59 gateway kernel: Kernel panic - not syncing: the gateway's\n";
    assert!(!said(text.as_bytes()).0.concat().contains("panic"));
}

#[test]
fn a_prefix_that_nobody_knows_is_named_and_left_out() {
    let text = boot(|n| format!("#{n:04} <ttyUSB0> "));
    let (lines, transcript) = said(text.as_bytes());
    assert_eq!(lines, said(boot(|_| String::new()).as_bytes()).0);
    let example = "#0000 <ttyUSB0> ".into();
    assert_eq!(transcript.stamps, Stamps::Unknown { example });
    let text = boot(|n| ["left over here ", "something else > "][n % 2].repeat(1 + n % 3));
    let (_, transcript) = said(text.as_bytes());
    assert!(
        matches!(transcript.stamps, Stamps::Mixed { .. }),
        "{transcript:?}"
    );
}

#[test]
fn gitlab_goes_on_with_a_line() {
    let text = "2026-05-04T10:00:00.123456Z 00O U-Boot 20\n2026-05-04T10:00:00.123456Z 00O+25.01\n\
                2026-05-04T10:00:01.123456Z 00O DRAM\n";
    assert_eq!(said(text.as_bytes()).0, ["U-Boot 2025.01", "DRAM"]);
}
