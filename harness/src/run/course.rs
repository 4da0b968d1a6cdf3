//! The course of a run, from its parts to its report.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;

use super::ending;
use super::faults::faults;
use super::hold::hold;
use super::judge::{Bounds, Facts, GiveUp, NotReached};
use super::live::Live;
use super::recording::Recording;
use super::stages::Sequencer;
use super::watchdog::Watchdog;
use super::{Parts, RunError, bundling, cpu_seconds, host_scale};
use crate::board::{Board, Evidence, Stage};
use crate::console::Expectations;
use crate::mac::Mac;
use crate::report::html::write_page;
use crate::report::{Class, CpuSeconds, Ending, Failure, Report, StageTime, Verdict};
use crate::scenario::{Expect, Scenario};
use crate::services::access_line;
use crate::timeline::{Event, Record, ServiceId, Timeline};

/// The room of the note that says that a failed board stays on, and why it has failed.
pub const ON_HOLD: &str = "hold";

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
    /// Leave the card, which holds the board's private key, and the other working files in the folder, and a board that has
    /// failed on until the user stops the run.
    pub keep: bool,
    /// Where boards are kept that have come to a stage, for other runs to go on from; without it, this one boots in whole.
    pub checkpoints: Option<PathBuf>,
    /// What is rarely wanted.
    pub extras: Extras,
    /// The command that runs the same again.
    pub reproduce: String,
}

/// What is rarely wanted of a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extras {
    /// Listen for a debugger, which is then left to start the board.
    pub gdb: bool,
    /// Put the disk image into the bundle of a failed run.
    pub bundle_image: bool,
    /// The board's hardware address, of another run that is to be made once more; any of its vendor's by default.
    pub mac: Option<Mac>,
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

