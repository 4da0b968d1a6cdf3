//! The emulated machine: the firmware stage, QEMU's command line, its process, its monitor, its power.
//!
//! A [`Machine`] is one power cycle: it starts when the plug is switched on and ends when the plug is switched off or the
//! guest powers off. A run that cuts the power starts a new one on the same [`overlay`] of the card.

mod asleep;
mod command;
mod error;
mod growth;
mod memory;
mod monitor_text;
mod overlay;
mod power;
mod process;
mod qmp;
mod quirks;
mod takeover;
mod timer_slack;

pub use asleep::falls_asleep;
pub use command::{
    Accelerator, CommandLine, Disk, DiskContents, DiskKind, Flash, NETDEV, Network, QemuProgram,
    SANDBOX, SecondNic, VcpuThreads,
};
pub use error::MachineError;
pub use growth::OverlayGrowth;
pub use memory::{freeze, save_memory};
pub use monitor_text::program_counter;
pub use overlay::create_overlay;
pub use power::{Connectors, Machine, Sockets};
pub use process::Timers;
pub use qmp::{Monitor, QmpEvent};
pub use quirks::{FreezeWhenNoIrq, ParkSecondaries, Quirks, Reason};
pub use takeover::kernel_takes_over;
