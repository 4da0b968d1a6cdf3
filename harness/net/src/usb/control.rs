//! The hand on the plug, and the figures.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tokio::sync::mpsc;

use super::device::NicCounters;

/// A handle to a running session; clones control the same one. Commands to a session that has ended do nothing.
#[derive(Debug, Clone)]
pub struct Control {
    commands: mpsc::UnboundedSender<Command>,
    statistics: Arc<Mutex<Statistics>>,
}

/// What a handle asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Plug,
    Unplug,
    Replug,
    SetLink(bool),
}

/// Figures of a session, all counted from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Statistics {
    /// Frames that the guest sent to the network.
    pub frames_from_guest: u64,
    /// Their bytes, without FCS.
    pub bytes_from_guest: u64,
    /// Frames that the guest fetched.
    pub frames_to_guest: u64,
    /// Their bytes, without FCS.
    pub bytes_to_guest: u64,
    /// Frames from the guest that were lost: adapter or cable off, malformed, or the network's queue full.
    pub dropped_from_guest: u64,
    /// Frames for the guest that were lost: adapter or cable off, FIFO full, or too long.
    pub dropped_to_guest: u64,
    /// Frames that the adapter's address filter kept from the guest.
    pub filtered: u64,
    /// Checksums that the adapter put into the guest's frames.
    pub checksums_inserted: u64,
    /// Checksums that the adapter handed to the guest.
    pub checksums_reported: u64,
    /// Transfers answered: control, bulk and interrupt.
    pub transfers: u64,
    /// Bulk requests for frames answered with nothing.
    pub zero_length: u64,
    /// Transfers given up: taken back by the guest, reset or unplugged.
    pub cancelled: u64,
    /// Times that the device was plugged in.
    pub plugged: u64,
}

impl Statistics {
    /// Takes over what the adapter counted itself; `dropped_from_guest` has other sources too and is added to.
    pub(super) const fn merge(mut self, nic: NicCounters) -> Self {
        self.frames_from_guest = nic.from_guest.frames;
        self.bytes_from_guest = nic.from_guest.bytes;
        self.frames_to_guest = nic.to_guest.frames;
        self.bytes_to_guest = nic.to_guest.bytes;
        self.dropped_from_guest += nic.dropped_from_guest;
        self.dropped_to_guest = nic.dropped_to_guest;
        self.filtered = nic.filtered;
        self.checksums_inserted = nic.checksums_inserted;
        self.checksums_reported = nic.checksums_reported;
        self
    }
}

impl Control {
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Command>) {
        let (commands, receiver) = mpsc::unbounded_channel();
        let statistics = Arc::default();
        (
            Self {
                commands,
                statistics,
            },
            receiver,
        )
    }

    /// Plugs the device in. It is, from the start.
    pub fn plug(&self) {
        self.send(Command::Plug);
    }

    /// Pulls the device out of the guest's port.
    pub fn unplug(&self) {
        self.send(Command::Unplug);
    }

    /// Pulls the device out and plugs it in again: the guest sees a fresh connect event. A device that is out stays out.
    pub fn replug(&self) {
        self.send(Command::Replug);
    }

    /// Plugs the network cable in or out of the device. It is in, from the start.
    pub fn set_link(&self, up: bool) {
        self.send(Command::SetLink(up));
    }

    /// The figures so far; they keep their last values when the session ends.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        *self
            .statistics
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn publish(&self, statistics: Statistics) {
        *self
            .statistics
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = statistics;
    }

    fn send(&self, command: Command) {
        // Without a receiver the session has ended, and with it the device.
        let _ = self.commands.send(command);
    }
}
