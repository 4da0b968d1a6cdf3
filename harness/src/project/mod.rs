//! Projects: a folder with `shakedown.toml`, its boards and scenarios in front of those that the program brings with it, and the folder
//! that runs leave their records in.
//!
//! Life cycle: found once, when a command begins: in the folder that the user names, else in the nearest one above the current folder that has
//! a `shakedown.toml`; where there is none, the built-in boards and scenarios are used and runs are kept below the current folder.

mod changed;
mod config;
mod date;
mod discovery;
mod error;
mod failed;
mod filter;
mod fitting;
mod known_failures;
mod selection;

pub use changed::{ChangedError, affected};
pub(crate) use config::ProjectFile;
pub use config::{CONFIG_FILE, Defaults, PROJECT_FILE};
pub use date::Date;
pub use discovery::{Builtin, Project};
pub use error::ProjectError;
pub use fitting::fitting;
pub(crate) use known_failures::KnownFailuresFile;
pub use known_failures::{KNOWN_FAILURES_FILE, KnownFailure, KnownFailures};
pub use selection::Runs;
