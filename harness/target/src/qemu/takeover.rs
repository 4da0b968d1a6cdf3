//! Notices that an operating system has taken the board over from its boot loader, without a word from the guest.
//!
//! Boot loaders and UEFI programs run where they lie in memory, identity-mapped in the lower half of the address space; kernels of 64-bit ARM
//! map themselves into the upper half. Source: Arm Architecture Reference Manual, D8.1, "TTBR1_ELx"; Linux'
//! Documentation/arch/arm64/memory.rst.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

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
        if program_counter(&registers).is_some_and(is_upper_half) {
            return Ok(());
        }
    }
}

/// The program counter in the monitor's text, for example ` PC=ffff800080012345 X00=…`.
fn program_counter(registers: &str) -> Option<u64> {
    let (_, rest) = registers.split_once("PC=")?;
    u64::from_str_radix(rest.get(..16)?, 16).ok()
}

/// Addresses that TTBR1 translates have their topmost bits set.
fn is_upper_half(address: u64) -> bool {
    address >> 56 == 0xff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_loaders_are_low_and_kernels_are_high() {
        let u_boot = " PC=000000003b36a1c4 X00=0000000000000001\n X01=ffff800000000000";
        let linux = "\nCPU#0\n PC=ffffd1e5f0a1b2c4 X00=0000000000000000";
        assert_eq!(program_counter(u_boot).map(is_upper_half), Some(false));
        assert_eq!(program_counter(linux).map(is_upper_half), Some(true));
        assert_eq!(program_counter("no registers here"), None);
        assert_eq!(program_counter("PC=12"), None);
    }
}
