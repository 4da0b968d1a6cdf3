//! Conformance: what a contract states, check by check, against what runs have shown.
//!
//! A catalogue names the checks, the scenario of each, and the facts that must be in the run's record. Nothing here makes a run: verdicts are
//! pure functions of records, and the table is made of verdicts alone.

mod catalogue;
mod table;
mod verdict;

pub use catalogue::{Catalogue, Check, Compat, Fact, RequestFact};
pub use table::{Made, Row, table};
pub use verdict::{Evidence, Verdict, judge, judge_compat};
