//! Reading a card back when its board is off: what has changed on it, and what the files are that a scenario asks for.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::image::ext::{self, ExtVolume};
use crate::image::partitions::Partition;
use crate::image::prebuilt::CACHE_LABEL;
use crate::image::source::WrittenCard;
use crate::image::{Disk, ImageError};
use crate::scenario::{CardFile, CardRules, PartitionName};
use crate::timeline::{CardChange, CardEvent, CardFileEvent};

/// The most changes that are told one by one.
const MOST_CHANGES: usize = 16;

/// What the card of the raw image `base` with the overlay over it holds. The emulator must have ended. Blocking.
pub(crate) fn read_card(base: &Path, overlay: &Path, rules: &CardRules) -> CardEvent {
    try_read(base, overlay, rules).unwrap_or_else(|trouble| CardEvent {
        trouble: Some(trouble),
        ..CardEvent::default()
    })
}

fn try_read(base: &Path, overlay: &Path, rules: &CardRules) -> Result<CardEvent, String> {
    let disk = Disk::open(base).map_err(|e: ImageError| e.to_string())?;
    let open = |path: &Path| File::open(path).map_err(|e| format!("{}: {e}", path.display()));
    let card = WrittenCard::new(open(base)?, open(overlay)?).map_err(|e| e.to_string())?;
    let card = Arc::new(card);
    let mut event = CardEvent::default();
    if let Some(names) = &rules.unchanged_except {
        let mut may_change = Vec::new();
        for name in names {
            match find(&disk, name) {
                Some(partition) => may_change.push(partition.bytes()),
                None => event.missing.push(name.to_string()),
            }
        }
        let compared = compare(&card, &disk, &may_change, &mut event);
        compared.map_err(|e| e.to_string())?;
    }
    for file in &rules.files {
        match find(&disk, &file.partition) {
            Some(partition) => event.files.push(read_file(&card, partition, file)),
            None => event.missing.push(file.partition.to_string()),
        }
    }
    Ok(event)
}

/// The partition of this name.
fn find<'d>(disk: &'d Disk, name: &PartitionName) -> Option<&'d Partition> {
    let label =
        |partition: &Partition| ext::read(disk.file(), &partition.bytes()).map(|fs| fs.label);
    let labelled = |wanted: &str| {
        let mut all = disk.table.partitions.iter();
        all.find(|p| label(p).as_deref() == Some(wanted))
    };
    let mut all = disk.table.partitions.iter();
    match name.0.as_str() {
        "firmware" => disk.table.firmware(),
        "esp" => disk.table.esp(),
        // Before it is formatted, it is the partition for Linux.
        PartitionName::CACHE => {
            labelled(CACHE_LABEL).or_else(|| all.find(|partition| partition.kind.is_linux()))
        }
        name => labelled(name).or_else(|| all.find(|partition| partition.name == name)),
    }
}

/// What a partition is for, by the names that scenarios have for it.
fn role(disk: &Disk, number: u32) -> Option<String> {
    let roles = ["firmware", "esp", PartitionName::CACHE];
    let is_it = |role: &&str| {
        let found = find(disk, &PartitionName((*role).into()));
        found.is_some_and(|partition| partition.number == number)
    };
    roles.into_iter().find(is_it).map(str::to_owned)
}

fn compare(
    card: &WrittenCard,
    disk: &Disk,
    may_change: &[Range<u64>],
    event: &mut CardEvent,
) -> Result<(), impl std::fmt::Display + use<>> {
    card.each_change(|change| {
        for piece in pieces(change, &disk.table.partitions) {
            let length = piece.bytes.end - piece.bytes.start;
            if may_change.iter().any(|may| holds(may, &piece.bytes)) {
                event.allowed += length;
                continue;
            }
            event.changed += length;
            let told = event.changes.len();
            match event.changes.last_mut() {
                Some(last)
                    if last.partition == piece.partition
                        && last.offset + last.length == piece.bytes.start =>
                {
                    last.length += length;
                }
                _ if told < MOST_CHANGES => event.changes.push(CardChange {
                    offset: piece.bytes.start,
                    length,
                    partition: piece.partition,
                    role: piece.partition.and_then(|number| role(disk, number)),
                }),
                _ => {}
            }
        }
    })
}

