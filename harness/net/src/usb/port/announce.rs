//! What usbredir is told about the device's interfaces and endpoints.
//!
//! usbredir has no NAK. A bulk request that waits for its answer is a packet in flight in QEMU, and QEMU's DWC2 forgets to cancel it
//! when the guest halts the channel, as Linux does with every URB of a driver that is unbound: the next use of the channel then
//! ends QEMU (`usb_packet_setup: Assertion '!usb_packet_is_inflight(p)'`). But QEMU answers NAK itself, and asks again by itself at
//! each quarter of a millisecond, for an endpoint whose type is not known (`usbredir_handle_data`). So an endpoint that NAKs is announced
//! without a type, and with its type again when it has data. The channel of such an endpoint can be halted at any time.

use super::Port;
use crate::usb::device::{Endpoint, Nic};
use crate::usb::usbredir::{EndpointEntry, InterfaceEntry, Message};

impl<D: Nic> Port<D> {
    /// Interfaces and endpoints, as wanted before a connect and after a change of configuration or setting.
    pub(super) fn announce(&mut self) {
        let descriptors = self.device.descriptors();
        let interfaces = (0..)
            .zip(descriptors.interfaces)
            .map(|(number, interface)| {
                let [class, subclass, protocol] = interface.class;
                InterfaceEntry {
                    number,
                    class,
                    subclass,
                    protocol,
                }
            })
            .collect();
        self.send(0, Message::InterfaceInfo(interfaces));
        self.announce_endpoints();
    }

    /// Announces the endpoints anew if the device has begun or ceased to NAK.
    pub(super) fn announce_naks(&mut self) {
        if self.plugged && self.naks != self.naks_now() {
            self.announce_endpoints();
        }
    }

    fn announce_endpoints(&mut self) {
        let descriptors = self.device.descriptors();
        let mut table = Box::new([EndpointEntry::ABSENT; 32]);
        let control = EndpointEntry {
            kind: 0,
            interval: 0,
            interface: 0,
            max_packet: descriptors.control_packet.into(),
        };
        let endpoints = descriptors.endpoints().map(|(interface, endpoint)| {
            let entry = EndpointEntry {
                kind: if self.device.naks(endpoint.address) {
                    EndpointEntry::ABSENT.kind
                } else {
                    endpoint.kind as u8
                },
                interval: endpoint.interval,
                interface,
                max_packet: endpoint.max_packet,
            };
            (endpoint.address, entry)
        });
        for (address, entry) in [(Endpoint(0x00), control), (Endpoint(0x80), control)]
            .into_iter()
            .chain(endpoints)
        {
            let direction = if address.is_in() { 16 } else { 0 };
            if let Some(place) = table.get_mut(usize::from(address.0 & 0x0f) + direction) {
                *place = entry;
            }
        }
        self.naks = self.naks_now();
        self.send(0, Message::EpInfo(table));
    }

    /// Whether some endpoint NAKs.
    fn naks_now(&self) -> bool {
        let mut endpoints = self.device.descriptors().endpoints();
        endpoints.any(|(_, endpoint)| self.device.naks(endpoint.address))
    }
}
