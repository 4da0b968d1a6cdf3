//! What the LAN9514's Ethernet function says it is.
//!
//! Source: SMSC LAN9514 data sheet, chapter "USB Descriptors", and what the part on a Raspberry Pi 3B reports. With no
//! strings in an EEPROM there are no string descriptors.

use crate::usb::descriptor::{Descriptors, EndpointDescriptor, EndpointKind, Interface};
use crate::usb::device::Endpoint;

/// Frames to the host.
pub(super) const BULK_IN: Endpoint = Endpoint(0x81);
/// Frames from the host.
pub(super) const BULK_OUT: Endpoint = Endpoint(0x02);
/// Interrupt status.
pub(super) const INTERRUPT_IN: Endpoint = Endpoint(0x83);

/// Bytes in a bulk packet at high speed.
pub(super) const BULK_PACKET: usize = 512;

pub(super) const DESCRIPTORS: Descriptors = Descriptors {
    vendor: 0x0424,
    product: 0xec00,
    version_bcd: 0x0200,
    class: [0xff, 0, 1],
    control_packet: 64,
    // Self-powered, with remote wake-up.
    attributes: 0xe0,
    max_power: 1,
    interfaces: &[Interface {
        class: [0xff, 0, 0xff],
        endpoints: &[
            EndpointDescriptor {
                address: BULK_IN,
                kind: EndpointKind::Bulk,
                max_packet: BULK_PACKET as u16,
                interval: 0,
            },
            EndpointDescriptor {
                address: BULK_OUT,
                kind: EndpointKind::Bulk,
                max_packet: BULK_PACKET as u16,
                interval: 0,
            },
            EndpointDescriptor {
                address: INTERRUPT_IN,
                kind: EndpointKind::Interrupt,
                max_packet: 16,
                interval: 4,
            },
        ],
    }],
};
