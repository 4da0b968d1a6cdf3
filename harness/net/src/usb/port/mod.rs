//! One attachment of a device to a usbredir guest: requests in, answers out, without I/O and without a clock of its own.
//!
//! A device without data NAKs, see `announce`. A request for bulk data that comes all the same is held until there is an answer. When the device is reset, reconfigured or unplugged, held
//! requests are answered as cancelled first: QEMU's DWC2 otherwise keeps their channel in flight for ever and aborts when a guest
//! uses it again. Every request gets exactly one answer, since QEMU waits for one even after it has cancelled a request.
//!
//! Source: usbredir protocol 0.7 for the order of messages; `hw/usb/redirect.c` for what QEMU makes of them.

mod announce;
mod transfers;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use super::control::{Command, Statistics};
use super::descriptor::EndpointKind;
use super::device::{Endpoint, Nic};
use super::error::UsbError;
use super::handover::Handover;
use super::notes::Notes;
use super::usbredir::{
    BulkHeader, Caps, Codec, DeviceConnect, InterruptHeader, Message, Packet, Speed, Status,
};
use shakedown_base::timeline::{Event, LinkEvent, Timeline};

/// What we say we are.
const VERSION: &str = concat!("shakedown ", env!("CARGO_PKG_VERSION"));

const OFFERED: Caps = Caps::CONNECT_DEVICE_VERSION
    .with(Caps::EP_INFO_MAX_PACKET_SIZE)
    .with(Caps::IDS_64)
    .with(Caps::BULK_LENGTH_32);

#[derive(Debug)]
pub(super) struct Port<D> {
    device: D,
    codec: Codec,
    /// Bytes for the guest.
    pub(super) out: BytesMut,
    greeted: bool,
    wanted: bool,
    plugged: bool,
    started: bool,
    held: VecDeque<Held>,
    /// The endpoints were announced while one of them NAKs.
    naks: bool,
    /// The interrupt endpoint that the guest listens to.
    listening: Option<Endpoint>,
    /// Identifies unasked-for packets.
    serial: u64,
    handover: Handover,
    statistics: Statistics,
    reply: Vec<u8>,
    timeline: Timeline,
    notes: Notes,
}

/// A request for bulk data that waits for an answer.
#[derive(Debug)]
struct Held {
    id: u64,
    header: BulkHeader,
}

impl<D: Nic> Port<D> {
    /// A port that will plug `device` in once the guest has said hello.
    pub(super) fn new(device: D, quiet: Duration, timeline: Timeline) -> Self {
        Self {
            device,
            codec: Codec::new(OFFERED),
            out: BytesMut::new(),
            greeted: false,
            wanted: true,
            plugged: false,
            started: false,
            held: VecDeque::new(),
            naks: false,
            listening: None,
            serial: 0,
            handover: Handover::new(quiet),
            statistics: Statistics::default(),
            reply: Vec::new(),
            notes: Notes::new(timeline.clone()),
            timeline,
        }
    }

    /// Takes the place of another port that the guest had its device in: QEMU, which goes on from a checkpoint, says no hello and wants
    /// none. The device is plugged in anew.
    pub(super) fn take_over(&mut self) {
        // Every QEMU that can write checkpoints offers all that we do.
        self.codec = Codec::agreed_on(OFFERED);
        self.greeted = true;
        self.send(0, Message::DeviceDisconnect);
        self.settle_plug();
    }

    /// Says hello, the first message each way.
    pub(super) fn hello(&mut self) {
        let version = VERSION.into();
        self.send(
            0,
            Message::Hello {
                version,
                caps: OFFERED,
            },
        );
    }

    /// Handles every whole packet at the front of `input`.
    pub(super) fn read(&mut self, input: &mut BytesMut, now: Instant) -> Result<(), UsbError> {
        while let Some(packet) = self.codec.decode(input)? {
            self.handle(packet, now)?;
        }
        Ok(())
    }

    /// Does what a [`Control`](super::Control) asks for.
    pub(super) fn command(&mut self, command: Command) {
        match command {
            Command::Plug => self.wanted = true,
            Command::Unplug => self.wanted = false,
            // A device that is out stays out.
            Command::Replug => self.unplug(),
            Command::SetLink(up) => self.device.set_link(up),
        }
        self.settle_plug();
    }

    /// True when the device wants a frame from the network, be it to lose it.
    pub(super) fn has_room(&self) -> bool {
        self.device.has_room()
    }

    /// A frame arrives from the network.
    pub(super) fn receive(&mut self, frame: Bytes) {
        self.device.receive(frame);
    }

    /// The next frame for the network.
    pub(super) fn transmitted(&mut self) -> Option<Bytes> {
        self.device.transmitted()
    }

    /// The network did not take a frame.
    pub(super) const fn lost_frame(&mut self) {
        self.statistics.dropped_from_guest += 1;
    }

    /// Something may have changed: answers what can be answered now, and does what is due.
    pub(super) fn settle(&mut self, now: Instant) {
        if self.handover.take(now) {
            let text =
                "the guest reset the device and left it: plugging it in again for the next driver";
            self.notes.note("handover", now, text);
            self.unplug();
            self.settle_plug();
        }
        let mut waiting = std::mem::take(&mut self.held);
        waiting.retain(|held| !self.answer(held));
        self.held = waiting;
        self.announce_naks();
        if let Some(endpoint) = self.listening {
            while let Some(data) = self.device.interrupt_in(endpoint) {
                self.interrupt(endpoint, data);
            }
        }
        while let Some(diagnostic) = self.device.diagnostic() {
            self.notes.note(diagnostic.kind, now, &diagnostic.text);
        }
        if self.started != self.device.is_started() {
            self.started = !self.started;
            if self.started {
                self.emit(LinkEvent::Started);
            }
        }
    }

