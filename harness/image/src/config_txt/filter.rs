//! Conditional filters of `config.txt`: which sections a board sees.
//!
//! Source: Raspberry Pi documentation, "config.txt", section "Conditional filters". Filters of one kind replace each other,
//! filters of different kinds must all hold, `[all]` forgets them.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

/// A board as its firmware knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum BoardModel {
    /// Raspberry Pi 3 Model B, the board that QEMU's `raspi3b` is.
    #[serde(rename = "3b")]
    Pi3B,
    /// Raspberry Pi 3 Model B+.
    #[serde(rename = "3b+")]
    Pi3BPlus,
}

impl fmt::Display for BoardModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pi3B => "Raspberry Pi 3B",
            Self::Pi3BPlus => "Raspberry Pi 3B+",
        })
    }
}

/// What the filters ask about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hardware {
    /// The board.
    pub model: BoardModel,
    /// The board's serial number, the low 32 bits, which is what a filter gives.
    pub serial: u32,
}

impl BoardModel {
    /// Every board that one image for the Raspberry Pi 3 serves.
    pub const ALL: &[Self] = &[Self::Pi3B, Self::Pi3BPlus];

    /// The model filters that hold. A 3B+ sees what is meant for a 3B too.
    fn sections(self) -> &'static [&'static str] {
        match self {
            Self::Pi3B => &["pi3"],
            Self::Pi3BPlus => &["pi3", "pi3+"],
        }
    }

    /// Board type in the revision code: Raspberry Pi documentation, "Raspberry Pi revision codes".
    fn board_type(self) -> u32 {
        match self {
            Self::Pi3B => 0x08,
            Self::Pi3BPlus => 0x0d,
        }
    }

    /// The device tree that the firmware loads when `config.txt` names none: the Foundation's name, or, with
    /// `upstream_kernel=1`, the mainline kernel's.
    #[must_use]
    pub fn default_device_tree(self, upstream: bool) -> &'static str {
        match (self, upstream) {
            (Self::Pi3B, false) => "bcm2710-rpi-3-b.dtb",
            (Self::Pi3B, true) => "bcm2837-rpi-3-b.dtb",
            (Self::Pi3BPlus, false) => "bcm2710-rpi-3-b-plus.dtb",
            (Self::Pi3BPlus, true) => "bcm2837-rpi-3-b-plus.dtb",
        }
    }
}

/// Whether the last filter of each kind holds. The default lets everything through.
#[derive(Debug, Clone, Copy)]
pub(super) struct FilterState {
    model: bool,
    none: bool,
    tryboot: bool,
    edid: bool,
    serial: bool,
    gpio: bool,
}

impl Default for FilterState {
    fn default() -> Self {
        Self {
            model: true,
            none: true,
            tryboot: true,
            edid: true,
            serial: true,
            gpio: true,
        }
    }
}

impl FilterState {
    /// Whether settings apply now.
    pub(super) fn passes(self) -> bool {
        self.model && self.none && self.tryboot && self.edid && self.serial && self.gpio
    }

    /// Takes in the filter `[name]`; `false` when there is no such filter. An unknown one is taken for a model from the
    /// future: it does not hold.
    pub(super) fn apply(&mut self, name: &str, hardware: &Hardware) -> bool {
        if name == "all" {
            *self = Self::default();
        } else if name == "none" {
            self.none = false;
        } else if name == "tryboot" {
            // The flag is set by a reboot of a running system; a board that is switched on does not have it.
            self.tryboot = false;
        } else if let Some(kind) = name.strip_prefix("board-type=") {
            self.model = parse_number(kind) == Some(hardware.model.board_type());
        } else if name.starts_with("EDID=") {
            // No monitor is connected.
            self.edid = false;
        } else if name.starts_with("HDMI:") {
            // Says which port the next settings are for; it hides nothing.
        } else if let Some(condition) = name.strip_prefix("gpio") {
            let Some((pin, level)) = condition.split_once('=') else {
                return false;
            };
            self.gpio = pin
                .parse()
                .is_ok_and(|pin| u8::from(pulled_up(pin)).to_string() == level);
        } else if name.starts_with("0x") {
            self.serial = parse_number(name) == Some(hardware.serial);
        } else {
            self.model = hardware.model.sections().contains(&name);
            return is_model_section(name);
        }
        true
    }
}

/// The level of a pin with nothing connected. BCM2835 ARM Peripherals, table 6-31: pins 0 to 8 start with a pull-up, the
/// others on the header with a pull-down.
fn pulled_up(pin: u8) -> bool {
    pin <= 8
}

/// Whether a section is one for a model, of this board or of another. Those of later models are made the same way.
fn is_model_section(name: &str) -> bool {
    let digits = name.strip_prefix("pi").or_else(|| name.strip_prefix("cm"));
    digits.is_some_and(|digits| digits.starts_with(|first: char| first.is_ascii_digit()))
}

/// A number as the firmware writes it: decimal, or hexadecimal with `0x`.
pub(super) fn parse_number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(model: BoardModel, filters: &[&str]) -> bool {
        let hardware = Hardware {
            model,
            serial: 0x1234_5678,
        };
        let mut state = FilterState::default();
        for filter in filters {
            state.apply(filter, &hardware);
        }
        state.passes()
    }

    #[test]
    fn models_see_their_sections() {
        use BoardModel::{Pi3B, Pi3BPlus};
        for (filters, on_3b, on_3b_plus) in [
            (&["pi3"][..], true, true),
            (&["pi3+"], false, true),
            (&["pi4"], false, false),
            (&["pi4", "pi3"], true, true),
            (&["board-type=0x08"], true, false),
            (&["board-type=13"], false, true),
            (&["pi3", "0x12345678"], true, true),
            (&["0x00000001", "pi3"], false, false),
            (&["0x00000001", "pi3", "all"], true, true),
            (&["none", "pi3"], false, false),
            (&["EDID=VSC-TD2220"], false, false),
            (&["gpio4=1"], true, true),
            (&["gpio4=0"], false, false),
            (&["gpio22=0", "gpio4=1"], true, true),
            (&["gpio22=0", "HDMI:1"], true, true),
            (&["tryboot"], false, false),
            (&["whatever"], false, false),
        ] {
            assert_eq!(passes(Pi3B, filters), on_3b, "{filters:?} on a 3B");
            assert_eq!(
                passes(Pi3BPlus, filters),
                on_3b_plus,
                "{filters:?} on a 3B+"
            );
        }
    }

    #[test]
    fn only_unknown_filters_are_reported() {
        let hardware = Hardware {
            model: BoardModel::Pi3B,
            serial: 1,
        };
        let known = |name| FilterState::default().apply(name, &hardware);
        assert!(
            [
                "all",
                "pi5",
                "cm4s",
                "pi02",
                "gpio2=1",
                "0xffffffff",
                "EDID=x"
            ]
            .map(known)
            .iter()
            .all(|known| *known)
        );
        assert!(
            !["Pi3", "pie", "gpio2", "partition"]
                .map(known)
                .iter()
                .any(|known| *known)
        );
    }
}
