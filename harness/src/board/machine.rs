//! `[machine]`, `[disk]`, `[[uart]]`: the hardware of a board, but for its network interface.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::architecture::Architecture;
use crate::input::{ByteSize, MachineType, QemuName};
use crate::machine::DiskKind;

/// The emulated machine.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// The processor's architecture, by Debian's name.
    pub arch: Architecture,
    /// QEMU's `-M`, without properties.
    #[serde(rename = "type")]
    pub kind: MachineType,
    /// QEMU's `-cpu`, where the machine's own will not do.
    pub cpu: Option<QemuName>,
    /// Main memory, where the machine's own will not do.
    pub memory: Option<ByteSize>,
    /// Cores of the SoC, which QEMU wants as `-smp`.
    pub cores: u32,
    /// Devices of QEMU's that the machine has besides, without properties.
    #[serde(default)]
    pub devices: Vec<QemuName>,
    /// Where the host has the same architecture and lets QEMU use its processor (`/dev/kvm`), it does.
    #[serde(default)]
    pub kvm: bool,
}

/// The disk.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// How it is attached.
    pub kind: DiskKind,
}

/// A serial port.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Uart {
    /// For example `PL011`.
    pub name: String,
    /// Linux' device, for example `ttyAMA0`.
    pub linux: String,
}
