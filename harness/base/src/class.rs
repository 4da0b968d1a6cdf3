//! Whose fault a failure most likely is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whose fault a failure most likely is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The disk image: what it holds or how it is laid out.
    Image,
    /// The software that the board runs.
    Board,
    /// QEMU or the emulated parts.
    Emulator,
    /// The boot server, the registry or another host of the LAN: what it answered.
    Server,
    /// The way to the servers: no lease, no name, no connection.
    Network,
    /// This machine: too slow, out of space, interrupted.
    Host,
}

impl Class {
    /// The class in words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Board => "board",
            Self::Emulator => "emulator",
            Self::Server => "server",
            Self::Network => "network",
            Self::Host => "host",
        }
    }
}
