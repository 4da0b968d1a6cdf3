//! A card as a board has left it: the raw image that it began with, and QEMU's overlay over it, which holds what was written.
//!
//! The emulator must have ended, or have the card of nobody else: then it may be written to, too. Source: QEMU's docs/interop/qcow2.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::qcow2::{Backing, Qcow2, Qcow2Error};

/// What is compared with what at once, in bytes: a sector of a card.
const SECTOR: usize = 512;

/// A card and what was written to it.
#[derive(Debug)]
pub struct WrittenCard {
    base: File,
    base_length: u64,
    overlay: Qcow2,
    /// L2 entries of the clusters that the overlay has, by the byte of the disk at which they begin.
    clusters: BTreeMap<u64, u64>,
}

impl WrittenCard {
    /// The card of the raw image `base` with the qcow2 file `overlay` over it.
    ///
    /// # Errors
    /// The overlay is damaged, or a file cannot be read.
    pub fn new(base: File, overlay: File) -> Result<Self, Qcow2Error> {
        let base_length = base.metadata()?.len();
        let overlay = Qcow2::open(overlay, Backing::Known)?;
        let mut clusters = BTreeMap::new();
        overlay.each_cluster(|start, entry| {
            clusters.insert(start, entry);
            Ok(())
        })?;
        Ok(Self {
            base,
            base_length,
            overlay,
            clusters,
        })
    }

    /// Bytes of the card. It may be larger than the image; what is behind the image began as zeros.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.overlay.size
    }

    /// Bytes of the clusters that were written to since the card was like the image.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.clusters.len() as u64 * self.overlay.cluster_bytes() as u64
    }

    /// Reads what the card holds from `offset` on. Behind its end there are zeros.
    ///
    /// # Errors
    /// The overlay is damaged, or a file cannot be read.
    pub fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<(), Qcow2Error> {
        let length = self.overlay.cluster_bytes() as u64;
        let mut cluster = Vec::new();
        let (mut rest, mut at) = (bytes, offset);
        while !rest.is_empty() {
            let start = at - at % length;
            let count = (start + length - at).min(rest.len() as u64) as usize;
            let (piece, behind) = rest.split_at_mut(count);
            let within = at - start;
            match self.clusters.get(&start) {
                None => self.read_base(piece, at)?,
                Some(entry) => match self.overlay.place(*entry) {
                    Some(place) => self.overlay.read_at(piece, place + within)?,
                    None => {
                        self.read_written(start, &mut cluster)?;
                        let there = cluster.get(within as usize..).unwrap_or_default();
                        let there = there.get(..count).unwrap_or_default();
                        piece.copy_from_slice(there);
                    }
                },
            }
            rest = behind;
            at = at.saturating_add(count as u64);
        }
        Ok(())
    }

    /// Writes to the card from `offset` on, into the overlay. What would be behind the card's end is not written.
    ///
    /// # Errors
    /// The overlay is damaged, or a file cannot be read or written.
    pub fn write_at(&mut self, bytes: &[u8], offset: u64) -> Result<(), Qcow2Error> {
        let length = self.overlay.cluster_bytes() as u64;
        let room = usize::try_from(self.size().saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut rest = bytes.get(..bytes.len().min(room)).unwrap_or_default();
        let mut at = offset;
        while !rest.is_empty() {
            let start = at - at % length;
            let count = (start + length - at).min(rest.len() as u64) as usize;
            let (piece, behind) = rest.split_at(count);
            let within = at - start;
            let entry = self.clusters.get(&start);
            match entry.and_then(|entry| self.overlay.place(*entry)) {
                Some(place) => self.overlay.write_at(piece, place + within)?,
                None => {
                    let mut cluster = vec![0; length as usize];
                    self.read_at(&mut cluster, start)?;
                    let there = cluster.get_mut(within as usize..).unwrap_or_default();
                    if let Some(there) = there.get_mut(..count) {
                        there.copy_from_slice(piece);
                    }
                    let entry = self.overlay.append(start, &cluster)?;
                    self.clusters.insert(start, entry);
                }
            }
            rest = behind;
            at = at.saturating_add(count as u64);
        }
        Ok(())
    }

    /// Tells every stretch of sectors that is not as in the image, in order: those that are beside each other within a cluster are one.
    ///
    /// # Errors
    /// The overlay is damaged, or a file cannot be read.
    pub fn each_change(&self, mut each: impl FnMut(Range<u64>)) -> Result<(), Qcow2Error> {
        let (mut now, mut before) = (Vec::new(), vec![0; self.overlay.cluster_bytes()]);
        for &start in self.clusters.keys() {
            self.read_written(start, &mut now)?;
            self.read_base(&mut before, start)?;
            let mut open: Option<Range<u64>> = None;
            let sectors = now.chunks(SECTOR).zip(before.chunks(SECTOR));
            for (number, (now, before)) in (0_u64..).zip(sectors) {
                let at = start + number * SECTOR as u64;
                if now == before || at >= self.size() {
                    open.take().into_iter().for_each(&mut each);
                    continue;
                }
                let end = at + now.len() as u64;
                open = Some(open.map_or(at..end, |open| open.start..end));
            }
            open.into_iter().for_each(&mut each);
        }
        Ok(())
    }

    /// Reads a cluster that the overlay has.
    fn read_written(&self, start: u64, cluster: &mut Vec<u8>) -> Result<(), Qcow2Error> {
        cluster.resize(self.overlay.cluster_bytes(), 0);
        let entry = self.clusters.get(&start).copied().unwrap_or_default();
        if !self.overlay.read_cluster(entry, cluster)? {
            cluster.fill(0);
        }
        Ok(())
    }

    fn read_base(&self, bytes: &mut [u8], at: u64) -> Result<(), Qcow2Error> {
        let length = self.base_length.saturating_sub(at).min(bytes.len() as u64);
        let (there, behind) = bytes.split_at_mut(length as usize);
        self.base.read_exact_at(there, at)?;
        behind.fill(0);
        Ok(())
    }
}

