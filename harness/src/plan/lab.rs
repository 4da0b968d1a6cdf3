//! `lab.toml`: a board on a desk, and how it is reached.

use std::path::Path;
use std::time::Duration;

use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::board::{Evidence, Stage};
use crate::input::{BoardName, Document, InputError, Pattern, Span, duration};
use crate::lab::{Power, SerialPort};
use crate::mac::Mac;
use crate::scenario::{PlannedFault, PowerStep, Scenario, Transport, Trigger};

/// `lab.toml`: a board on a desk, and how it is reached.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Lab")]
pub(crate) struct LabFile {
    /// The board's definition, by its name: its chain, its alarms, its limits.
    #[schemars(with = "String")]
    board: BoardName,
    /// The hardware address of the board's network interface, by which the boot server knows it.
    #[schemars(with = "String")]
    mac: Mac,
    /// The tap interface of this machine that leads to the board; bridge it with the port that the board is plugged into.
    tap: String,
    /// The serial console.
    serial: SerialFile,
    /// The power.
    power: PowerFile,
}

/// The serial console.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SerialFile {
    /// `/dev/NAME`, `tcp:HOST:PORT` or `rfc2217:HOST:PORT`.
    #[schemars(with = "String")]
    port: Span<String>,
    /// Bits a second, by default 115200.
    #[serde(default = "usual_baud")]
    baud: u32,
    /// A line with which the board says that it has shut down, which nobody sees otherwise; by default the initramfs's.
    shut_down: Option<Pattern>,
}

/// How the power is switched: each is a command for the shell or an address that begins with `http://`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PowerFile {
    /// Switches it on.
    on: String,
    /// Switches it off.
    off: String,
    /// Says whether it is on; without it the power is not read back.
    state: Option<String>,
    /// What the answer of `state` matches when it is on; by default the word `on`, `true` or `1`.
    is_on: Option<Pattern>,
    /// How long it stays off at least, by default 5s.
    #[serde(default = "usual_off", deserialize_with = "duration::deserialize")]
    #[schemars(with = "duration::Text")]
    least_off: Duration,
}

fn usual_baud() -> u32 {
    115_200
}

/// What the initramfs says before it powers the board off.
const USUAL_END: &str = "It's now safe to turn off your computer";
/// What plugs answer when they are on.
const USUAL_ON: &str = r"(?i)\b(on|true|1)\b";

fn usual_off() -> Duration {
    Duration::from_secs(5)
}

/// A board on a desk, and how it is reached.
#[derive(Debug, Clone)]
pub struct Lab {
    /// The board's definition, by its name.
    pub board: BoardName,
    /// The hardware address of its network interface.
    pub mac: Mac,
    /// The tap interface that leads to it.
    pub tap: String,
    /// Its serial console.
    pub serial: SerialPort,
    /// Bits a second.
    pub baud: u32,
    /// A line with which it says that it has shut down.
    pub shut_down: Regex,
    /// Its power.
    pub power: Power,
}

impl Lab {
    /// Reads the file.
    ///
    /// # Errors
    /// The file is wrong; the error points at the place.
    pub fn read(path: &Path) -> Result<Self, InputError> {
        Self::of(&Document::read(path)?)
    }

    fn of(document: &Document) -> Result<Self, InputError> {
        let file: LabFile = document.parse()?;
        let port = file.serial.port;
        let serial = port.get_ref().parse();
        let serial = serial.map_err(|e: String| document.error_at(port.span(), &e))?;
        let regex = |given: Option<Pattern>, usual: &str| match given {
            Some(pattern) => Ok(Regex::clone(pattern.regex())),
            None => Regex::new(usual).map_err(|e| document.error_at(0..0, &e.to_string())),
        };
        Ok(Self {
            board: file.board,
            mac: file.mac,
            tap: file.tap,
            serial,
            baud: file.serial.baud,
            shut_down: regex(file.serial.shut_down, USUAL_END)?,
            power: Power {
                on: file.power.on,
                off: file.power.off,
                state: file.power.state,
                is_on: regex(file.power.is_on, USUAL_ON)?,
                least_off: file.power.least_off,
            },
        })
    }

    /// Why a scenario cannot be run on a board on a desk; `None` if it can.
    #[must_use]
    pub fn cannot(scenario: &Scenario) -> Option<&'static str> {
        if scenario.boot.transport == Transport::Https {
            return Some(
                "the card is not touched, so the board trusts none of this run's certificates and has no identity of this run",
            );
        }
        let is_known = |power: PowerStep| matches!(power, PowerStep::On | PowerStep::Cycle);
        if scenario
            .steps
            .iter()
            .any(|step| !step.power.is_none_or(is_known))
        {
            return Some("its steps do more with the power than to switch it on and to cycle it");
        }
        let counts =
            |trigger: &Trigger| matches!(trigger, Trigger::Frames(_) | Trigger::Written(_));
        if scenario.triggers().any(counts) {
            return Some(
                "a step or a fault waits for a count of frames or of written bytes, and nobody counts them",
            );
        }
        if scenario.steps.iter().any(|step| step.link.is_some()) {
            return Some(
                "a step changes how the board is connected to its network, and nobody is at the board on the desk to do it",
            );
        }
        if scenario.card.is_some() {
            return Some("nobody can read the card of a board on a desk back");
        }
        if scenario.faults.iter().any(PlannedFault::is_of_card) {
            return Some("nobody can damage the card of a board on a desk");
        }
        if scenario.firmware.leaves_address_out {
            return Some(
                "the firmware of the board is its own, and cannot be told to leave the hardware address out",
            );
        }
        None
    }

    /// The stages of a board on a desk: what its firmware does nobody sees.
    #[must_use]
    pub fn stages(stages: Vec<Stage>) -> Vec<Stage> {
        let is_seen = |stage: &Stage| !matches!(stage.evidence, Evidence::Firmware);
        stages.into_iter().filter(is_seen).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "board = \"raspi3b\"\nmac = \"b8:27:eb:01:02:03\"\ntap = \"shakedown0\"\n\
        [serial]\nport = \"/dev/ttyUSB0\"\n[power]\non = \"http://plug/on\"\noff = \"http://plug/off\"\n";

    #[test]
    fn a_desk_is_read_with_what_is_usual() {
        let lab = Lab::of(&Document::of("lab.toml", FILE)).unwrap();
        assert_eq!(
            (lab.baud, lab.power.least_off),
            (115_200, Duration::from_secs(5))
        );
        for (answer, is_on) in [
            ("{\"POWER\":\"ON\"}", true),
            ("output: true", true),
            ("off", false),
        ] {
            assert_eq!(lab.power.is_on.is_match(answer), is_on, "{answer}");
        }
        let said = "[12.50]: It's now safe to turn off your computer";
        assert!(lab.shut_down.is_match(said));
    }

    #[test]
    fn the_desk_of_the_book_is_read() {
        let page = include_str!("../../../docs/book/src/desk.md");
        let example = page.split("```toml\n").nth(1).unwrap();
        let example = example.split("```").next().unwrap();
        let lab = Lab::of(&Document::of("lab.toml", example)).unwrap();
        assert!(lab.power.is_on.is_match("{\"POWER\":\"ON\"}"));
        assert!(!lab.power.is_on.is_match("{\"POWER\":\"OFF\"}"));
    }

    #[test]
    fn a_wrong_port_is_told_with_its_place() {
        let text = FILE.replace("/dev/ttyUSB0", "COM1");
        let error = Lab::of(&Document::of("lab.toml", text)).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("lab.toml:5:8: `COM1` is no serial port"),
            "{error}"
        );
    }
}
