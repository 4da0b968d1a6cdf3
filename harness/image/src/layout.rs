//! Where the partitions of a prebuilt image are.
//!
//! Every partition starts on a multiple of 4 MiB. That is the largest allocation unit of an SDHC card (SD Physical Layer
//! Simplified Specification, section 4.10.2 "AU_SIZE"): a partition that shares a unit with its neighbour makes the card copy the
//! neighbour's data on every write, which is slow and wears it out.

use std::ops::Range;

use super::ImageError;
use super::partitions::{NewTable, Role, Scheme};

const ALIGNMENT: u64 = 4 << 20;

/// How large disk and partitions are, in bytes. The cache partition takes what is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// The whole disk. A power of two, since QEMU's SD card refuses anything else.
    pub disk: u64,
    /// The firmware partition; 0 for a board that has none.
    pub firmware: u64,
    /// The EFI system partition.
    pub esp: u64,
}

impl Sizes {
    /// A small disk, enough for many a test.
    pub const SMALL: Self = Self {
        disk: 32 << 20,
        firmware: 4 << 20,
        esp: 4 << 20,
    };
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            disk: 1 << 30,
            firmware: 64 << 20,
            esp: 64 << 20,
        }
    }
}

/// The partitions of a prebuilt image, in bytes from the start of the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Size of the disk.
    pub disk: u64,
    /// Partition 1: what the board's ROM and firmware read. Empty where there is none; the other partitions then begin at number 1.
    pub firmware: Range<u64>,
    /// Partition 2: the EFI system partition.
    pub esp: Range<u64>,
    /// Partition 3: boot2container's cache.
    pub cache: Range<u64>,
    scheme: Scheme,
}

impl Layout {
    /// Places the partitions.
    ///
    /// # Errors
    /// [`ImageError::Sizes`] when a size is no multiple of 4 MiB, the disk's is no power of two or more than 1 TiB, or nothing
    /// is left for the cache.
    pub fn new(sizes: Sizes, scheme: Scheme) -> Result<Self, ImageError> {
        let Sizes {
            disk,
            firmware,
            esp,
        } = sizes;
        let problem = |text: &str| Err(ImageError::Sizes(text.into()));
        if !disk.is_power_of_two() || disk > 1 << 40 {
            return problem("the disk's size must be a power of two up to 1 TiB");
        }
        if esp == 0 || [firmware, esp].iter().any(|size| size % ALIGNMENT != 0) {
            return problem("a partition's size must be a multiple of 4 MiB");
        }
        let esp_start = ALIGNMENT.checked_add(firmware);
        let cache_start = esp_start.and_then(|start| start.checked_add(esp));
        let (Some(esp_start), Some(cache_start)) = (esp_start, cache_start) else {
            return problem("the partitions are larger than any disk");
        };
        let cache_end = match scheme {
            Scheme::Mbr => disk,
            // The backup table is at the end of the disk.
            Scheme::Gpt | Scheme::Hybrid => disk.saturating_sub(ALIGNMENT),
        };
        if cache_start >= cache_end {
            return problem(
                "firmware and EFI system partition leave no room for the cache; make the disk larger",
            );
        }
        Ok(Self {
            disk,
            firmware: ALIGNMENT..esp_start,
            esp: esp_start..cache_start,
            cache: cache_start..cache_end,
            scheme,
        })
    }

    /// The sectors behind the MBR belong to a GPT.
    #[must_use]
    pub fn has_gpt(&self) -> bool {
        self.scheme != Scheme::Mbr
    }

    /// The partition table that says this.
    #[must_use]
    pub fn table(&self, disk_signature: u32) -> NewTable {
        let mut partitions = vec![
            (Role::Firmware, self.firmware.clone()),
            (Role::Esp, self.esp.clone()),
            (Role::Cache, self.cache.clone()),
        ];
        partitions.retain(|(_, range)| !range.is_empty());
        NewTable {
            scheme: self.scheme,
            disk: self.disk,
            signature: disk_signature,
            partitions,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn default_sizes_give_an_aligned_layout() {
        let layout = Layout::new(Sizes::default(), Scheme::Mbr).unwrap();
        assert_eq!(layout.firmware, 4 * MIB..68 * MIB);
        assert_eq!(layout.esp, 68 * MIB..132 * MIB);
        assert_eq!(layout.cache, 132 * MIB..1024 * MIB);
        for scheme in [Scheme::Gpt, Scheme::Hybrid] {
            let layout = Layout::new(Sizes::default(), scheme).unwrap();
            assert_eq!(layout.cache, 132 * MIB..1020 * MIB);
        }
    }

    #[test]
    fn impossible_sizes_are_refused() {
        let refused = |sizes| Layout::new(sizes, Scheme::Mbr).unwrap_err().to_string();
        let good = Sizes::default();
        assert!(
            refused(Sizes {
                disk: 1_000_000_000,
                ..good
            })
            .contains("power of two")
        );
        assert!(
            refused(Sizes {
                esp: 5 * MIB,
                ..good
            })
            .contains("4 MiB")
        );
        assert!(
            refused(Sizes {
                disk: 128 * MIB,
                ..good
            })
            .contains("no room")
        );
        assert!(
            refused(Sizes {
                firmware: u64::MAX - 4 * MIB + 1,
                ..good
            })
            .contains("larger than any disk")
        );
    }
}
