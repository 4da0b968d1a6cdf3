//! What UDP services are made of: functions from a datagram to an answer, without I/O.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use super::frame::Mac;
use shakedown_base::timeline::Event;

/// A UDP datagram from a guest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Datagram<'a> {
    /// Who sent it.
    pub(super) source: SocketAddrV4,
    /// The address it was sent to, possibly a broadcast address.
    pub(super) destination: SocketAddrV4,
    /// The bytes behind the UDP header.
    pub(super) payload: &'a [u8],
}

/// What a service wants to happen.
#[derive(Debug)]
pub(super) struct Answer {
    /// Payload to send, and where; `None` sends nothing.
    pub(super) reply: Option<(To, Vec<u8>)>,
    /// What to put on the timeline.
    pub(super) event: Option<Event>,
}

/// Where an answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum To {
    /// Back to where the datagram came from.
    Sender,
    /// To a port of one machine, without asking ARP: it may not have its address yet.
    Machine(Mac, Ipv4Addr, u16),
    /// To a port of everybody on the segment.
    Everybody(u16),
}

/// A service on a UDP port.
pub(super) trait Service: Send {
    /// Answers a datagram; `now` is the time since the LAN was started. `None` for a datagram that makes no sense.
    fn answer(&mut self, request: &Datagram<'_>, now: Duration) -> Option<Answer>;
}
