//! What a board did when it hung: asked of the emulator before the plug is pulled, and put onto the timeline, which the page and the bundle have.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::Symbols;
use crate::folder::RunFolder;
use crate::machine::{Monitor, program_counter};
use crate::timeline::Timeline;

/// How often the program counter is looked at, and how far apart: a core that waits stands still, one that loops moves in circles.
const LOOKS: usize = 5;
const APART: Duration = Duration::from_millis(200);
/// The room that says it.
const ROOM: &str = "hang";

/// Notes the program counter, several times, and the registers; `symbols` name the kernel's functions. An emulator that does not answer has nothing
/// to say.
pub(crate) async fn note_hang(monitor: &Monitor, symbols: Option<&Symbols>, timeline: &Timeline) {
    let mut places = Vec::new();
    let mut last = String::new();
    for _ in 0..LOOKS {
        let Ok(registers) = monitor.human("info registers").await else {
            return;
        };
        places.extend(program_counter(&registers).map(|place| named(place, symbols)));
        last = registers;
        sleep(APART).await;
    }
    timeline.note(ROOM, summary(&places));
    for line in last.lines().map(str::trim).filter(|line| is_general(line)) {
        timeline.note(ROOM, line);
    }
}

/// Keeps what is in the board's memory, in `folder`, as an ELF file of its physical addresses; whether it could be is on the timeline. It holds the
/// run's keys.
pub(crate) async fn dump_memory(monitor: &Monitor, folder: &Path, timeline: &Timeline) {
    let file = folder.join(RunFolder::MEMORY);
    let protocol = format!("file:{}", file.display());
    let arguments = json!({ "paging": false, "protocol": protocol });
    let told = match monitor.execute("dump-guest-memory", arguments).await {
        Ok(_) => format!("what was in the board's memory is in {}", RunFolder::MEMORY),
        Err(error) => format!("the board's memory could not be kept: {error}"),
    };
    timeline.note(ROOM, told);
}

/// An address, with the kernel's function that it is in.
fn named(place: &str, symbols: Option<&Symbols>) -> String {
    let address = u64::from_str_radix(place, 16).ok();
    match address.and_then(|address| symbols?.place(address)) {
        Some(function) => format!("{place} ({function})"),
        None => place.into(),
    }
}

/// Lines of general registers and state, of whatever processor; the vector registers say little and are many.
fn is_general(line: &str) -> bool {
    let name: String = line
        .chars()
        .take_while(|c| !matches!(c, '=' | '/' | ' '))
        .collect();
    matches!(
        name.trim_end_matches(|c: char| c.is_ascii_digit()),
        "PC" | "X" | "PSTATE" | "R" | "PSR" | "RAX" | "RSI" | "RIP" | "CR" | "x" | "pc"
    )
}

fn summary(places: &[String]) -> String {
    let (Some(first), count) = (places.first(), places.len()) else {
        return "the emulator does not say where the core is".into();
    };
    if places.iter().all(|place| place == first) {
        format!("the first core stands still at {first}, in {count} looks within a second")
    } else {
        format!("the first core runs, seen at {}", places.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_processor_says_where_it_is() {
        let x86 = "\nCPU#0\nRAX=0000000000000000 RBX=1\nRSI=0\nR8 =0 R9 =0\nRIP=ffffffff81e0d0ab RFL=00000246\nCS =0010\nCR0=80050033\nXMM00=0\n";
        let riscv = "\nCPU#0\n V      =   0\n pc       ffffffff8000a1b2\n mhartid  0\n x0/zero  0 x1/ra 1\n f0/ft0   0\n";
        let arm = "\nCPU#0\nR00=00000000 R01=1\nR12=0 R13=0 R14=0 R15=c0108a1c\nPSR=60000093 -ZC- A S svc32\ns00=0\n";
        for (registers, place, kept) in [
            (x86, "ffffffff81e0d0ab", 5),
            (riscv, "ffffffff8000a1b2", 2),
            (arm, "c0108a1c", 3),
        ] {
            assert_eq!(program_counter(registers), Some(place));
            let lines = registers.lines().map(str::trim);
            assert_eq!(
                lines.filter(|line| is_general(line)).count(),
                kept,
                "{registers}"
            );
        }
    }

    #[test]
    fn a_core_stands_or_runs() {
        let registers = "\nCPU#0\n PC=000000003b36a1c4 X00=0000000000000001\nX01=2\nPSTATE=600003c9 -ZC- EL2h\nQ00=0:0\n";
        let place = program_counter(registers).unwrap();
        assert_eq!(place, "000000003b36a1c4");
        let still = summary(&[place.into(), place.into()]);
        assert!(
            still.contains("stands still at 000000003b36a1c4, in 2 looks"),
            "{still}"
        );
        let moves = summary(&[place.into(), "10".into()]);
        assert!(
            moves.contains("runs, seen at 000000003b36a1c4, 10"),
            "{moves}"
        );
        let kept: Vec<_> = registers
            .lines()
            .map(str::trim)
            .filter(|line| is_general(line))
            .collect();
        assert_eq!(kept.len(), 3, "{kept:?}");
    }
}
