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
    let recorders: [Recorder; 25] = [
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
        ("seconds since 1970", |n| {
            format!("[{}.000000] ", 1_777_881_600 + n)
        }),
        ("date and time", |n| {
            format!("2026-05-04 10:00:{n:02},123 [    INFO] ")
        }),
        ("time of day", |n| format!("11:59:{n:02} PM ")),
        ("time of day", |n| format!("[10:00:{n:02}] :\t [Step 1/1] ")),
        ("Kubernetes", |n| {
            format!("2026-05-04T10:00:{n:02}.123456789Z stdout F ")
        }),
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

/// A boot as a recorder writes it that makes something else of each line than a line.
fn recorded(line: impl Fn(usize, &str) -> String) -> String {
    let boot = boot(|_| String::new());
    let lines = boot.lines().enumerate();
    lines.map(|(n, text)| line(n, text)).collect()
}

/// What recordings in JSON and YAML hold is what the board said, when it said it.
#[test]
fn every_recording_gives_the_same_lines() {
    use serde_json::json;

    let (plain, _) = said(boot(|_| String::new()).as_bytes());
    let time = |n: usize| format!("2026-05-04T10:00:{n:02}");
    let cast = recorded(|n, line| format!("{}\n", json!([n, "o", format!("{line}\r\n")])));
    let lava = |n: usize, line: &str| json!({"dt": time(n), "lvl": "target", "msg": line});
    let array: Vec<_> = plain.iter().enumerate().map(|(n, l)| lava(n, l)).collect();
    let recordings = [
        (
            "asciinema",
            format!("{{\"version\": 2, \"width\": 80}}\n{cast}"),
        ),
        ("LAVA", recorded(|n, line| format!("- {}\n", lava(n, line)))),
        (
            "LAVA",
            recorded(|n, line| {
                format!(
                    "- dt: '{}'\n  lvl: target\n  msg: {}\n  ns: x\n",
                    time(n),
                    json!(line)
                )
            }),
        ),
        ("LAVA", json!(array).to_string()),
        ("LAVA", format!("{:#}", json!(array))),
        (
            "journald",
            recorded(|n, line| {
                let at = (1_777_881_600 + n) * 1_000_000;
                format!(
                    "{}\n",
                    json!({"MESSAGE": line, "__REALTIME_TIMESTAMP": at.to_string()})
                )
            }),
        ),
        (
            "Docker",
            recorded(|n, line| {
                let time = time(n) + ".123456789Z";
                format!(
                    "{}\n",
                    json!({"log": format!("{line}\n"), "stream": "stdout", "time": time})
                )
            }),
        ),
    ];
    for (name, text) in recordings {
        let (lines, transcript) = said(text.as_bytes());
        assert_eq!(transcript.stamps, Stamps::Known(name), "{text}");
        let texts = |lines: &[String]| {
            lines
                .iter()
                .map(|l| l.trim_end().to_owned())
                .filter(|l| !l.is_empty())
                .collect::<Vec<_>>()
        };
        assert_eq!(texts(&lines), texts(&plain), "{text}");
        let last = transcript.records.last().map(|r| r.at.as_secs());
        assert_eq!(
            (transcript.clock, last),
            (Clock::Seconds, Some(8)),
            "{text}"
        );
    }
}

/// Marks before lines, and numbers of lines, are named and left out.
#[test]
fn every_prefix_goes() {
    let (plain, _) = said(boot(|_| String::new()).as_bytes());
    let prefixes: [fn(usize) -> String; 6] = [
        |_| "    ".into(),
        |_| "> ".into(),
        |_| "+".into(),
        |n| format!("{}:", n + 1),
        |n| format!("board.log:{}:", n + 1),
        |n| format!("{:6}\t", n + 1),
    ];
    for prefix in prefixes {
        let (lines, transcript) = said(boot(prefix).as_bytes());
        assert_eq!(lines, plain, "{transcript:?}");
        let example = prefix(0);
        assert_eq!(transcript.stamps, Stamps::Unknown { example });
    }
}

#[test]
fn escape_sequences_hide_no_prefix_and_swallow_no_log() {
    let (plain, _) = said(boot(|_| String::new()).as_bytes());
    for prefix in [
        "\x1b_bk;t=1777881600000\x07",
        "\x1b]0;title\x07",
        "\x1bPx\x1b\\",
    ] {
        assert_eq!(
            said(boot(|_| prefix.into()).as_bytes()).0,
            plain,
            "{prefix:?}"
        );
    }
    let (lines, transcript) =
        said(boot(|n| format!("\x1b[32m[10:00:{n:02}.000]\x1b[0m ")).as_bytes());
    assert_eq!(
        (lines, transcript.stamps),
        (plain.clone(), Stamps::Known("time of day"))
    );
    for never_ended in ["\x1b_", "\x1b]0;", "\x1b^", "\x1bX", "\x1bP"] {
        let text = format!("noise {never_ended}\r\n{}", boot(|_| String::new()));
        assert_eq!(
            said(text.as_bytes()).0.get(1..),
            Some(plain.as_slice()),
            "{never_ended:?}"
        );
    }
}

#[test]
fn a_log_that_runs_backwards_is_read_from_its_end() {
    let kernel = "U-Boot 2025.01\n[    0.000000] Booting Linux\n[    0.100000] a\n[    0.200000] b\n\
                  [    4.000000] Run /init\nNAME=\"Alpine Linux\"\n";
    let stamped: String = (0..30)
        .map(|n| format!("2026-05-04 10:00:{n:02} line {n}\n"))
        .collect();
    let quoted: String = kernel.lines().map(|line| format!("> {line}\n")).collect();
    for log in [kernel, &stamped, &quoted] {
        let (lines, forwards) = said(log.as_bytes());
        assert!(!forwards.is_reversed, "{log}");
        let reversed: Vec<&str> = log.lines().rev().collect();
        let (again, backwards) = said(reversed.join("\n").as_bytes());
        assert!(backwards.is_reversed, "{log}");
        assert_eq!(again, lines);
        assert_eq!(backwards.records.last(), forwards.records.last());
    }
}

#[test]
fn kubernetes_goes_on_with_a_line() {
    let text = "2026-05-04T10:00:00.123456789Z stdout P U-Boot 20\n2026-05-04T10:00:00.123456789Z stdout F 25.01\n\
                2026-05-04T10:00:01.123456789Z stdout F DRAM\n";
    assert_eq!(said(text.as_bytes()).0, ["U-Boot 2025.01", "DRAM"]);
}

#[test]
fn what_is_no_log_is_named() {
    let tar = [vec![b'a'; 257], b"ustar\0".to_vec()].concat();
    let dump = b"00000000: 552d 426f 6f74 2032  U-Boot 2\n".repeat(4);
    let base64 = format!("{}\n", "VS1Cb290".repeat(9)).repeat(4);
    let known: [(&[u8], &str); 14] = [
        (
            b"",
            "the file is empty: give a log in which the board says something",
        ),
        (
            b" \r\n\0\n",
            "there is no line in it: give a log in which the board says something",
        ),
        (
            b"\x1b[2J\n",
            "there is no line in it: give a log in which the board says something",
        ),
        (
            b"\x1f\x8b\x08",
            "it is packed with gzip: unpack it with `gzip -d FILE`, and give the log",
        ),
        (
            b"\xfd7zXZ\0",
            "it is packed with xz: unpack it with `xz -d FILE`, and give the log",
        ),
        (
            b"BZh91AY&SY",
            "it is packed with bzip2: unpack it with `bzip2 -d FILE`, and give the log",
        ),
        (
            b"\x28\xb5\x2f\xfd",
            "it is packed with zstd: unpack it with `zstd -d FILE`, and give the log",
        ),
        (
            b"\x04\x22\x4d\x18",
            "it is packed with lz4: unpack it with `lz4 -d FILE`, and give the log",
        ),
        (
            b"PK\x03\x04",
            "it is a zip archive: unpack it with `unzip FILE`, and give the log in it",
        ),
        (
            &tar,
            "it is a tar archive: unpack it with `tar -xf FILE`, and give the log in it",
        ),
        (
            &dump,
            "it is a hex dump, and no log: make bytes of it, for example with `xxd -r FILE`, and give those",
        ),
        (
            base64.as_bytes(),
            "it is base64, and no log: decode it with `base64 -d FILE`, and give the log",
        ),
        (
            b"\x7fELF",
            "it is a program, and no log: give what the serial port said, as text",
        ),
        (
            b"\x01\x02\x03\xff\xfe\xfd",
            "it is binary, and no log: give what the serial port said, as text",
        ),
    ];
    for (bytes, reason) in known {
        let refused = Transcript::read_log(bytes).unwrap_err();
        assert_eq!(refused.to_string(), reason);
    }
    let noise = [&[0xff; 4000][..], b"\nU-Boot 2025.01\nDRAM: initialising\n"].concat();
    assert!(Transcript::read_log(&noise).is_ok());
    assert!(Transcript::read_log(b"BZh9 is no archive\n").is_ok());
    let utf16: Vec<u8> = "DRAM\r\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert!(Transcript::read_log(&utf16).is_ok());
}

#[test]
fn gitlab_goes_on_with_a_line() {
    let text = "2026-05-04T10:00:00.123456Z 00O U-Boot 20\n2026-05-04T10:00:00.123456Z 00O+25.01\n\
                2026-05-04T10:00:01.123456Z 00O DRAM\n";
    assert_eq!(said(text.as_bytes()).0, ["U-Boot 2025.01", "DRAM"]);
}
