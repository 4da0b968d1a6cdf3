//! A guest's network card as its driver sees it: the LAN9514 behind usbredir, with the habits of Linux, as a device for `smoltcp`.
//!
//! Source: the usbredir protocol 0.7 for the packets; for the registers and the words before each frame, the LAN9514's data sheet.

use std::collections::VecDeque;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use smoltcp::phy::{
    Checksum, ChecksumCapabilities, Device, DeviceCapabilities, Medium, RxToken, TxToken,
};
use smoltcp::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// Types of usbredir packets.
const HELLO: u32 = 0;
const DEVICE_CONNECT: u32 = 1;
const RESET: u32 = 3;
const SET_CONFIGURATION: u32 = 6;
const CONFIGURATION_STATUS: u32 = 8;
const CONTROL: u32 = 100;
const BULK: u32 = 101;
/// Everything that QEMU can do, 64-bit identifiers and 32-bit lengths among it.
const CAPABILITIES: u32 = 0xff;
const BULK_IN: u8 = 0x81;
const BULK_OUT: u8 = 0x02;
/// Bytes before the data of a bulk packet.
const BULK_HEADER: usize = 10;
/// Bytes that Linux asks for at once: 37 packets of high speed.
const BURST: usize = 37 * 512;
/// Registers and what Linux writes to them: bursts and open requests, their size, transmitter, checksums, receiver and transmitter.
const START: [(u16, u32); 5] = [
    (0x14, 0x1022),
    (0x38, 37),
    (0x10, 4),
    (0x130, 0x0001_0001),
    (0x100, 0x0c),
];
/// What follows a frame in a burst: its FCS and its checksum.
const TAIL: usize = 6;

/// The card and its driver.
pub(crate) struct Adapter {
    stream: DuplexStream,
    input: BytesMut,
    output: BytesMut,
    id: u64,
    /// A request for frames is open.
    asked: bool,
    frames: VecDeque<Bytes>,
}

impl Adapter {
    /// Plugs the card in and starts it.
    pub(crate) async fn start(stream: DuplexStream) -> Self {
        let mut adapter = Self {
            stream,
            input: BytesMut::new(),
            output: BytesMut::new(),
            id: 0,
            asked: false,
            frames: VecDeque::new(),
        };
        adapter.hello().await;
        adapter.until(DEVICE_CONNECT).await;
        adapter.put(RESET, &[]);
        adapter.put(SET_CONFIGURATION, &[1]);
        adapter.until(CONFIGURATION_STATUS).await;
        for (register, value) in START {
            let mut body = BytesMut::from(&[0, 0xa0, 0x40, 0][..]);
            for field in [0, register, 4] {
                body.put_u16_le(field);
            }
            body.put_u32_le(value);
            adapter.put(CONTROL, &body);
            adapter.until(CONTROL).await;
        }
        adapter
    }

    /// Identifiers have 32 bits in both hellos, and 64 after them.
    async fn hello(&mut self) {
        for word in [HELLO, 68, 0] {
            self.output.put_u32_le(word);
        }
        self.output.put_bytes(0, 64);
        self.output.put_u32_le(CAPABILITIES);
        self.flush().await;
        while self.input.len() < 12 + 68 {
            self.fill().await;
        }
        self.input.advance(12 + 68);
    }

    /// Hands over what must be sent, asks for frames if no request is open, and waits until something comes.
    pub(crate) async fn exchange(&mut self) {
        if !self.asked {
            self.asked = true;
            self.put_bulk(BULK_IN, BURST, &[]);
        }
        self.flush().await;
        self.fill().await;
        while let Some((kind, body)) = self.packet() {
            if kind == BULK && body[0] == BULK_IN {
                self.asked = false;
                self.take(body.slice(BULK_HEADER..));
            }
        }
    }

    /// Hands over what must be sent.
    pub(crate) async fn flush(&mut self) {
        self.stream.write_all_buf(&mut self.output).await.unwrap();
    }

    async fn fill(&mut self) {
        self.input.reserve(4 * BURST);
        let read = self.stream.read_buf(&mut self.input).await.unwrap();
        assert_ne!(read, 0, "the session has ended");
    }

    /// Waits for a packet of a type, and drops those before it.
    async fn until(&mut self, wanted: u32) {
        self.flush().await;
        loop {
            while let Some((kind, _)) = self.packet() {
                if kind == wanted {
                    return;
                }
            }
            self.fill().await;
        }
    }

    /// The next packet that is there in full: its type and its body.
    fn packet(&mut self) -> Option<(u32, Bytes)> {
        let mut head = &self.input[..];
        let (kind, length) = (head.try_get_u32_le().ok()?, head.try_get_u32_le().ok()?);
        let whole = 16 + length as usize;
        if self.input.len() < whole {
            return None;
        }
        let mut packet = self.input.split_to(whole).freeze();
        Some((kind, packet.split_off(16)))
    }

    /// Cuts a burst into its frames.
    fn take(&mut self, mut burst: Bytes) {
        while burst.len() >= 4 {
            let length = (burst.get_u32_le() >> 16 & 0x3fff) as usize;
            self.frames.push_back(burst.slice(..length - TAIL));
            // The next one begins at a word of the burst, which begins with four bytes of status.
            burst.advance(length.next_multiple_of(4).min(burst.len()));
        }
    }

    fn put(&mut self, kind: u32, body: &[u8]) {
        self.id += 1;
        self.output.put_u32_le(kind);
        self.output.put_u32_le(u32::try_from(body.len()).unwrap());
        self.output.put_u64_le(self.id);
        self.output.put_slice(body);
    }

    fn put_bulk(&mut self, endpoint: u8, length: usize, data: &[u8]) {
        let [low, high] = [length & 0xffff, length >> 16];
        let mut body = BytesMut::from(&[endpoint, 0][..]);
        body.put_u16_le(u16::try_from(low).unwrap());
        body.put_u32_le(0);
        body.put_u16_le(u16::try_from(high).unwrap());
        body.put_slice(data);
        self.put(BULK, &body);
    }

    /// Sends a frame, with its two words before it, in packets of high speed as QEMU's host controller cuts them.
    fn transmit_frame(&mut self, frame: &[u8]) {
        let length = u32::try_from(frame.len()).unwrap();
        let mut transfer = BytesMut::with_capacity(8 + frame.len());
        transfer.put_u32_le(length | 0x3000);
        transfer.put_u32_le(length);
        transfer.put_slice(frame);
        for packet in transfer.chunks(512) {
            self.put_bulk(BULK_OUT, packet.len(), packet);
        }
    }
}

impl Device for Adapter {
    type RxToken<'a> = Frame;
    type TxToken<'a> = Slot<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(Frame, Slot<'_>)> {
        let frame = self.frames.pop_front()?;
        Some((Frame(frame), Slot(self)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Slot<'_>> {
        Some(Slot(self))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        // What the guest does must weigh little: it does not look whether what it receives is right.
        let mut checksums = ChecksumCapabilities::default();
        checksums.ipv4 = Checksum::Tx;
        checksums.tcp = Checksum::Tx;
        capabilities.checksum = checksums;
        capabilities
    }
}

pub(crate) struct Frame(Bytes);

impl RxToken for Frame {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

pub(crate) struct Slot<'a>(&'a mut Adapter);

impl TxToken for Slot<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut frame = vec![0; length];
        let result = f(&mut frame);
        self.0.transmit_frame(&frame);
        result
    }
}
