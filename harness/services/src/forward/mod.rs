//! Forwarding: a connection of a board to a service is copied to a server outside of the run, byte for byte.
//!
//! TLS passes through untouched, so a board keeps its own trust and the server its own certificates. What can be seen from between
//! them becomes events: the handshake and how it ended, how much the server has answered with so far, and at the connection's end its server
//! name, the first alert that is not encrypted, the bytes each way.

mod copy;
mod observer;
mod sniff;

pub use copy::forward;
pub use sniff::sniffed;
