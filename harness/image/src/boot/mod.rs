//! The stand-in for the VideoCore: finds what `config.txt` makes the board start, and takes it out of the image.
//!
//! QEMU begins where the firmware ends. This room reads the first FAT partition as ROM, `bootcode.bin` and `start.elf` do, and
//! stops where they would. [`evaluate()`] is the only evaluation: `verify` and `inspect` show what it finds, a run hands over what
//! it gives, so that they cannot disagree. The image is only read. What is modelled stands in the book, "What the firmware does".
//! Source: Raspberry Pi documentation, "config.txt", and "Raspberry Pi boot sequence"; statements of the firmware's authors where
//! the documentation is silent, named where they count.

pub mod device_tree;
mod embedded;
mod error;
mod evaluate;
mod files;
mod foreign;
mod handover;
mod kernel;
mod names;
mod overlays;
mod partition;
mod settings;

pub use error::FirmwareError;
pub use evaluate::{BootFile, Evaluation, HeaderUart, Stage, evaluate};
pub use foreign::Foreign;
pub use handover::{FirmwareHandover, start};
pub use kernel::KernelKind;
pub use partition::warning;

/// The firmware's start-up file.
pub(crate) const CONFIG_TXT: &str = "config.txt";
/// Text files larger than this are no configuration.
const TEXT_LIMIT: u64 = 64 * 1024;

#[cfg(test)]
mod tests;
