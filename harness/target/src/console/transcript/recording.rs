//! Recordings in JSON: a list of what was said, and when.
//!
//! Sources: asciinema's descriptions of asciicast v1, v2 and v3; systemd's "Journal JSON Format"; Docker's json-file logging driver. Other
//! lists of objects are read by the names that their keys usually have. What is no text of the board's is passed over.

use serde_json::{Map, Value};

use super::{lava, stamp};

/// Lines that are looked at to tell what a file is.
const SAMPLE: usize = 200;

/// What was recorded.
#[derive(Debug, PartialEq)]
pub(super) struct Recording {
    /// The tools that write it, for people.
    pub(super) name: &'static str,
    /// In order.
    pub(super) said: Vec<Said>,
}

/// A piece of what was said: with its line ends, if it has any.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Said {
    /// Seconds on the recording's clock, whatever its start.
    pub(super) seconds: Option<f64>,
    pub(super) text: String,
    /// The program that wrote it into a system's journal.
    pub(super) program: Option<String>,
}

/// Reads a recording; `None` if the text is no such thing.
pub(super) fn read(text: &str) -> Option<Recording> {
    let values = values(text)?;
    let mut recording = match values.first() {
        Some(Value::Object(header)) if is_cast(header) => cast(header, &values),
        _ => list(&values),
    };
    recording.said.retain(|said| !said.text.is_empty());
    (!recording.said.is_empty()).then_some(recording)
}

/// The JSON values in a text: one a line, the items of one array, or one behind the other.
fn values(text: &str) -> Option<Vec<Value>> {
    let text = text.trim_matches(['\0', '\u{feff}']).trim();
    let value = |line: &str| {
        let line = line.trim().trim_end_matches(',');
        let is_list = line.starts_with(['{', '[', '"']);
        is_list.then(|| serde_json::from_str(line).ok()).flatten()
    };
    let is_text = |line: &&str| !line.trim().is_empty();
    let sample: Vec<&str> = text.lines().filter(is_text).take(SAMPLE).collect();
    let known = sample.iter().filter_map(|line| value(line)).count();
    // An array over many lines has brackets on lines of their own.
    if known > 0 && 4 * known >= 3 * sample.len() && (known > 1 || !text.starts_with('[')) {
        return Some(text.lines().filter_map(value).collect());
    }
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    // A recorder that was killed leaves a cut value.
    let whole: Vec<Value> = stream.map_while(Result::ok).collect();
    match <[Value; 1]>::try_from(whole) {
        Ok([Value::Array(items)]) => Some(items),
        Ok([value]) => Some(vec![value]),
        Err(several) => (!several.is_empty()).then_some(several),
    }
}

/// Whether an object is the header of a terminal's recording.
fn is_cast(header: &Map<String, Value>) -> bool {
    const OTHERS: [&str; 3] = ["width", "term", "stdout"];
    let version = header.get("version").and_then(Value::as_u64);
    version.is_some() && OTHERS.iter().any(|key| header.contains_key(*key))
}

/// A terminal's recording: a header, then `[seconds, "o", text]` each; in version 1, `[seconds, text]` in the header.
fn cast(header: &Map<String, Value>, values: &[Value]) -> Recording {
    let version = header.get("version").and_then(Value::as_u64);
    let events = header.get("stdout").and_then(Value::as_array);
    let events = events.map_or(values, Vec::as_slice);
    // Since version 3, and in version 1, a time is that since the event before.
    let are_deltas = version != Some(2);
    let mut clock = 0.0;
    let said = events.iter().filter_map(|event| {
        let event = event.as_array()?;
        let seconds = event.first()?.as_f64()?;
        clock = if are_deltas { clock + seconds } else { seconds };
        let text = match event.as_slice() {
            [_, text] => text.as_str()?,
            [_, kind, text] if kind == "o" => text.as_str()?,
            _ => return None,
        };
        Some(Said {
            seconds: Some(clock),
            text: text.to_owned(),
            program: None,
        })
    });
    Recording {
        name: "asciinema",
        said: said.collect(),
    }
}

/// A list of objects, or of lines.
fn list(values: &[Value]) -> Recording {
    let mut said: Vec<Said> = values.iter().filter_map(entry).collect();
    let ended = said.iter().filter(|said| said.text.ends_with('\n')).count();
    // Either a piece says where its line ends, or each is a line.
    if 2 * ended < said.len() {
        for said in &mut said {
            said.text.push('\n');
        }
    }
    let has = |key: &str| values.iter().any(|value| value.get(key).is_some());
    let name = match () {
        () if has("lvl") && has("dt") => "LAVA",
        () if has("__REALTIME_TIMESTAMP") || has("MESSAGE") => "journald",
        () if has("log") && has("stream") => "Docker",
        () => "a list in JSON",
    };
    Recording { name, said }
}

/// What an item of a list says.
fn entry(value: &Value) -> Option<Said> {
    const TEXTS: [&str; 10] = [
        "msg", "MESSAGE", "log", "message", "line", "text", "data", "content", "output", "body",
    ];
    const TIMES: [&str; 10] = [
        "dt",
        "__REALTIME_TIMESTAMP",
        "time",
        "timestamp",
        "@timestamp",
        "ts",
        "datetime",
        "date",
        "at",
        "t",
    ];
    const PROGRAMS: [&str; 2] = ["SYSLOG_IDENTIFIER", "_COMM"];
    if let Value::String(line) = value {
        return Some(Said {
            text: line.clone(),
            ..Said::default()
        });
    }
    let object = value.as_object()?;
    let level = object.get("lvl").and_then(Value::as_str);
    if level.is_some_and(|level| !lava::OF_THE_BOARD.contains(&level)) {
        return None;
    }
    let program = PROGRAMS.iter().find_map(|key| object.get(*key)?.as_str());
    Some(Said {
        seconds: TIMES.iter().find_map(|key| seconds(object.get(*key)?)),
        text: TEXTS.iter().find_map(|key| text(object.get(*key)?))?,
        program: program.map(str::to_owned),
    })
}

