//! `boards/NAME.toml`.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::capability::{Capability, lacking};
use super::chain::{self, Chain, Stage};
use super::container::ContainerMarks;
use super::firmware::Firmware;
use super::image::Image;
use super::machine::{Disk, Machine, Uart};
use super::nic::Nic;
use crate::alarm::Alarms;
use crate::input::{BoardName, ChainName, InputError, Library, SourceText, Span, duration};
use crate::machine::Quirks;
use crate::scenario::Tier;
use crate::timeline::BoardId;

/// A board, read and checked.
#[derive(Debug, Clone)]
pub struct Board {
    /// The file's name without `.toml`.
    pub name: BoardName,
    /// What people call it.
    pub title: String,
    /// The least tier of its runs, unless the board is named.
    pub tier: Tier,
    /// The emulated machine.
    pub machine: Machine,
    /// The ways round QEMU's peculiarities that it needs.
    pub quirks: Quirks,
    /// The disk.
    pub disk: Disk,
    /// Serial ports in QEMU's order of `-serial`.
    pub uarts: Vec<Uart>,
    /// The network interface.
    pub nic: Nic,
    /// What runs before the boot loader.
    pub firmware: Firmware,
    /// What its image must hold.
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
    /// What scenarios may need and this board lacks, and why.
    pub lacks: BTreeMap<Capability, String>,
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
    /// The least tier of its runs, unless the board is named: `full` for boards that are not tried always.
    #[serde(default = "smoke")]
    tier: Tier,
    machine: Machine,
    /// Ways round QEMU's peculiarities.
    #[serde(default)]
    quirks: Quirks,
    #[serde(default)]
    disk: Disk,
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
    /// What scenarios may need and this board lacks, and why.
    #[serde(default)]
    lacks: BTreeMap<Capability, String>,
    /// Stages of the chain that are different on this board, by name.
    #[serde(default)]
    #[schemars(with = "Vec<Stage>")]
    stage: Vec<Span<Stage>>,
}

fn smoke() -> Tier {
    Tier::Smoke
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
    /// What people call a board of this kind in a run: its name among several, or the kind.
    pub(crate) fn called(&self, id: Option<&BoardId>) -> String {
        id.map_or_else(|| self.name.to_string(), ToString::to_string)
    }

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
            tier: file.tier,
            lacks: lacking(
                file.lacks,
                file.disk,
                &file.nic,
                &file.firmware,
                &file.quirks,
            ),
            machine: file.machine,
            quirks: file.quirks,
            disk: file.disk,
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
        boards/raspi3b.toml:39:9: unknown variant `lan9999`, expected one of `lan9514`, `lan7800`, `stream`
          | model = "lan9999"
          |         ^^^^^^^^^
        "#);
        insta::assert_snapshot!(error("chain = \"netboot\"", "chain = \"tftp\""), @r#"
        boards/raspi3b.toml:4:9: there is no chain file boards/tftp.chain.toml
          | chain = "tftp"
          |         ^^^^^^
        "#);
        insta::assert_snapshot!(error("\"180s\"", "\"soon\""), @r#"
        boards/raspi3b.toml:53:11: not a duration such as "90s" or "10m": expected number at 0
          | silence = "soon"           # nothing on any UART, no frame on the LAN
          |           ^^^^^^
        "#);
        insta::assert_snapshot!(error("[nic]", "[nic]\nspeed = 100"), @r#"
        boards/raspi3b.toml:39:1: unknown field `speed`, expected one of `model`, `oui`, `port`, `address`, `device`
          | speed = 100
          | ^^^^^
        "#);
    }

    #[test]
    fn hardware_that_nobody_has_is_refused_with_what_there_is() {
        for (from, to, wanted) in [
            (
                "arch = \"arm64\"",
                "arch = \"mips\"",
                "expected one of `arm64`, `amd64`, `armhf`, `riscv64`",
            ),
            (
                "kind = \"sd\"",
                "kind = \"floppy\"",
                "expected one of `sd`, `virtio`, `usb`",
            ),
            (
                "kind = \"videocore\"",
                "kind = \"bios\"",
                "expected one of `videocore`, `uefi`, `direct`",
            ),
            (
                "model = \"3b\" ",
                "modell = \"3b\" ",
                "unknown field `modell`",
            ),
            (
                "[quirks.coalesce-timers]",
                "[quirks.coalesce]",
                "unknown field `coalesce`",
            ),
            (
                "[disk]",
                "[lacks]\nwings = \"it is no bird\"\n[disk]",
                "unknown variant `wings`",
            ),
        ] {
            let error = error(from, to);
            assert!(error.starts_with("boards/raspi3b.toml:"), "{error}");
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn every_way_round_qemu_has_its_reason() {
        let board = Board::read(&boards(), "raspi3b-plus").unwrap();
        let quirks = &board.quirks;
        let reasons = [
            quirks.park_secondaries.as_ref().map(|q| &q.because),
            quirks.replug_on_takeover.as_ref().map(|q| &q.because),
            quirks.freeze_when_no_irq.as_ref().map(|q| &q.because),
            quirks.coalesce_timers.as_ref().map(|q| &q.because),
        ];
        assert!(
            reasons
                .iter()
                .all(|reason| reason.is_some_and(|reason| !reason.is_empty())),
            "{reasons:?}"
        );
        assert!(
            error(
                "[quirks.coalesce-timers]\nbecause",
                "[quirks.coalesce-timers]\nwhy"
            )
            .contains("unknown field `why`")
        );
    }

    #[test]
    fn what_a_board_lacks_is_said_or_follows_from_its_hardware() {
        let lacks = |name: &str| {
            let board = Board::read(&boards(), name).unwrap();
            board.lacks.into_keys().collect::<Vec<_>>()
        };
        assert_eq!(lacks("raspi3b"), []);
        assert_eq!(
            lacks("virt-uefi"),
            [
                Capability::SdCard,
                Capability::UsbNic,
                Capability::DeviceTreeAddress,
                Capability::Checkpoint
            ]
        );
        assert_eq!(
            lacks("bpim2u"),
            [
                Capability::Ipxe,
                Capability::MutualTls,
                Capability::Container,
                Capability::UsbNic,
                Capability::DeviceTreeAddress,
                Capability::Checkpoint
            ]
        );
    }

    #[test]
    fn what_reaches_qemus_command_line_is_a_name() {
        for (from, to, wanted) in [
            (
                "type = \"raspi3b\"",
                "type = \"raspi3b,dumpdtb=x\"",
                ":8:8: \"raspi3b,dumpdtb=x\" is not a machine of QEMU",
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
