//! The other side: a minimal usbredir guest, with a driver's habits.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::usb::device::Endpoint;
use crate::usb::lan9514::Lan9514;
use crate::usb::usbredir::{BulkHeader, Caps, Codec, ControlHeader, Message, Packet, Status};
use crate::usb::{Control, Ended, Session, UsbError};
use shakedown_base::mac::Mac;
use shakedown_base::timeline::{Event, LinkEvent, Timeline};
use shakedown_base::wire::{WireEnd, cable};

pub(super) const MAC: Mac = Mac([0xb8, 0x27, 0xeb, 0x12, 0x34, 0x56]);
pub(super) const BULK_IN: Endpoint = Endpoint(0x81);
pub(super) const BULK_OUT: Endpoint = Endpoint(0x02);
/// All that QEMU offers, streams and filters included.
const QEMU: Caps = Caps(0xff);
/// What the session offers of it.
const AGREED: Caps = Caps(0x72);
/// Bounds every wait; paused time makes it free.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Guest {
    pub(super) stream: DuplexStream,
    codec: Codec,
    input: BytesMut,
    id: u64,
    /// The bulk IN endpoint was announced without a type: QEMU NAKs.
    pub(super) naks: bool,
    /// The endpoints come next, as behind every list of interfaces.
    announced: bool,
}

/// A running session, and everything around it.
pub(super) struct Rig {
    pub(super) guest: Guest,
    pub(super) network: WireEnd,
    pub(super) control: Control,
    pub(super) timeline: Timeline,
    pub(super) task: JoinHandle<Result<Ended, UsbError>>,
}

impl Rig {
    /// A session whose guest has not said anything yet.
    pub(super) fn silent() -> Self {
        Self::of(|session| session, Codec::new(QEMU))
    }

    /// A session whose guest goes on from a checkpoint.
    pub(super) fn going_on() -> Self {
        Self::of(Session::taking_over, Codec::agreed_on(AGREED))
    }

    fn of(begin: impl FnOnce(Session<Lan9514>) -> Session<Lan9514>, codec: Codec) -> Self {
        let (stream, other) = tokio::io::duplex(64 * 1024);
        let (network, wire) = cable(64);
        let timeline = Timeline::start();
        let session = begin(Session::new(Lan9514::new(MAC), wire, timeline.clone()));
        let control = session.control();
        let task = tokio::spawn(session.run(other));
        let guest = Guest {
            stream,
            codec,
            input: BytesMut::new(),
            id: 0x1_0000_0000,
            naks: false,
            announced: false,
        };
        Self {
            guest,
            network,
            control,
            timeline,
            task,
        }
    }

    /// A session whose guest has exchanged hellos and seen the device appear.
    pub(super) async fn plugged() -> Self {
        let mut rig = Self::silent();
        rig.guest.hello().await;
        rig.guest.expect_connect().await;
        rig
    }

    /// A session whose guest has a running adapter: `HW_CFG` as its driver sets it.
    pub(super) async fn started(hw_cfg: u32) -> Self {
        let mut rig = Self::plugged().await;
        rig.guest.start(hw_cfg).await;
        rig
    }

    /// What the timeline says about the device.
    pub(super) fn events(&self) -> Vec<LinkEvent> {
        let link = |record: shakedown_base::timeline::Record| match record.event {
            Event::Usb { link } => Some(link),
            _ => None,
        };
        self.timeline
            .snapshot()
            .into_iter()
            .filter_map(link)
            .collect()
    }
}

impl Guest {
    pub(super) async fn hello(&mut self) {
        let version = "qemu usb-redir guest 10.0.0".into();
        self.send(
            0,
            Message::Hello {
                version,
                caps: QEMU,
            },
        )
        .await;
        let hello = self.next().await.message;
        let Message::Hello { caps, .. } = hello else {
            panic!("{hello:?}")
        };
        assert_eq!(caps, AGREED);
    }

    pub(super) async fn expect_connect(&mut self) {
        let messages = [
            self.next().await.message,
            self.next().await.message,
            self.next().await.message,
        ];
        assert!(
            matches!(
                messages,
                [
                    Message::InterfaceInfo(_),
                    Message::EpInfo(_),
                    Message::DeviceConnect(_)
                ]
            ),
            "{messages:?}"
        );
    }

