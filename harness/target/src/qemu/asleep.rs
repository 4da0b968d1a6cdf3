//! Notices that a boot loader has put the core to sleep for good, without a word from the guest.
//!
//! iPXE executes `wfi` while it waits for time or a key. It wakes when an interrupt is pending; U-Boot has none switched on. So a core that
//! stands behind a `wfi` in the lower half of the address space, with interrupts masked, and does not move, never will. Source: Arm Architecture
//! Reference Manual, D1.6.2 (WFI), C6.2 (its encoding), C5.2.18 (PSTATE).

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::monitor_text::{place, pstate};
use super::{MachineError, Monitor};

/// How often the core is looked at, and how many times it must not have moved.
const LOOK: Duration = Duration::from_secs(2);
const LOOKS: u32 = 4;
/// The instruction `wfi`.
const WFI: u32 = 0xd503_207f;
const INSTRUCTION: u64 = 4;
/// PSTATE's bit that masks interrupts.
const MASKED: u32 = 1 << 7;

/// Waits until the first core has fallen asleep for good. Returns where it stands, the address behind the `wfi`.
///
/// # Errors
/// The monitor's connection has ended.
pub async fn falls_asleep(monitor: &Monitor) -> Result<u64, MachineError> {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut last, mut same) = (None, 0);
    loop {
        looks.tick().await;
        let registers = monitor.human("info registers").await?;
        let place = standing(&registers);
        same = if place.is_some() && place == last {
            same + 1
        } else {
            0
        };
        last = place;
        let Some(pc) = place.filter(|_| same >= LOOKS) else {
            continue;
        };
        if monitor.read_word(pc - INSTRUCTION).await? == Some(WFI) {
            return Ok(pc);
        }
    }
}

/// The program counter, if it is one of a boot loader with interrupts masked.
fn standing(registers: &str) -> Option<u64> {
    let (pc, state) = (place(registers)?, pstate(registers)?);
    (pc >= INSTRUCTION && pc >> 63 == 0 && state & MASKED != 0).then_some(pc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_loader_with_masked_interrupts_may_stand() {
        let registers = |pc: &str, state: &str| {
            format!("\nCPU#0\n PC={pc} X00=0000000000000001 X01=0\nPSTATE={state} -ZC- EL2h\n")
        };
        let place = |pc, state| standing(&registers(pc, state));
        assert_eq!(place("000000003b36a1c4", "600003c9"), Some(0x3b36_a1c4));
        assert_eq!(
            place("000000003b36a1c4", "60000349"),
            None,
            "interrupts are not masked"
        );
        assert_eq!(place("ffff800080012345", "600003c9"), None, "a kernel");
        assert_eq!(standing("R15=00008000 PSR=600001d3"), None);
    }
}
