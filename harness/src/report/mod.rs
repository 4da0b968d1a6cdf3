//! What came of a run: verdict, times, evidence. Made from the timeline alone, so a report does not care how its events came about.

mod attempts;
mod boots;
pub mod bundle;
mod columns;
mod compare;
mod events;
mod failure;
mod fault;
pub mod github;
pub mod gitlab;
mod history;
pub mod html;
mod journal;
mod junit;
mod merge;
mod model;
mod recorded;
mod since;
mod statistics;
mod stream;
mod table;
#[cfg(test)]
pub(crate) mod testing;
mod text;
mod turn;

pub use attempts::{Attempts, OnFlaky, Standing, bisect_status, exit_status};
pub use boots::Boot;
pub use compare::comparison;
pub use events::Events;
pub(crate) use failure::line;
pub use failure::{Class, Failure};
pub use fault::{Effect, Fault};
pub use history::{Past, failed_last, last_passed, past_runs};
pub use journal::journal_text;
pub use junit::junit;
pub use merge::{MergeError, merge};
pub use model::{CpuSeconds, Ending, PartVersion, Report, StageTime, Verdict};
pub use recorded::{Port, RecordError, Recorded};
pub use since::{PartChange, SincePassed};
pub use statistics::statistics_table;
pub use stream::{End, StreamContent, StreamLine};
pub use table::summary_table;
pub use text::{ending_text, failure_text, limitations_text, verdict_sentence};
pub use turn::Turn;
