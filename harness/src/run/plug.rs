//! The board's plug: a port of the run's power distribution unit.

use std::time::Duration;

use tokio::sync::mpsc;

use super::live::Live;
use crate::console::Expectations;
use crate::error::RunError;
use crate::plan::Job;
use crate::services::{PowerUnit, Switching};
use crate::timeline::{SwitchedBy, Timeline};

/// The port that the board is on.
const PORT: u16 = 0;
/// The least time for which a board is off: what gateways leave to a port of a real unit.
const LEAST_OFF: Duration = Duration::from_secs(5);

/// The board's plug.
pub(super) struct Plug {
    unit: PowerUnit,
    switchings: mpsc::Receiver<Switching>,
}

impl Plug {
    /// The plug of a board that is off.
    pub(super) fn new(board: &str, timeline: &Timeline) -> Self {
        let names = vec![board.to_owned()];
        let (unit, switchings) = PowerUnit::start(names, LEAST_OFF, timeline.clone());
        Self { unit, switchings }
    }

    /// Switches a board on that is ready for it.
    ///
    /// # Errors
    /// QEMU refuses.
    pub(super) async fn on(&mut self, live: &Live) -> Result<(), RunError> {
        let order = self.unit.switch(PORT, true, SwitchedBy::Step);
        let carried_out = async {
            let switching = self.switchings.recv().await.ok_or(RunError::Plug)?;
            live.switch_on().await?;
            switching.answer(Ok(()));
            Ok(())
        };
        tokio::join!(order, carried_out).1
    }

    /// Switches the board off, whatever it does, and on again after the least off time.
    ///
    /// # Errors
    /// The emulator cannot be started again.
    pub(super) async fn cycle(
        &mut self,
        live: Live,
        job: &Job<'_>,
        timeline: &Timeline,
    ) -> Result<(Live, Expectations), RunError> {
        let order = self.unit.cycle(PORT, SwitchedBy::Step);
        let carried_out = async {
            let off = self.switchings.recv().await.ok_or(RunError::Plug)?;
            let board = live.cut().await;
            off.answer(Ok(()));
            let on = self.switchings.recv().await.ok_or(RunError::Plug)?;
            let (live, expectations) = board.connect(job, timeline).await?;
            live.switch_on().await?;
            on.answer(Ok(()));
            Ok((live, expectations))
        };
        tokio::join!(order, carried_out).1
    }
}
