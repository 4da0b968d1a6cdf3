//! A run from its parts to its report.

use std::sync::Arc;

use futures_util::FutureExt;

use super::check::check_image;
use super::live::Live;
use super::outcome::{identity, os_release};
use super::plug::Plug;
use crate::console::Expectations;
use crate::error::RunError;
use crate::evidence::{Recording, full_disk, hold, keep_evidence, note_hang};
use crate::folder::RunFolder;
use crate::host::{Starvation, cpu_seconds, host_scale, own_core};
use crate::judge::JudgePlan;
use crate::plan::Job;
use crate::report::{Class, CpuSeconds, Failure, Report, Verdict};
use crate::script::{Bounds, Guest, Script};
use crate::timeline::{Event, StoppedBy, Timeline};

/// Makes a run, from its parts to its report. Whatever happens there is a report; its last acts are to write `report.json`, and the page
/// that is made of it.
///
/// `stop` completes when the run must end. Best run by [`on_own_core`](crate::host::on_own_core).
pub async fn run(
    job: &Job<'_>,
    timeline: &Timeline,
    stop: impl Future<Output = StoppedBy>,
) -> Report {
    let mut report = identity(job);
    let own_cpu = cpu_seconds(std::process::id());
    let outcome = go(job, timeline, stop, &mut report).await;
    report.harness_cpu_seconds = cpu_seconds(std::process::id()) - own_cpu;
    conclude(job, timeline, outcome, &mut report);
    report
}

/// Says in the report what the timeline holds, and why the run could not take place if it could not; writes the run's files.
pub(super) fn conclude(
    job: &Job<'_>,
    timeline: &Timeline,
    outcome: Result<(), RunError>,
    report: &mut Report,
) {
    let records = timeline.snapshot();
    report.container_system = records.iter().find_map(|r| os_release(r, "PRETTY_NAME"));
    report.container_version = records.iter().find_map(|r| os_release(r, "VERSION_ID"));
    if let Err(error) = outcome {
        let class = error.class();
        report.verdict = match class {
            // An image that a board would not start has failed, as if it had been tried.
            Class::Image => Verdict::Failed,
            _ => Verdict::CouldNotRun,
        };
        report.failure = Some(Failure::new(class, error.advice(), &records));
    }
    keep_evidence(job, timeline, &records, report);
}

/// Sets the board up, runs it, and takes everything down. What came of it is in the report.
async fn go(
    job: &Job<'_>,
    timeline: &Timeline,
    stop: impl Future<Output = StoppedBy>,
    report: &mut Report,
) -> Result<(), RunError> {
    let in_folder = |source| RunError::Folder {
        path: job.folder.clone(),
        source,
    };
    RunFolder::create(&job.folder).map_err(in_folder)?;
    check_image(job, timeline)?;
    let stop = stop.shared();
    let (mut live, expectations) = tokio::select! {
        biased;
        by = stop.clone() => return Err(RunError::Stopped(by)),
        started = Live::start(job, timeline) => started?,
    };
    report.nonce = Some(live.nonce().to_owned());
    report.layers = live.layers().to_vec();
    report.mac = Some(live.mac());
    report.restored_from = live.restored().map(|restored| restored.run.clone());
    let recording = Recording::start(
        live.lan(),
        live.secrets(),
        live.machine().monitor().clone(),
        &job.folder,
        timeline,
    );
    let mut recording = recording.map_err(in_folder)?;
    let mut plug = Plug::new(&job.board.name, timeline);
    plug.on(&live).await?;
    let plan = job.judge_plan(live.nonce(), live.layers());
    let mut script = script(&plan, job, &live, expectations, timeline);
    while script
        .follow(ended(job, &live, timeline), stop.clone())
        .await
    {
        let (next, expectations) = plug.cycle(live, job, timeline).await?;
        recording.next_boot(next.machine().monitor().clone());
        script.next_boot(expectations, guest(&next));
        live = next;
    }
    let followed = script.finish();
    report.qemu_cpu_seconds = followed.cpu_seconds;
    report.tell(&followed);
    let is_hung = |failure: &Failure| !matches!(failure.class, Class::Host | Class::Emulator);
    if report.failure.as_ref().is_some_and(is_hung) {
        note_hang(live.machine().monitor(), timeline).await;
    }
    // Before a user sits down at the board.
    recording.end_of_run().await;
    let held = match &report.failure {
        Some(failure) if job.keep && failure.class != Class::Host => {
            let cause = failure.cause.clone();
            let ready = || timeline.emit(Event::Held { cause });
            let stopped = async {
                stop.await;
            };
            hold(
                live.machine(),
                live.console(),
                &job.folder,
                &timeline.snapshot(),
                ready,
                stopped,
            )
            .await
        }
        _ => Ok(()),
    };
    if let Err(e) = live.shut_down().await {
        let lost = format!("the guest's files could not be kept: {e}");
        report.lost.push(lost);
    }
    let dispensable = report.failure.is_none() && !job.keep;
    recording.finish(dispensable).await;
    held.map_err(in_folder)
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
    let plan = job.judge_plan(live.nonce(), live.layers()).until(stage);
    let mut script = script(&plan, job, live, expectations, timeline);
    let never = std::future::pending();
    script.follow(ended(job, live, timeline), never).await;
    let followed = script.finish();
    match followed.verdict.finding {
        None => Ok(()),
        Some(finding) => Err(Box::new(Failure::of(&finding, &followed.records))),
    }
}

/// The script of a board that has just been switched on.
fn script(
    plan: &JudgePlan,
    job: &Job<'_>,
    live: &Live,
    expectations: Expectations,
    timeline: &Timeline,
) -> Script {
    let bounds = Bounds::new(&job.board.limits, host_scale());
    Script::new(plan, timeline.clone(), expectations, bounds, guest(live))
}

/// The signs of life of a board that has just been switched on.
fn guest(live: &Live) -> Guest {
    let qemu = live.machine().pid();
    let meter = move || CpuSeconds {
        qemu: cpu_seconds(qemu),
        harness: cpu_seconds(std::process::id()),
    };
    let mut starvation = Starvation::of(qemu, own_core());
    Guest {
        activity: live.activity(),
        starved: Box::new(move || starvation.total()),
        meter: Arc::new(meter),
    }
}

/// Completes with the emulator's last words when it has ended by itself.
async fn ended(job: &Job<'_>, live: &Live, timeline: &Timeline) -> String {
    let words = live.machine().ended().await;
    if let Some(full) = full_disk(&job.folder) {
        timeline.emit(full);
    }
    words
}
