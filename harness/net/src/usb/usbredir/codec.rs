//! Packets to bytes and back: the common header, the hello's effect on it, and framing.
//!
//! The header is `type u32, length u32, id`. The identifier has 32 bits until both hellos have named
//! [`Caps::IDS_64`]; the hello itself always has 32.

use bytes::{Buf, BufMut, BytesMut};

use super::body;
use super::error::DecodeError;
use super::message::{BulkHeader, Caps, Message, Packet, Status, kind};

/// The longest body accepted, in bytes. QEMU's DWC2 moves at most 64 KiB at once; anything near this limit is damage.
const BODY_LIMIT: u32 = 1 << 20;

/// Encodes and decodes for one connection, whichever side it is used on.
#[derive(Debug)]
pub(in crate::usb) struct Codec {
    ours: Caps,
    agreed: Caps,
}

/// A bulk packet whose data is being appended; see [`Codec::begin_bulk`].
#[derive(Debug)]
pub(in crate::usb) struct OpenBulk {
    /// Offsets into the output: the packet, its body, its data.
    start: usize,
    body: usize,
    data: usize,
    header: BulkHeader,
}

impl Codec {
    /// A codec for a connection on which this side offers `ours`.
    pub(in crate::usb) const fn new(ours: Caps) -> Self {
        Self {
            ours,
            agreed: Caps(0),
        }
    }

    /// A codec for a connection whose hellos are over, with these in common.
    pub(in crate::usb) const fn agreed_on(common: Caps) -> Self {
        Self {
            ours: common,
            agreed: common,
        }
    }

    /// Takes the next packet off the front of `input`; `None` until it is there in full. A hello changes how everything
    /// after it is read and written.
    pub(in crate::usb) fn decode(
        &mut self,
        input: &mut BytesMut,
    ) -> Result<Option<Packet>, DecodeError> {
        let mut head = &input[..];
        let (Ok(kind), Ok(length)) = (head.try_get_u32_le(), head.try_get_u32_le()) else {
            return Ok(None);
        };
        if length > BODY_LIMIT {
            return Err(DecodeError::Oversized {
                kind,
                length,
                limit: BODY_LIMIT,
            });
        }
        let id = if self.agreed.has(Caps::IDS_64) {
            head.try_get_u64_le()
        } else {
            head.try_get_u32_le().map(u64::from)
        };
        let Ok(id) = id else { return Ok(None) };
        let header = input.len() - head.len();
        let body = length as usize;
        if head.len() < body {
            // Room for the rest in one piece, so that large packets are not copied again and again.
            input.reserve(header + body - input.len());
            return Ok(None);
        }
        input.advance(header);
        let message = body::decode(kind, input.split_to(body).freeze(), self.agreed)?;
        if let Message::Hello { caps, .. } = message {
            self.agreed = self.ours.common(caps);
        }
        Ok(Some(Packet { id, message }))
    }

    /// Appends a packet to `out`.
    pub(in crate::usb) fn encode(&self, packet: &Packet, out: &mut BytesMut) {
        if let Message::Bulk { header, data } = &packet.message {
            let open = self.begin_bulk(packet.id, *header, out);
            out.put_slice(data);
            self.finish_with(&open, header.length, out);
            return;
        }
        let start = out.len();
        self.put_header(packet.message.kind(), packet.id, out);
        let body = out.len();
        body::encode(&packet.message, self.agreed, out);
        patch_u32(out, start + 4, out.len() - body);
    }

    /// Begins a bulk packet whose data the caller appends to `out` itself, which saves a copy; then comes
    /// [`Self::finish_bulk`] or [`Self::abandon_bulk`].
    pub(in crate::usb) fn begin_bulk(
        &self,
        id: u64,
        header: BulkHeader,
        out: &mut BytesMut,
    ) -> OpenBulk {
        let start = out.len();
        self.put_header(kind::BULK_PACKET, id, out);
        let body = out.len();
        body::put_bulk_header(&header, self.agreed, out);
        OpenBulk {
            start,
            body,
            data: out.len(),
            header,
        }
    }

    /// Ends a packet: its length is what was appended. Returns that length in bytes.
    pub(in crate::usb) fn finish_bulk(&self, open: &OpenBulk, out: &mut BytesMut) -> usize {
        let length = out.len() - open.data;
        self.finish_with(open, u32::try_from(length).unwrap_or(u32::MAX), out);
        length
    }

    /// Takes a packet back.
    pub(in crate::usb) fn abandon_bulk(open: &OpenBulk, out: &mut BytesMut) {
        out.truncate(open.start);
    }

    /// Drops what was appended and ends the packet with `status`.
    pub(in crate::usb) fn refuse_bulk(
        &self,
        mut open: OpenBulk,
        status: Status,
        out: &mut BytesMut,
    ) {
        out.truncate(open.data);
        open.header.status = status;
        self.finish_with(&open, 0, out);
    }

    fn finish_with(&self, open: &OpenBulk, length: u32, out: &mut BytesMut) {
        patch_u32(out, open.start + 4, out.len() - open.body);
        let header = BulkHeader {
            length,
            ..open.header
        };
        if let Some(mut place) = out.get_mut(open.body..open.data) {
            body::put_bulk_header(&header, self.agreed, &mut place);
        }
    }

    fn put_header(&self, kind: u32, id: u64, out: &mut BytesMut) {
        out.put_u32_le(kind);
        out.put_u32_le(0);
        if self.agreed.has(Caps::IDS_64) && kind != kind::HELLO {
            out.put_u64_le(id);
        } else {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "without the capability, peers only ever use 32 bits"
            )]
            out.put_u32_le(id as u32);
        }
    }
}

fn patch_u32(out: &mut BytesMut, at: usize, value: usize) {
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes());
    }
}