/// Takes a run through its course. Whatever happens there is a report; its last acts are to write `report.json`, and the page that is
/// made of it.
///
/// `stop` completes when the user wants the run to end. Best run by [`on_own_core`](super::on_own_core).
pub async fn run(job: &Job<'_>, timeline: &Timeline, stop: impl Future<Output = ()>) -> Report {
    let mut report = Report {
        scenario: job.scenario.name.clone(),
        title: job.scenario.title.clone(),
        board: job.board.name.clone(),
        uarts: job.board.uarts.iter().map(|u| u.name.clone()).collect(),
        mac: None,
        started: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        verdict: Verdict::CouldNotRun,
        restored_from: None,
        chain: job.stages().into_iter().map(|s| s.name).collect(),
        faults: faults(job.scenario),
        stages: Vec::new(),
        failure: None,
        ending: None,
        container_system: None,
        container_version: None,
        nonce: None,
        layers: Vec::new(),
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
    // The page is made of what has been written, as it would be made at any later time.
    let page = || {
        if let Err(e) = write_page(&job.folder) {
            timeline.note("run", e.to_string());
        }
    };
    page();
    let interrupted = report
        .failure
        .as_ref()
        .is_some_and(|f| f.class == Class::Host);
    if report.verdict != Verdict::Passed && !interrupted {
        match bundling::write(job, report.mac) {
            // The page is in the bundle, and the one beside it leads to it.
            Ok(_) => page(),
            Err(e) => timeline.note("run", format!("there is no bundle of this run: {e}")),
        }
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
    report.layers = live.layers().to_vec();
    report.mac = Some(live.mac());
    report.restored_from = live.restored().map(|restored| restored.run.clone());
    let in_folder = |source| RunError::Folder {
        path: job.folder.clone(),
        source,
    };
    let recording = Recording::start(&live, &job.folder, timeline);
    let mut recording = recording.map_err(in_folder)?;
    live.switch_on().await?;
    let stop = stop.shared();
    let stages = job.stages();
    let Passage {
        reached,
        ending,
        failure,
    } = go_through(
        &stages,
        job.scenario.expect.as_ref(),
        job,
        &live,
        expectations,
        timeline,
        stop.clone(),
    )
    .await;
    report.stages = reached;
    report.ending = ending;
    // Before a user sits down at the board.
    recording.end_of_run().await;
    let held = match &failure {
        Some(failure) if job.keep && failure.class != Class::Host => {
            let ready = || timeline.note(ON_HOLD, failure.cause.as_str());
            hold(&live, &job.folder, &timeline.snapshot(), ready, stop).await
        }
        _ => Ok(()),
    };
    report.qemu_cpu_seconds = cpu_seconds(live.machine().pid());
    live.shut_down().await;
    recording.finish(failure.is_none() && !job.keep).await;
    held.map_err(in_folder)?;
    Ok(failure)
}

/// Takes a board that has just been switched on through the chain up to a stage that the chain has.
///
/// # Errors
/// The stage is not reached.
pub async fn run_until(
    stage: &str,
    job: &Job<'_>,
    live: &Live,
    expectations: Expectations,
    timeline: &Timeline,
) -> Result<(), Box<Failure>> {
    let stages = job.stages_until(stage);
    let never = std::future::pending();
    let passage = go_through(&stages, None, job, live, expectations, timeline, never).await;
    passage
        .failure
        .map_or(Ok(()), |failure| Err(Box::new(failure)))
}

/// How far a board came.
#[derive(Default)]
struct Passage {
    reached: Vec<StageTime>,
    /// How it ended, if it was to end before its chain.
    ending: Option<Ending>,
    failure: Option<Failure>,
}

/// Takes a board that has just been switched on through these stages, and to the end that is expected after the last of them, if one is.
async fn go_through(
    stages: &[Stage],
    expect: Option<&Expect>,
    job: &Job<'_>,
    live: &Live,
    expectations: Expectations,
    timeline: &Timeline,
    stop: impl Future<Output = ()>,
) -> Passage {
    let bounds = Bounds::new(&job.board.limits, host_scale());
    let facts = Facts {
        nonce: live.nonce().to_owned(),
        layers: live.layers().to_vec(),
        harmless: job.scenario.harmless.clone(),
    };
    let mut watchdog = Watchdog::new(activity(live, timeline), &bounds);
    let qemu = live.machine().pid();
    let meter = move || CpuSeconds {
        qemu: cpu_seconds(qemu),
        harness: cpu_seconds(std::process::id()),
    };
    let mut sequencer =
        Sequencer::new(timeline.clone(), expectations, bounds, facts).metered(Arc::new(meter));
    if let Some(restored) = live.restored() {
        sequencer = sequencer.going_on_from(restored.stages.clone());
    }
    let qemu = || async {
        let words = live.machine().ended().await;
        format!("QEMU has ended; its last words: {words:?}")
    };
    let ended = async {
        let cause = qemu().await;
        GiveUp::new(timeline.elapsed(), Class::Emulator, cause).after_last_words()
    };
    tokio::pin!(stop);
    let (reached, outcome) = sequencer.go(stages, &mut watchdog, ended, &mut stop).await;
    let mut passage = Passage {
        reached,
        ..Passage::default()
    };
    // Before the plug is pulled, which leaves traces of its own.
    if let Err(not_reached) = outcome {
        passage.failure = Some(failure(&not_reached, &timeline.snapshot()));
        return passage;
    }
    let Some(expect) = expect else {
        return passage;
    };
    let last = passage.reached.last().map_or(0.0, |stage| stage.reached);
    let forbidden = job.scenario.forbidden(job.board);
    let end = ending::wait(
        timeline,
        expect,
        forbidden.as_ref(),
        sequencer.power_on() + Duration::from_secs_f64(last),
        sequencer.bounds().scaled(expect.within),
        sequencer.facts(),
    );
    let (class, cause) = tokio::select! {
        // The last proof may be that the board has powered itself off.
        biased;
        ending = end => match ending {
            Ok(ending) => {
                passage.ending = Some(ending);
                return passage;
            }
            Err(cause) => (Class::Board, cause),
        },
        cause = qemu() => (Class::Emulator, cause),
        () = &mut stop => (Class::Host, "stopped by the user".into()),
    };
    passage.failure = Some(Failure::new(class, cause, &timeline.snapshot()));
    passage
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
    /// The stages of this run up to the one of this name; none if it has no such stage.
    pub(super) fn stages_until(&self, name: &str) -> Vec<Stage> {
        let mut stages = self.stages();
        let last = stages.iter().position(|s| s.name == name);
        stages.truncate(last.map_or(0, |i| i + 1));
        stages
    }

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

/// The failure that a stage which was not reached makes of a run with these records.
pub(super) fn failure(not_reached: &NotReached, records: &[Record]) -> Failure {
    let NotReached { stage, waited, why } = not_reached;
    // A server that refuses shows itself in its answers; everything else the board has to answer for.
    let class = match (why.class, &stage.evidence) {
        (Class::Board, Evidence::Request(_) | Evidence::Tls { .. }) if refused(records) => {
            Class::Server
        }
        (class, _) => class,
    };
    let cause = format!("stage \"{}\" was not reached: {}", stage.name, why.cause);
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
            Event::Request(request) if request.service == ServiceId::Boot => {
                writeln!(access, "{}", access_line(request, started + record.at))?;
            }
            _ => {}
        }
    }
    timeline.flush()?;
    journal.flush()?;
    access.flush()
}
