//! Conditional filters of `config.txt`: which sections a board sees.
//!
//! Source: Raspberry Pi documentation, "config.txt", section "Conditional filters". Filters of one kind replace each other,
//! filters of different kinds must all hold, `[all]` forgets them.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

use super::number::parse_number;

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

/// What decides which sections of a file apply at a power-on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conditions {
    /// The board.
    pub hardware: Hardware,
    /// The number of the partition that it starts from.
    pub partition: u32,
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

    /// What the root of a device tree for this board has in `compatible`, in mainline Linux and in the Foundation's.
    #[must_use]
    pub fn compatible(self) -> &'static str {
        match self {
            Self::Pi3B => "raspberrypi,3-model-b",
            Self::Pi3BPlus => "raspberrypi,3-model-b-plus",
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
    partition: bool,
    reboot: bool,
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
            partition: true,
            reboot: true,
        }
    }
}

impl FilterState {
    /// Whether settings apply now.
    pub(super) fn passes(self) -> bool {
        let Self {
            model,
            none,
            tryboot,
            edid,
            serial,
            gpio,
            partition,
            reboot,
        } = self;
        model && none && tryboot && edid && serial && gpio && partition && reboot
    }

    /// Takes in the filter `[name]`; `false` when there is no such filter. An unknown one is taken for a model from the
    /// future: it does not hold.
    pub(super) fn apply(&mut self, name: &str, conditions: &Conditions) -> bool {
        let hardware = &conditions.hardware;
        if name == "all" {
            *self = Self::default();
        } else if name == "none" {
            self.none = false;
        } else if name == "tryboot" {
            // The flag is set by a reboot of a running system; a board that is switched on does not have it.
            self.tryboot = false;
        } else if let Some(kind) = name.strip_prefix("board-type=") {
            self.model = parse_number(kind) == Some(hardware.model.board_type());
        } else if let Some(number) = name.strip_prefix("boot_partition=") {
            self.partition = parse_number(number) == Some(conditions.partition);
        } else if name.starts_with("partition=") || name.starts_with("boot_") {
            // What a reboot has asked for, how often a boot has failed: a board that is switched on has none of it.
            self.reboot = false;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(model: BoardModel) -> Conditions {
        let serial = 0x1234_5678;
        Conditions {
            hardware: Hardware { model, serial },
            partition: 1,
        }
    }

    fn passes(model: BoardModel, filters: &[&str]) -> bool {
        let mut state = FilterState::default();
        for filter in filters {
            state.apply(filter, &conditions(model));
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
            (&["boot_partition=1"], true, true),
            (&["boot_partition=2"], false, false),
            (&["boot_partition=2", "pi3"], false, false),
            (&["boot_partition=2", "boot_partition=1"], true, true),
            (&["partition=2", "pi3"], false, false),
            (&["boot_count>=1", "pi3", "all"], true, true),
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
        let known = |name| FilterState::default().apply(name, &conditions(BoardModel::Pi3B));
        assert!(
            [
                "all",
                "pi5",
                "cm4s",
                "pi02",
                "gpio2=1",
                "0xffffffff",
                "EDID=x",
                "boot_partition=2",
                "partition=3",
                "boot_arg1=4"
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
