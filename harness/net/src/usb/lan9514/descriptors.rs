//! What the LAN9514's Ethernet function says it is.
//!
//! Source: SMSC LAN9514 data sheet, chapter "USB Descriptors", and what the part on a Raspberry Pi 3B reports. With no
//! strings in an EEPROM there are no string descriptors.

use crate::usb::adapter::endpoints::ENDPOINTS;
use crate::usb::descriptor::{Descriptors, Interface};

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
        endpoints: ENDPOINTS,
    }],
};
