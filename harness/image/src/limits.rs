//! How much of a foreign image is read at most. A hostile file may ask for more; it gets an error.

/// Bounds in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A whole image, unpacked, zeros included. As large as the cards that boards boot from.
    pub image: u64,
    /// What of an unpacked image is not zero, and so takes room.
    pub image_data: u64,
    /// A boot loader or kernel, unpacked.
    pub program: u64,
    /// All RAM file systems of a board together.
    pub initramfs: u64,
    /// A script, a configuration, a variable store. U-Boot keeps its variables in 128 KiB at most.
    pub small_file: u64,
    /// The allocation table of a FAT volume.
    pub allocation_table: u64,
}

/// The bounds in force.
pub const LIMITS: Limits = Limits {
    image: 64 << 30,
    image_data: 16 << 30,
    program: 128 << 20,
    initramfs: 256 << 20,
    small_file: 1 << 20,
    allocation_table: 64 << 20,
};
