//! `boards/NAME.toml`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::chain::{self, Chain, Stage};
use super::container::ContainerMarks;
use crate::alarm::Alarms;
use crate::image::config_txt::BoardModel;
use crate::image::partitions::Scheme;
use crate::input::{
    BoardName, ChainName, DeviceProperty, InputError, Library, MachineType, SourceText, Span,
    duration,
};

/// A board, read and checked.
#[derive(Debug, Clone)]
pub struct Board {
    /// The file's name without `.toml`.
    pub name: BoardName,
    /// What people call it.
    pub title: String,
    /// The emulated machine.
    pub machine: Machine,
    /// Serial ports in QEMU's order of `-serial`.
    pub uarts: Vec<Uart>,
    /// The network interface.
    pub nic: Nic,
    /// What runs before the boot loader.
    pub firmware: Firmware,
    /// What its image is to be.
    pub image: Image,
    /// Bounds of a run.
    pub limits: Limits,
    /// The stages that its image goes through.
    pub stages: Vec<Stage>,
    /// How its console shows where the container speaks.
    pub container: Option<ContainerMarks>,
    /// What its console must never say, and what lines mean.
    pub alarms: Alarms,
    /// What the emulated board lacks.
    pub cannot: Vec<Limitation>,
    /// Its file, and its chain's.
    pub sources: [SourceText; 2],
}

/// `boards/NAME.toml`: an emulated board.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Board")]
pub(crate) struct BoardFile {
    /// The board that this one is like, by name: what is not said here is as there.
    #[expect(dead_code, reason = "read with the file, and part of its schema")]
    extends: Option<String>,
    /// What people call it.
    title: String,
    /// The chain of stages that it goes through: `NAME` of `boards/NAME.chain.toml`.
    #[schemars(with = "ChainName")]
    chain: Span<ChainName>,
    machine: Machine,
    /// Serial ports in QEMU's order of `-serial`.
    uart: Vec<Uart>,
    nic: Nic,
    firmware: Firmware,
    #[serde(default)]
    image: Image,
    limits: Limits,
    /// What the emulated board lacks, and why. Every report says it.
    #[serde(default)]
    cannot: Vec<Limitation>,
    /// Stages of the chain that are different on this board, by name.
    #[serde(default)]
    #[schemars(with = "Vec<Stage>")]
    stage: Vec<Span<Stage>>,
}

/// The emulated machine.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// QEMU's `-M`, without properties.
    #[serde(rename = "type")]
    pub kind: MachineType,
    /// Cores of the SoC, which QEMU wants as `-smp`.
    pub cores: u32,
    /// Cores that are powered on and left in the device tree.
    pub enabled_cores: u32,
    /// The QEMU property that says how many cores are powered on, as `driver.property`.
    pub enabled_cores_property: DeviceProperty,
}

/// A serial port.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Uart {
    /// As in `PL011`.
    pub name: String,
    /// Linux' device, as in `ttyAMA0`.
    pub linux: String,
}

/// The network interface.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nic {
    /// The chip.
    pub model: NicModel,
    /// Vendor prefix of its address, as in `b8:27:eb`.
    pub oui: String,
    /// USB port of the host controller.
    pub port: u8,
    /// Where the guest finds its hardware address.
    #[serde(default)]
    pub address: NicAddress,
}

/// Where the guest finds the hardware address of its network interface.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NicAddress {
    /// In the chip's EEPROM.
    #[default]
    Eeprom,
    /// In the device tree, where the firmware writes it. The chip is blank.
    DeviceTree,
}

/// What an emulated board lacks of the real one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limitation {
    /// What it cannot do or be.
    pub what: String,
    /// Why.
    pub because: String,
}

impl std::fmt::Display for Limitation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.what, self.because)
    }
}

/// The chips that the harness can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NicModel {
    /// SMSC LAN9514: USB 2.0 hub and 10/100 Ethernet of the Pi 2 and 3.
    Lan9514,
    /// Microchip LAN7800: Gigabit Ethernet; with a hub, as LAN7515, on the Pi 3B+.
    Lan7800,
}

/// What runs before the boot loader.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Firmware {
    /// Which stand-in of the board's firmware starts the image.
    pub loader: Loader,
    /// What the filters of `config.txt` ask about.
    pub model: BoardModel,
    /// The board's revision code, which the firmware writes into the device tree.
    pub revision: Option<u32>,
}

/// The firmware stand-ins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Loader {
    /// The VideoCore's `bootcode.bin` and `start.elf`: reads `config.txt` of the first FAT partition.
    Videocore,
}

/// What a board wants of its image otherwise than docs/image-spec.md has it.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Image {
    /// The kind of partition table that images are built with.
    pub table: Scheme,
    /// The ROM reads the four entries of an MBR and nothing else.
    pub rom_reads_mbr_only: bool,
}

/// Bounds of a run on the reference host; they grow with the calibration of the host.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// From power-on to the first byte on a UART.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub first_activity: Duration,
    /// Without a byte on a UART, an answered request or any other event of the timeline.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub silence: Duration,
    /// The whole run.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Text")]
    pub whole: Duration,
}

