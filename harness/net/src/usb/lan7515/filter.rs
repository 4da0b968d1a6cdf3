//! The receive filtering engine.
//!
//! Source: Microchip LAN7800 data sheet, register `RFE_CTL`.

use super::memory::FilterMemory;
use super::registers::{
    RFE_CTL, RFE_CTL_AB, RFE_CTL_AM, RFE_CTL_AU, RFE_CTL_DHF, RFE_CTL_DPF, RFE_CTL_MHF, RFE_CTL_VF,
    Registers,
};
use super::rx::vlan_tag;
use crate::usb::adapter::frame::destination;
use shakedown_base::mac::Mac;

/// True when `frame` passes: its address, and its VLAN if it has one.
pub(super) fn accepts(registers: &Registers, memory: &FilterMemory, frame: &[u8]) -> bool {
    let mode = |bit| registers.has(RFE_CTL, bit);
    let Some(address) = destination(frame) else {
        return false;
    };
    let perfect = || mode(RFE_CTL_DPF) && registers.perfect().any(|own| own == address);
    let hashed = |bit| mode(bit) && memory.has_hash(address);
    let by_address = if address == Mac::BROADCAST {
        mode(RFE_CTL_AB)
    } else if address.is_multicast() {
        mode(RFE_CTL_AM) || perfect() || hashed(RFE_CTL_MHF)
    } else {
        mode(RFE_CTL_AU) || perfect() || hashed(RFE_CTL_DHF)
    };
    by_address && (!mode(RFE_CTL_VF) || vlan_tag(frame).is_none_or(|tag| memory.has_vlan(tag)))
}
