//! A good image in memory, and ways to change it.

use std::fs::File;
use std::io::Cursor;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use shakedown_image::fat::FatVolume;
use shakedown_image::partitions::{PartitionTable, Scheme};
use shakedown_image::prebuilt::{self, Cache, PrebuiltSpec};
use shakedown_image::{Sizes, efivar};

use crate::parts;
use crate::volume::Volume;

const SECTOR: usize = 512;
const MIB: u64 = 1 << 20;
/// Bytes of the entries of a GPT.
const GPT_ENTRIES: usize = 128 * 128;

/// The images that all cases start from.
pub(crate) struct Good {
    pub(crate) mbr: Image,
    pub(crate) gpt: Image,
    pub(crate) hybrid: Image,
}

impl Good {
    pub(crate) fn build(directory: &Path) -> Self {
        let [mbr, gpt, hybrid] = [Scheme::Mbr, Scheme::Gpt, Scheme::Hybrid]
            .map(|scheme| Image::build(directory, scheme));
        Self { mbr, gpt, hybrid }
    }
}

/// An image.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) bytes: Vec<u8>,
    firmware: Range<usize>,
    esp: Range<usize>,
}

/// One of the two copies of a GPT.
#[derive(Clone, Copy)]
pub(crate) enum Copy {
    Primary,
    Backup,
}

