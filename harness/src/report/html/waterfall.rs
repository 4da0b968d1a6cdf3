//! The waterfall of a run: what happened when, beside what else, as rows of bars and dots on one clock.
//!
//! Times are seconds since the board was switched on. Places are percent of the whole, so that a picture of any width shows them.

use super::words::{lane_event, request_class, request_note, request_text, short_target, size};
use crate::report::{Fault, Report};
use crate::timeline::{Event, Record, RequestEvent};

/// A bar that is narrower than this, in percent, could not be seen.
const NARROWEST: f64 = 0.3;
/// Most rows of requests; a run that asks thousands of times would bury the rest.
const MOST_REQUESTS: usize = 200;

/// The picture.
#[derive(Debug)]
pub(super) struct Waterfall {
    /// Seconds that it shows.
    pub(super) length: f64,
    /// Seconds between two lines of the grid, and their distance in percent.
    pub(super) step: f64,
    pub(super) step_percent: f64,
    pub(super) stages: Vec<Row>,
    pub(super) lanes: Vec<Row>,
    pub(super) requests: Vec<Row>,
    /// Requests that are not shown.
    pub(super) left_out: usize,
    pub(super) traffic: Option<Traffic>,
}

/// A row of the picture.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) class: &'static str,
    pub(super) label: String,
    /// What stands at the row's end.
    pub(super) note: String,
    pub(super) marks: Vec<Mark>,
}

/// A bar, or a dot where something took no time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mark {
    /// Unique in the page. The console's entry of the same number is about the same.
    pub(super) id: usize,
    pub(super) class: &'static str,
    /// Seconds since power-on.
    pub(super) start: f64,
    pub(super) end: f64,
    /// What happened, in a few words.
    pub(super) text: String,
    /// The numbers of the faults that are at work here.
    pub(super) faults: Vec<usize>,
    pub(super) left: f64,
    pub(super) width: f64,
}

/// Bytes a second, as an area below a line.
#[derive(Debug)]
pub(super) struct Traffic {
    /// Bytes of the busiest second, as people read them.
    pub(super) peak: String,
    /// SVG path in a picture of 1000 × 100.
    pub(super) path: String,
}

impl Mark {
    pub(super) fn is_dot(&self) -> bool {
        self.end <= self.start
    }
}

/// Makes the picture of a run whose board was switched on at `power_on` seconds.
pub(super) fn waterfall(report: &Report, records: &[Record], power_on: f64) -> Waterfall {
    let mut builder = Builder {
        faults: &report.faults,
        next: 0,
        power_on,
        last: 0.0,
    };
    let stages = builder.stages(report);
    let lanes = builder.lanes(records);
    let (requests, left_out) = builder.requests(records);
    // A margin keeps the last dot inside the picture.
    let length = (builder.last * 1.01).max(1.0);
    let step = step(length);
    let mut waterfall = Waterfall {
        length,
        step,
        step_percent: step / length * 100.0,
        stages,
        lanes,
        requests,
        left_out,
        traffic: traffic(records, power_on, length),
    };
    let rows = [
        &mut waterfall.stages,
        &mut waterfall.lanes,
        &mut waterfall.requests,
    ];
    for mark in rows.into_iter().flatten().flat_map(|row| &mut row.marks) {
        mark.left = mark.start / length * 100.0;
        mark.width = ((mark.end - mark.start) / length * 100.0).max(NARROWEST);
    }
    waterfall
}

impl Waterfall {
    /// The rows by what they are about.
    pub(super) fn sections(&self) -> [(&'static str, &[Row]); 3] {
        [
            ("Stages", &self.stages),
            ("Around the board", &self.lanes),
            ("Requests", &self.requests),
        ]
    }

    /// Every mark; what proves a stage comes before the stage.
    pub(super) fn marks(&self) -> impl Iterator<Item = &Mark> {
        let rows = [&self.lanes, &self.requests, &self.stages];
        rows.into_iter().flatten().flat_map(|row| &row.marks)
    }

    /// A fault that the scenario injected took effect.
    pub(super) fn has_injected(&self) -> bool {
        self.marks().any(|mark| !mark.faults.is_empty())
    }

    /// The times of the grid's lines.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let count = (self.length / self.step) as usize;
        (0..=count).map(|n| n as f64 * self.step).collect()
    }
}

/// A round number of seconds that divides the whole into at most eight.
fn step(length: f64) -> f64 {
    let round = [
        0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0,
    ];
    let fits = round.into_iter().find(|step| length / step <= 8.0);
    fits.unwrap_or(3600.0)
}

struct Builder<'a> {
    faults: &'a [Fault],
    next: usize,
    power_on: f64,
    /// The end of the latest mark.
    last: f64,
}

