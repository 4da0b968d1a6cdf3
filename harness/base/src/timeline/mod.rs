//! Every event of a run on one clock.
//!
//! While a run lasts, the parts around the board only emit [`Event`]s here; whoever decides or reports reads them from here.
//! The log keeps every event, so a reader that asks late misses nothing.

mod event;
mod log;

pub use event::{Event, LinkEvent, Power, Record, RequestEvent, TlsEvent, power_on};
pub use log::{Cursor, Timeline};
