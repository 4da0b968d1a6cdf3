//! A run from its parts to its report.

use futures_util::FutureExt;

use super::around::Around;
use super::begin_folder::begin_folder;
use super::check::check_image;
use super::live::Live;
use super::outcome::{identity, os_release};
use super::plug::Plugs;
use crate::console::Expectations;
use crate::error::RunError;
use crate::evidence::{Recording, dump_memory, hold, keep_evidence, note_hang};
use crate::folder::RunFolder;
use crate::host::{cpu_seconds, host_scale};
use crate::judge::Due;
use crate::plan::Job;
use crate::report::{Class, Failure, Report, Verdict};
use crate::scenario::PowerStep;
use crate::script::{Bounds, Next, Script, type_keys};
use crate::services::Switching;
use crate::timeline::{BoardId, Event, StoppedBy, Timeline};

/// Makes a run, from its parts to its report. Whatever happens there is a report; its last acts write `report.json`, and the page
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

/// Sets the boards up, runs them, and takes everything down. What came of it is in the report.
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
    begin_folder(job)?;
    check_image(job, timeline)?;
    let stop = stop.shared();
    let mut around = Around::start(job, timeline)?;
    report.nonce = Some(around.network.nonce.clone());
    report.layers = around.network.layers.clone();
    report.mac = around.boards.first().map(|board| board.mac);
    report.restored_from = around.restored().map(|restored| restored.run.clone());
    let network = &around.network;
    let recording = Recording::start(&network.lan, network.secrets.clone(), &job.folder, timeline);
    let plan = job.judge_plan(&network.nonce, &network.layers);
    let names = around.boards.iter().map(|board| board.name()).collect();
    let plugs = Plugs::new(names, timeline);
    around.network.serve_power(&plugs.unit())?;
    let mut run = Run {
        job,
        plugs,
        script: Script::new(&plan, timeline.clone()),
        recording: recording.map_err(in_folder)?,
        around,
    };
    // What a checkpoint's run went through has the records of the first step already.
    if let Some(first) = run.script.begin_first_step() {
        run.carry_out(first).await?;
    }
    tokio::select! {
        biased;
        by = stop.clone(), if run.is_off() => return Err(RunError::Stopped(by)),
        first = run.switch_next() => first?,
    }
    run.go_on(stop.clone()).await?;
    let Run {
        script,
        mut recording,
        around,
        ..
    } = run;
    let followed = script.finish();
    report.qemu_cpu_seconds = followed.cpu_seconds;
    report.tell(&followed);
    let is_hung = |failure: &Failure| !matches!(failure.class, Class::Host | Class::Emulator);
    if report.failure.as_ref().is_some_and(is_hung) {
        for board in &around.boards {
            if let Some(on) = &board.on {
                let symbols = job.extras.symbols.as_deref();
                note_hang(on.machine.monitor(), symbols, &board.timeline).await;
                if job.extras.dump_memory {
                    let folder = RunFolder::of_board(&job.folder, board.id().as_ref());
                    dump_memory(on.machine.monitor(), &folder, &board.timeline).await;
                }
            }
        }
    }
    // Before a user sits down at the board.
    recording.end_of_run().await;
    let on = around.boards.iter().find_map(|board| board.on.as_ref());
    let held = match (&report.failure, on) {
        (Some(failure), Some(on)) if job.keep && failure.class != Class::Host => {
            let cause = failure.cause.clone();
            let ready = || timeline.emit(Event::Held { cause });
            let stopped = async {
                stop.await;
            };
            let records = timeline.snapshot();
            hold(
                &on.machine,
                &on.console,
                &job.folder,
                &records,
                ready,
                stopped,
            )
            .await
        }
        _ => Ok(()),
    };
    if let Err(e) = around.shut_down().await {
        let lost = format!("the guest's files could not be kept: {e}");
        report.lost.push(lost);
    }
    let dispensable = report.failure.is_none() && !job.keep;
    recording.finish(dispensable).await;
    held.map_err(in_folder)
}

/// A run that is under way.
struct Run<'a> {
    job: &'a Job<'a>,
    around: Around,
    plugs: Plugs,
    script: Script,
    recording: Recording,
}

