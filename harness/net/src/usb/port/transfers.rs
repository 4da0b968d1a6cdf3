//! Transfers and the requests that come as messages of their own: what the device says to each, as a usbredir answer.

use bytes::Bytes;

use super::{Held, Port};
use crate::usb::device::{BulkIn, Endpoint, Nic, Setup};
use crate::usb::standard;
use crate::usb::usbredir::{BulkHeader, Codec, ControlHeader, InterruptHeader, Message, Status};
use shakedown_base::timeline::LinkEvent;

impl<D: Nic> Port<D> {
    /// The guest selects a configuration.
    pub(super) fn configure(&mut self, id: u64, configuration: u8) {
        self.asked();
        self.cancel_all();
        let status = match self.device.configure(configuration) {
            Ok(()) => {
                self.announce();
                if configuration != 0 {
                    self.emit(LinkEvent::Configured);
                }
                Status::Success
            }
            Err(_) => Status::Stall,
        };
        let configuration = self.device.configuration();
        self.send(
            id,
            Message::ConfigurationStatus {
                status,
                configuration,
            },
        );
    }

    /// The guest selects an alternate setting.
    pub(super) fn alternate(&mut self, id: u64, interface: u8, alt: u8) {
        self.asked();
        let status = self.interface_status(interface, alt);
        if status == Status::Success {
            self.cancel_all();
            self.announce();
        }
        self.send(
            id,
            Message::AltSettingStatus {
                status,
                interface,
                alt,
            },
        );
    }

    /// Whether there is such an alternate setting; every interface has one, number 0.
    pub(super) fn interface_status(&self, interface: u8, alt: u8) -> Status {
        let known = usize::from(interface) < self.device.descriptors().interfaces.len() && alt == 0;
        if known {
            Status::Success
        } else {
            Status::Stall
        }
    }

    /// A control transfer.
    pub(super) fn control(&mut self, id: u64, header: ControlHeader, data: &[u8]) {
        self.asked();
        let setup = Setup {
            request_type: header.request_type,
            request: header.request,
            value: header.value,
            index: header.index,
            length: header.length,
        };
        self.reply.clear();
        let result = if standard::is_standard(&setup) {
            standard::answer(&self.device, &setup, &mut self.reply)
        } else {
            self.device.control(&setup, data, &mut self.reply)
        };
        self.reply.truncate(usize::from(setup.length));
        let (status, length) = match result {
            Ok(()) if header.endpoint.is_in() => (
                Status::Success,
                u16::try_from(self.reply.len()).unwrap_or(u16::MAX),
            ),
            Ok(()) => (Status::Success, header.length),
            Err(_) => (Status::Stall, 0),
        };
        let answer = if status == Status::Success && header.endpoint.is_in() {
            &self.reply[..]
        } else {
            &[]
        };
        let data = Bytes::copy_from_slice(answer);
        let header = ControlHeader {
            status,
            length,
            ..header
        };
        self.send(id, Message::Control { header, data });
    }

    /// The guest sends bulk data.
    pub(super) fn bulk_out(&mut self, id: u64, header: BulkHeader, data: &[u8]) {
        self.statistics.transfers += 1;
        let (status, length) = match self.device.bulk_out(header.endpoint, data) {
            Ok(()) => (
                Status::Success,
                u32::try_from(data.len()).unwrap_or(u32::MAX),
            ),
            Err(_) => (Status::Stall, 0),
        };
        let header = BulkHeader {
            status,
            length,
            ..header
        };
        self.send(
            id,
            Message::Bulk {
                header,
                data: Bytes::new(),
            },
        );
    }

    /// Answers a request for bulk data if that can be done by now; `false` leaves it held.
    pub(super) fn answer(&mut self, held: &Held) -> bool {
        let header = BulkHeader {
            status: Status::Success,
            ..held.header
        };
        let room = usize::try_from(header.length).unwrap_or(usize::MAX);
        let start = self.out.len();
        let open = self.codec.begin_bulk(held.id, header, &mut self.out);
        match self.device.bulk_in(header.endpoint, room, &mut self.out) {
            Ok(BulkIn::Pending) => {
                Codec::abandon_bulk(&open, &mut self.out);
                return false;
            }
            Ok(BulkIn::Answered) => {
                if self.codec.finish_bulk(&open, &mut self.out) == 0 {
                    self.statistics.zero_length += 1;
                }
            }
            Err(_) => self.codec.refuse_bulk(open, Status::Stall, &mut self.out),
        }
        self.statistics.transfers += 1;
        // Said before the last answer: the guest's next request comes as soon as it has that.
        let answer = self.out.split_off(start);
        self.announce_naks();
        self.out.unsplit(answer);
        true
    }

    /// Hands the guest an interrupt packet.
    pub(super) fn interrupt(&mut self, endpoint: Endpoint, data: Bytes) {
        self.statistics.transfers += 1;
        let id = self.serial;
        self.serial += 1;
        let length = u16::try_from(data.len()).unwrap_or(u16::MAX);
        let header = InterruptHeader {
            endpoint,
            status: Status::Success,
            length,
        };
        self.send(id, Message::Interrupt { header, data });
    }

    /// Cancels one request. If it is not held, its answer is on its way already and must stay the only one.
    pub(super) fn cancel(&mut self, id: u64) {
        if let Some(held) = self
            .held
            .iter()
            .position(|held| held.id == id)
            .and_then(|place| self.held.remove(place))
        {
            self.give_up(&held);
        }
    }

    /// Cancels every held request.
    pub(super) fn cancel_all(&mut self) {
        while let Some(held) = self.held.pop_front() {
            self.give_up(&held);
        }
    }

    fn give_up(&mut self, held: &Held) {
        self.statistics.cancelled += 1;
        let (status, length) = (Status::Cancelled, 0);
        let header = BulkHeader {
            status,
            length,
            ..held.header
        };
        self.send(
            held.id,
            Message::Bulk {
                header,
                data: Bytes::new(),
            },
        );
    }
}
