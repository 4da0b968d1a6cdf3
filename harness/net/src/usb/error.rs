//! How a session ends.

use super::usbredir::DecodeError;

/// A session ended as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The other side closed the stream: QEMU quit or was killed.
    StreamClosed,
}

/// A session could not go on.
#[derive(Debug, thiserror::Error)]
pub enum UsbError {
    /// The other side does not speak usbredir.
    #[error(
        "the usbredir stream began with a message of type {kind} instead of a hello; check that the chardev belongs to a usb-redir device"
    )]
    NoHello {
        /// The message type that came first.
        kind: u32,
    },
    /// A message cannot be right; what follows it cannot be found any more.
    #[error("the usbredir stream is damaged: {0}")]
    Damaged(#[from] DecodeError),
    /// Reading from or writing to the stream failed.
    #[error("the usbredir stream failed: {0}")]
    Stream(#[from] std::io::Error),
}