impl Run<'_> {
    /// Follows the run until it is decided.
    async fn go_on(
        &mut self,
        stop: impl Future<Output = StoppedBy> + Clone,
    ) -> Result<(), RunError> {
        /// What happens next.
        enum Work {
            Script(Next),
            Switch(Switching),
        }
        loop {
            let work = tokio::select! {
                biased;
                next = self.script.follow(stop.clone()) => Work::Script(next),
                switching = self.plugs.switching() => Work::Switch(switching),
            };
            let work = async {
                match work {
                    Work::Script(Next::Decided) => return Ok(true),
                    Work::Script(Next::Do(due)) => self.carry_out(due).await?,
                    Work::Script(Next::Reset(board)) => {
                        self.begin_boot(board.as_ref(), false).await?
                    }
                    Work::Script(Next::ReadCards) => self.read_cards().await?,
                    Work::Switch(switching) => self.switch(switching).await?,
                }
                Ok::<_, RunError>(false)
            };
            // The script puts the stop onto the timeline.
            let is_decided = tokio::select! {
                biased;
                done = work => done?,
                _ = stop.clone() => false,
            };
            if is_decided {
                return Ok(());
            }
        }
    }

    /// No board is on.
    fn is_off(&self) -> bool {
        self.around.boards.iter().all(|board| board.on.is_none())
    }

    /// Switches the next board for which there is an order.
    async fn switch_next(&mut self) -> Result<(), RunError> {
        let switching = self.plugs.switching().await;
        self.switch(switching).await
    }

    /// Does what a step does.
    async fn carry_out(&mut self, due: Due) -> Result<(), RunError> {
        let place = self.around.place(due.board.as_ref())?;
        if let Some(deploy) = &due.deploy {
            self.around.deploy(place, deploy)?;
        }
        if let Some(keys) = &due.keys {
            let board = self.around.boards.get(place).ok_or(RunError::Plug)?;
            let on = board.on.as_ref().ok_or(RunError::Plug)?;
            type_keys(&on.console, keys, &board.timeline).await;
        }
        if let Some(state) = due.link {
            let board = self.around.boards.get_mut(place).ok_or(RunError::Plug)?;
            board.set_link(state).await?;
        }
        match due.power {
            None => {}
            Some(PowerStep::Reset) => self.begin_boot(due.board.as_ref(), true).await?,
            Some(PowerStep::Brown) => {
                self.around.brown_cycle(place, due.off).await?;
                self.script.started_again(due.board.as_ref());
            }
            Some(PowerStep::Cut) => self.cut(place, true).await,
            Some(PowerStep::On) if self.was_cut(place) => self.switch_on(place).await?,
            Some(power) => {
                self.plugs
                    .order(self.around.port(due.board.as_ref())?, power);
            }
        }
        Ok(())
    }

    fn was_cut(&self, place: usize) -> bool {
        let board = self.around.boards.get(place);
        board.is_some_and(|board| board.was_cut())
    }

    /// Switches a board as the power distribution unit wants it.
    async fn switch(&mut self, switching: Switching) -> Result<(), RunError> {
        let place = usize::from(switching.port);
        if switching.on {
            self.switch_on(place).await?;
        } else {
            self.cut(place, false).await;
        }
        switching.answer(Ok(()));
        Ok(())
    }

    async fn switch_on(&mut self, place: usize) -> Result<(), RunError> {
        let expectations = self.around.connect(place, self.job).await?;
        let board = self.around.boards.get(place).ok_or(RunError::Plug)?;
        if let (Some(guest), Some(on)) = (board.guest(&self.job.folder), &board.on) {
            let bounds = Bounds::new(&board.board.limits, host_scale());
            self.script
                .switched_on(board.timeline.clone(), expectations, bounds, guest);
            self.recording
                .watch(on.machine.monitor().clone(), &board.timeline);
        }
        self.around.switch_on(place).await
    }

    async fn cut(&mut self, place: usize, mains: bool) {
        self.around.cut(place, mains).await;
        if let Some(board) = self.around.boards.get(place) {
            self.script.switched_off(board.id().as_ref());
        }
    }

    /// Switches all boards off, and reads their cards back.
    async fn read_cards(&mut self) -> Result<(), RunError> {
        for place in 0..self.around.boards.len() {
            self.cut(place, false).await;
            self.around.read_card(place, self.job.scenario).await?;
        }
        Ok(())
    }

    async fn begin_boot(&mut self, board: Option<&BoardId>, button: bool) -> Result<(), RunError> {
        let place = self.around.place(board)?;
        self.around.start_again(place, button).await?;
        self.script.started_again(board);
        Ok(())
    }
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
    let mut script = Script::new(&plan, timeline.clone());
    script.begin_first_step();
    if let Some(guest) = live.take_guest() {
        let bounds = Bounds::new(&job.board.limits, host_scale());
        script.switched_on(timeline.clone(), expectations, bounds, guest);
    }
    script.follow(std::future::pending()).await;
    let followed = script.finish();
    match followed.verdict.finding {
        None => Ok(()),
        Some(finding) => Err(Box::new(Failure::of(&finding, &followed.records))),
    }
}
