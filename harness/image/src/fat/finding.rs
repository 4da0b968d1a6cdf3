//! What can be wrong with a volume, where, and how bad it is.

use std::fmt;

use shakedown_base::Untrusted;

use super::FatKind;

/// Findings kept of one volume.
const LIMIT: usize = 100;

/// How bad a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Readers see different files, or none, or never come to an end. Nothing may be read from or written to the volume.
    Damage,
    /// Every reader copes, yet no sound tool leaves a volume like this.
    Blemish,
}

/// A fault and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Byte offset on the disk: of the field, table entry or directory entry that is wrong.
    pub offset: u64,
    /// The file or directory concerned, by its path in the volume.
    pub file: Option<String>,
    /// What is wrong.
    pub fault: Fault,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: ", self.offset)?;
        if let Some(file) = &self.file {
            write!(f, "{}: ", Untrusted::new(&file[..]))?;
        }
        self.fault.fmt(f)
    }
}

/// Collects the findings on one volume.
#[derive(Debug)]
pub(super) struct Findings {
    /// Start of the volume on the disk.
    start: u64,
    list: Vec<Finding>,
    omitted: usize,
    damage: bool,
}

impl Findings {
    /// Nothing found yet in the volume at byte `start` of the disk.
    pub(super) fn new(start: u64) -> Self {
        Self {
            start,
            list: Vec::new(),
            omitted: 0,
            damage: false,
        }
    }

    /// Adds a fault at `offset` of the volume. The empty path stands for the root directory. Beyond [`LIMIT`] they are only counted, except for the first real damage.
    pub(super) fn add(&mut self, offset: u64, file: Option<&str>, fault: Fault) {
        let first_damage = fault.severity() == Severity::Damage && !self.damage;
        self.damage |= first_damage;
        if self.list.len() < LIMIT || first_damage {
            self.list.push(Finding {
                offset: self.start + offset,
                file: file.map(|file| if file.is_empty() { "/" } else { file }.to_owned()),
                fault,
            });
        } else {
            self.omitted += 1;
        }
    }

    /// Whether this fault is among the findings.
    pub(super) fn has(&self, fault: &Fault) -> bool {
        self.list.iter().any(|finding| finding.fault == *fault)
    }

    /// Whether the volume is damaged.
    pub(super) fn any_damage(&self) -> bool {
        self.damage
    }

