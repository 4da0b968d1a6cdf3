//! Reading sectors of a disk.

use std::io::{Read, Seek, SeekFrom};

use super::error::TableError;
use super::partition::SECTOR;

/// The sector of this number.
pub(super) fn read_sector<D: Read + Seek>(
    disk: &mut D,
    sector: u64,
) -> Result<[u8; 512], TableError> {
    let mut bytes = [0; 512];
    read_at(disk, sector.saturating_mul(SECTOR), &mut bytes)?;
    Ok(bytes)
}

/// Fills `bytes` with what is on the disk from byte `offset` on.
pub(super) fn read_at<D: Read + Seek>(
    disk: &mut D,
    offset: u64,
    bytes: &mut [u8],
) -> Result<(), TableError> {
    disk.seek(SeekFrom::Start(offset))
        .and_then(|_| disk.read_exact(bytes))
        .map_err(|source| TableError::Io { offset, source })
}
