//! `shakedown e2e`: scenarios on boards, with a live line each and a table at the end.

mod args;
mod command;
mod results;
mod runs;
mod seeds;

pub(crate) use args::{Args, FlakyArg, RunArgs};
pub(crate) use command::run;
pub(crate) use results::carry_out;
pub(crate) use runs::{Execution, Planned, run_all};
