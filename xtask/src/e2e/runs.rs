//! Runs, several at a time, with a live line each.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use shakedown_common::COULD_NOT_RUN;
use shakedown_common::view::{RunLine, Show, View};
use shakedown_harness::board::Board;
use shakedown_harness::host::{Lack, runs_at_a_time, when_there_is_room};
use shakedown_harness::mac::Mac;
use shakedown_harness::plan::{Extras, ImageCheck, Job, Lab, Parts, Start};
use shakedown_harness::pool::{self, Load, Policy};
use shakedown_harness::project::Project;
use shakedown_harness::report::{Attempts, OnFlaky, Report, Turn, Verdict, bundle, exit_status};
use shakedown_harness::run::{run as run_job, run_on_desk};
use shakedown_harness::scenario::Scenario;
use shakedown_harness::shell::OurCommand;
use shakedown_harness::timeline::{Cursor, Event, Record, StoppedBy, Timeline};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::args::RunArgs;

/// A run that must be made.
pub(crate) struct Planned<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) board: &'a Board,
    pub(crate) parts: Arc<Parts>,
    /// The other kinds of boards that the scenario names, and what they are made of.
    pub(crate) others: Vec<(Board, Parts)>,
    /// Where checkpoints are kept, if they may be used.
    pub(crate) checkpoints: Option<PathBuf>,
    /// The board on a desk that the run is made on, in place of an emulated one.
    pub(crate) lab: Option<&'a Lab>,
    /// The image is not one of ours.
    pub(crate) is_given: bool,
    /// The board's hardware address, where it is that of another run.
    pub(crate) mac: Option<Mac>,
    /// The command that runs the same again.
    pub(crate) reproduce: String,
}

impl Planned<'_> {
    /// The run's registry has the stand-in in place of the image.
    pub(crate) fn serves_stand_in(&self) -> bool {
        self.parts.container.stand_in && self.scenario.services.registry.is_played()
    }
}

/// How runs are made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Execution {
    /// How many at a time.
    pub(crate) jobs: usize,
    /// How often each.
    pub(crate) policy: Policy,
    /// Busy loops beside them.
    pub(crate) load: usize,
}

impl Execution {
    /// How many at a time: as many as are wanted, or the user's default, or one for each core.
    pub(crate) fn jobs(wanted: Option<usize>, project: &Project) -> usize {
        let wanted = wanted.or(project.defaults().jobs);
        wanted.unwrap_or_else(runs_at_a_time).max(1)
    }

    /// Each run once, one after the other.
    pub(crate) fn plain() -> Self {
        Self {
            jobs: 1,
            policy: Policy::default(),
            load: 0,
        }
    }
}

/// What came of runs that were wanted.
pub(crate) struct Made {
    /// Those that were begun.
    pub(crate) runs: Vec<Attempts>,
    /// Why one could not begin.
    pub(crate) unable: Option<std::io::Error>,
    /// Somebody has stopped them: there may be others that never began.
    pub(crate) stopped: bool,
}

impl Made {
    /// The exit status of these runs: runs that never began have not passed.
    pub(crate) fn status(&self, on_flaky: OnFlaky) -> u8 {
        match exit_status(&self.runs, on_flaky) {
            0 if self.stopped || self.unable.is_some() => COULD_NOT_RUN,
            status => status,
        }
    }

    /// The runs; an error if one could not begin.
    pub(crate) fn all(self) -> Result<Vec<Attempts>> {
        match self.unable {
            Some(error) => Err(error).context("a run could not begin"),
            None if self.stopped => bail!("stopped"),
            None => Ok(self.runs),
        }
    }
}

/// Makes the runs, each on a core of its own. One that cannot even begin does not hide what came of the others.
pub(crate) fn run_all(
    project: &Project,
    planned: &[Planned<'_>],
    args: &RunArgs,
    execution: Execution,
) -> Result<Made> {
    let Execution { jobs, policy, load } = execution;
    // It ends with the runs.
    let _load = Load::start(load).context("cannot start the load beside the runs")?;
    let view = View::new(Show {
        console: args.verbose,
        json: args.json,
        several: planned.len() > 1,
    });
    let (stop_tx, stop) = watch::channel(None);
    let signals = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let stopped = signals.block_on(async { stop_signal() })?;
    signals.spawn(async move {
        stop_tx.send_replace(Some(stopped.await));
        // Keep the task alive so that waiters never see a closed channel.
        stop_tx.closed().await;
    });
    let at_a_time = NonZero::new(jobs).unwrap_or(NonZero::<usize>::MIN);
    let work = |planned: &Planned<'_>, repetition, attempt| {
        let turn = Turn {
            repetition,
            attempt,
        };
        let name = name(&planned.scenario.name, &planned.board.name, turn);
        let waiting = |lack| view.print(&waiting_text(&name, lack));
        let mut before = stop.clone();
        let before = async move { before.wait_for(Option::is_some).await.is_ok() };
        let stop = stop.clone();
        let work = async |_| run_one(project, planned, turn, args, &view, stop).await;
        when_there_is_room(before, waiting, work).transpose()
    };
    // What could not take place says nothing of the image, so another attempt would not either.
    let failed = |made: &Option<std::io::Result<(Report, PathBuf)>>| {
        let run = made.as_ref().and_then(|made| made.as_ref().ok());
        run.is_some_and(|(report, _)| report.verdict == Verdict::Failed)
    };
    let stopped = || stop.borrow().is_some();
    let made = pool::series(planned, policy, at_a_time, stopped, work, failed);
    let (mut runs, mut unable) = (Vec::new(), None);
    for series in made {
        let mut attempts = Vec::new();
        for attempt in series.attempts.into_iter().flatten() {
            match attempt {
                Ok(run) => attempts.push(run),
                Err(error) => unable = Some(error),
            }
        }
        runs.extend(Attempts::of(attempts));
    }
    let stopped = stop.borrow().is_some();
    Ok(Made {
        runs,
        unable,
        stopped,
    })
}