/// A text; journald writes one that is not all printable as the array of its bytes.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(bytes) => {
            let byte = |value: &Value| value.as_u64().and_then(|byte| u8::try_from(byte).ok());
            let bytes: Option<Vec<u8>> = bytes.iter().map(byte).collect();
            Some(String::from_utf8_lossy(&bytes?).into_owned())
        }
        _ => None,
    }
}

/// Seconds on the recording's clock: a date, or a number since 1970 in any unit.
fn seconds(value: &Value) -> Option<f64> {
    // Seconds since 1970 have ten digits; milliseconds, microseconds and nanoseconds have three more each.
    const LARGEST: f64 = 1e11;
    let number = match value {
        Value::String(text) => match text.parse() {
            Ok(number) => Some(number),
            Err(_) => return stamp::seconds_of(text),
        },
        _ => value.as_f64(),
    };
    let mut number = number.filter(|n: &f64| n.is_finite())?;
    for _ in 0..3 {
        if number > LARGEST {
            number /= 1e3;
        }
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name, and seconds with text.
    fn said(text: &str) -> (&'static str, Vec<(Option<f64>, String)>) {
        let recording = read(text).expect(text);
        let said = recording.said.into_iter().map(|s| (s.seconds, s.text));
        (recording.name, said.collect())
    }

    fn timed(pieces: &[(f64, &str)]) -> Vec<(Option<f64>, String)> {
        let piece = |(at, text): &(f64, &str)| (Some(*at), (*text).to_owned());
        pieces.iter().map(piece).collect()
    }

    #[test]
    fn every_version_of_a_terminals_recording() {
        let wanted = timed(&[(0.5, "U-Boot\r\nDR"), (1.0, "AM\r\n")]);
        for text in [
            "{\"version\": 2, \"width\": 80}\n[0.5, \"o\", \"U-Boot\\r\\nDR\"]\n[0.7, \"i\", \"x\"]\n[1.0, \"o\", \"AM\\r\\n\"]\n",
            "{\"version\": 3, \"term\": {}}\n[0.5, \"o\", \"U-Boot\\r\\nDR\"]\n[0.25, \"m\", \"\"]\n[0.25, \"o\", \"AM\\r\\n\"]\n[0.5, \"x\", \"0\"]\n",
            "{\"version\": 1, \"stdout\": [[0.5, \"U-Boot\\r\\nDR\"], [0.5, \"AM\\r\\n\"]]}",
            "{\n \"version\": 1,\n \"stdout\": [\n  [\n   0.5,\n   \"U-Boot\\r\\nDR\"\n  ],\n  [\n   0.5,\n   \"AM\\r\\n\"\n  ]\n ]\n}\n",
        ] {
            assert_eq!(said(text), ("asciinema", wanted.clone()), "{text}");
        }
    }

    #[test]
    fn objects_one_a_line_or_in_an_array() {
        let journal = "{\"__REALTIME_TIMESTAMP\": \"1777881600000000\", \"MESSAGE\": \"a\"}\n\
                       {\"MESSAGE\": [27, 91, 109, 98], \"__REALTIME_TIMESTAMP\": \"1777881601500000\"}\n";
        let wanted = timed(&[(1_777_881_600.0, "a\n"), (1_777_881_601.5, "\x1b[mb\n")]);
        assert_eq!(said(journal), ("journald", wanted));
        let docker = "{\"log\":\"a b\\n\",\"stream\":\"stdout\",\"time\":\"2026-05-04T10:00:00.123456789Z\"}\n\
                      {\"log\":\"c\",\"stream\":\"stdout\",\"time\":\"2026-05-04T10:00:01.123456789Z\"}\n\
                      {\"log\":\"d\\n\",\"stream\":\"stdout\",\"time\":\"2026-05-04T10:00:01.2Z\"}\n{\"lo";
        let (name, pieces) = said(docker);
        let texts: Vec<_> = pieces.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!((name, texts), ("Docker", vec!["a b\n", "c", "d\n"]));
        let took = pieces[1].0.unwrap() - pieces[0].0.unwrap();
        assert!((took - 1.0).abs() < 1e-5, "{took}");
        let lava = "[{\"dt\": \"2026-05-04T10:00:00\", \"lvl\": \"target\", \"msg\": \"a\"},\n\
                    {\"dt\": \"2026-05-04T10:00:01\", \"lvl\": \"info\", \"msg\": \"b\"}]";
        let (name, pieces) = said(lava);
        assert_eq!(
            (name, pieces[0].1.as_str(), pieces.len()),
            ("LAVA", "a\n", 1)
        );
        let lines = "[\n  \"a\",\n  \"b\"\n]";
        let (_, pieces) = said(lines);
        assert_eq!(pieces, [(None, "a\n".into()), (None, "b\n".into())]);
    }

    #[test]
    fn what_a_board_says_is_no_recording() {
        for text in [
            "",
            "[    0.000000] Booting Linux\n[    1.000000] Run /init\n",
            "U-Boot 2025.01\n{\"a\": 1}\n[1]\nDRAM\n",
            "[]",
            "{}",
            "[1, 2]",
            "{\"nonce\": \"x\"}\n",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