    pub(super) async fn send(&mut self, id: u64, message: Message) {
        let mut bytes = BytesMut::new();
        self.codec.encode(&Packet { id, message }, &mut bytes);
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// Sends a request and returns its identifier.
    pub(super) async fn ask(&mut self, message: Message) -> u64 {
        self.id += 1;
        self.send(self.id, message).await;
        self.id
    }

    /// The next packet from the device. That it begins or ceases to NAK is noted and passed over.
    pub(super) async fn next(&mut self) -> Packet {
        timeout(PATIENCE, self.receive()).await.expect("an answer")
    }

    /// True when the device says nothing for `time`.
    pub(super) async fn silent_for(&mut self, time: Duration) -> bool {
        timeout(time, self.receive()).await.is_err()
    }

    async fn receive(&mut self) -> Packet {
        loop {
            if let Some(packet) = self.codec.decode(&mut self.input).unwrap() {
                let announced = self.announced;
                self.announced = matches!(packet.message, Message::InterfaceInfo(_));
                match &packet.message {
                    Message::EpInfo(table) => {
                        self.naks = table[17].kind == 255;
                        if announced {
                            return packet;
                        }
                    }
                    _ => return packet,
                }
                continue;
            }
            assert_ne!(
                self.stream.read_buf(&mut self.input).await.unwrap(),
                0,
                "the session hung up"
            );
        }
    }

    /// A control transfer: its status and data.
    pub(super) async fn control(
        &mut self,
        request_type: u8,
        request: u8,
        value: u16,
        index: u16,
        data: ControlData<'_>,
    ) -> (Status, Bytes) {
        let (length, data) = match data {
            ControlData::In(length) => (length, Bytes::new()),
            ControlData::Out(data) => (
                u16::try_from(data.len()).unwrap(),
                Bytes::copy_from_slice(data),
            ),
        };
        let header = ControlHeader {
            endpoint: Endpoint(request_type & 0x80),
            request,
            request_type,
            // QEMU sends whatever is on its stack.
            status: Status::Other(0x5a),
            value,
            index,
            length,
        };
        let asked = self.ask(Message::Control { header, data }).await;
        let Packet { id, message } = self.next().await;
        let Message::Control {
            header: answer,
            data,
        } = message
        else {
            panic!("{message:?}")
        };
        assert_eq!(id, asked);
        let expected = match answer.status {
            Status::Success if header.endpoint.is_in() => u16::try_from(data.len()).unwrap(),
            Status::Success => length,
            _ => 0,
        };
        let status = answer.status;
        assert_eq!(
            answer,
            ControlHeader {
                status,
                length: expected,
                ..header
            }
        );
        (status, data)
    }

    pub(super) async fn get(&mut self, register: u16) -> u32 {
        let (status, data) = self
            .control(0xc0, 0xa1, 0, register, ControlData::In(4))
            .await;
        assert_eq!(status, Status::Success);
        u32::from_le_bytes(data[..].try_into().unwrap())
    }

    pub(super) async fn put(&mut self, register: u16, value: u32) {
        let (status, data) = self
            .control(
                0x40,
                0xa0,
                0,
                register,
                ControlData::Out(&value.to_le_bytes()),
            )
            .await;
        assert_eq!((status, data.len()), (Status::Success, 0));
    }

    /// Resets the port, then asks for the device descriptor, as every enumeration begins.
    pub(super) async fn enumerate(&mut self) {
        self.send(0, Message::Reset).await;
        let (status, data) = self.control(0x80, 6, 0x0100, 0, ControlData::In(64)).await;
        assert_eq!((status, data.len()), (Status::Success, 18));
        let id = self
            .ask(Message::SetConfiguration { configuration: 1 })
            .await;
        let messages = [self.next().await, self.next().await, self.next().await];
        assert!(
            matches!(messages[0].message, Message::InterfaceInfo(_)),
            "{messages:?}"
        );
        assert!(
            matches!(messages[1].message, Message::EpInfo(_)),
            "{messages:?}"
        );
        let (status, configuration) = (Status::Success, 1);
        let message = Message::ConfigurationStatus {
            status,
            configuration,
        };
        assert_eq!(messages[2], Packet { id, message });
    }

    /// Enumerates and switches receiver and transmitter on.
    pub(super) async fn start(&mut self, hw_cfg: u32) {
        self.enumerate().await;
        self.put(0x14, hw_cfg).await;
        self.put(0x38, 37).await;
        self.put(0x10, 4).await;
        self.put(0x100, 0x0c).await;
    }

    /// Asks for frames; the answer comes with [`Self::next`].
    pub(super) async fn ask_frames(&mut self, length: u32) -> u64 {
        self.ask(Message::Bulk {
            header: bulk(BULK_IN, length),
            data: Bytes::new(),
        })
        .await
    }

    /// Sends a packet and takes its receipt.
    pub(super) async fn bulk_out(&mut self, data: &[u8]) {
        let header = bulk(BULK_OUT, u32::try_from(data.len()).unwrap());
        let id = self
            .ask(Message::Bulk {
                header,
                data: Bytes::copy_from_slice(data),
            })
            .await;
        let message = Message::Bulk {
            header,
            data: Bytes::new(),
        };
        assert_eq!(self.next().await, Packet { id, message });
    }
}

/// Direction and data of a control transfer.
pub(super) enum ControlData<'a> {
    In(u16),
    Out(&'a [u8]),
}

pub(super) fn bulk(endpoint: Endpoint, length: u32) -> BulkHeader {
    BulkHeader {
        endpoint,
        status: Status::Success,
        length,
        stream_id: 0,
    }
}

/// A frame for the adapter.
pub(super) fn frame(length: usize) -> Bytes {
    let mut bytes = [MAC.0, [0x52, 0x54, 0, 0, 0, 1]].concat();
    bytes.resize(length, 0x5a);
    bytes.into()
}