async fn run_one(
    project: &Project,
    planned: &Planned<'_>,
    turn: Turn,
    args: &RunArgs,
    view: &View,
    mut stop: watch::Receiver<Option<StoppedBy>>,
) -> (Report, PathBuf) {
    let Planned {
        scenario,
        board,
        parts,
        others,
        checkpoints,
        lab,
        mac,
        reproduce,
        is_given: _,
    } = planned;
    let folder = project.run_folder(scenario, board);
    let job = Job {
        board,
        scenario,
        parts,
        others,
        start: Start::Card,
        folder: folder.clone(),
        keep: args.keep,
        checkpoints: checkpoints.clone(),
        extras: Extras {
            bundle_image: args.bundle_image,
            dump_memory: args.dump_memory,
            symbols: args.system_map.clone(),
            image_check: match (planned.is_given, args.boot_anyway) {
                (false, _) => ImageCheck::None,
                (true, true) => ImageCheck::BootAnyway,
                (true, false) => ImageCheck::Must,
            },
            turn,
            mac: *mac,
            forwards: args.forward.clone(),
            ..Extras::default()
        },
        reproduce: reproduce.clone(),
    };
    let line = view.run(name(&scenario.name, &board.name, turn), job.labels());
    let timeline = Timeline::start();
    let stopped = async {
        // The sender lives as long as the runs.
        let by = stop.wait_for(Option::is_some).await;
        by.ok().and_then(|by| *by).unwrap_or(StoppedBy::User)
    };
    let made = async {
        match lab {
            Some(lab) => run_on_desk(&job, lab, &timeline, stopped).await,
            None => run_job(&job, &timeline, stopped).await,
        }
    };
    let report = tokio::select! {
        report = made => report,
        () = line.follow(timeline.clone()) => unreachable!("the view follows for ever"),
        () = announce_hold(&timeline, &line, &folder) => unreachable!("it waits for ever after"),
    };
    line.finish(&report, &folder);
    let bundle = folder.join(bundle::FILE_NAME);
    if bundle.is_file() {
        line.print(&format!(
            "  to run it again anywhere: {} {}",
            OurCommand("e2e repro"),
            bundle.display()
        ));
    }
    (report, folder)
}

/// What people are told of a run that there is no room for yet.
fn waiting_text(name: &str, lack: Lack) -> String {
    let what = match lack {
        Lack::Core => "core: other runs on this machine have all of them",
        Lack::Memory => "share of the memory: other runs on this machine have it",
    };
    format!("{name}  waits for a {what}")
}

/// As in `alpine-http on raspi3b`, with the repetition and the attempt of those that are not the first.
fn name(scenario: &str, board: &str, turn: Turn) -> String {
    let mut name = format!("{scenario} on {board}");
    if turn.repetition > 1 {
        name += &format!(" #{}", turn.repetition);
    }
    if turn.attempt > 1 {
        name += &format!(" (attempt {})", turn.attempt);
    }
    name
}

/// Completes when the user (Ctrl-C) or the system (SIGTERM, SIGHUP) wants the runs to end.
fn stop_signal() -> Result<impl Future<Output = StoppedBy>> {
    let listen = |kind| signal(kind).context("cannot listen for signals");
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hang_up = listen(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => StoppedBy::User,
            _ = terminate.recv() => StoppedBy::Signal,
            _ = hang_up.recv() => StoppedBy::Signal,
        }
    })
}

/// Says that a failed board stays on, if one does, and how to get at it.
async fn announce_hold(timeline: &Timeline, line: &RunLine, folder: &Path) {
    let mut cursor = Cursor::default();
    let on_hold = |r: &Record| matches!(r.event, Event::Held { .. });
    let record = timeline.wait_for(&mut cursor, on_hold).await;
    if let Event::Held { cause } = record.event {
        line.print(&format!(
            "FAILED: {cause}\nthe board stays on until Ctrl-C; to sit at it:\n  {} {}",
            OurCommand("console --attach"),
            folder.display()
        ));
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_never_began_have_not_passed() {
        let made = |stopped, unable: Option<&str>| Made {
            runs: Vec::new(),
            unable: unable.map(std::io::Error::other),
            stopped,
        };
        let status = |made: Made| made.status(OnFlaky::Pass);
        assert_eq!(status(made(false, None)), 0);
        assert_eq!(status(made(true, None)), COULD_NOT_RUN);
        assert_eq!(status(made(false, Some("no core"))), COULD_NOT_RUN);
        assert!(made(true, None).all().is_err());
    }
}
