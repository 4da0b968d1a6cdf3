//! Oddities on the timeline, rate-limited: a driver that errs does so thousands of times a second.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use shakedown_base::timeline::Timeline;

/// Room name on the timeline.
const ROOM: &str = "usb";
/// The least time between two notes of one kind.
const INTERVAL: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Notes {
    timeline: Timeline,
    kinds: HashMap<&'static str, Kind>,
}

#[derive(Debug)]
struct Kind {
    last: Instant,
    suppressed: u64,
}

impl Notes {
    pub(super) fn new(timeline: Timeline) -> Self {
        Self {
            timeline,
            kinds: HashMap::new(),
        }
    }

    /// Notes `text`, unless `kind` was noted a short while ago; the next note then says how many were left out.
    pub(super) fn note(&mut self, kind: &'static str, now: Instant, text: &str) {
        let mut left_out = 0;
        if let Some(known) = self.kinds.get_mut(kind) {
            if now < known.last + INTERVAL {
                known.suppressed += 1;
                return;
            }
            left_out = known.suppressed;
        }
        self.kinds.insert(
            kind,
            Kind {
                last: now,
                suppressed: 0,
            },
        );
        let text = match left_out {
            0 => text.to_owned(),
            n => format!("{text} ({n} more of this kind before)"),
        };
        self.timeline.note(ROOM, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shakedown_base::timeline::Event;

    #[test]
    fn a_flood_is_counted_instead_of_repeated() {
        let timeline = Timeline::start();
        let mut notes = Notes::new(timeline.clone());
        let start = Instant::now();
        for _ in 0..1000 {
            notes.note("tx", start, "bad frame");
        }
        notes.note("request", start, "unknown");
        notes.note("tx", start + INTERVAL, "bad frame");
        let texts: Vec<_> = timeline
            .snapshot()
            .into_iter()
            .map(|record| match record.event {
                Event::Note { text, .. } => text,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            texts,
            [
                "bad frame",
                "unknown",
                "bad frame (999 more of this kind before)"
            ]
        );
    }
}
