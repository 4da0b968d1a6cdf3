//! The register file.
//!
//! Source: Microchip LAN7800 data sheet, chapter "Control and Status Registers"; offsets are those of the vendor requests' `wIndex`.
//! Registers without an effect in the model (LEDs, latency tolerance, wake-up) keep what is written, as drivers read them back.

use shakedown_base::mac::Mac;

use crate::usb::adapter::register_file::RegisterFile;

/// Device and revision.
pub(super) const ID_REV: u16 = 0x00;
/// Interrupt status; writing a one clears.
pub(super) const INT_STS: u16 = 0x0c;
/// Hardware configuration.
pub(super) const HW_CFG: u16 = 0x10;
/// Power management.
pub(super) const PMT_CTL: u16 = 0x14;
/// Data port: which memory.
pub(super) const DP_SEL: u16 = 0x24;
/// Data port: read or write.
pub(super) const DP_CMD: u16 = 0x28;
/// Data port: word in the memory.
pub(super) const DP_ADDR: u16 = 0x2c;
/// Data port: contents of the word.
pub(super) const DP_DATA: u16 = 0x30;
/// EEPROM command.
pub(super) const E2P_CMD: u16 = 0x40;
/// EEPROM data.
pub(super) const E2P_DATA: u16 = 0x44;
/// USB configuration.
pub(super) const USB_CFG0: u16 = 0x80;
/// Longest burst on bulk IN, in packets.
pub(super) const BURST_CAP: u16 = 0x90;
/// What the interrupt endpoint reports; bits as in `INT_STS`.
pub(super) const INT_EP_CTL: u16 = 0x98;
/// Receive filtering engine.
pub(super) const RFE_CTL: u16 = 0xb0;
/// FIFO controller, receive.
pub(super) const FCT_RX_CTL: u16 = 0xc0;
/// FIFO controller, transmit.
pub(super) const FCT_TX_CTL: u16 = 0xc4;
/// MAC control.
pub(super) const MAC_CR: u16 = 0x100;
/// MAC receiver.
pub(super) const MAC_RX: u16 = 0x104;
/// MAC transmitter.
pub(super) const MAC_TX: u16 = 0x108;
/// Station address, bytes 4 and 5.
pub(super) const RX_ADDRH: u16 = 0x118;
/// Station address, bytes 0 to 3.
pub(super) const RX_ADDRL: u16 = 0x11c;
/// PHY access.
pub(super) const MII_ACC: u16 = 0x120;
/// PHY data.
pub(super) const MII_DATA: u16 = 0x124;
/// First of the perfect filters: each has a word for bytes 4 and 5, then one for bytes 0 to 3.
const MAF_BASE: u16 = 0x400;
/// One-time programmable memory: power.
pub(super) const OTP_PWR_DN: u16 = 0x1000;
/// Address bits 12..8.
pub(super) const OTP_ADDR1: u16 = 0x1004;
/// Address bits 7..0.
pub(super) const OTP_ADDR2: u16 = 0x1008;
/// What was read.
pub(super) const OTP_RD_DATA: u16 = 0x1018;
/// Which command.
pub(super) const OTP_FUNC_CMD: u16 = 0x1020;
/// Starts it.
pub(super) const OTP_CMD_GO: u16 = 0x1028;
/// Busy or not: never, here.
pub(super) const OTP_STATUS: u16 = 0x1030;

const ID_REV_VALUE: u32 = 0x7800_0002;

pub(super) const INT_STS_PHY: u32 = 1 << 17;
/// Transmitter error: the data on bulk OUT was malformed.
pub(super) const INT_STS_TXE: u32 = 1 << 13;

/// Multiple Ethernet frames per USB transfer.
pub(super) const HW_CFG_MEF: u32 = 1 << 4;
/// Soft lite reset.
pub(super) const HW_CFG_LRST: u32 = 1 << 1;
/// Soft reset.
pub(super) const HW_CFG_SRST: u32 = 1;

pub(super) const PMT_CTL_PHY_PWRUP: u32 = 1 << 10;
pub(super) const PMT_CTL_READY: u32 = 1 << 7;
pub(super) const PMT_CTL_PHY_RST: u32 = 1 << 4;

pub(super) const DP_SEL_READY: u32 = 1 << 31;
/// VLAN and hash tables.
pub(super) const DP_SEL_VHF: u32 = 1;
pub(super) const DP_SEL_MASK: u32 = 0xf;
pub(super) const DP_CMD_WRITE: u32 = 1;

/// Bulk-in empty response: set, the device answers NAK when it has no frame; clear, a zero-length packet.
pub(super) const USB_CFG0_BIR: u32 = 1 << 6;
/// Burst cap enable.
pub(super) const USB_CFG0_BCE: u32 = 1 << 5;

