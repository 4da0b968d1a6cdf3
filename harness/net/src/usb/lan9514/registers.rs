//! The register file: system control and status registers (SCSR) and MAC registers.
//!
//! Source: SMSC LAN9514 data sheet, chapters "System Control and Status Registers" and "MAC Control and Status
//! Registers"; offsets are those of the vendor requests' `wIndex`. Registers without an effect in the model (LEDs, GPIO,
//! flow control, wake-up) keep what is written, as drivers read them back.

use crate::usb::adapter::register_file::RegisterFile;

/// Device and revision.
pub(super) const ID_REV: u16 = 0x00;
/// Interrupt status; writing a one clears.
pub(super) const INT_STS: u16 = 0x08;
/// Receive configuration.
pub(super) const RX_CFG: u16 = 0x0c;
/// Transmit configuration.
pub(super) const TX_CFG: u16 = 0x10;
/// Hardware configuration.
pub(super) const HW_CFG: u16 = 0x14;
/// Receive FIFO use.
pub(super) const RX_FIFO_INF: u16 = 0x18;
/// Transmit FIFO use.
pub(super) const TX_FIFO_INF: u16 = 0x1c;
/// Power management.
pub(super) const PMT_CTRL: u16 = 0x20;
/// EEPROM command.
pub(super) const E2P_CMD: u16 = 0x30;
/// EEPROM data.
pub(super) const E2P_DATA: u16 = 0x34;
/// Longest burst on bulk IN, in packets.
pub(super) const BURST_CAP: u16 = 0x38;
/// What the interrupt endpoint reports.
pub(super) const INT_EP_CTL: u16 = 0x68;
/// MAC control.
pub(super) const MAC_CR: u16 = 0x100;
/// Station address, bytes 4 and 5.
pub(super) const ADDRH: u16 = 0x104;
/// Station address, bytes 0 to 3.
pub(super) const ADDRL: u16 = 0x108;
/// Multicast hash table, upper half.
pub(super) const HASHH: u16 = 0x10c;
/// Multicast hash table, lower half.
pub(super) const HASHL: u16 = 0x110;
/// PHY access.
pub(super) const MII_ACCESS: u16 = 0x114;
/// PHY data.
pub(super) const MII_DATA: u16 = 0x118;
/// Checksum offload.
pub(super) const COE_CR: u16 = 0x130;

/// LAN9512 and LAN9514 share the identity 0xEC00.
pub(super) const ID_REV_VALUE: u32 = 0xec00_0002;

pub(super) const INT_STS_PHY_INT: u32 = 1 << 15;
/// Transmitter error: the data on bulk OUT was malformed.
pub(super) const INT_STS_TXE: u32 = 1 << 14;

pub(super) const RX_CFG_FIFO_FLUSH: u32 = 1;

pub(super) const TX_CFG_ON: u32 = 1 << 2;
pub(super) const TX_CFG_STOP: u32 = 1 << 1;
pub(super) const TX_CFG_FIFO_FLUSH: u32 = 1;

/// Bulk-in empty response: set, the device answers NAK when it has no frame; clear, a zero-length packet.
pub(super) const HW_CFG_BIR: u32 = 1 << 12;
/// Multiple Ethernet frames per USB transfer.
pub(super) const HW_CFG_MEF: u32 = 1 << 5;
/// Soft lite reset.
pub(super) const HW_CFG_LRST: u32 = 1 << 3;
/// Burst cap enable.
pub(super) const HW_CFG_BCE: u32 = 1 << 1;
/// Soft reset.
pub(super) const HW_CFG_SRST: u32 = 1;

pub(super) const PMT_CTRL_READY: u32 = 1 << 7;
pub(super) const PMT_CTRL_PHY_RST: u32 = 1 << 4;

/// Receive everything, whatever the address.
pub(super) const MAC_CR_RXALL: u32 = 1 << 31;
/// Loop what is sent back.
pub(super) const MAC_CR_LOOPBK: u32 = 1 << 21;
/// Pass all multicast.
pub(super) const MAC_CR_MCPAS: u32 = 1 << 19;
/// Promiscuous.
pub(super) const MAC_CR_PRMS: u32 = 1 << 18;
/// Inverse filtering of the station address.
pub(super) const MAC_CR_INVFILT: u32 = 1 << 17;
/// Hash filtering for individual addresses too.
pub(super) const MAC_CR_HO: u32 = 1 << 15;
/// Hash filtering for multicast.
pub(super) const MAC_CR_HPFILT: u32 = 1 << 13;
/// Broadcast frames are not wanted.
pub(super) const MAC_CR_BCAST: u32 = 1 << 11;
pub(super) const MAC_CR_TXEN: u32 = 1 << 3;
pub(super) const MAC_CR_RXEN: u32 = 1 << 2;

pub(super) const COE_CR_TX: u32 = 1 << 16;
pub(super) const COE_CR_RX: u32 = 1;

pub(super) const MII_ACCESS_WRITE: u32 = 1 << 1;
pub(super) const MII_ACCESS_BUSY: u32 = 1;

/// One past the last register.
const END: u16 = 0x134;
const COUNT: usize = END as usize / 4;

/// Bytes free in the empty transmit FIFO, 8 KiB of data.
const TX_FIFO_FREE: u32 = 8 * 1024;

/// What is stored in each register.
pub(super) type Registers = RegisterFile<COUNT>;

impl Registers {
    /// The values after a reset, with the station address that the EEPROM loads.
    pub(super) fn new(mac: [u8; 6]) -> Self {
        let [a, b, c, d, e, f] = mac;
        Self::with(&[
            (ID_REV, ID_REV_VALUE),
            (TX_FIFO_INF, TX_FIFO_FREE),
            (PMT_CTRL, PMT_CTRL_READY),
            (ADDRL, u32::from_le_bytes([a, b, c, d])),
            (ADDRH, u32::from_le_bytes([e, f, 0, 0])),
        ])
    }

    /// The station address as the driver set it.
    pub(super) fn station(&self) -> [u8; 6] {
        let [a, b, c, d] = self.get(ADDRL).to_le_bytes();
        let [e, f, ..] = self.get(ADDRH).to_le_bytes();
        [a, b, c, d, e, f]
    }

    /// The multicast hash table, bit 63 from the top of HASHH.
    pub(super) fn hash_table(&self) -> u64 {
        u64::from(self.get(HASHH)) << 32 | u64::from(self.get(HASHL))
    }
}
