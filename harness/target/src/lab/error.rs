//! What can go wrong with a board on a desk.

use std::io;
use std::time::Duration;

/// The board cannot be reached or switched.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The serial port cannot be used.
    #[error(
        "the serial port {port}: {source}; is the cable plugged in, and may this user read and write the device?"
    )]
    Serial {
        /// The port as it was named.
        port: String,
        /// What the system said.
        source: io::Error,
    },
    /// The tap interface cannot be used.
    #[error(
        "the tap interface {name}: {source}; create it once as root: ip tuntap add {name} mode tap user $USER && ip link set {name} up"
    )]
    Tap {
        /// Its name.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// A command or request that switches the board's power failed.
    #[error("the board's power: `{order}`: {detail}")]
    Power {
        /// The command or address.
        order: String,
        /// What went wrong.
        detail: String,
    },
    /// The switch says something else than it was told.
    #[error("the board's power: it was switched {wanted} and `{state}` says otherwise for {} s: {answer:?}", within.as_secs())]
    ReadBack {
        /// `on` or `off`.
        wanted: &'static str,
        /// The command or address that reads the state.
        state: String,
        /// How long it was given.
        within: Duration,
        /// What it answered last.
        answer: String,
    },
}
