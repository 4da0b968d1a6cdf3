//! Connections of this machine to a board, as events.

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::seconds;

/// A connection of a client on this machine to a TCP port of a board, which has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InboundEvent {
    /// The port of this machine that the client connected to.
    pub host_port: u16,
    /// The board's address; `None` if it had none.
    pub address: Option<Ipv4Addr>,
    /// The board's port.
    pub port: u16,
    /// Bytes that the client sent.
    pub to_board: u64,
    /// Bytes that the board sent.
    pub to_host: u64,
    /// Why there was no connection to the board, or why it ended early.
    pub error: Option<String>,
    /// Seconds from the connection to its end.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub duration: Duration,
}

impl fmt::Display for InboundEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            host_port,
            port,
            to_board,
            to_host,
            ..
        } = self;
        write!(
            f,
            "connection from port {host_port} of this machine to port {port} of the board: {to_board} bytes sent, {to_host} received"
        )?;
        match &self.error {
            Some(error) => write!(f, ", {error}"),
            None => Ok(()),
        }
    }
}
