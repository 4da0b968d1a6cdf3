//! A board with everything around it for a console or a benchmark: one boot, without steps and without a verdict.

use std::sync::{Mutex, PoisonError};

use super::around::Around;
use super::begin_folder::begin_folder;
use super::powered_board::PoweredBoard;
use crate::console::{Console, Expectations};
use crate::error::RunError;
use crate::lan::Lan;
use crate::machine::Machine;
use crate::plan::Job;
use crate::script::Guest;
use crate::timeline::Timeline;

/// A board that is ready to be switched on, with its network. Dropping it pulls the plug and removes the working files.
pub struct Live {
    on: PoweredBoard,
    guest: Mutex<Option<Guest>>,
    around: Around,
}

impl Live {
    /// Makes the run's folder, provisions the card, starts network and emulator. The board does not run yet.
    ///
    /// # Errors
    /// The run cannot take place; nothing is left running.
    pub async fn start(
        job: &Job<'_>,
        timeline: &Timeline,
    ) -> Result<(Self, Expectations), RunError> {
        if !job.scenario.several.is_empty() {
            return Err(job.several_boards("at a console"));
        }
        begin_folder(job)?;
        let mut around = Around::start(job, timeline)?;
        let expectations = around.connect(0, job).await?;
        let board = around.boards.first_mut().ok_or(RunError::Plug)?;
        let guest = Mutex::new(board.guest(&job.folder));
        let on = board.on.take().ok_or(RunError::Plug)?;
        let live = Self { on, guest, around };
        Ok((live, expectations))
    }

    /// The emulated machine.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.on.machine
    }

    /// The serial ports.
    #[must_use]
    pub fn console(&self) -> &Console {
        &self.on.console
    }

    /// The network that the board is on, for more servers than a scenario has.
    #[must_use]
    pub fn lan(&self) -> &Lan {
        &self.around.network.lan
    }

    /// What the container says if it is the registry's.
    #[must_use]
    pub fn nonce(&self) -> &str {
        &self.around.network.nonce
    }

    /// Digests of the container image's layers.
    #[must_use]
    pub fn layers(&self) -> &[String] {
        &self.around.network.layers
    }

    /// The guest's signs of life, once.
    pub(super) fn take_guest(&self) -> Option<Guest> {
        let mut guest = self.guest.lock().unwrap_or_else(PoisonError::into_inner);
        guest.take()
    }

    /// Pulls the plug, stops the network, and removes the working files unless they are kept. What the guest put into its bucket stays in the
    /// run's folder.
    ///
    /// # Errors
    /// The guest's files cannot be kept; everything is down all the same.
    pub async fn shut_down(self) -> std::io::Result<()> {
        self.on.machine.power_off().await;
        // What is still in the sockets belongs to the record.
        self.on.console.finish().await;
        self.around.shut_down().await
    }
}