    /// When [`Self::settle`] is wanted at the latest.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.handover.due()
    }

    /// The figures so far.
    pub(super) fn statistics(&self) -> Statistics {
        self.statistics.merge(self.device.counters())
    }

    /// The stream is gone, and with it the guest's port.
    pub(super) fn close(&mut self) {
        if self.plugged {
            self.emit(LinkEvent::Unplugged);
        }
    }

    fn handle(&mut self, packet: Packet, now: Instant) -> Result<(), UsbError> {
        let Packet { id, message } = packet;
        if !self.greeted {
            return match message {
                Message::Hello { .. } => {
                    self.greeted = true;
                    self.settle_plug();
                    Ok(())
                }
                other => Err(UsbError::NoHello { kind: other.kind() }),
            };
        }
        // What is still under way for a device that was unplugged concerns nobody: QEMU has dropped it too.
        if !self.plugged {
            return Ok(());
        }
        match message {
            Message::Reset => self.reset(now),
            Message::CancelDataPacket => self.cancel(id),
            Message::StartInterruptReceiving { endpoint } => {
                let known = self.device.descriptors().kind_of(endpoint)
                    == Some(EndpointKind::Interrupt)
                    && endpoint.is_in();
                self.listening = known.then_some(endpoint).or(self.listening);
                let status = if known {
                    Status::Success
                } else {
                    Status::Stall
                };
                self.send(id, Message::InterruptReceivingStatus { status, endpoint });
            }
            Message::StopInterruptReceiving { endpoint } => {
                self.listening = self.listening.filter(|&listening| listening != endpoint);
                let status = Status::Success;
                self.send(id, Message::InterruptReceivingStatus { status, endpoint });
            }
            Message::SetConfiguration { configuration } => self.configure(id, configuration),
            Message::GetConfiguration => {
                self.asked();
                let (status, configuration) = (Status::Success, self.device.configuration());
                self.send(
                    id,
                    Message::ConfigurationStatus {
                        status,
                        configuration,
                    },
                );
            }
            Message::SetAltSetting { interface, alt } => self.alternate(id, interface, alt),
            Message::GetAltSetting { interface } => {
                self.asked();
                let status = self.interface_status(interface, 0);
                self.send(
                    id,
                    Message::AltSettingStatus {
                        status,
                        interface,
                        alt: 0,
                    },
                );
            }
            Message::Control { header, data } => self.control(id, header, &data),
            Message::Bulk { header, .. } if header.endpoint.is_in() => {
                let held = Held { id, header };
                // Behind earlier requests, and otherwise at once.
                if !self.held.is_empty() || !self.answer(&held) {
                    self.held.push_back(held);
                }
            }
            Message::Bulk { header, data } => self.bulk_out(id, header, &data),
            Message::Interrupt { header, .. } => {
                let (status, length) = (Status::Stall, 0);
                let header = InterruptHeader {
                    status,
                    length,
                    ..header
                };
                self.send(
                    id,
                    Message::Interrupt {
                        header,
                        data: Bytes::new(),
                    },
                );
            }
            other => {
                let text = format!("ignored a usbredir message of type {}", other.kind());
                self.notes.note("message", now, &text);
            }
        }
        Ok(())
    }

    /// The guest made a request of the device itself, so it has not left it.
    const fn asked(&mut self) {
        self.handover.disarm();
        self.statistics.transfers += 1;
    }

    fn reset(&mut self, now: Instant) {
        self.cancel_all();
        self.handover.reset(self.device.configuration() != 0, now);
        self.device.reset();
        self.emit(LinkEvent::Reset);
    }

    /// Brings the device's place in line with what is wanted.
    fn settle_plug(&mut self) {
        match (self.greeted && self.wanted, self.plugged) {
            (true, false) => self.plug(),
            (false, true) => self.unplug(),
            _ => {}
        }
    }

    fn plug(&mut self) {
        self.announce();
        let descriptors = self.device.descriptors();
        let [class, subclass, protocol] = descriptors.class;
        let connect = DeviceConnect {
            speed: Speed::High,
            class,
            subclass,
            protocol,
            vendor: descriptors.vendor,
            product: descriptors.product,
            version_bcd: descriptors.version_bcd,
        };
        self.send(0, Message::DeviceConnect(connect));
        self.plugged = true;
        self.statistics.plugged += 1;
        self.emit(LinkEvent::Plugged);
    }

    fn unplug(&mut self) {
        if !std::mem::take(&mut self.plugged) {
            return;
        }
        self.cancel_all();
        self.handover.disarm();
        self.listening = None;
        // Out of the port it has no power.
        self.device.reset();
        self.send(0, Message::DeviceDisconnect);
        self.emit(LinkEvent::Unplugged);
    }

    fn send(&mut self, id: u64, message: Message) {
        self.codec.encode(&Packet { id, message }, &mut self.out);
    }

    fn emit(&self, link: LinkEvent) {
        self.timeline.emit(Event::Usb { link });
    }
}