    /// The findings, and the number of those that were left out.
    pub(super) fn finish(self) -> (Vec<Finding>, usize) {
        (self.list, self.omitted)
    }
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The boot sector's last two bytes are others.
    #[error("the boot sector does not end in 55 aa; is there a FAT file system at all?")]
    NoBootSignature,
    /// The boot sector is one of another file system.
    #[error("an {0} file system, which neither firmware nor boot loader reads; make it FAT16")]
    OtherFileSystem(&'static str),
    /// `BPB_BytsPerSec` is not 512.
    #[error("sectors of {0} bytes; an SD card has sectors of 512")]
    SectorSize(u16),
    /// `BPB_SecPerClus` is no power of two.
    #[error("{0} sectors in a cluster, which is no power of two")]
    ClusterSize(u8),
    /// `BPB_RsvdSecCnt` is 0.
    #[error("no reserved sectors: the boot sector would lie in the allocation table")]
    NoReservedSectors,
    /// `BPB_NumFATs` is neither 1 nor 2.
    #[error("{0} allocation tables; there may be 1 or 2")]
    TableCount(u8),
    /// `BPB_Media` is none of the defined values; Linux does not mount such a volume.
    #[error("the media byte {0:#04x} is none of those defined")]
    Media(u8),
    /// Neither `BPB_TotSec16` nor `BPB_TotSec32` is set, or both are, or the wrong one.
    #[error("the number of sectors must be given in exactly one field")]
    SectorCount,
    /// The volume is larger than its partition.
    #[error(
        "the file system has {sectors} sectors and its partition {room}; was the partition made smaller?"
    )]
    BehindPartition {
        /// Sectors of the volume.
        sectors: u64,
        /// Sectors of the partition.
        room: u64,
    },
    /// The disk ends before the volume does.
    #[error("the disk ends inside the file system; is the image truncated?")]
    Truncated,
    /// `BPB_RootEntCnt` must be 0 on FAT32 and something else otherwise.
    #[error("{0} entries in the fixed root directory")]
    RootEntries(u16),
    /// `BPB_FATSz` is 0, or larger than anyone supports.
    #[error("allocation tables of {0} sectors")]
    TableSize(u32),
    /// Nothing is left behind tables and root directory.
    #[error("tables and root directory fill the file system, no cluster is left")]
    NoClusters,
    /// The number of clusters says one width, the layout of the boot sector another.
    #[error(
        "{clusters} clusters make this {by_count}, but the boot sector is laid out as {laid_out}: those who count the clusters read other files \
         than those who look at the layout; format it as {by_count}, or with {} clusters", wanted(*.laid_out)
    )]
    Kind {
        /// Clusters.
        clusters: u64,
        /// The kind that has so many.
        by_count: FatKind,
        /// How the boot sector is laid out, as far as that tells: FAT32, or one of the others.
        laid_out: FatKind,
    },
    /// The tables have no entries for the last clusters.
    #[error("{clusters} clusters, but the allocation tables have entries for {entries}")]
    TableTooSmall {
        /// Clusters.
        clusters: u64,
        /// Entries for clusters.
        entries: u64,
    },
    /// `BPB_FSVer` is not 0.
    #[error("version {0:#06x} of FAT32, which nobody knows")]
    Version(u16),
    /// `BPB_ExtFlags` says that only one table is in use.
    #[error(
        "only one of the allocation tables is kept up to date, which boot loaders do not know of"
    )]
    NotMirrored,
    /// A sector that should be a reserved one is not.
    #[error("the {what} is said to be in sector {sector}, which is not a reserved one")]
    NotReserved {
        /// What the sector holds.
        what: &'static str,
        /// Its number.
        sector: u16,
    },
    /// `FSInfo` has wrong signatures.
    #[error("the sector with the free space information has a wrong signature")]
    FreeInfoSignature,
    /// `FSI_Free_Count` is wrong.
    #[error("{recorded} clusters are recorded as free, {found} are")]
    FreeCount {
        /// What the volume says.
        recorded: u32,
        /// What is true.
        found: u32,
    },
    /// `FSI_Nxt_Free` is no cluster.
    #[error("cluster {0} is recorded as the next free one, and there is no such cluster")]
    NextFree(u32),
    /// The copy of the boot sector is another.
    #[error("the copy of the boot sector differs from the boot sector")]
    BackupDiffers,
    /// The volume was in use when the image was taken.
    #[error("the file system is marked as in use or faulty: it was not unmounted")]
    Dirty,
    /// Entry 1 of a table has a bit cleared that is set on a volume in order (`ClnShutBitMask`, `HrdErrBitMask`).
    #[error("entry 1 of the allocation table says that {0}")]
    Unclean(&'static str),
    /// Entry 0 of a table has not the media byte of the boot sector.
    #[error(
        "entry 0 of the allocation table has the media byte {table:#04x}, the boot sector {boot:#04x}"
    )]
    TableMedia {
        /// `BPB_Media`.
        boot: u8,
        /// What the table has.
        table: u8,
    },
    /// The tables differ.
    #[error(
        "the allocation tables differ, first for cluster {cluster}, in {entries} entries in all"
    )]
    TablesDiffer {
        /// First cluster they disagree on.
        cluster: u32,
        /// How many.
        entries: u32,
    },
    /// Clusters that no file has are marked as used.
    #[error("{clusters} clusters are in use by no file, first cluster {first}")]
    LostClusters {
        /// First of them.
        first: u32,
        /// How many.
        clusters: u32,
    },
    /// A file or directory starts outside the volume.
    #[error("it starts at cluster {0}, which does not exist")]
    Start(u32),
    /// A directory has no cluster, which makes it the root directory to some readers.
    #[error("the directory has no cluster")]
    NoCluster,
    /// A chain leads out of the volume.
    #[error("cluster {cluster} is followed by cluster {next}, which does not exist")]
    OutOfRange {
        /// The last good cluster.
        cluster: u32,
        /// What follows.
        next: u32,
    },
    /// A chain leads to a cluster that is free or marked as bad.
    #[error("cluster {0} belongs to it, but is marked as {1}")]
    NotInUse(u32, &'static str),
    /// A chain comes back to itself.
    #[error("its cluster chain comes back to cluster {0}")]
    Loop(u32),
    /// Two files share clusters.
    #[error("cluster {0} belongs to another file or directory as well")]
    CrossLink(u32),
    /// A directory contains itself.
    #[error("the directory contains itself")]
    DirectoryLoop,
    /// There are too few clusters for the size.
    #[error("{size} bytes, but only {clusters} clusters")]
    TooShort {
        /// Size in the directory.
        size: u32,
        /// Clusters of the chain.
        clusters: u32,
    },
    /// There are more clusters than the size needs.
    #[error("{size} bytes, but {clusters} clusters, more than it needs")]
    TooLong {
        /// Size in the directory.
        size: u32,
        /// Clusters of the chain.
        clusters: u32,
    },
    /// A directory gives a size.
    #[error("a directory with a size of {0} bytes; it should say 0")]
    DirectorySize(u32),
    /// A directory is larger than the format allows.
    #[error("the directory has more than 65536 entries")]
    DirectoryTooLarge,
    /// Directories within directories without end.
    #[error("directories are nested more than {0} deep")]
    TooDeep(usize),
    /// More files than any image has.
    #[error("more than {0} files and directories")]
    TooMany(usize),
    /// A subdirectory does not begin with `.` and `..`, or they are wrong.
    #[error("the directory does not begin with . and .. that lead where they should")]
    Dots,
    /// The root directory has an entry `.` or `..`; readers pass it over.
    #[error("the root directory has an entry . or .., which only other directories have")]
    DotInRoot,
    /// A name with characters that no name may have.
    #[error("the name {0} has characters that are not allowed")]
    Name(String),
    /// Two files of one name.
    #[error("a second file or directory of this name")]
    Duplicate,
    /// Something is behind the entry that ends a directory. A driver that adds a file overwrites the end, and the entry counts again.
    #[error("there are entries behind the end of the directory")]
    BehindEnd,
    /// Entries of a long name without a file.
    #[error("parts of a long name that belong to no file")]
    OrphanedLongName,
    /// Attribute bits that contradict each other.
    #[error("the attributes {0:#04x} contradict each other")]
    Attributes(u8),
}

/// The number of clusters that makes a volume of this kind, in words.
fn wanted(kind: FatKind) -> &'static str {
    match kind {
        FatKind::Fat32 => "65525 or more",
        FatKind::Fat12 | FatKind::Fat16 => "fewer than 65525",
    }
}

impl Fault {
    /// How bad it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self {
            Self::FreeCount { .. }
            | Self::NextFree(_)
            | Self::BackupDiffers
            | Self::Dirty
            | Self::LostClusters { .. }
            | Self::TooLong { .. }
            | Self::DirectorySize(_)
            | Self::Dots
            | Self::DotInRoot
            | Self::Unclean(_)
            | Self::TableMedia { .. }
            | Self::OrphanedLongName => Severity::Blemish,
            _ => Severity::Damage,
        }
    }
}
