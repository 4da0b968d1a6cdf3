//! Runs while they go on, for programs: an event a line, and one line more at the end of each run.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use super::Report;
use crate::timeline::Record;

/// A line of the stream.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[schemars(title = "StreamLine")]
pub struct StreamLine<'a> {
    /// The version of the stream, which is that of the timeline.
    pub version: u32,
    /// The run, for example `alpine-https on raspi3b`.
    pub run: &'a str,
    /// What is said of it.
    #[serde(flatten)]
    pub content: StreamContent<'a>,
}

/// What a line says of its run.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum StreamContent<'a> {
    /// A line of the run's timeline.
    Event(&'a Record),
    /// The run has ended. It is the last line of the run.
    End(End<'a>),
}

/// The end of a run.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(tag = "event", rename = "end")]
pub struct End<'a> {
    /// The run's folder.
    pub folder: &'a Path,
    /// What came of it.
    pub report: &'a Report,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::timeline::Event;

    #[test]
    fn a_line_names_its_run_and_is_a_line_of_the_timeline() {
        let record = Record::new(
            Duration::from_millis(1500),
            Event::Stage {
                name: "iPXE".into(),
                reached: Duration::from_secs(1),
            },
        );
        let line = StreamLine {
            version: crate::timeline::TIMELINE_VERSION,
            run: "alpine-https on raspi3b",
            content: StreamContent::Event(&record),
        };
        let text = serde_json::to_string(&line).unwrap();
        assert_eq!(
            text,
            r#"{"version":2,"run":"alpine-https on raspi3b","at":1.5,"event":"stage","name":"iPXE","reached":1.0}"#
        );
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
    }
}
