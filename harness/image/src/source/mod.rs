//! Images as people have them: raw, packed with xz, zstd or gzip, qcow2, or one in the other; from a file or a pipe.
//!
//! [`open`] tells by content, never by name, and gives a raw image. What is raw already and a file is used as it is; everything
//! else is unpacked into a nameless file in a folder for temporary files that is no memory, with holes where there are zeros.
//! What is no disk image is named.

mod format;
mod gzip;
mod open;
mod place;
mod qcow2;
mod written;

pub use format::Format;
pub use open::{STDIN, Source, open};
pub use qcow2::Qcow2Error;
pub use written::WrittenCard;
#[cfg(test)]
pub(crate) use written::empty_overlay;
