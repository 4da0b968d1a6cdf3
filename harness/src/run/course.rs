//! The course of a run, from its parts to its report.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::ending;
use super::live::Live;
use super::stages::{Bounds, Facts, NotReached, Sequencer};
use super::watchdog::Watchdog;
use super::{Parts, RunError, cpu_seconds, host_scale};
use crate::board::{Board, Evidence, Stage};
use crate::console::Expectations;
use crate::report::{Class, Failure, Report, Verdict};
use crate::scenario::Scenario;
use crate::services::access_line;
use crate::timeline::{Event, Record, Timeline};

/// A run that is wanted.
#[derive(Debug, Clone)]
pub struct Job<'a> {
    /// The board.
    pub board: &'a Board,
    /// The scenario.
    pub scenario: &'a Scenario,
    /// What it is made of.
    pub parts: &'a Parts,
    /// What the board starts with.
    pub start: Start,
    /// The run's folder: transcript, journal, report. It is made if need be.
    pub folder: PathBuf,
    /// Leave the card, which holds the board's private key, and the other working files in the folder.
    pub keep: bool,
    /// The command that runs the same again.
    pub reproduce: String,
}

/// What the board starts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// The card, by way of firmware, boot loader and iPXE.
    Card,
    /// Kernel and initramfs at once, as a yardstick for the chain.
    Direct {
        /// The kernel command line.
        append: String,
        /// What is plugged into the board's USB port.
        nic: Nic,
    },
}

/// A network interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nic {
    /// The board's own, on the LAN.
    Board,
    /// QEMU's own on QEMU's user network, as a yardstick for the board's. Nothing is on the LAN then.
    Emulator,
}

/// Takes a run through its course. Whatever happens there is a report; its last act is to write `report.json`.
///
/// `stop` completes when the user wants the run to end. Needs a multi-threaded tokio runtime.
pub async fn run(job: &Job<'_>, timeline: &Timeline, stop: impl Future<Output = ()>) -> Report {
    let mut report = Report {
        scenario: job.scenario.name.clone(),
        board: job.board.name.clone(),
        verdict: Verdict::CouldNotRun,
        stages: Vec::new(),
        failure: None,
        ending: None,
        container_system: None,
        container_version: None,
        nonce: None,
        container_source: job.parts.container.source.clone(),
        stand_in: job.parts.container.stand_in,
        qemu_cpu_seconds: 0.0,
        harness_cpu_seconds: 0.0,
        host_scale: host_scale(),
        parts: job.parts.versions.clone(),
        reproduce: job.reproduce.clone(),
    };
    let own_cpu = cpu_seconds(std::process::id());
    let outcome = go(job, timeline, stop, &mut report).await;
    report.harness_cpu_seconds = cpu_seconds(std::process::id()) - own_cpu;
    let records = timeline.snapshot();
    report.container_system = records.iter().find_map(|r| os_release(r, "PRETTY_NAME"));
    report.container_version = records.iter().find_map(|r| os_release(r, "VERSION_ID"));
    match outcome {
        Ok(None) => match job.violated(&records) {
            None => report.verdict = Verdict::Passed,
            Some(violations) => {
                report.verdict = Verdict::Failed;
                report.failure = Some(Failure::new(Class::Board, violations, &records));
            }
        },
        Ok(Some(failure)) => {
            // What the host or its user ended says nothing of the image.
            report.verdict = match failure.class {
                Class::Host => Verdict::CouldNotRun,
                _ => Verdict::Failed,
            };
            report.failure = Some(failure);
        }
        Err(error) => {
            let class = error.class();
            report.failure = Some(Failure::new(class, error.to_string(), &records));
        }
    }
    let started = SystemTime::now() - timeline.elapsed();
    if let Err(e) =
        write_records(&job.folder, &records, started).and_then(|()| report.write(&job.folder))
    {
        timeline.note(
            "run",
            format!("cannot write into {}: {e}", job.folder.display()),
        );
        report.verdict = Verdict::CouldNotRun;
    }
    report
}

/// Sets the board up, runs it, and takes everything down; `Some` says why it did not end as it was to.
async fn go(
    job: &Job<'_>,
    timeline: &Timeline,
    stop: impl Future<Output = ()>,
    report: &mut Report,
) -> Result<Option<Failure>, RunError> {
    let (live, expectations) = Live::start(job, timeline).await?;
    report.nonce = Some(live.nonce().to_owned());
    let outcome = follow(job, &live, expectations, timeline, stop, report).await;
    report.qemu_cpu_seconds = cpu_seconds(live.machine().pid());
    live.shut_down().await;
    outcome
}

