//! What came of a run: verdict, times, evidence. Made from the timeline alone, so a report does not care how its events came about.

mod failure;
mod journal;
mod model;
mod text;

pub(crate) use failure::line;
pub use failure::{Class, Failure};
pub use journal::journal_text;
pub use model::{Ending, PartVersion, Report, StageTime, Verdict};
pub use text::{ending_text, failure_text, summary_table};
