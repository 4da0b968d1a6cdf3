//! A board's disk whose every read and write the harness answers itself: QEMU is a client of the Network Block Device protocol.
//!
//! Why not QEMU's own filters: `blkdebug` fails single sectors, cannot be changed while the guest runs, and tells nobody when it does something;
//! `throttle` counts nothing. Here each request comes by, so that counts and a seed decide, and each firing is known.
//!
//! Source: the protocol's specification, `doc/proto.md` of the project NetworkBlockDevice/nbd: the fixed newstyle negotiation, and simple
//! replies. All integers are big endian.
//!
//! Life cycle: one [`serve`] for each QEMU process, over the connection that QEMU makes when it opens the disk; it ends with the stream.

mod message;
mod negotiation;
mod server;

use std::time::Duration;

pub use message::NbdError;
pub use server::serve;

/// What holds the contents of a disk. Nothing here blocks for long: it answers from files of this machine.
pub trait Disk: Send {
    /// Bytes.
    fn size(&self) -> u64;

    /// It cannot be written to, and says so.
    fn is_read_only(&self) -> bool;

    /// Reads `bytes.len()` bytes from `at` on, which are on the disk.
    fn read(&mut self, bytes: &mut [u8], at: u64) -> Answer;

    /// Writes bytes from `at` on, which are on the disk.
    fn write(&mut self, bytes: &[u8], at: u64) -> Answer;

    /// Everything that was written stays if the power goes away.
    fn flush(&mut self) -> Answer;
}

/// What a disk answers, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// How long it takes.
    pub takes: Duration,
    /// What comes of it.
    pub result: Result<(), Refused>,
}

/// Why a disk does not do what it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// An input/output error.
    Io,
    /// It cannot be written to.
    ReadOnly,
}

impl Answer {
    /// It was done, at once.
    pub const DONE: Self = Self {
        takes: Duration::ZERO,
        result: Ok(()),
    };
}
