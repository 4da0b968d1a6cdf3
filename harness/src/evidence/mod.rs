//! What a run leaves for people to look at: frames, screens, the files of its folder, its bundle, a board that stays on.

mod bundling;
mod capture;
mod guest_files;
mod hang;
mod hold;
mod recording;
mod records;
mod screens;
mod symbols;
mod traffic;

pub use capture::{CAPTURE_FILE, Capture};
pub(crate) use guest_files::keep_bucket;
pub(crate) use hang::{dump_memory, note_hang};
pub use hold::Attach;
pub(crate) use hold::hold;
pub(crate) use recording::Recording;
pub(crate) use records::{full_disk, keep_evidence};
pub use symbols::{Symbols, SymbolsError};
