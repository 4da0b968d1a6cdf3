//! The power distribution unit: switches the boards of a run on and off, for the scenario and for software on the LAN.
//!
//! [`PowerUnit`] carries out orders. Whatever has the boards takes [`Switching`]s out of a channel and answers each of them, so that
//! the state that is read back is what became of the board and not what was ordered. On the LAN the unit speaks the protocol of the
//! virtual unit that CI gateways know ([`serve_pdu`]) and HTTP ([`PowerUnit::router`]).
//!
//! As with a real one, a board that powers itself off leaves its port on: the board comes back by a power cycle.

mod http;
mod port;
mod protocol;
mod unit;

pub use protocol::serve_pdu;
pub use unit::{PowerError, PowerUnit, Switching};
