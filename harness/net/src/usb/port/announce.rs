//! What usbredir is told about the device's interfaces and endpoints.

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
        let mut table = Box::new([EndpointEntry::ABSENT; 32]);
        let control = EndpointEntry {
            kind: 0,
            interval: 0,
            interface: 0,
            max_packet: descriptors.control_packet.into(),
        };
        let endpoints = descriptors.endpoints().map(|(interface, endpoint)| {
            let entry = EndpointEntry {
                kind: endpoint.kind as u8,
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
        self.send(0, Message::InterfaceInfo(interfaces));
        self.send(0, Message::EpInfo(table));
    }
}
