//! Forwarding: a connection of a board to a service is copied to a server outside of the run, byte for byte.
//!
//! TLS passes through untouched, so a board keeps its own trust and the server its own certificates. What can be seen from between
//! them becomes one event at the connection's end: the server name, the first alert that is not encrypted, the bytes each way.

mod copy;
mod sniff;

pub use copy::forward;
