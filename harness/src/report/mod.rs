//! What came of a run: verdict, times, evidence. Made from the timeline alone, so a report does not care how its events came about.

pub mod bundle;
mod failure;
mod model;
mod text;

pub use failure::{Class, Failure};
pub use model::{PartVersion, Report, StageTime, Verdict};
pub use text::{failure_text, summary_table};
