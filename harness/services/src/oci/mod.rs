//! Container images as the OCI image specification describes them: digests, documents, layers, layouts.
//!
//! A document's bytes are its identity. They are made once, here, and served as they are; nothing is parsed and written again on
//! the way to a client.

mod document;
mod image;
mod layer;
mod layout;
mod nonce;

pub(super) use document::INDEX;
pub use document::{ConfigSpec, Document, Platform};
pub use image::OciImage;
pub use layer::{Compression, Layer};
pub use nonce::Nonce;
pub use shakedown_base::digest::Digest;
