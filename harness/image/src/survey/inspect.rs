//! Says what is in an image: partitions, files, boot loader, settings, iPXE, identity and trust, never a private key.
//!
//! [`inspect`] gathers once; [`Inspection`] is printed as text or serialised. What cannot be read is a line among the problems.

mod text;

use std::fmt::Display;

use serde::Serialize;

use super::certificate::Certificate;
use crate::boot;
use crate::config_txt::{BoardModel, Hardware};
use crate::home::{IpxeHome, loader_name};
use crate::netboot::Netboot;
use crate::partitions::Partition;
use crate::source::Source;
use crate::{Disk, ImageError, LIMITS, binary, distribution, ext};

/// Partitions and files that are shown at most.
const MOST_PARTITIONS: usize = 64;
const MOST_FILES: usize = 65_536;

/// What is in an image.
#[derive(Debug, Serialize)]
pub struct Inspection {
    /// How it was packed, outermost first.
    pub packed: Vec<String>,
    /// Size of the disk, in bytes.
    pub size: u64,
    /// `mbr`, `gpt` or `hybrid`.
    pub table: &'static str,
    /// The disk's identifier.
    pub disk: String,
    /// Partitions, in the table's order.
    pub partitions: Vec<PartitionFacts>,
    /// What each board's firmware makes of it.
    pub boards: Vec<BoardFacts>,
    /// The iPXE binary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipxe: Option<IpxeFacts>,
    /// What provisioning has added; absent in a prebuilt image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netboot: Option<NetbootFacts>,
    /// What could not be read.
    pub problems: Vec<String>,
}

/// A partition.
#[derive(Debug, Serialize)]
pub struct PartitionFacts {
    /// Its number.
    pub number: u32,
    /// Type byte or type GUID.
    #[serde(rename = "type")]
    pub kind: String,
    /// What people call the type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub type_name: Option<&'static str>,
    /// Its name in a GPT.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// First byte.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    /// The file system, if it is of a kind that is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_system: Option<FileSystemFacts>,
    /// Why no file system is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unread: Option<&'static str>,
}

/// A file system.
#[derive(Debug, Serialize)]
pub struct FileSystemFacts {
    /// `FAT16`, `ext4` and the like.
    pub kind: String,
    /// Its label.
    pub label: String,
    /// Files, of a FAT file system.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileFacts>,
}

/// A file.
#[derive(Debug, Serialize)]
pub struct FileFacts {
    /// Its path in the partition.
    pub path: String,
    /// Bytes.
    pub size: u64,
}

/// What a board's firmware makes of an image.
#[derive(Debug, Serialize)]
pub struct BoardFacts {
    /// The board.
    pub board: String,
    /// The settings of `config.txt` that matter for starting, as `key=value`.
    pub config: Vec<String>,
    /// What is started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// The version that the boot loader says it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_loader: Option<String>,
    /// The device tree passed to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_tree: Option<String>,
}

/// The iPXE binary.
#[derive(Debug, Serialize)]
pub struct IpxeFacts {
    /// Its path on the EFI system partition.
    pub path: String,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The features named in it.
    pub features: Vec<&'static str>,
    /// The processor that it is for.
    pub architecture: String,
}

/// What provisioning has added.
#[derive(Debug, Serialize)]
pub struct NetbootFacts {
    /// The boot servers that the script names.
    pub servers: Vec<String>,
    /// The machine's certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<Certificate>,
    /// The certificates that iPXE trusts.
    pub trusted: Vec<Certificate>,
    /// The boot script, without the private key.
    pub script: String,
}

/// Looks into an image.
///
/// # Errors
/// [`ImageError`] when there is no partition table, or the image cannot be read.
pub fn inspect(source: &Source) -> Result<Inspection, ImageError> {
    let disk = Disk::of(source)?;
    let mut problems: Vec<String> = disk.table.faults.iter().map(ToString::to_string).collect();
    let partitions = partitions(&disk, &mut problems);
    let boards = BoardModel::ALL.iter();
    let boards = boards
        .map(|model| board(&disk, *model, &mut problems))
        .collect();
    let ipxe = ipxe(&disk, &mut problems);
    let netboot = match Netboot::read(&disk) {
        Ok(netboot) => netboot.map(|netboot| netboot_facts(&netboot, &mut problems)),
        Err(error) => {
            problems.push(error.to_string());
            None
        }
    };
    let signature = format!("{:08x}", disk.table.disk_signature);
    Ok(Inspection {
        packed: source.formats.iter().map(ToString::to_string).collect(),
        size: disk.table.disk_sectors * crate::partitions::SECTOR,
        table: disk.table.scheme.name(),
        disk: disk.table.disk_id.map_or(signature, |id| id.to_string()),
        partitions,
        boards,
        ipxe,
        netboot,
        problems,
    })
}