/// An overlay of a disk of this size to which nothing was written.
#[cfg(test)]
pub(crate) fn empty_overlay(size: u64) -> File {
    use std::io::Write;

    let mut file = tempfile::tempfile().expect("a file");
    let bytes = super::qcow2::tests::qcow2(&[], size);
    file.write_all(&bytes).expect("room");
    file
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};

    use super::super::qcow2::tests::{CLUSTER, Cluster, qcow2};
    use super::*;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    /// An image of three clusters of sevens, and an overlay of four.
    fn card(clusters: &[Cluster]) -> WrittenCard {
        let mut overlay = qcow2(clusters, 4 * CLUSTER as u64);
        // It names the image that it lies over.
        overlay[8..16].copy_from_slice(&512_u64.to_be_bytes());
        overlay[16..20].copy_from_slice(&8_u32.to_be_bytes());
        WrittenCard::new(file(&vec![7; 3 * CLUSTER]), file(&overlay)).unwrap()
    }

    fn changes(card: &WrittenCard) -> Vec<Range<u64>> {
        let mut all = Vec::new();
        card.each_change(|change| all.push(change)).unwrap();
        all
    }

    #[test]
    fn what_the_overlay_does_not_have_is_as_in_the_image() {
        let cluster = CLUSTER as u64;
        let card = card(&[
            Cluster::Unallocated,
            Cluster::Plain(7),
            Cluster::Zeros,
            Cluster::Plain(9),
        ]);
        assert_eq!(card.size(), 4 * cluster);
        // Written with what was there is no change; what is behind the image began as zeros.
        assert_eq!(
            changes(&card),
            [2 * cluster..3 * cluster, 3 * cluster..4 * cluster]
        );
        let mut bytes = vec![1; 2 * CLUSTER];
        card.read_at(&mut bytes, cluster + 100).unwrap();
        let expected = [vec![7; CLUSTER - 100], vec![0; CLUSTER], vec![9; 100]].concat();
        assert!(bytes == expected);
        card.read_at(&mut bytes[..CLUSTER], 4 * cluster - 8)
            .unwrap();
        assert!(bytes[..8] == [9; 8] && bytes[8..CLUSTER].iter().all(|b| *b == 0));
        card.read_at(&mut bytes[..3], 5).unwrap();
        assert_eq!(&bytes[..3], [7; 3]);
    }

    #[test]
    fn what_is_written_is_read_and_stays_in_the_overlay() {
        let base = vec![7; 3 * CLUSTER];
        let clusters = [
            Cluster::Unallocated,
            Cluster::Plain(9),
            Cluster::Deflated(8),
            Cluster::Zeros,
        ];
        let mut overlay = file(&qcow2(&clusters, 4 * CLUSTER as u64));
        let open =
            |overlay: &File| WrittenCard::new(file(&base), overlay.try_clone().unwrap()).unwrap();
        let mut card = open(&overlay);
        let mut expected = vec![7; CLUSTER];
        expected.extend([vec![9; CLUSTER], vec![8; CLUSTER], vec![0; CLUSTER]].concat());
        for (at, length) in [
            (100, 10),
            (CLUSTER - 3, 6),
            (CLUSTER + 512, 512),
            (2 * CLUSTER - 1, CLUSTER + 2),
            (4 * CLUSTER - 2, 2),
        ] {
            let bytes: Vec<u8> = (1..=length).map(|n| n as u8).collect();
            card.write_at(&bytes, at as u64).unwrap();
            expected[at..at + length].copy_from_slice(&bytes);
        }
        // Nothing is behind the end.
        card.write_at(&[1; 100], 4 * CLUSTER as u64 - 1).unwrap();
        card.write_at(&[1], u64::MAX).unwrap();
        expected[4 * CLUSTER - 1] = 1;
        for card in [&card, &open(&overlay)] {
            let mut bytes = vec![0; expected.len()];
            card.read_at(&mut bytes, 0).unwrap();
            assert!(bytes == expected);
            assert_eq!(changes(card).first().map(|c| c.start), Some(0));
        }
        // A file that QEMU would write to counts its clusters first.
        let mut header = [0; 80];
        io::Seek::rewind(&mut overlay).unwrap();
        io::Read::read_exact(&mut overlay, &mut header).unwrap();
        assert_eq!(header[79] & 1, 1);
    }

    #[test]
    fn a_card_whose_overlay_is_empty_gets_its_tables() {
        let overlay = empty_overlay(3 * CLUSTER as u64);
        let mut card = WrittenCard::new(file(&[7; 100]), overlay).unwrap();
        card.write_at(&[1, 2, 3], CLUSTER as u64).unwrap();
        let mut bytes = [0; 5];
        card.read_at(&mut bytes, CLUSTER as u64 - 1).unwrap();
        assert_eq!(bytes, [0, 1, 2, 3, 0]);
        assert_eq!(changes(&card).len(), 1);
    }

    #[test]
    fn a_change_is_told_by_its_sectors() {
        let mut overlay = qcow2(&[Cluster::Plain(7)], CLUSTER as u64);
        // The cluster is the last of the file.
        let place = overlay.len() - CLUSTER;
        for at in [512 * 3 + 17, 512 * 4, 512 * 9 + 511] {
            overlay[place + at] = 8;
        }
        let card = WrittenCard::new(file(&vec![7; CLUSTER]), file(&overlay)).unwrap();
        assert_eq!(changes(&card), [512 * 3..512 * 5, 512 * 9..512 * 10]);
    }

    #[test]
    fn an_overlay_of_nothing_changes_nothing() {
        assert!(changes(&card(&[])).is_empty());
        let damaged = qcow2(&[Cluster::Plain(1)], 1 << 40);
        assert!(WrittenCard::new(file(&[]), file(&damaged)).is_err());
    }
}
