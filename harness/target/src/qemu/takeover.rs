//! Notices that an operating system has taken the board over from its boot loader, without a word from the guest.
//!
//! Boot loaders and UEFI programs run where they lie in memory, identity-mapped in the lower half of the address space; kernels of 64-bit ARM
//! map themselves into the upper half. Source: Arm Architecture Reference Manual, D8.1, "TTBR1_ELx"; Linux'
//! Documentation/arch/arm64/memory.rst.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::monitor_text::place;
use super::{MachineError, Monitor};

/// How often the program counter is looked at. A kernel needs several seconds from its first instruction to its USB driver.
const LOOK: Duration = Duration::from_millis(250);

/// Waits until the first core executes in the upper half of the address space. QEMU has no event for it, so the program counter is
/// sampled; bound the wait with the run's own limits.
///
/// # Errors
/// The monitor's connection has ended.
pub async fn kernel_takes_over(monitor: &Monitor) -> Result<(), MachineError> {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let registers = monitor.human("info registers").await?;
        if is_in_kernel(&registers) {
            return Ok(());
        }
    }
}

/// The core executes what TTBR1 translates: addresses that have their topmost bits set.
fn is_in_kernel(registers: &str) -> bool {
    place(registers).is_some_and(|place| place >> 56 == 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_loaders_are_low_and_kernels_are_high() {
        let u_boot = " PC=000000003b36a1c4 X00=0000000000000001\n X01=ffff800000000000";
        let linux = "\nCPU#0\n PC=ffffd1e5f0a1b2c4 X00=0000000000000000";
        assert!(!is_in_kernel(u_boot));
        assert!(is_in_kernel(linux));
        assert!(!is_in_kernel("no registers here"));
    }
}
