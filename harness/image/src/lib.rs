//! The disk image: partition table, file systems, EFI variables, `config.txt`, provisioning.
//!
//! A *prebuilt* image holds firmware, boot loader and iPXE ([`prebuilt`]). Provisioning adds identity, trust and boot script
//! and makes a *netboot* image of it ([`provision`]), always as a new file.

pub mod binary;
pub mod boot;
pub mod config_txt;
pub mod cpio;
pub mod credentials;
mod disk;
pub mod distribution;
pub mod edk2_variables;
pub mod efivar;
mod error;
pub mod ext;
pub mod fat;
pub mod guid;
pub mod home;
pub mod key_material;
mod layout;
mod limits;
mod magic;
pub mod manifest;
pub mod netboot;
mod page_cache;
pub mod partitions;
pub mod prebuilt;
pub mod provision;
pub mod script;
pub mod source;
mod sparse;
pub mod survey;
#[cfg(test)]
mod testing;
pub mod uboot_env;

pub use disk::Disk;
pub use error::ImageError;
pub use layout::{Layout, Sizes};
pub use limits::{LIMITS, Limits};
