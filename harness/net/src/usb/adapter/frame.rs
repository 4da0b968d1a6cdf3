//! Ethernet frames as an adapter sees them: lengths, and the hash of an address.
//!
//! Source: IEEE 802.3, clause 3.

use shakedown_base::mac::Mac;

/// Shortest frame on a real network, without FCS. The virtual one may leave the padding away.
pub(in crate::usb) const SHORTEST: usize = 60;
/// Destination, source and type.
pub(in crate::usb) const HEADER: usize = 14;
/// Bytes of the frame check sequence.
pub(in crate::usb) const FCS: usize = 4;

/// The destination address, if the frame is long enough to have one.
pub(in crate::usb) fn destination(frame: &[u8]) -> Option<Mac> {
    frame.first_chunk().copied().map(Mac)
}

/// The CRC-32 of an address, most significant bit first. Its upper bits index a chip's hash table.
pub(in crate::usb) fn address_crc(address: Mac) -> u32 {
    // The crate's CRC is the reflected one with a final complement.
    (!crc32fast::hash(&address.0)).reverse_bits()
}
