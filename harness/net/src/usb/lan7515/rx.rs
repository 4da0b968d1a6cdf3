//! How a frame stands in a transfer on bulk IN.
//!
//! Source: Microchip LAN7800 data sheet, chapter "RX Command Words": word A (length and what kind of frame), word B (checksum and VLAN
//! tag), word C (wake-up, 0), ten bytes in all; then the frame, with its FCS unless `MAC_RX.FCS_STRIP` is set. The checksum is the
//! one's-complement sum of all that follows the Ethernet header, padding included and FCS not, as big-endian words.
//!
//! Whether IP and TCP checksums are right (bits 31 and 30 of word A) is not judged: drivers do that with the sum.

use bytes::{BufMut, BytesMut};

use crate::usb::adapter::checksum;
use crate::usb::adapter::frame::{FCS, HEADER, SHORTEST, destination};
use crate::usb::adapter::rx::RxFraming;
use shakedown_base::mac::Mac;

/// Bytes in the chip's receive FIFO.
pub(super) const FIFO: usize = 12 * 1024;
/// Bytes of the command words.
pub(super) const WORDS: usize = 10;
/// The tag protocol identifier of a VLAN tag (IEEE 802.1Q), and the length of the tag with it.
const TPID: [u8; 2] = [0x81, 0x00];
pub(super) const TAG: usize = 4;

const A_ICSM: u32 = 1 << 14;
const A_UAM: u32 = 1 << 15;
const A_FVTG: u32 = 1 << 23;
const A_MAM: u32 = 1 << 24;
const A_BAM: u32 = 1 << 25;
const A_LENGTH: u32 = 0x3fff;

/// How frames go to the host, from `MAC_RX` and `RFE_CTL`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Framing {
    /// Leave the FCS away.
    pub(super) strip_fcs: bool,
    /// Take the VLAN tag out of the frame.
    pub(super) strip_tag: bool,
    /// Hand the checksum over.
    pub(super) checksum: bool,
}

impl Framing {
    /// The tag to take out of `frame`.
    fn stripped(self, frame: &[u8]) -> Option<u16> {
        vlan_tag(frame).filter(|_| self.strip_tag)
    }

    /// The length that word A says.
    fn contents(self, frame: &[u8]) -> usize {
        let tag = self.stripped(frame).map_or(0, |_| TAG);
        frame.len().max(SHORTEST) - tag + if self.strip_fcs { 0 } else { FCS }
    }
}

impl RxFraming for Framing {
    fn length(&self, frame: &[u8]) -> usize {
        WORDS + self.contents(frame)
    }

    fn put(&self, frame: &[u8], out: &mut BytesMut) {
        let words_at = out.len();
        out.put_bytes(0, WORDS);
        let start = out.len();
        let stripped = self.stripped(frame);
        match (frame.split_at_checked(12), stripped) {
            (Some((addresses, rest)), Some(_)) => {
                out.put_slice(addresses);
                out.put_slice(rest.get(TAG..).unwrap_or_default());
            }
            _ => out.put_slice(frame),
        }
        out.put_bytes(0, SHORTEST.saturating_sub(frame.len()));
        let contents = out.get(start..).unwrap_or_default();
        let sum = contents.get(HEADER..).map_or(0, checksum::sum).swap_bytes();
        let fcs = crc32fast::hash(contents);
        if !self.strip_fcs {
            out.put_u32_le(fcs);
        }
        let length = u32::try_from(self.contents(frame)).unwrap_or(0) & A_LENGTH;
        let a = length
            | address_bits(destination(frame))
            | if self.checksum { 0 } else { A_ICSM }
            | vlan_tag(frame).map_or(0, |_| A_FVTG);
        let b = u32::from(if self.checksum { sum } else { 0 }) << 16
            | vlan_tag(frame).map_or(0, u32::from);
        let words = [a.to_le_bytes(), b.to_le_bytes()].concat();
        for (place, byte) in out.iter_mut().skip(words_at).zip(words) {
            *place = byte;
        }
    }
}

fn address_bits(destination: Option<Mac>) -> u32 {
    match destination {
        Some(Mac::BROADCAST) => A_BAM,
        Some(mac) if mac.is_multicast() => A_MAM,
        _ => A_UAM,
    }
}

/// Priority and VLAN of a tagged frame.
pub(super) fn vlan_tag(frame: &[u8]) -> Option<u16> {
    let rest = frame.get(12..)?.strip_prefix(&TPID)?;
    rest.first_chunk().copied().map(u16::from_be_bytes)
}

/// Puts a VLAN tag behind the addresses, or another one in place of the one that is there.
pub(super) fn set_vlan_tag(frame: &mut BytesMut, tag: u16, replace: bool) {
    let tag = tag.to_be_bytes();
    if replace && vlan_tag(frame).is_some() {
        if let Some(place) = frame.get_mut(14..16) {
            place.copy_from_slice(&tag);
        }
    } else if frame.len() >= 12 {
        let rest = frame.split_off(12);
        frame.put_slice(&TPID);
        frame.put_slice(&tag);
        frame.unsplit(rest);
    }
}
