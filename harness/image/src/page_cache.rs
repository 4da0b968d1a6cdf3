//! One partition of a disk image as a seekable stream, with a write-back cache in front.
//!
//! The FAT library reads and writes a byte or two at a time; the cache turns that into pages. Pages that were zero and still
//! are zero are never written, so that the holes of a sparse image stay holes. Life cycle: create, use, [`SharedCache::write_back`];
//! what was not written back is lost.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::rc::Rc;

/// The block size of the usual file systems, which is the granularity of holes.
const PAGE: usize = 4096;
/// Pages held before the cache is emptied: 32 MiB.
const CAPACITY: usize = 8192;

/// A window on `disk`, cached.
#[derive(Debug)]
struct PageCache<D> {
    disk: D,
    start: u64,
    length: u64,
    position: u64,
    pages: BTreeMap<u64, Page>,
}

#[derive(Debug)]
struct Page {
    bytes: Vec<u8>,
    dirty: bool,
    zero_on_disk: bool,
}

impl<D: Read + Write + Seek> PageCache<D> {
    fn new(disk: D, window: &Range<u64>) -> Self {
        Self {
            disk,
            start: window.start,
            length: window.end.saturating_sub(window.start),
            position: 0,
            pages: BTreeMap::new(),
        }
    }

    fn write_back(&mut self) -> io::Result<()> {
        for (number, page) in &mut self.pages {
            if !page.dirty {
                continue;
            }
            let zero = is_zero(&page.bytes);
            if !(zero && page.zero_on_disk) {
                self.disk
                    .seek(SeekFrom::Start(self.start + number * PAGE as u64))?;
                self.disk.write_all(&page.bytes)?;
            }
            page.dirty = false;
            page.zero_on_disk = zero;
        }
        self.disk.flush()
    }

    /// The page that holds the current position, and the position inside it. `None` at the end.
    fn page(&mut self) -> io::Result<Option<(&mut Page, usize)>> {
        if self.position >= self.length {
            return Ok(None);
        }
        let number = self.position / PAGE as u64;
        let offset = (self.position % PAGE as u64) as usize;
        if !self.pages.contains_key(&number) {
            if self.pages.len() >= CAPACITY {
                self.write_back()?;
                self.pages.clear();
            }
            let page = self.load(number)?;
            self.pages.insert(number, page);
        }
        Ok(self.pages.get_mut(&number).map(|page| (page, offset)))
    }

    fn load(&mut self, number: u64) -> io::Result<Page> {
        let first = number * PAGE as u64;
        let mut bytes = vec![0; PAGE.min((self.length - first) as usize)];
        self.disk.seek(SeekFrom::Start(self.start + first))?;
        self.disk.read_exact(&mut bytes)?;
        Ok(Page {
            zero_on_disk: is_zero(&bytes),
            dirty: false,
            bytes,
        })
    }
}

/// Whether there is nothing but zeros in `bytes`.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

impl<D: Read + Write + Seek> Read for PageCache<D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some((page, offset)) = self.page()? else {
            return Ok(0);
        };
        let available = page.bytes.get(offset..).unwrap_or_default();
        let length = available.len().min(buffer.len());
        buffer[..length].copy_from_slice(&available[..length]);
        self.position += length as u64;
        Ok(length)
    }
}

impl<D: Read + Write + Seek> Write for PageCache<D> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let Some((page, offset)) = self.page()? else {
            return Ok(0);
        };
        let room = page.bytes.get_mut(offset..).unwrap_or_default();
        let length = room.len().min(buffer.len());
        room[..length].copy_from_slice(&buffer[..length]);
        page.dirty = true;
        self.position += length as u64;
        Ok(length)
    }

    /// Does nothing: the FAT library flushes after every file, and drops the errors of many flushes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<D: Read + Write + Seek> Seek for PageCache<D> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(delta) => self.position.checked_add_signed(delta),
            SeekFrom::End(delta) => self.length.checked_add_signed(delta),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// A cache with several owners: the FAT library takes its disk for good, but the cache has to be written back after it.
pub(super) struct SharedCache<D>(Rc<RefCell<PageCache<D>>>);

impl<D: Read + Write + Seek> SharedCache<D> {
    /// The bytes `window` of `disk`.
    pub(super) fn new(disk: D, window: &Range<u64>) -> Self {
        Self(Rc::new(RefCell::new(PageCache::new(disk, window))))
    }

    /// Fills `buffer` from byte `offset` of the window on.
    pub(super) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut cache = self.0.borrow_mut();
        cache.position = offset;
        cache.read_exact(buffer)
    }

    /// Writes every changed page to the disk.
    pub(super) fn write_back(&self) -> io::Result<()> {
        self.0.borrow_mut().write_back()
    }
}

impl<D> Clone for SharedCache<D> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<D: Read + Write + Seek> Read for SharedCache<D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(buffer)
    }
}

impl<D: Read + Write + Seek> Write for SharedCache<D> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.borrow_mut().flush()
    }
}

impl<D: Read + Write + Seek> Seek for SharedCache<D> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.borrow_mut().seek(to)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_like_a_plain_slice_of_the_disk(
            steps in proptest::collection::vec((0_u64..10_000, proptest::collection::vec(any::<u8>(), 0..6000)), 1..12)
        ) {
            let window = 512..512 + 9_999;
            let mut model = vec![0xa5_u8; 11_000];
            let mut disk = model.clone();
            let mut cache = PageCache::new(Cursor::new(&mut disk[..]), &window);
            for (at, bytes) in &steps {
                let length = bytes.len().min(9_999_u64.saturating_sub(*at) as usize);
                let at_disk = 512 + *at as usize;
                model[at_disk..at_disk + length].copy_from_slice(&bytes[..length]);
                cache.seek(SeekFrom::Start(*at)).unwrap();
                cache.write_all(&bytes[..length]).unwrap();
                cache.seek(SeekFrom::Start(*at)).unwrap();
                let mut back = vec![0; length];
                cache.read_exact(&mut back).unwrap();
                prop_assert_eq!(&back[..], &bytes[..length]);
            }
            cache.write_back().unwrap();
            drop(cache);
            prop_assert!(disk == model);
        }
    }

    #[test]
    fn zeros_over_zeros_are_not_written() {
        /// A disk of zeros that refuses to be written to.
        struct Hole(u64);
        impl Read for Hole {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                buffer.fill(0);
                Ok(buffer.len())
            }
        }
        impl Write for Hole {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::ReadOnlyFilesystem.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        impl Seek for Hole {
            fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
                Ok(self.0)
            }
        }
        let mut cache = PageCache::new(Hole(0), &(0..1 << 20));
        cache.write_all(&[0; 10_000]).unwrap();
        cache.write_back().unwrap();
        cache.write_all(&[1]).unwrap();
        assert!(cache.write_back().is_err());
    }
}
