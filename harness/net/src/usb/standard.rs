//! The standard device requests (USB 2.0, section 9.4) that reach a device as plain control transfers.
//!
//! `SET_ADDRESS` never does: QEMU keeps addresses to itself. Configurations and alternate settings have usbredir messages
//! of their own.

use super::device::{Setup, Stall, UsbDevice};

const GET_STATUS: u8 = 0;
const CLEAR_FEATURE: u8 = 1;
const SET_FEATURE: u8 = 3;
const GET_DESCRIPTOR: u8 = 6;

/// `bmRequestType`: direction, type, recipient.
const IN: u8 = 0x80;
const TYPE_MASK: u8 = 0x60;
const DEVICE: u8 = 0;
const INTERFACE: u8 = 1;
const ENDPOINT: u8 = 2;

/// The configuration's `bmAttributes` bit for a self-powered device.
const SELF_POWERED: u8 = 0x40;

/// True when the request is a standard one.
pub(super) const fn is_standard(setup: &Setup) -> bool {
    setup.request_type & TYPE_MASK == 0
}

/// Answers a standard request in the device's stead.
pub(super) fn answer(
    device: &impl UsbDevice,
    setup: &Setup,
    reply: &mut Vec<u8>,
) -> Result<(), Stall> {
    let descriptors = device.descriptors();
    let recipient = setup.request_type & !IN;
    match (setup.request_type & IN, setup.request) {
        (IN, GET_DESCRIPTOR) if recipient == DEVICE => {
            let [index, kind] = setup.value.to_le_bytes();
            *reply = descriptors.descriptor(kind, index)?;
        }
        (IN, GET_STATUS) if recipient == DEVICE => {
            reply.extend([u8::from(descriptors.attributes & SELF_POWERED != 0), 0]);
        }
        (IN, GET_STATUS) if recipient == INTERFACE || recipient == ENDPOINT => reply.extend([0, 0]),
        // Endpoints never stay halted and nothing wakes the host, so there is nothing to remember.
        (0, SET_FEATURE | CLEAR_FEATURE) if recipient == DEVICE || recipient == ENDPOINT => {}
        _ => return Err(Stall),
    }
    Ok(())
}
