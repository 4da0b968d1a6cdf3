//! What transfers go to and begin with, and how they fail.
//!
//! Source: Universal Serial Bus Specification 2.0, sections 8.5 and 9.3.

/// An endpoint address as in `bEndpointAddress`: the number in bits 0 to 3, bit 7 set for IN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Endpoint(pub u8);

impl Endpoint {
    /// True when the device sends and the host receives.
    #[must_use]
    pub const fn is_in(self) -> bool {
        self.0 & 0x80 != 0
    }
}

/// The set-up stage of a control transfer (USB 2.0, section 9.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// `bmRequestType`.
    pub request_type: u8,
    /// `bRequest`.
    pub request: u8,
    /// `wValue`.
    pub value: u16,
    /// `wIndex`.
    pub index: u16,
    /// `wLength`: bytes that follow (OUT) or the most that may be answered (IN).
    pub length: u16,
}

/// The endpoint answers STALL: the device does not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the endpoint stalled")]
pub struct Stall;