impl Builder<'_> {
    fn mark(&mut self, class: &'static str, start: f64, end: f64, text: String) -> Mark {
        let (start, end) = (start.max(0.0), end.max(0.0));
        self.last = self.last.max(end);
        self.next += 1;
        Mark {
            id: self.next,
            class,
            start,
            end,
            text,
            faults: Vec::new(),
            left: 0.0,
            width: 0.0,
        }
    }

    /// The mark of an event, which may be a fault at work.
    fn mark_of(
        &mut self,
        event: &Event,
        class: &'static str,
        start: f64,
        end: f64,
        text: String,
    ) -> Mark {
        let faults = self.faults.iter().enumerate();
        let at_work = faults.filter(|(_, fault)| fault.shows.is_seen_in(event));
        let at_work: Vec<_> = at_work.map(|(n, _)| n).collect();
        let text = if at_work.is_empty() {
            text
        } else {
            text + " (an injected fault)"
        };
        Mark {
            faults: at_work,
            ..self.mark(class, start, end, text)
        }
    }

    fn since_power_on(&self, record: &Record) -> f64 {
        record.at.as_secs_f64() - self.power_on
    }

    fn stages(&mut self, report: &Report) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut at = 0.0;
        for stage in &report.stages {
            at = stage.reached;
            let text = format!("{} reached after {:.1} s", stage.name, stage.took);
            let (class, text, note) = match stage.restored {
                true => ("restored", text + ", by another run", ", another run's"),
                false => ("stage", text, ""),
            };
            let mark = self.mark(class, at - stage.took, at, text);
            rows.push(Row {
                class,
                label: stage.name.clone(),
                note: format!("{:.1} s{note}", stage.took),
                marks: vec![mark],
            });
        }
        let mut missed = report.missed().iter();
        if let (Some(failure), Some(name)) = (&report.failure, missed.next()) {
            let text = format!("{name} awaited for {:.1} s", failure.waited);
            let mark = self.mark("missed", at, at + failure.waited, text);
            rows.push(Row {
                class: "missed",
                label: name.clone(),
                note: format!("{:.1} s, not reached", failure.waited),
                marks: vec![mark],
            });
        }
        rows.extend(missed.map(|name| Row {
            class: "never",
            label: name.clone(),
            note: "not begun".into(),
            marks: Vec::new(),
        }));
        rows
    }

    /// Everything but requests: one row for each kind.
    fn lanes(&mut self, records: &[Record]) -> Vec<Row> {
        const LANES: [(&str, &str); 8] = [
            ("alarm", "alarms"),
            ("power", "power"),
            ("usb", "USB NIC"),
            ("dhcp", "DHCP"),
            ("dns", "DNS"),
            ("ntp", "NTP"),
            ("tls", "TLS"),
            ("screen", "screenshots"),
        ];
        let mut rows: Vec<_> = LANES
            .iter()
            .map(|(class, label)| Row {
                class,
                label: (*label).into(),
                note: String::new(),
                marks: Vec::new(),
            })
            .collect();
        for record in records {
            let Some((class, took, text)) = lane_event(&record.event) else {
                continue;
            };
            let at = self.since_power_on(record);
            let mark = self.mark_of(&record.event, class, at - took, at, text);
            if let Some(row) = rows
                .iter_mut()
                .find(|row| mark.class.starts_with(row.class))
            {
                row.marks.push(mark);
            }
        }
        rows.retain(|row| !row.marks.is_empty());
        for row in &mut rows {
            row.note = match &row.marks[..] {
                [only] => only.text.clone(),
                many => format!("{} times", many.len()),
            };
        }
        rows
    }

    fn requests(&mut self, records: &[Record]) -> (Vec<Row>, usize) {
        let requests: Vec<_> = requests(records).collect();
        let shown = requests.iter().take(MOST_REQUESTS);
        let mut rows: Vec<_> = shown
            .map(|(record, request)| {
                let at = self.since_power_on(record);
                let took = request.duration.as_secs_f64();
                let class = request_class(request);
                let mark = self.mark_of(
                    &record.event,
                    class,
                    at - took,
                    at.max(at - took + 1e-6),
                    request_text(request),
                );
                Row {
                    class,
                    label: format!("{} {}", request.method, short_target(&request.target)),
                    note: request_note(request),
                    marks: vec![mark],
                }
            })
            .collect();
        let start = |row: &Row| row.marks.first().map_or(0.0, |m| m.start);
        rows.sort_by(|a, b| start(a).total_cmp(&start(b)));
        (rows, requests.len().saturating_sub(MOST_REQUESTS))
    }
}

/// The requests of a timeline.
pub(super) fn requests(records: &[Record]) -> impl Iterator<Item = (&Record, &RequestEvent)> {
    records.iter().filter_map(|record| match &record.event {
        Event::Request(request) => Some((record, request)),
        _ => None,
    })
}