impl Image {
    fn build(directory: &Path, scheme: Scheme) -> Self {
        let path = directory.join("good.img");
        let spec = PrebuiltSpec {
            raw: vec![],
            sizes: Sizes {
                disk: 32 * MIB,
                firmware: 8 * MIB,
                esp: 8 * MIB,
            },
            scheme,
            disk_signature: 0x5eed_0000,
            config_txt: prebuilt::default_config_txt(),
            firmware_files: parts::sources(directory, &parts::firmware_files()[1..]),
            esp_files: parts::sources(directory, &parts::esp_files()),
            cache: Cache::Empty,
        };
        prebuilt::build(&spec, &path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let table = PartitionTable::read(&mut Cursor::new(&bytes))
            .unwrap()
            .checked();
        let mut windows = table.unwrap().partitions.into_iter().map(|partition| {
            let bytes = partition.bytes();
            bytes.start as usize..bytes.end as usize
        });
        let mut image = Self {
            bytes,
            firmware: windows.next().unwrap(),
            esp: windows.next().unwrap(),
        };
        image.put_esp(efivar::FILE_NAME, &store());
        image
    }

    /// Writes the image to a file, except for the zeros.
    pub(crate) fn write(&self, path: &Path) {
        let file = File::create(path).unwrap();
        file.set_len(self.bytes.len() as u64).unwrap();
        for (index, page) in self.bytes.chunks(4096).enumerate() {
            if page.iter().any(|byte| *byte != 0) {
                file.write_all_at(page, 4096 * index as u64).unwrap();
            }
        }
    }

    pub(crate) fn firmware(&self) -> Volume {
        Volume::new(&self.bytes, self.firmware.clone())
    }

    pub(crate) fn esp(&self) -> Volume {
        Volume::new(&self.bytes, self.esp.clone())
    }

    /// Writes a file of the firmware partition.
    pub(crate) fn put_firmware(&mut self, path: &str, contents: &[u8]) {
        self.put(self.firmware.clone(), path, contents);
    }

    /// Writes a file of the EFI system partition.
    pub(crate) fn put_esp(&mut self, path: &str, contents: &[u8]) {
        self.put(self.esp.clone(), path, contents);
    }

    /// Removes a file of the firmware partition.
    pub(crate) fn remove_firmware(&mut self, path: &str) {
        self.change(self.firmware.clone(), |volume| volume.remove(path).unwrap());
    }

    /// Removes a file of the EFI system partition.
    pub(crate) fn remove_esp(&mut self, path: &str) {
        self.change(self.esp.clone(), |volume| volume.remove(path).unwrap());
    }

    fn put(&mut self, window: Range<usize>, path: &str, contents: &[u8]) {
        self.change(window, |volume| volume.write(path, contents).unwrap());
    }

    fn change(&mut self, window: Range<usize>, change: impl Fn(&FatVolume<Cursor<&mut [u8]>>)) {
        let window = window.start as u64..window.end as u64;
        let volume = FatVolume::open(Cursor::new(&mut self.bytes[..]), &window).unwrap();
        change(&volume);
        volume.finish().unwrap();
    }

    /// Changes the entry of a file of the EFI system partition.
    pub(crate) fn esp_entry(&mut self, name: &[u8; 11], change: impl Fn(&mut [u8])) {
        let at = self.esp().entry(&self.bytes, name);
        change(&mut self.bytes[at..at + 32]);
    }

    /// Sets bytes of the EFI system partition's boot sector.
    pub(crate) fn esp_boot(&mut self, at: usize, bytes: &[u8]) {
        let at = self.esp.start + at;
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Lets the chain of iPXE's file go on otherwise: behind its cluster `index`, to the cluster that `next` gives for the first
    /// one.
    pub(crate) fn break_ipxe(&mut self, index: u16, next: impl Fn(&Volume, u16) -> u16) {
        self.break_chain(b"BOOTAA64EFI", index, next);
    }

    /// The same for any file of the partition. Files are in one piece here.
    pub(crate) fn break_chain(
        &mut self,
        name: &[u8; 11],
        index: u16,
        next: impl Fn(&Volume, u16) -> u16,
    ) {
        let esp = self.esp();
        let first = esp.first_cluster(&self.bytes, name);
        let next = next(&esp, first);
        esp.link(&mut self.bytes, first + index, next);
    }

    /// An entry of the MBR, from 0.
    pub(crate) fn mbr_entry(&mut self, index: usize) -> &mut [u8] {
        &mut self.bytes[446 + 16 * index..462 + 16 * index]
    }

    /// Sets first sector and number of sectors of an entry of the MBR.
    pub(crate) fn mbr_extent(&mut self, index: usize, first: u32, sectors: u32) {
        let entry = self.mbr_entry(index);
        entry[8..12].copy_from_slice(&first.to_le_bytes());
        entry[12..16].copy_from_slice(&sectors.to_le_bytes());
    }

    /// The header of a GPT.
    pub(crate) fn gpt_header(&mut self, copy: Copy) -> &mut [u8] {
        let at = match copy {
            Copy::Primary => SECTOR,
            Copy::Backup => self.bytes.len() - SECTOR,
        };
        &mut self.bytes[at..at + SECTOR]
    }

    /// The entries of a GPT.
    pub(crate) fn gpt_entries(&mut self, copy: Copy) -> &mut [u8] {
        let at = match copy {
            Copy::Primary => 2 * SECTOR,
            Copy::Backup => self.bytes.len() - SECTOR - GPT_ENTRIES,
        };
        &mut self.bytes[at..at + GPT_ENTRIES]
    }

    /// Sets first and last sector of a partition in both copies of the GPT, from 0.
    pub(crate) fn gpt_extent(&mut self, index: usize, first: u64, last: u64) {
        for copy in [Copy::Primary, Copy::Backup] {
            let entry = &mut self.gpt_entries(copy)[128 * index..128 * (index + 1)];
            entry[32..40].copy_from_slice(&first.to_le_bytes());
            entry[40..48].copy_from_slice(&last.to_le_bytes());
            self.seal_gpt(copy);
        }
    }

    /// Makes the checksums of a GPT right.
    pub(crate) fn seal_gpt(&mut self, copy: Copy) {
        let entries = crc32fast::hash(self.gpt_entries(copy));
        let header = self.gpt_header(copy);
        header[88..92].copy_from_slice(&entries.to_le_bytes());
        header[16..20].fill(0);
        let sum = crc32fast::hash(&header[..92]);
        header[16..20].copy_from_slice(&sum.to_le_bytes());
    }
}

/// A good variable store.
pub(crate) fn store() -> Vec<u8> {
    let mut store = efivar::VariableStore::default();
    store.set(efivar::tls_ca_certificate(b"an older authority").unwrap());
    store.encode().unwrap()
}