impl Board {
    /// Reads the board of this name and the chain that it names; `library` may be a folder.
    ///
    /// # Errors
    /// A file is missing or wrong; the error names file, line and column.
    pub fn read(library: impl Into<Library>, name: &str) -> Result<Self, InputError> {
        Self::read_file(&library.into(), name)
    }

    /// Reads every board, sorted by name.
    ///
    /// # Errors
    /// As for [`Board::read`]; the first wrong file ends it.
    pub fn read_all(library: impl Into<Library>) -> Result<Vec<Self>, InputError> {
        let library = library.into();
        let names = library.names()?;
        names
            .iter()
            .map(|name| Self::read_file(&library, name))
            .collect()
    }

    fn read_file(library: &Library, name: &str) -> Result<Self, InputError> {
        let document = library.read(&format!("{name}.toml"))?;
        let file: BoardFile = document.parse()?;
        let chain_file = format!("{}.chain.toml", file.chain.get_ref());
        if !library.has(&chain_file) {
            let message = format!(
                "there is no chain file {}",
                library.path(&chain_file).display()
            );
            return Err(document.error_at(file.chain.span(), &message));
        }
        let Chain {
            mut stages,
            container,
            alarms,
            source,
        } = chain::read(&library.read(&chain_file)?)?;
        for stage in file.stage {
            let Some(base) = stages.iter_mut().find(|s| s.name == stage.get_ref().name) else {
                let message = format!(
                    "the chain \"{}\" has no stage \"{}\" to override",
                    file.chain.get_ref(),
                    stage.get_ref().name
                );
                return Err(document.error_at(stage.span(), &message));
            };
            *base = stage.into_inner();
        }
        Ok(Self {
            name: document.name()?,
            title: file.title,
            machine: file.machine,
            uarts: file.uart,
            nic: file.nic,
            firmware: file.firmware,
            image: file.image,
            limits: file.limits,
            stages,
            container,
            alarms,
            cannot: file.cannot,
            sources: [document.source(), source],
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn boards() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../boards")
    }

    /// A folder with the project's boards, in which `raspi3b.toml` has `from` replaced by `to`.
    fn changed(from: &str, to: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(boards()).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
        }
        let file = folder.path().join("raspi3b.toml");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{from} is not in the file");
        fs::write(file, text.replacen(from, to, 1)).unwrap();
        folder
    }

    fn error(from: &str, to: &str) -> String {
        let folder = changed(from, to);
        let error = Board::read(folder.path(), "raspi3b")
            .unwrap_err()
            .to_string();
        error.replace(&folder.path().display().to_string(), "boards")
    }

    #[test]
    fn every_board_of_the_project_is_right() {
        let all = Board::read_all(&boards()).unwrap();
        assert!(all.iter().any(|b| b.name == "raspi3b"));
        assert!(all.iter().all(|b| !b.stages.is_empty()));
    }

    #[test]
    fn errors_point_at_the_place() {
        insta::assert_snapshot!(error("\"lan9514\"", "\"lan9999\""), @r#"
        boards/raspi3b.toml:23:9: unknown variant `lan9999`, expected `lan9514` or `lan7800`
          | model = "lan9999"
          |         ^^^^^^^^^
        "#);
        insta::assert_snapshot!(error("chain = \"netboot\"", "chain = \"tftp\""), @r#"
        boards/raspi3b.toml:4:9: there is no chain file boards/tftp.chain.toml
          | chain = "tftp"
          |         ^^^^^^
        "#);
        insta::assert_snapshot!(error("\"180s\"", "\"soon\""), @r#"
        boards/raspi3b.toml:37:11: not a duration such as "90s" or "10m": expected number at 0
          | silence = "soon"           # nothing on any UART, no frame on the LAN
          |           ^^^^^^
        "#);
        insta::assert_snapshot!(error("[nic]", "[nic]\nspeed = 100"), @r#"
        boards/raspi3b.toml:23:1: unknown field `speed`, expected one of `model`, `oui`, `port`, `address`
          | speed = 100
          | ^^^^^
        "#);
    }

    #[test]
    fn what_reaches_qemus_command_line_is_a_name() {
        for (from, to, wanted) in [
            (
                "type = \"raspi3b\"",
                "type = \"raspi3b,dumpdtb=x\"",
                ":7:8: \"raspi3b,dumpdtb=x\" is not a machine of QEMU",
            ),
            (
                "\"bcm2837.enabled-cpus\"",
                "\"a.b=1,c.d\"",
                "\"a.b=1,c.d\" is not a property of QEMU",
            ),
            (
                "chain = \"netboot\"",
                "chain = \"../x\"",
                ":4:9: \"../x\" is not the name of a chain",
            ),
        ] {
            let error = error(from, to);
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn a_board_overrides_a_stage_of_its_chain_by_name() {
        let mine =
            "[[stage]]\nname = \"U-Boot\"\nevidence.serial = 'mine'\nbudget = \"1s\"\n[limits]";
        let folder = changed("[limits]", mine);
        let board = Board::read(folder.path(), "raspi3b").unwrap();
        let stage = board.stages.iter().find(|s| s.name == "U-Boot").unwrap();
        assert_eq!(stage.budget, Duration::from_secs(1));
        assert!(
            error("[limits]", &mine.replace("U-Boot", "U-Boat"))
                .contains("no stage \"U-Boat\" to override")
        );
    }
}
