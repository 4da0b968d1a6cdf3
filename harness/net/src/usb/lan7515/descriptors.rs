//! What the LAN7800 says it is.
//!
//! Source: Microchip LAN7800 data sheet, chapter "USB Descriptors". With a blank EEPROM there are no string descriptors.

use crate::usb::adapter::endpoints::ENDPOINTS;
use crate::usb::descriptor::{Descriptors, Interface};

pub(super) const DESCRIPTORS: Descriptors = Descriptors {
    vendor: 0x0424,
    product: 0x7800,
    version_bcd: 0x0300,
    class: [0xff, 0, 0xff],
    control_packet: 64,
    // Self-powered, with remote wake-up.
    attributes: 0xe0,
    max_power: 1,
    interfaces: &[Interface {
        class: [0xff, 0, 0xff],
        endpoints: ENDPOINTS,
    }],
};
