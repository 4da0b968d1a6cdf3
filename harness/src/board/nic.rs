//! `[nic]`: the network interface of a board.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::input::QemuName;

/// The network interface.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nic {
    /// The chip, or `stream` for one of QEMU's.
    pub model: NicModel,
    /// Vendor prefix of its address, for example `b8:27:eb`.
    pub oui: String,
    /// USB port of the host controller, for a chip on USB.
    #[serde(default = "first_port")]
    pub port: u8,
    /// Where the guest finds its hardware address, for a chip that the harness plays.
    #[serde(default)]
    pub address: NicAddress,
    /// With `stream`: QEMU's device, for example `virtio-net-pci`. Without it, it is the interface that the machine has on board.
    pub device: Option<QemuName>,
}

fn first_port() -> u8 {
    1
}

impl Nic {
    /// Why a board with it cannot have a second network interface; `None` if it can.
    #[must_use]
    pub fn no_second(&self) -> Option<&'static str> {
        match (self.model, &self.device) {
            (NicModel::Stream, Some(_)) => None,
            (NicModel::Stream, None) => {
                Some("its network interface is the machine's own, and QEMU's machine has one")
            }
            (NicModel::Lan9514 | NicModel::Lan7800, _) => {
                Some("the harness plays its network chip at the machine's only USB port")
            }
        }
    }
}

/// The chips that the harness can be, and those that QEMU can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NicModel {
    /// SMSC LAN9514: USB 2.0 hub and 10/100 Ethernet of the Pi 2 and 3.
    Lan9514,
    /// Microchip LAN7800: Gigabit Ethernet; with a hub, as LAN7515, on the Pi 3B+.
    Lan7800,
    /// One of QEMU's, whose frames come over its network back end `stream`.
    Stream,
}

impl NicModel {
    /// The harness plays it, at a USB port.
    #[must_use]
    pub fn is_usb(self) -> bool {
        self != Self::Stream
    }
}

/// Where the guest finds the hardware address of its network interface.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NicAddress {
    /// In the chip's EEPROM.
    #[default]
    Eeprom,
    /// In the device tree, where the firmware writes it. The chip is blank.
    DeviceTree,
}
