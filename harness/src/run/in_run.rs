//! A board of a run: off or on, with what it starts with and what is left of it when it is off.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;

use super::adapter::Adapter;
use super::boot_files::BootFiles;
use super::console_meter::bytes_said;
use super::powered_board::PoweredBoard;
use super::thresholds::Thresholds;
use crate::board::Board;
use crate::checkpoint::Checkpoint;
use crate::console::{Console, Expectations};
use crate::error::RunError;
use crate::evidence::full_disk;
use crate::host::{Starvation, cpu_seconds, own_core};
use crate::mac::Mac;
use crate::machine::MachineError;
use crate::plan::Job;
use crate::report::CpuSeconds;
use crate::script::{Activity, Guest};
use crate::timeline::{BoardId, Event, LinkState, Power, Timeline};
use crate::world::Network;

/// A board of a run.
pub(super) struct BoardInRun {
    pub(super) board: Board,
    /// Its part of the timeline.
    pub(super) timeline: Timeline,
    pub(super) mac: Mac,
    pub(super) files: BootFiles,
    /// What it is while it has power.
    pub(super) on: Option<PoweredBoard>,
    /// How often it has been connected.
    boots: u32,
    /// The mains have failed: the power distribution unit does not know.
    was_cut: bool,
    /// Its cable and its adapter, in turn, where a step has changed them: they stay so while the board is off.
    links: [Option<LinkState>; 2],
    /// It stands where another run had brought it, and is not to be started.
    goes_on: bool,
    /// What is counted for the triggers of this boot.
    thresholds: Option<Thresholds>,
}

impl BoardInRun {
    /// A board that is off, and never was on.
    pub(super) fn new(board: Board, timeline: Timeline, mac: Mac, files: BootFiles) -> Self {
        timeline.has_machine(mac);
        Self {
            board,
            timeline,
            mac,
            files,
            on: None,
            boots: 0,
            was_cut: false,
            links: [None; 2],
            goes_on: false,
            thresholds: None,
        }
    }

    /// Its name among several.
    pub(super) fn id(&self) -> Option<BoardId> {
        self.timeline.board()
    }

    /// What people call it: its name among several, or what kind of board it is.
    pub(super) fn name(&self) -> String {
        self.board.called(self.id().as_ref())
    }

    /// The mains have failed, and it is off.
    pub(super) fn was_cut(&self) -> bool {
        self.was_cut
    }

    /// Starts the emulator of its next boot, or of one that goes on from a checkpoint. It does not run yet.
    ///
    /// # Errors
    /// The emulator cannot be started.
    pub(super) async fn connect(
        &mut self,
        job: &Job<'_>,
        network: &Network,
        checkpoint: Option<&Checkpoint>,
    ) -> Result<Expectations, RunError> {
        self.begin_boot();
        let connected = self.files.connect(
            job,
            &self.board,
            self.mac,
            network,
            checkpoint,
            &self.timeline,
        );
        let (on, expectations) = connected.await?;
        for state in self.links.into_iter().flatten() {
            on.nic.set_link(state).await?;
        }
        self.thresholds = Some(Thresholds::watch(
            job.scenario,
            &network.lan,
            self.mac,
            on.written.clone(),
            &self.timeline,
        ));
        self.on = Some(on);
        self.was_cut = false;
        self.goes_on = checkpoint.is_some();
        Ok(expectations)
    }

    /// Switches it on when its emulator has been started, or lets it go on from where it stood.
    ///
    /// # Errors
    /// QEMU refuses.
    pub(super) async fn switch_on(&self) -> Result<(), MachineError> {
        match &self.on {
            Some(on) if self.goes_on => on.machine.resume().await,
            Some(on) => on.machine.power_on().await,
            None => Ok(()),
        }
    }

    /// Changes how the board is connected to its network, and says so.
    ///
    /// # Errors
    /// QEMU refuses.
    pub(super) async fn set_link(&mut self, state: LinkState) -> Result<(), MachineError> {
        let [cable, adapter] = &mut self.links;
        match state {
            LinkState::Down | LinkState::Up => *cable = Some(state),
            LinkState::Unplugged | LinkState::Plugged => *adapter = Some(state),
        }
        if let Some(on) = &self.on {
            on.nic.set_link(state).await?;
        }
        self.timeline.emit(Event::Link { state });
        Ok(())
    }

