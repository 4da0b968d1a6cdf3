//! The endpoints: bulk both ways for frames, one interrupt endpoint for status.
//!
//! Source: data sheets of LAN9514 and LAN7800, chapter "USB Descriptors". The addresses are those of the parts; Linux' `lan78xx`
//! relies on the order.

use crate::usb::descriptor::{EndpointDescriptor, EndpointKind};
use crate::usb::device::Endpoint;

/// Frames to the host.
pub(in crate::usb) const BULK_IN: Endpoint = Endpoint(0x81);
/// Frames from the host.
pub(in crate::usb) const BULK_OUT: Endpoint = Endpoint(0x02);
/// Interrupt status.
pub(in crate::usb) const INTERRUPT_IN: Endpoint = Endpoint(0x83);

/// Bytes in a bulk packet at high speed.
pub(in crate::usb) const BULK_PACKET: usize = 512;

/// The three, in the order of the parts.
pub(in crate::usb) const ENDPOINTS: &[EndpointDescriptor] = &[
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
];
