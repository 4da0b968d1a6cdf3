//! What is wrong with bytes that are no usbredir packet.

/// Bytes that are not a usbredir packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The header announces more than any packet may hold.
    #[error("a message of type {kind} announces {length} bytes, more than the limit of {limit}")]
    Oversized {
        /// Message type.
        kind: u32,
        /// Bytes announced.
        length: u32,
        /// Bytes allowed.
        limit: u32,
    },
    /// The body is shorter than its type's fixed part.
    #[error("a message of type {kind} has only {length} bytes")]
    Truncated {
        /// Message type.
        kind: u32,
        /// Bytes announced.
        length: u32,
    },
    /// An interface count above the 32 that the message has room for.
    #[error("an interface list counts {count} interfaces where 32 is the most")]
    InterfaceCount {
        /// The count.
        count: u32,
    },
}
