//! Every event of a run on one clock.
//!
//! While a run lasts, the parts around the board only emit [`Event`]s here; verdicts and reports are made from them alone.
//! The log keeps every event, so a reader that asks late misses nothing.

mod card;
mod event;
mod inbound;
mod log;
mod machines;
mod record;
mod service;

pub use card::{CardChange, CardEvent, CardFileEvent};
pub use event::{
    AlertEvent, AnswerEvent, Bound, BudgetClock, ConnectionEvent, Event, FrameKind, HostTrouble,
    LinkEvent, LinkState, OutletState, Power, RequestEvent, StoppedBy, SwitchedBy, TlsEvent,
};
pub use inbound::InboundEvent;
pub use log::{Cursor, Timeline};
pub use record::{BadBoardId, BoardId, Record, TIMELINE_VERSION, Versioned, power_on};
pub use service::ServiceId;