/// Switches the board on and goes with it through its stages to its end.
async fn follow(
    job: &Job<'_>,
    live: &Live,
    expectations: Expectations,
    timeline: &Timeline,
    stop: impl Future<Output = ()>,
    report: &mut Report,
) -> Result<Option<Failure>, RunError> {
    let bounds = Bounds::new(&job.board.limits, report.host_scale);
    let facts = Facts {
        nonce: live.nonce().to_owned(),
        layers: live.layers().to_vec(),
    };
    let mut watchdog = Watchdog::new(activity(live, timeline), &bounds);
    let (bounds_of_end, facts_of_end) = (bounds.clone(), facts.clone());
    let mut sequencer = Sequencer::new(timeline.clone(), expectations, bounds, facts);
    live.machine().power_on().await?;
    let (stages, ended) = (job.stages(), live.machine().ended());
    tokio::pin!(ended, stop);
    let (reached, outcome) = sequencer
        .go(&stages, &mut watchdog, &mut ended, &mut stop)
        .await;
    let last = reached.last().map_or(0.0, |stage| stage.reached);
    report.stages = reached;
    // Before the plug is pulled, which leaves traces of its own.
    if let Err(not_reached) = outcome {
        return Ok(Some(failure(&not_reached, &timeline.snapshot())));
    }
    let Some(expect) = &job.scenario.expect else {
        return Ok(None);
    };
    let forbidden = job.scenario.forbidden(job.board);
    let end = ending::wait(
        timeline,
        expect,
        forbidden.as_ref(),
        sequencer.power_on() + Duration::from_secs_f64(last),
        bounds_of_end.scaled(expect.within),
        &facts_of_end,
    );
    let (class, cause) = tokio::select! {
        ending = end => match ending {
            Ok(ending) => {
                report.ending = Some(ending);
                return Ok(None);
            }
            Err(cause) => (Class::Board, cause),
        },
        words = &mut ended => (Class::Emulator, format!("QEMU has ended; its last words: {words:?}")),
        () = &mut stop => (Class::Host, "stopped by the user".into()),
    };
    Ok(Some(Failure::new(class, cause, &timeline.snapshot())))
}

impl Job<'_> {
    /// The stages of this run: a direct start has none before Linux.
    #[must_use]
    pub fn stages(&self) -> Vec<Stage> {
        let stages = self.scenario.stages(self.board);
        match self.start {
            Start::Card => stages,
            Start::Direct { .. } => {
                let is_linux = |s: &Stage| s.name == "Linux";
                let first = stages.iter().position(is_linux).unwrap_or(0);
                stages.into_iter().skip(first).collect()
            }
        }
    }
}

impl Job<'_> {
    /// What the scenario states of the journal and the journal does not show. A direct start leaves the boot server alone, so nothing is
    /// stated of it.
    fn violated(&self, records: &[Record]) -> Option<String> {
        if self.start != Start::Card {
            return None;
        }
        let violations = self.scenario.journal.iter();
        let violations: Vec<_> = violations.filter_map(|a| a.violation(records)).collect();
        (!violations.is_empty()).then(|| violations.join("\n  "))
    }
}

/// A number that grows with every event and every frame.
fn activity(live: &Live, timeline: &Timeline) -> Arc<dyn Fn() -> u64 + Send + Sync> {
    let nic = live.nic();
    let timeline = timeline.clone();
    Arc::new(move || {
        let statistics = nic.statistics();
        timeline.len() as u64 + statistics.frames_from_guest + statistics.frames_to_guest
    })
}

/// The value of a key that an `os-release` on the console gives (os-release(5)).
fn os_release(record: &Record, key: &str) -> Option<String> {
    match &record.event {
        Event::Serial { line, .. } => {
            let value = line.strip_prefix(key)?.strip_prefix('=')?;
            Some(value.trim_matches('"').to_owned())
        }
        _ => None,
    }
}

fn failure(not_reached: &NotReached, records: &[Record]) -> Failure {
    let NotReached {
        stage,
        waited,
        class,
        cause,
    } = not_reached;
    // A server that refuses shows itself in its answers; everything else the board has to answer for.
    let class = match (class, &stage.evidence) {
        (Class::Board, Evidence::Request(_) | Evidence::Tls { .. }) if refused(records) => {
            Class::Server
        }
        (class, _) => *class,
    };
    let cause = format!("stage \"{}\" was not reached: {cause}", stage.name);
    Failure {
        awaited: Some(format!("{} ({})", stage.name, stage.evidence)),
        waited: waited.as_secs_f64(),
        ..Failure::new(class, cause, records)
    }
}

/// The last request was answered with a server error.
fn refused(records: &[Record]) -> bool {
    let last = records.iter().rev().find_map(|r| match &r.event {
        Event::Request(r) => Some(r.status),
        _ => None,
    });
    last.is_some_and(|status| status >= 500)
}

/// Writes the timeline and, apart, the servers' journal, a JSON object a line, and the boot server's access log. `started` is the
/// beginning of the timeline.
fn write_records(folder: &Path, records: &[Record], started: SystemTime) -> std::io::Result<()> {
    let create = |name| fs::File::create(folder.join(name)).map(std::io::BufWriter::new);
    let mut timeline = create("timeline.jsonl")?;
    let mut journal = create("journal.jsonl")?;
    let mut access = create("access.log")?;
    for record in records {
        let line = serde_json::to_string(record)? + "\n";
        timeline.write_all(line.as_bytes())?;
        if matches!(record.event, Event::Request(_) | Event::Tls(_)) {
            journal.write_all(line.as_bytes())?;
        }
        match &record.event {
            Event::Request(request) if request.service == "boot" => {
                writeln!(access, "{}", access_line(request, started + record.at))?;
            }
            _ => {}
        }
    }
    timeline.flush()?;
    journal.flush()?;
    access.flush()
}
