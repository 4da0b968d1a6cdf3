//! What QEMU does otherwise than a machine that boots on a desk, as data of a board: which of the ways round it the board needs, and why.
//!
//! No code above this room names a machine or a register: a board's file says `[quirks.NAME]`, with what the way round has to know.

use std::num::NonZeroU16;

use schemars::JsonSchema;
use serde::Deserialize;
use shakedown_base::input::DeviceProperty;

/// The ways round QEMU's peculiarities that a board needs.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Quirks {
    /// Only some of the cores are powered on.
    pub park_secondaries: Option<ParkSecondaries>,
    /// The network adapter is plugged in anew when a kernel takes the board over from its boot loader.
    pub replug_on_takeover: Option<Reason>,
    /// The board can be saved while none of these registers shows a pending interrupt; without this quirk it is never saved.
    pub freeze_when_no_irq: Option<FreezeWhenNoIrq>,
    /// QEMU's timers may be late by a millisecond, so that those that are due together cost one wake-up.
    pub coalesce_timers: Option<Reason>,
    /// On each TCP connection of its first network adapter the board is sent no more at a time than that has room for.
    pub tcp_window: Option<TcpWindow>,
}

/// Why a way round is needed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// Why.
    pub because: String,
}

/// Only some of the cores are powered on, and left in the device tree.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParkSecondaries {
    /// Cores that are powered on.
    pub enabled: u32,
    /// The QEMU property that says so, as `driver.property`.
    pub property: DeviceProperty,
    /// Why.
    pub because: String,
}

/// What the board is sent on a TCP connection before it has acknowledged it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpWindow {
    /// The most bytes.
    pub bytes: NonZeroU16,
    /// Why.
    pub because: String,
}

/// When the board can be saved.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FreezeWhenNoIrq {
    /// Physical addresses of 32-bit registers that are zero while no interrupt is pending.
    pub registers: Vec<u64>,
    /// Why.
    pub because: String,
}
