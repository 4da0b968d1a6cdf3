//! What a board can do, and what it lacks and why: scenarios say what they need.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::firmware::Firmware;
use super::machine::Disk;
use super::nic::Nic;
use crate::machine::{DiskKind, Quirks};

/// Something that a scenario may need of a board.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// iPXE runs boot scripts on it.
    Ipxe,
    /// iPXE shows a client certificate, and trusts what it is told to.
    MutualTls,
    /// Its initramfs runs containers.
    Container,
    /// Its disk is an SD card.
    SdCard,
    /// Its network interface is a chip on USB, which the harness plays.
    UsbNic,
    /// Its firmware writes the interface's hardware address into the device tree.
    DeviceTreeAddress,
    /// It can be saved at a stage, for other runs to go on from.
    Checkpoint,
}

impl Capability {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Ipxe,
        Self::MutualTls,
        Self::Container,
        Self::SdCard,
        Self::UsbNic,
        Self::DeviceTreeAddress,
        Self::Checkpoint,
    ];

    /// As it is written in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ipxe => "ipxe",
            Self::MutualTls => "mutual-tls",
            Self::Container => "container",
            Self::SdCard => "sd-card",
            Self::UsbNic => "usb-nic",
            Self::DeviceTreeAddress => "device-tree-address",
            Self::Checkpoint => "checkpoint",
        }
    }
}

impl std::fmt::Display for Capability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// What a board lacks, and why: what its file says, and what follows from its hardware.
pub(super) fn lacking(
    said: BTreeMap<Capability, String>,
    disk: Disk,
    nic: &Nic,
    firmware: &Firmware,
    quirks: &Quirks,
) -> BTreeMap<Capability, String> {
    let mut lacks = said;
    let mut without = |capability, has: bool, why: &str| {
        if !has {
            lacks.entry(capability).or_insert_with(|| why.into());
        }
    };
    without(
        Capability::SdCard,
        disk.kind == DiskKind::Sd,
        "its disk is not an SD card",
    );
    without(
        Capability::UsbNic,
        nic.model.is_usb(),
        "its network interface is QEMU's own",
    );
    without(
        Capability::DeviceTreeAddress,
        matches!(firmware, Firmware::Videocore { .. }),
        "its firmware writes no hardware address into a device tree",
    );
    without(
        Capability::Checkpoint,
        quirks.freeze_when_no_irq.is_some(),
        "nobody has said when its state can be saved (freeze-when-no-irq)",
    );
    lacks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_by_their_names() {
        for capability in Capability::ALL {
            let json = format!("\"{capability}\"");
            assert_eq!(
                serde_json::from_str::<Capability>(&json).unwrap(),
                capability
            );
        }
    }
}
