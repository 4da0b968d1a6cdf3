//! What a USB device and an Ethernet adapter are, whatever carries their transfers and their frames.
//!
//! Both traits are free of I/O and of time: bytes in, bytes out. Another adapter (a LAN7515, say) implements them and
//! runs in the same [`Session`](super::Session).

use bytes::{Bytes, BytesMut};

use super::descriptor::Descriptors;
pub use super::transfer::{Endpoint, Setup, Stall};

/// What a device says to a request for bulk data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkIn {
    /// What was appended is the answer; nothing appended is a zero-length packet.
    Answered,
    /// Nothing to send (on a real bus: NAK). Ask again when something has changed.
    Pending,
}

/// Something odd that a device saw, for a human reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Names the oddity: diagnostics of one kind are rate-limited together.
    pub kind: &'static str,
    /// One line of text.
    pub text: String,
}

/// A USB device. It starts unconfigured, as after power-on.
pub trait UsbDevice {
    /// What it is.
    fn descriptors(&self) -> &Descriptors;

    /// The port was reset, or the device was plugged in: back to the unconfigured state.
    fn reset(&mut self);

    /// The active configuration, 0 for none.
    fn configuration(&self) -> u8;

    /// The host selects a configuration.
    ///
    /// # Errors
    /// [`Stall`] when there is none of that number.
    fn configure(&mut self, configuration: u8) -> Result<(), Stall>;

    /// A class or vendor request; standard ones are answered from [`Self::descriptors`]. `data` came with an OUT request, an IN
    /// request's answer goes to `reply` (the caller cuts it to `setup.length`).
    ///
    /// # Errors
    /// [`Stall`] when the device does not know the request.
    fn control(&mut self, setup: &Setup, data: &[u8], reply: &mut Vec<u8>) -> Result<(), Stall>;

    /// The host sent a packet to a bulk OUT endpoint.
    ///
    /// # Errors
    /// [`Stall`] when the device is not configured or has no such endpoint.
    fn bulk_out(&mut self, endpoint: Endpoint, data: &[u8]) -> Result<(), Stall>;

    /// The host wants at most `room` bytes from a bulk IN endpoint; they are appended to `out`.
    ///
    /// # Errors
    /// [`Stall`] when the device is not configured or has no such endpoint.
    fn bulk_in(
        &mut self,
        endpoint: Endpoint,
        room: usize,
        out: &mut BytesMut,
    ) -> Result<BulkIn, Stall>;

    /// True when a request for bulk data from this endpoint would get no answer now, but NAK.
    fn naks(&self, endpoint: Endpoint) -> bool;

    /// The next packet for an interrupt IN endpoint, if there is something to report.
    fn interrupt_in(&mut self, endpoint: Endpoint) -> Option<Bytes>;

    /// The next oddity seen.
    fn diagnostic(&mut self) -> Option<Diagnostic>;
}

/// A USB device that is an Ethernet adapter. Frames are as on a [`wire`](shakedown_base::wire): without FCS.
pub trait Nic: UsbDevice {
    /// Plugs the network cable in or out.
    fn set_link(&mut self, up: bool);

    /// True while the driver has both receiver and transmitter switched on.
    fn is_started(&self) -> bool;

    /// True when [`Self::receive`] would not overrun the receive FIFO. Adapters that are not receiving always take frames,
    /// and lose them.
    fn has_room(&self) -> bool;

    /// A frame arrives from the network.
    fn receive(&mut self, frame: Bytes);

    /// The next frame for the network.
    fn transmitted(&mut self) -> Option<Bytes>;

    /// What went through so far.
    fn counters(&self) -> NicCounters;
}

/// What went through an adapter since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NicCounters {
    /// Frames that the guest sent.
    pub from_guest: Traffic,
    /// Frames that the guest fetched.
    pub to_guest: Traffic,
    /// Frames lost between guest and network: transmitter off, cable unplugged, or malformed.
    pub dropped_from_guest: u64,
    /// Frames lost between network and guest: receiver off, cable unplugged, FIFO full, or too long.
    pub dropped_to_guest: u64,
    /// Frames for other stations, which the address filter kept from the guest.
    pub filtered: u64,
    /// Checksums that the adapter put into frames for the guest.
    pub checksums_inserted: u64,
    /// Checksums that the adapter handed to the guest with a frame.
    pub checksums_reported: u64,
}

/// Frames and their bytes, FCS not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Frames.
    pub frames: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Traffic {
    pub(super) const fn count(&mut self, bytes: usize) {
        self.frames += 1;
        self.bytes += bytes as u64;
    }
}
