//! Walks through all directories of a volume and notes what is wrong in them.

use std::collections::HashSet;
use std::io::{self, Read, Seek, Write};
use std::ops::Range;

use super::boot_sector::Root;
use super::chain::{Chain, Chains};
use super::directory::{Entry, Record};
use super::finding::Findings;
use super::name::{ENTRY, LongName, is_allowed, is_allowed_short, short_text};
use super::{FatKind, Fault};
use crate::page_cache::is_zero;
use crate::partitions::SECTOR;

/// Directories within directories.
const MAX_DEPTH: usize = 16;
/// Files and directories of a volume.
const MAX_FILES: usize = 65_536;
/// Entries looked at, those of removed files and of long names included.
const MAX_RECORDS: usize = 1 << 20;
/// Bytes of a directory: the specification bounds them at 65536 entries.
const MAX_DIRECTORY: u64 = 65_536 * ENTRY as u64;

const DOT: &[u8; 11] = b".          ";
const DOT_DOT: &[u8; 11] = b"..         ";

/// The walk and its state.
pub(super) struct Tree<'a, D> {
    /// Clusters met so far.
    pub(super) chains: Chains<'a, D>,
    findings: &'a mut Findings,
    /// Files and directories met so far.
    pub(super) files: usize,
    /// A bound was met, so there are files that were not looked at.
    pub(super) cut_short: bool,
    records: usize,
    /// First clusters of the directories that lead to the current one, the root's left out.
    ancestors: Vec<u32>,
}

/// A directory and the bytes it consists of.
struct Directory {
    /// Its path, empty for the root.
    path: String,
    /// Where its entries are in the volume.
    parts: Vec<Range<u64>>,
}

/// A subdirectory that is still to be looked at.
struct Pending {
    path: String,
    cluster: u32,
    /// Where its entry is.
    entry: u64,
}

impl<'a, D: Read + Write + Seek> Tree<'a, D> {
    pub(super) fn new(chains: Chains<'a, D>, findings: &'a mut Findings) -> Self {
        Self {
            chains,
            findings,
            files: 0,
            cut_short: false,
            records: 0,
            ancestors: Vec::new(),
        }
    }

    fn is_exhausted(&self) -> bool {
        self.records > MAX_RECORDS || self.files > MAX_FILES
    }

    /// Walks through the whole volume.
    pub(super) fn walk(&mut self) -> io::Result<()> {
        let parts = match self.chains.geometry.root {
            Root::Fixed { start, bytes } => std::iter::once(start..start + bytes).collect(),
            Root::Chain { first } => self.directory_parts(first, 0, "/")?,
        };
        let path = String::new();
        self.directory(&Directory { path, parts })
    }

    /// Where the entries of the directory at cluster `first` are.
    fn directory_parts(
        &mut self,
        first: u32,
        entry: u64,
        path: &str,
    ) -> io::Result<Vec<Range<u64>>> {
        let geometry = self.chains.geometry;
        let bytes = u64::from(geometry.cluster_bytes);
        let limit = MAX_DIRECTORY.div_ceil(bytes) as usize;
        let mut parts = Vec::new();
        let Chain { clusters, fault } = self.chains.follow(first, entry, |cluster| {
            if parts.len() < limit {
                let start = geometry.cluster_offset(cluster);
                parts.push(start..start + bytes);
            }
        })?;
        if let Some((at, fault)) = fault {
            self.findings.add(at, Some(path), fault);
        } else if clusters as usize > limit {
            self.findings
                .add(entry, Some(path), Fault::DirectoryTooLarge);
        }
        Ok(parts)
    }