    fn begin_boot(&mut self) {
        if self.boots > 0 {
            self.timeline.begin_next_boot();
        }
        self.boots += 1;
    }

    /// It starts again without its power having been away: a new boot begins. `button`: by the reset button, otherwise it has done so
    /// itself.
    ///
    /// # Errors
    /// QEMU refuses.
    pub(super) async fn start_again(&mut self, button: bool) -> Result<(), MachineError> {
        self.begin_boot();
        self.timeline.emit(self.files.firmware());
        let action = Power::Reset;
        self.timeline.emit(Event::Power { action });
        if let Some(thresholds) = &mut self.thresholds {
            thresholds.begin_boot();
        }
        match &self.on {
            Some(on) if button => on.machine.reset().await,
            _ => Ok(()),
        }
    }

    /// Its power is away for a moment, too short for memory and card to forget what they hold: it stands still, its SoC starts again, and its USB
    /// adapter too. A new boot begins.
    ///
    /// # Errors
    /// QEMU refuses.
    pub(super) async fn brown_cycle(&mut self, off: Duration) -> Result<(), MachineError> {
        let Some(on) = &self.on else {
            return Ok(());
        };
        on.machine.pause().await?;
        let text = format!(
            "the power is away for {} ms: memory and card keep what they hold",
            off.as_millis()
        );
        self.timeline.note("power", text);
        tokio::time::sleep(off).await;
        on.nic.starts_again();
        self.start_again(true).await?;
        match &self.on {
            Some(on) => on.machine.resume().await,
            None => Ok(()),
        }
    }

    /// Takes its power away, if it has any.
    pub(super) async fn cut(&mut self, mains: bool) {
        self.thresholds = None;
        if let Some(on) = self.on.take() {
            self.files.power_fails();
            on.machine.power_off().await;
            // What is still in the sockets belongs to the record. The NIC's port of the switch goes with them.
            on.console.finish().await;
            self.was_cut = mains;
            if self.files.has_faulty_card() && !self.has_shut_down() {
                self.files.lose_power();
            }
        }
    }

    /// It has powered itself off in the boot that is under way, so that nothing is on its way to the card.
    fn has_shut_down(&self) -> bool {
        let (board, boot) = (self.timeline.board(), self.timeline.boot());
        let action = Power::GuestShutdown;
        let shut_down = Event::Power { action };
        let records = self.timeline.snapshot();
        let mut its = records.iter().rev().filter(|record| record.board == board);
        its.any(|record| record.boot == boot && record.event == shut_down)
    }

    /// Its signs of life; `None` if it is off. Needs a tokio runtime.
    pub(super) fn guest(&self, folder: &Path) -> Option<Guest> {
        let on = self.on.as_ref()?;
        let qemu = on.machine.pid();
        let meter = move || CpuSeconds {
            qemu: cpu_seconds(qemu),
            harness: cpu_seconds(std::process::id()),
        };
        let mut starvation = Starvation::of(qemu, own_core());
        let (words, folder) = (on.machine.ended(), folder.to_owned());
        let timeline = self.timeline.clone();
        let ended = async move {
            let words = words.await;
            if let Some(full) = full_disk(&folder) {
                timeline.emit(full);
            }
            words
        };
        Some(Guest {
            activity: activity(&on.console, on.nic.clone()),
            starved: Box::new(move || starvation.total()),
            meter: Arc::new(meter),
            ended: ended.boxed(),
        })
    }
}

/// Reads a guest's signs of life: nothing that the harness does makes them grow. Needs a tokio runtime.
pub(super) fn activity(console: &Console, nic: Adapter) -> Box<dyn FnMut() -> Activity + Send> {
    let bytes = bytes_said(console);
    Box::new(move || {
        let passed = nic.passed();
        Activity {
            console: bytes.load(Ordering::Relaxed),
            frames: passed.frames,
            sent: passed.bytes_from_guest,
            lines: 0,
            served: 0,
        }
    })
}