/// A part of a change that is within one partition, or outside of all.
struct Piece {
    bytes: Range<u64>,
    partition: Option<u32>,
}

fn holds(whole: &Range<u64>, part: &Range<u64>) -> bool {
    whole.start <= part.start && part.end <= whole.end
}

/// A change, cut where partitions begin and end.
fn pieces(change: Range<u64>, partitions: &[Partition]) -> Vec<Piece> {
    let all = || partitions.iter().map(|p| (p.number, p.bytes()));
    let inside = |at: &u64| change.start < *at && *at < change.end;
    let ends = all().flat_map(|(_, bytes)| [bytes.start, bytes.end]);
    let mut borders: Vec<_> = ends.filter(inside).collect();
    borders.push(change.end);
    borders.sort_unstable();
    borders.dedup();
    let mut start = change.start;
    borders
        .into_iter()
        .map(|end| {
            let bytes = start..end;
            start = end;
            let partition = all().find(|(_, whole)| holds(whole, &bytes));
            Piece {
                bytes,
                partition: partition.map(|(number, _)| number),
            }
        })
        .collect()
}

fn read_file(card: &Arc<WrittenCard>, partition: &Partition, file: &CardFile) -> CardFileEvent {
    let mut event = CardFileEvent {
        partition: file.partition.to_string(),
        path: file.path.clone(),
        exists: false,
        contains: None,
        trouble: None,
    };
    let looked = ExtVolume::open(Arc::clone(card), partition.bytes()).and_then(|volume| {
        event.exists = volume.exists(&file.path)?;
        let Some(wanted) = &file.contains else {
            return Ok(());
        };
        if let Some(bytes) = volume.read(&file.path)? {
            let text = String::from_utf8_lossy(&bytes);
            event.contains = Some(wanted.regex().is_match(&text));
        }
        Ok(())
    });
    event.trouble = looked.err().map(|error| error.to_string());
    event
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::FileExt;

    use super::*;
    use crate::image::partitions::Scheme;
    use crate::image::{Layout, Sizes};
    use crate::machine::create_overlay;

    const CLUSTER: u64 = 1 << 16;

    /// A card with a cache, and what a board has written to it: so many bytes of nines at these places.
    struct Card {
        folder: tempfile::TempDir,
        layout: Layout,
    }

    impl Card {
        fn written(places: impl Fn(&Layout) -> Vec<(u64, usize)>) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let layout = Layout::new(Sizes::SMALL, Scheme::Hybrid).unwrap();
            let mut base = File::create(folder.path().join("card.img")).unwrap();
            base.set_len(layout.disk).unwrap();
            layout.table(7).write(&mut base).unwrap();
            ext::format(&base, &layout.cache, CACHE_LABEL, [7; 16]).unwrap();
            let this = Self { folder, layout };
            create_overlay(&this.base(), &this.overlay()).unwrap();
            let overlay = File::options().write(true).open(this.overlay()).unwrap();
            // The L1 table is in the fourth cluster; the L2 table and what it leads to follow.
            let flag = 1_u64 << 63;
            let l1 = (flag | (4 * CLUSTER)).to_be_bytes();
            overlay.write_all_at(&l1, 3 * CLUSTER).unwrap();
            overlay
                .write_all_at(&[0; CLUSTER as usize], 4 * CLUSTER)
                .unwrap();
            let base = fs::read(this.base()).unwrap();
            for (number, (at, length)) in (5..).zip(places(&this.layout)) {
                let start = at - at % CLUSTER;
                let mut cluster = base[start as usize..][..CLUSTER as usize].to_vec();
                cluster[(at - start) as usize..][..length].fill(9);
                overlay.write_all_at(&cluster, number * CLUSTER).unwrap();
                let entry = (flag | (number * CLUSTER)).to_be_bytes();
                overlay
                    .write_all_at(&entry, 4 * CLUSTER + start / CLUSTER * 8)
                    .unwrap();
            }
            this
        }

        fn base(&self) -> std::path::PathBuf {
            self.folder.path().join("card.img")
        }

        fn overlay(&self) -> std::path::PathBuf {
            self.folder.path().join("card.qcow2")
        }

        fn read(&self, except: &[&str], files: &[(&str, bool)]) -> CardEvent {
            let name = |name: &&str| PartitionName((*name).into());
            let file = |(path, contains): &(&str, bool)| CardFile {
                partition: PartitionName("cache".into()),
                path: (*path).into(),
                exists: true,
                contains: contains.then(|| {
                    toml::from_str::<toml::Table>("p = 'x'").unwrap()["p"]
                        .clone()
                        .try_into()
                        .unwrap()
                }),
            };
            let rules = CardRules {
                unchanged_except: Some(except.iter().map(name).collect()),
                files: files.iter().map(file).collect(),
            };
            read_card(&self.base(), &self.overlay(), &rules)
        }
    }

    #[test]
    fn what_has_changed_is_told_with_its_place() {
        let card = Card::written(|layout| {
            vec![
                (0, 4),
                (layout.esp.start + 1000, 1000),
                (layout.cache.start + (1 << 20), 5000),
                (layout.disk - 512, 512),
            ]
        });
        let esp = card.layout.esp.start;
        let event = card.read(&["cache"], &[]);
        assert_eq!(event.trouble, None);
        let places = event
            .changes
            .iter()
            .map(|c| (c.offset, c.length, c.partition));
        let expected = [
            (0, 512, None),
            // The sectors that the bytes are in.
            (esp + 512, 1536, Some(2)),
            (card.layout.disk - 512, 512, None),
        ];
        assert!(places.eq(expected), "{:?}", event.changes);
        assert_eq!(event.changes[1].role.as_deref(), Some("esp"));
        assert_eq!((event.changed, event.allowed), (2560, 5120));
        let event = card.read(&["esp", "B2C_CACHE", "lost"], &[]);
        assert_eq!((event.changed, event.allowed), (1024, 6656));
        assert_eq!(event.missing, ["lost"]);
        assert_eq!(card.read(&[], &[]).changed, 2560 + 5120);
    }

    #[test]
    fn files_of_the_cache_are_looked_for() {
        let card = Card::written(|_| Vec::new());
        let event = card.read(&[], &[("lost+found", false), ("storage", true)]);
        let [folder, nothing] = &event.files[..] else {
            panic!("{event:?}");
        };
        assert!(folder.exists && folder.trouble.is_none());
        assert!(!nothing.exists && nothing.contains.is_none() && nothing.trouble.is_none());
        let broken = Card::written(|layout| vec![(layout.cache.start + 1024, 1024)]);
        let event = broken.read(&["cache"], &[("lost+found", false)]);
        assert!(event.files[0].trouble.is_some(), "{event:?}");
        fs::write(broken.overlay(), "QFI").unwrap();
        assert!(broken.read(&[], &[]).trouble.is_some());
    }

    #[test]
    fn a_change_is_cut_at_the_borders_of_partitions() {
        let layout = Layout::new(Sizes::SMALL, Scheme::Hybrid).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        let mut disk = File::create(&path).unwrap();
        disk.set_len(layout.disk).unwrap();
        layout.table(7).write(&mut disk).unwrap();
        let disk = Disk::open(&path).unwrap();
        let (esp, cache) = (layout.esp.start, layout.cache.start);
        let pieces = pieces(esp - 512..cache + 512, &disk.table.partitions);
        let shown = pieces.into_iter().map(|p| (p.bytes, p.partition));
        let expected = [
            (esp - 512..esp, Some(1)),
            (esp..cache, Some(2)),
            (cache..cache + 512, Some(3)),
        ];
        assert!(shown.eq(expected));
    }
}