    fn directory(&mut self, directory: &Directory) -> io::Result<()> {
        let is_fat32 = self.chains.geometry.kind == FatKind::Fat32;
        let mut contents = Contents::default();
        'parts: for part in &directory.parts {
            for at in part.clone().step_by(SECTOR as usize) {
                let mut sector = [0; SECTOR as usize];
                self.chains.volume.read_at(at, &mut sector)?;
                if contents.ended && is_zero(&sector) {
                    continue;
                }
                for (at, bytes) in (at..).step_by(ENTRY).zip(sector.as_chunks::<ENTRY>().0) {
                    self.records += 1;
                    if self.is_exhausted() {
                        self.findings
                            .add(at, Some(&directory.path), Fault::TooMany(MAX_FILES));
                        self.cut_short = true;
                        return Ok(());
                    }
                    match Record::decode(bytes, is_fat32) {
                        Record::End => contents.ended = true,
                        Record::Deleted if contents.ended => {}
                        _ if contents.ended => {
                            self.findings
                                .add(at, Some(&directory.path), Fault::BehindEnd);
                            break 'parts;
                        }
                        record => self.record(directory, &mut contents, at, record)?,
                    }
                    contents.index += 1;
                }
            }
        }
        if contents.long_name.end().is_err() {
            self.orphaned(directory, contents.last);
        }
        self.missing_dots(directory, &contents);
        for pending in contents.directories {
            self.subdirectory(pending)?;
            if self.is_exhausted() {
                break;
            }
        }
        Ok(())
    }

    fn record(
        &mut self,
        directory: &Directory,
        contents: &mut Contents,
        at: u64,
        record: Record,
    ) -> io::Result<()> {
        contents.last = at;
        match record {
            Record::LongName(part) => {
                if contents.long_name.add(&part).is_err() {
                    self.orphaned(directory, at);
                }
            }
            Record::Entry(entry) => self.entry(directory, contents, at, &entry)?,
            Record::Contradiction(attributes) => {
                contents.long_name = LongName::default();
                self.findings
                    .add(at, Some(&directory.path), Fault::Attributes(attributes));
            }
            Record::End | Record::Deleted | Record::Label => {
                if contents.long_name.end().is_err() {
                    self.orphaned(directory, at);
                }
            }
        }
        Ok(())
    }

    fn orphaned(&mut self, directory: &Directory, at: u64) {
        self.findings
            .add(at, Some(&directory.path), Fault::OrphanedLongName);
    }

    fn entry(
        &mut self,
        directory: &Directory,
        contents: &mut Contents,
        at: u64,
        entry: &Entry,
    ) -> io::Result<()> {
        let long_name = contents.long_name.take(&entry.short_name);
        if self.ancestors.is_empty() && matches!(&entry.short_name, DOT | DOT_DOT) {
            self.findings.add(at, Some(""), Fault::DotInRoot);
            return Ok(());
        }
        if self.is_dot(contents, entry) {
            return Ok(());
        }
        self.files += 1;
        let short = short_text(&entry.short_name);
        let long = long_name.unwrap_or_else(|_| {
            self.orphaned(directory, at);
            None
        });
        let name = long.as_ref().unwrap_or(&short);
        let path = format!("{}/{name}", directory.path);
        let long_is_bad = long.as_ref().is_some_and(|name| !is_allowed(name));
        if long_is_bad || !is_allowed_short(&entry.short_name) {
            let name = format!("{name:?}");
            self.findings
                .add(at, Some(&directory.path), Fault::Name(name));
        }
        // A long name that is the short one in other case is the same name.
        let other = long.filter(|long| !long.eq_ignore_ascii_case(&short));
        let mut is_new = contents.names.insert(short.to_uppercase());
        if let Some(other) = other {
            is_new &= contents.names.insert(other.to_uppercase());
        }
        if !is_new {
            self.findings.add(at, Some(&path), Fault::Duplicate);
        }
        if entry.is_directory {
            if entry.size != 0 {
                let fault = Fault::DirectorySize(entry.size);
                self.findings.add(at, Some(&path), fault);
            }
            contents.directories.push(Pending {
                path,
                cluster: entry.cluster,
                entry: at,
            });
            return Ok(());
        }
        self.file(&path, at, entry)
    }

    /// Whether the entry is `.` or `..` of a subdirectory. In its place it is compared with what it should be.
    fn is_dot(&self, contents: &mut Contents, entry: &Entry) -> bool {
        let [.., own] = self.ancestors[..] else {
            return false;
        };
        let is_good = match &entry.short_name {
            DOT => contents.index == 0 && entry.cluster == own,
            DOT_DOT => {
                // The root directory has no number here, on FAT32 neither.
                let above = match self.ancestors[..] {
                    [.., above, _] => above,
                    _ => 0,
                };
                contents.index == 1 && entry.cluster == above
            }
            _ => return false,
        };
        if is_good && entry.is_directory {
            contents.dots += 1;
        }
        true
    }

    fn missing_dots(&mut self, directory: &Directory, contents: &Contents) {
        if !self.ancestors.is_empty() && contents.dots != 2 {
            let at = directory.parts.first().map_or(0, |part| part.start);
            self.findings.add(at, Some(&directory.path), Fault::Dots);
        }
    }

    fn file(&mut self, path: &str, at: u64, entry: &Entry) -> io::Result<()> {
        let chain = if entry.cluster == 0 {
            Chain {
                clusters: 0,
                fault: None,
            }
        } else {
            self.chains.follow(entry.cluster, at, |_| {})?
        };
        let size = entry.size;
        let clusters = chain.clusters;
        let needed = size.div_ceil(self.chains.geometry.cluster_bytes);
        if let Some((at, fault)) = chain.fault {
            self.findings.add(at, Some(path), fault);
        } else if clusters < needed {
            self.findings
                .add(at, Some(path), Fault::TooShort { size, clusters });
        } else if clusters > needed {
            self.findings
                .add(at, Some(path), Fault::TooLong { size, clusters });
        }
        Ok(())
    }

    fn subdirectory(&mut self, pending: Pending) -> io::Result<()> {
        let Pending {
            path,
            cluster,
            entry,
        } = pending;
        let root = match self.chains.geometry.root {
            Root::Chain { first } => first,
            Root::Fixed { .. } => 0,
        };
        let fault = if cluster == 0 {
            Some(Fault::NoCluster)
        } else if cluster == root || self.ancestors.contains(&cluster) {
            Some(Fault::DirectoryLoop)
        } else if self.ancestors.len() >= MAX_DEPTH {
            Some(Fault::TooDeep(MAX_DEPTH))
        } else {
            None
        };
        if let Some(fault) = fault {
            self.cut_short |= matches!(fault, Fault::TooDeep(_));
            self.findings.add(entry, Some(&path), fault);
            return Ok(());
        }
        let parts = self.directory_parts(cluster, entry, &path)?;
        self.ancestors.push(cluster);
        let result = self.directory(&Directory { path, parts });
        self.ancestors.pop();
        result
    }
}

/// What was met in a directory so far.
#[derive(Default)]
struct Contents {
    /// Entries before the current one.
    index: usize,
    /// Where the last entry was.
    last: u64,
    /// The entry that ends the directory has come.
    ended: bool,
    long_name: LongName,
    /// Names in upper case.
    names: HashSet<String>,
    /// `.` and `..` in their places.
    dots: usize,
    directories: Vec<Pending>,
}
