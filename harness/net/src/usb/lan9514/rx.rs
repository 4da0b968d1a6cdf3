//! How a frame stands in a transfer on bulk IN.
//!
//! Source: SMSC LAN9514 data sheet, chapters "RX Data Path" and "RX Checksum Offload Engine". A frame goes to the host behind a status
//! word (bits 29..16: its length with FCS) and is followed by its FCS and, with the offload engine on, by two bytes of checksum that
//! count in the length.

use bytes::{Buf, BufMut, BytesMut};

use crate::usb::adapter::checksum;
use crate::usb::adapter::frame::{FCS, HEADER, SHORTEST, destination};
use crate::usb::adapter::rx::RxFraming;
use shakedown_base::mac::Mac;

/// Bytes in the chip's receive FIFO.
pub(super) const FIFO: usize = 20 * 1024;
/// Longest frame, with VLAN tag and without FCS.
pub(super) const LONGEST: usize = 1518;
/// Bytes of the status word.
pub(super) const STATUS_WORD: usize = 4;
const CHECKSUM: usize = 2;

const STS_BROADCAST: u32 = 1 << 13;
const STS_MULTICAST: u32 = 1 << 10;
/// The type field is a type, not a length.
const STS_FRAME_TYPE: u32 = 1 << 5;

/// How frames go to the host, from `COE_CR`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Framing {
    /// Append the checksum.
    pub(super) checksum: bool,
}

impl RxFraming for Framing {
    fn length(&self, frame: &[u8]) -> usize {
        let checksum = if self.checksum { CHECKSUM } else { 0 };
        STATUS_WORD + frame.len().max(SHORTEST) + FCS + checksum
    }

    fn put(&self, frame: &[u8], out: &mut BytesMut) {
        let length = self.length(frame) - STATUS_WORD;
        let kind = match destination(frame) {
            Some(Mac::BROADCAST) => STS_BROADCAST,
            Some(mac) if mac.is_multicast() => STS_MULTICAST,
            _ => 0,
        };
        let typed = frame
            .get(12..14)
            .is_some_and(|mut field| field.get_u16() >= 0x600);
        out.put_u32_le(
            u32::try_from(length).unwrap_or(0) << 16
                | kind
                | if typed { STS_FRAME_TYPE } else { 0 },
        );
        let start = out.len();
        out.put_slice(frame);
        out.put_bytes(0, SHORTEST.saturating_sub(frame.len()));
        let fcs = out.get(start..).map_or(0, crc32fast::hash);
        out.put_u32_le(fcs);
        if self.checksum {
            out.put_u16_le(frame.get(HEADER..).map_or(0, checksum::sum));
        }
    }
}
