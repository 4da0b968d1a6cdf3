//! What goes wrong on purpose in a run: which defects, where, how often. Counts and a seed decide, never the time, so that the same plan does
//! the same things again.
//!
//! Life cycle: a scenario's `[[fault]]` tables become [`Fault`]s; [`Faults::new`] arms them for one run; whatever frames and requests pass ask
//! [`Faults::fires`]; each firing is an [`Event::Fault`](crate::timeline::Event::Fault) on the timeline, so that a report knows and need not
//! guess.

mod chance;
mod defect;
mod plan;

pub use chance::draw;
pub use defect::{
    AnswerDefect, CableDefect, CardDefect, CardTrouble, DhcpDefect, DnsDefect, HttpDefect,
    NtpDefect, TcpAct, TcpDefect, TftpDefect, Way,
};
pub use plan::{Defect, FIRST_TOLD, Fault, Faults};
