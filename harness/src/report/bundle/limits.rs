//! How large a bundle may be. What is written stays within these bounds, and what is read must.

/// Files, the image and the manifest included.
pub(super) const ENTRIES: usize = 1024;
/// Bytes of a file, the image apart.
pub(super) const FILE: u64 = 256 << 20;
/// Bytes of all files, the image apart: they are held in memory.
pub(super) const TOTAL: u64 = 512 << 20;
/// Bytes of the image, holes included.
pub(super) const IMAGE: u64 = 16 << 30;
/// Bytes of a name: what a ustar header without a prefix holds.
pub(super) const NAME: usize = 100;
