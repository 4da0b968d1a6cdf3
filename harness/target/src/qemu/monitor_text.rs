//! What the monitor's commands for people print: `info registers` and `xp`. QEMU has no others that tell it.

use super::{MachineError, Monitor};

/// The digits of the program counter in the text of `info registers`: ` PC=…` on 64-bit ARM, `R15=…` on 32-bit ARM, `RIP=…` on x86-64, ` pc       …`
/// on RISC-V.
#[must_use]
pub fn program_counter(registers: &str) -> Option<&str> {
    let names = [" PC=", "R15=", "RIP=", "\n pc "];
    let mut found = names.iter().filter_map(|name| registers.split_once(name));
    let (_, rest) = found.next()?;
    hex(rest.trim_start())
}

/// Where the core is, by the same text.
pub(super) fn place(registers: &str) -> Option<u64> {
    u64::from_str_radix(program_counter(registers)?, 16).ok()
}

/// PSTATE of 64-bit ARM in the text of `info registers`.
pub(super) fn pstate(registers: &str) -> Option<u32> {
    let (_, rest) = registers.split_once("PSTATE=")?;
    u32::from_str_radix(hex(rest)?, 16).ok()
}

/// The digits that a text begins with.
fn hex(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !c.is_ascii_hexdigit());
    let digits = text.get(..end.unwrap_or(text.len()))?;
    (!digits.is_empty()).then_some(digits)
}

impl Monitor {
    /// The 32-bit word at a physical address; `None` where the machine has no memory.
    ///
    /// # Errors
    /// The monitor's connection has ended.
    pub(super) async fn read_word(&self, address: u64) -> Result<Option<u32>, MachineError> {
        let text = self.human(&format!("xp /1wx {address:#x}")).await?;
        Ok(word(&text))
    }
}

/// The word in the text of `xp`, for example `0000000040000060: 0x00000002`.
fn word(text: &str) -> Option<u32> {
    let (_, digits) = text.trim_end().rsplit_once(": 0x")?;
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_processor_says_where_it_is() {
        let registers = [
            " PC=000000003b36a1c4 X00=0000000000000001\n X01=ffff800000000000",
            "\nCPU#0\nR00=00000000 R01=1\nR12=0 R13=0 R14=0 R15=c0108a1c\nPSR=60000093",
            "\nCPU#0\nRAX=0000000000000000 RBX=1\nRIP=ffffffff81e0d0ab RFL=00000246\n",
            "\nCPU#0\n V      =   0\n pc       ffffffff8000a1b2\n mhartid  0\n",
            "no registers here",
        ];
        assert_eq!(
            registers.map(program_counter),
            [
                Some("000000003b36a1c4"),
                Some("c0108a1c"),
                Some("ffffffff81e0d0ab"),
                Some("ffffffff8000a1b2"),
                None
            ]
        );
        assert_eq!(pstate("\nPSTATE=600003c9 -ZC- EL2h\n"), Some(0x6000_03c9));
        assert_eq!(pstate(registers[1]), None);
    }

    #[test]
    fn a_word_is_read_where_there_is_memory() {
        assert_eq!(word("000000003b36a1c0: 0xd503207f\r\n"), Some(0xd503_207f));
        assert_eq!(word("Cannot access memory"), None);
    }
}
