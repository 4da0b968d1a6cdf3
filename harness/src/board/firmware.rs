//! `[firmware]`: what runs before the boot loader.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::image::config_txt::BoardModel;
use crate::input::SetName;

/// What runs before the boot loader, by its `kind`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Firmware {
    /// The VideoCore's `bootcode.bin` and `start.elf`, which the harness stands in for: reads `config.txt` of the first FAT partition.
    Videocore {
        /// What the filters of `config.txt` ask about.
        model: BoardModel,
        /// The board's revision code, which the firmware writes into the device tree.
        revision: Option<u32>,
    },
    /// UEFI firmware in flash memory: starts the default boot loader of the disk's EFI system partition.
    Uefi {
        /// The firmware.
        code: PartFile,
        /// The template of its variables; each run has a copy.
        variables: PartFile,
    },
    /// The machine's ROM, or a file in its place: starts what it finds.
    Direct {
        /// What the machine starts with in place of its own ROM.
        rom: Option<PartFile>,
        /// What the machine is given as a kernel: a boot loader.
        kernel: Option<PartFile>,
    },
}

/// A file of a package.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PartFile {
    /// The package set, of `fixtures/parts.toml`.
    pub set: SetName,
    /// Its path in the unpacked set.
    pub path: String,
}

impl Firmware {
    /// What the filters of `config.txt` ask about, where there is one.
    #[must_use]
    pub fn model(&self) -> Option<BoardModel> {
        match self {
            Self::Videocore { model, .. } => Some(*model),
            Self::Uefi { .. } | Self::Direct { .. } => None,
        }
    }

    /// The files of packages that it is made of.
    #[must_use]
    pub fn files(&self) -> Vec<&PartFile> {
        match self {
            Self::Videocore { .. } => vec![],
            Self::Uefi { code, variables } => vec![code, variables],
            Self::Direct { rom, kernel } => rom.iter().chain(kernel).collect(),
        }
    }
}