/// All partitions. Nothing is listed in a table with faults, in which many may lie over each other.
fn partitions(disk: &Disk, problems: &mut Vec<String>) -> Vec<PartitionFacts> {
    let all = &disk.table.partitions;
    if all.len() > MOST_PARTITIONS {
        let text = format!(
            "{} partitions; the first {MOST_PARTITIONS} are shown",
            all.len()
        );
        problems.push(text);
    }
    let faulty = !disk.table.faults.is_empty();
    if faulty {
        problems.push("no files are listed, since the partition table is faulty".into());
    }
    let mut files_left = MOST_FILES;
    let mut facts = Vec::new();
    for one in all.iter().take(MOST_PARTITIONS) {
        let skipped = match faulty {
            true => Some("not looked into, since the partition table is faulty"),
            false if files_left == 0 => {
                Some("not looked into, since too many files are shown already")
            }
            false => None,
        };
        let mut found = partition(disk, one, skipped, problems);
        if let Some(file_system) = &mut found.file_system {
            if file_system.files.len() > files_left {
                problems.push(format!(
                    "more than {MOST_FILES} files; the others are not shown"
                ));
                file_system.files.truncate(files_left);
            }
            files_left -= file_system.files.len();
        }
        facts.push(found);
    }
    facts
}

fn partition(
    disk: &Disk,
    partition: &Partition,
    skipped: Option<&'static str>,
    problems: &mut Vec<String>,
) -> PartitionFacts {
    let bytes = partition.bytes();
    let ext = || {
        let found = ext::read(disk.file(), &bytes)?;
        Some(FileSystemFacts {
            kind: found.kind.into(),
            label: found.label,
            files: Vec::new(),
        })
    };
    let is_fat = partition.kind.is_fat() || partition.kind.is_esp();
    let (file_system, unread) = match (is_fat, skipped) {
        (true, Some(_)) => (None, skipped),
        (true, None) => (
            fat(disk, partition, problems),
            Some("no FAT file system that can be read; the problems say why"),
        ),
        (false, _) => (
            ext(),
            Some(
                "no ext2, ext3 or ext4; no other file system is looked for in a partition of this type",
            ),
        ),
    };
    PartitionFacts {
        number: partition.number,
        kind: partition.kind.to_string(),
        type_name: partition.kind.name(),
        name: partition.name.clone(),
        start: bytes.start,
        size: bytes.end - bytes.start,
        unread: unread.filter(|_| file_system.is_none()),
        file_system,
    }
}

fn fat(disk: &Disk, partition: &Partition, problems: &mut Vec<String>) -> Option<FileSystemFacts> {
    let volume = noted(disk.volume(partition), problems)?;
    let files = volume
        .list()
        .map_err(ImageError::fat(disk.path(), partition.number));
    let files = noted(files, problems).unwrap_or_default().into_iter();
    Some(FileSystemFacts {
        kind: format!("{:?}", volume.kind()).to_uppercase(),
        label: volume.label(),
        files: files.map(|(path, size)| FileFacts { path, size }).collect(),
    })
}

fn board(disk: &Disk, model: BoardModel, problems: &mut Vec<String>) -> BoardFacts {
    let survey = boot::evaluate(disk, &Hardware { model, serial: 0 });
    let stops = survey.stops.iter();
    problems.extend(stops.map(|(_, error)| format!("{model}: {error}")));
    let notes = survey.notes.iter();
    problems.extend(notes.map(|note| format!("{model}: {note}")));
    let kernel = survey.kernel.as_ref();
    BoardFacts {
        board: model.to_string(),
        config: survey
            .config
            .as_ref()
            .map(text::settings)
            .unwrap_or_default(),
        boot_loader: kernel.and_then(|kernel| binary::u_boot_version(&kernel.contents)),
        kernel: kernel.map(|kernel| kernel.name.clone()),
        device_tree: survey.device_tree.map(|tree| tree.name),
    }
}

fn ipxe(disk: &Disk, problems: &mut Vec<String>) -> Option<IpxeFacts> {
    let distribution = || distribution::describe(disk);
    let Some(home) = noted(IpxeHome::find(disk), problems) else {
        problems.extend(distribution());
        return None;
    };
    problems.extend(home.remark());
    let volume = noted(disk.volume(&home.partition), problems)?;
    let Some(file) = noted(volume.read(&home.path, LIMITS.program), problems) else {
        problems.extend(distribution());
        return None;
    };
    let found = binary::ipxe(&file);
    if found.is_none() {
        problems.push(match loader_name(&file) {
            Some(loader) => format!("{} is {loader}, not iPXE", home.path),
            None => format!("{} does not call itself iPXE", home.path),
        });
        problems.extend(distribution());
    }
    Some(IpxeFacts {
        path: home.path,
        version: found.as_ref().and_then(|ipxe| ipxe.version.clone()),
        features: found.map(|ipxe| ipxe.features).unwrap_or_default(),
        architecture: match binary::efi_machine(&file) {
            Some(binary::MACHINE_AARCH64) => "64-bit ARM".into(),
            Some(0x8664) => "x86-64".into(),
            Some(other) => format!("machine {other:#06x}"),
            None => "no EFI program".into(),
        },
    })
}

fn netboot_facts(netboot: &Netboot, problems: &mut Vec<String>) -> NetbootFacts {
    let script = &netboot.script;
    let identity = noted(script.identity(), problems).flatten();
    let identity = identity.and_then(|i| noted(Certificate::of(&i.certificate), problems));
    let trusted = netboot.trusted.iter();
    NetbootFacts {
        servers: script.servers().iter().map(ToString::to_string).collect(),
        identity,
        trusted: trusted
            .filter_map(|der| noted(Certificate::of(der), problems))
            .collect(),
        script: script.redacted(),
    }
}

/// The value, or a line among the problems.
fn noted<T, E: Display>(result: Result<T, E>, problems: &mut Vec<String>) -> Option<T> {
    result
        .map_err(|error| problems.push(error.to_string()))
        .ok()
}