/// The area below the data rate; each event tells of the second before it.
fn traffic(records: &[Record], power_on: f64, length: f64) -> Option<Traffic> {
    let seconds: Vec<_> = records
        .iter()
        .filter_map(|record| match record.event {
            Event::Traffic {
                from_board,
                to_board,
            } => Some((record.at.as_secs_f64() - power_on, from_board + to_board)),
            _ => None,
        })
        .collect();
    let peak = seconds.iter().map(|(_, bytes)| *bytes).max()?;
    let mut path = String::new();
    for (at, bytes) in seconds {
        let x = |at: f64| at.max(0.0) / length * 1000.0;
        let y = 100.0 - bytes as f64 / peak as f64 * 100.0;
        let (left, right) = (x(at - 1.0), x(at));
        path += &format!("M{left:.1} 100V{y:.1}H{right:.1}V100Z");
    }
    Some(Traffic {
        peak: size(peak),
        path,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::report::testing::report;
    use crate::report::{Class, Failure, Verdict};
    use crate::timeline::{Power, ServiceId, TlsEvent};

    fn at(seconds: f64, event: Event) -> Record {
        Record::new(Duration::from_secs_f64(seconds), event)
    }

    fn request(target: &str, seconds: f64, complete: bool) -> Event {
        Event::Request(RequestEvent {
            service: ServiceId::Boot,
            client: [10, 42, 1, 0].into(),
            fingerprint: None,
            host: "boot.example".into(),
            method: "GET".into(),
            target: target.into(),
            status: 200,
            offset: None,
            bytes: 13_700_000,
            complete,
            duration: Duration::from_secs_f64(seconds),
        })
    }

    /// A row a line: label, note, and start and end of every mark.
    fn text(waterfall: &Waterfall) -> String {
        let rows = waterfall.sections().into_iter().flat_map(|(_, rows)| rows);
        let lines = rows.map(|row| {
            let mark = |m: &Mark| format!("{:.1}-{:.1} {}", m.start, m.end, m.class);
            let marks: Vec<_> = row.marks.iter().map(mark).collect();
            let line = format!("{} | {} | {}", row.label, row.note, marks.join(", "));
            line.trim_end().to_owned() + "\n"
        });
        lines.collect()
    }

    #[test]
    fn everything_stands_on_the_clock_of_the_power() {
        let mut report = report("s", &[("iPXE", 2.5), ("kernel", 7.0)], Verdict::Failed);
        report.chain = ["iPXE", "kernel", "Linux", "/init"].map(Into::into).into();
        let mut failure = Failure::new(Class::Board, "no Linux".into(), &[]);
        failure.waited = 3.0;
        report.failure = Some(failure);
        let records = [
            at(1.0, Event::Power { action: Power::On }),
            at(
                4.0,
                Event::Tls(TlsEvent {
                    service: ServiceId::Boot,
                    server_name: None,
                    fingerprint: None,
                    error: Some("no certificate".into()),
                    duration: Duration::from_millis(500),
                }),
            ),
            at(
                5.0,
                Event::Traffic {
                    from_board: 500_000,
                    to_board: 1_500_000,
                },
            ),
            // The later one is written down first, since it ends first.
            at(
                9.0,
                request(
                    "/v2/library/alpine/blobs/sha256:0123456789abcdef",
                    0.5,
                    false,
                ),
            ),
            at(10.5, request("/files/kernel?x=y", 7.0, true)),
        ];
        let waterfall = waterfall(&report, &records, 1.0);
        insta::assert_snapshot!(text(&waterfall), @r"
        iPXE | 2.5 s | 0.0-2.5 stage
        kernel | 7.0 s | 2.5-9.5 stage
        Linux | 3.0 s, not reached | 9.5-12.5 missed
        /init | not begun |
        power | power on | 0.0-0.0 power
        TLS | handshake with boot failed: no certificate | 2.5-3.0 tls broken
        GET /files/kernel | 200, 13.7 MB in 7.0 s | 2.5-9.5 http
        GET …/blobs/sha256:01234567… | 200, 13.7 MB in 0.5 s, broken off | 7.5-8.0 http broken
        ");
        let traffic = waterfall.traffic.as_ref().unwrap();
        assert_eq!(traffic.peak, "2.0 MB");
        assert!((waterfall.length - 12.625).abs() < 1e-6);
        assert_eq!(waterfall.ticks(), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0]);
    }

    #[test]
    fn an_empty_run_has_a_picture_too() {
        let waterfall = waterfall(&report("s", &[], Verdict::CouldNotRun), &[], 0.0);
        assert_eq!(waterfall.marks().count(), 0);
        assert!(waterfall.traffic.is_none());
    }

    #[test]
    fn a_thousand_requests_do_not_bury_the_rest() {
        let records: Vec<_> = (0..1000)
            .map(|n| at(f64::from(n), request("/", 0.1, true)))
            .collect();
        let waterfall = waterfall(&report("s", &[], Verdict::Passed), &records, 0.0);
        assert_eq!((waterfall.requests.len(), waterfall.left_out), (200, 800));
    }
}