pub(super) const RFE_CTL_TCPUDP_COE: u32 = 1 << 12;
pub(super) const RFE_CTL_IP_COE: u32 = 1 << 11;
/// Broadcast frames.
pub(super) const RFE_CTL_AB: u32 = 1 << 10;
/// All multicast frames.
pub(super) const RFE_CTL_AM: u32 = 1 << 9;
/// All unicast frames.
pub(super) const RFE_CTL_AU: u32 = 1 << 8;
/// Take VLAN tags out of frames.
pub(super) const RFE_CTL_VS: u32 = 1 << 7;
/// Tagged frames only of VLANs in the table.
pub(super) const RFE_CTL_VF: u32 = 1 << 5;
/// Multicast by the hash table.
pub(super) const RFE_CTL_MHF: u32 = 1 << 3;
/// Unicast by the hash table.
pub(super) const RFE_CTL_DHF: u32 = 1 << 2;
/// Destinations in the perfect filters.
pub(super) const RFE_CTL_DPF: u32 = 1 << 1;
pub(super) const RFE_CTL_RST: u32 = 1;

pub(super) const FCT_CTL_EN: u32 = 1 << 31;
pub(super) const FCT_CTL_RST: u32 = 1 << 30;
/// The engine stands, after EN was cleared.
pub(super) const FCT_CTL_DIS: u32 = 1 << 20;
const FCT_CTL_USED: u32 = 0xffff;

pub(super) const MAC_CR_LOOPBACK: u32 = 1 << 10;
pub(super) const MAC_CR_RST: u32 = 1;

/// Bit 0 of `MAC_RX` and `MAC_TX`: on.
pub(super) const MAC_EN: u32 = 1;
/// Bit 1 of `MAC_RX` and `MAC_TX`: it stands.
pub(super) const MAC_STOPPED: u32 = 1 << 1;
pub(super) const MAC_RX_FCS_STRIP: u32 = 1 << 4;

pub(super) const MAF_VALID: u32 = 1 << 31;
/// The filter is for source addresses.
pub(super) const MAF_SOURCE: u32 = 1 << 30;

pub(super) const MII_ACC_WRITE: u32 = 1 << 1;
pub(super) const MII_ACC_BUSY: u32 = 1;

pub(super) const OTP_FUNC_CMD_READ: u32 = 1;
pub(super) const OTP_CMD_GO_GO: u32 = 1;

/// One past the last register: the OTP controller's.
const END: u16 = 0x1100;
const COUNT: usize = END as usize / 4;
/// Perfect filters.
const FILTERS: u16 = 33;

/// What is stored in each register.
pub(super) type Registers = RegisterFile<COUNT>;

impl Registers {
    /// The values after a reset, with the station address that EEPROM or OTP load, or all ones without one.
    pub(super) fn new(mac: Option<Mac>) -> Self {
        let [a, b, c, d, e, f] = mac.unwrap_or(Mac::BROADCAST).0;
        Self::with(&[
            (ID_REV, ID_REV_VALUE),
            (PMT_CTL, PMT_CTL_PHY_PWRUP | PMT_CTL_READY),
            (DP_SEL, DP_SEL_READY),
            (RX_ADDRL, u32::from_le_bytes([a, b, c, d])),
            (RX_ADDRH, u32::from_le_bytes([e, f, 0, 0])),
            (OTP_PWR_DN, 1),
        ])
    }

    /// The addresses of the valid perfect filters for destinations.
    pub(super) fn perfect(&self) -> impl Iterator<Item = Mac> {
        (0..FILTERS).filter_map(|number| {
            let high = self.get(MAF_BASE + 8 * number);
            let [a, b, c, d] = self.get(MAF_BASE + 8 * number + 4).to_le_bytes();
            let [e, f, ..] = high.to_le_bytes();
            let valid = high & (MAF_VALID | MAF_SOURCE) == MAF_VALID;
            valid.then_some(Mac([a, b, c, d, e, f]))
        })
    }

    /// `FCT_RX_CTL` and `FCT_TX_CTL` after a write: resets are over at once, and an engine that is switched off stands.
    pub(super) fn fifo_control(&self, offset: u16, value: u32) -> u32 {
        let stored = value & !(FCT_CTL_RST | FCT_CTL_USED);
        match (self.has(offset, FCT_CTL_EN), value & FCT_CTL_EN != 0) {
            (_, true) => stored & !FCT_CTL_DIS,
            (true, false) => stored | FCT_CTL_DIS,
            (false, false) => stored,
        }
    }

    /// `MAC_RX` and `MAC_TX` after a write, likewise.
    pub(super) fn mac_control(&self, offset: u16, value: u32) -> u32 {
        match (self.has(offset, MAC_EN), value & MAC_EN != 0) {
            (_, true) => value & !MAC_STOPPED,
            (true, false) => value | MAC_STOPPED,
            (false, false) => value,
        }
    }

    /// The longest frame that the receiver takes, from `MAC_RX` bits 29..16, with FCS.
    pub(super) fn longest(&self) -> usize {
        (self.get(MAC_RX) >> 16 & 0x3fff) as usize
    }
}
