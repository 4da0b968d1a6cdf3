//! What a board did when it hung: asked of the emulator before the plug is pulled, and put onto the timeline, which the page and the bundle have.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use crate::folder::RunFolder;

use crate::machine::Monitor;
use crate::timeline::Timeline;

/// How often the program counter is looked at, and how far apart: a core that waits stands still, one that loops moves in circles.
const LOOKS: usize = 5;
const APART: Duration = Duration::from_millis(200);
/// The room that says it.
const ROOM: &str = "hang";

/// Notes the program counter, several times, and the registers. An emulator that does not answer has nothing to say.
pub(crate) async fn note_hang(monitor: &Monitor, timeline: &Timeline) {
    let mut places = Vec::new();
    let mut last = String::new();
    for _ in 0..LOOKS {
        let Ok(registers) = monitor.human("info registers").await else {
            return;
        };
        places.extend(program_counter(&registers));
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

/// The program counter in the monitor's text, ` PC=…` on 64-bit ARM and `R15=…` on 32-bit ARM.
fn program_counter(registers: &str) -> Option<String> {
    let (_, rest) = ["PC=", "R15=", "RIP="]
        .iter()
        .find_map(|name| registers.split_once(name))?;
    let digits: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
    (!digits.is_empty()).then_some(digits)
}

/// Lines of general registers and state; the vector registers say little and are many.
fn is_general(line: &str) -> bool {
    let name: String = line.chars().take_while(|c| *c != '=').collect();
    matches!(
        name.trim_end_matches(|c: char| c.is_ascii_digit()),
        "PC" | "X" | "PSTATE" | "R" | "PSR"
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
    fn a_core_stands_or_runs() {
        let registers = "\nCPU#0\n PC=000000003b36a1c4 X00=0000000000000001\nX01=2\nPSTATE=600003c9 -ZC- EL2h\nQ00=0:0\n";
        let place = program_counter(registers).unwrap();
        assert_eq!(place, "000000003b36a1c4");
        let still = summary(&[place.clone(), place.clone()]);
        assert!(
            still.contains("stands still at 000000003b36a1c4, in 2 looks"),
            "{still}"
        );
        let moves = summary(&[place, "10".into()]);
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
