//! Layers: compressed tar archives with the digests of both their forms.

use std::io::{self, Read};

use flate2::bufread::MultiGzDecoder;

use super::Digest;
use super::digest::DigestReader;
use crate::services::{Blob, Error};

/// Media type of a layer that gzip compressed.
const TAR_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A layer of an image.
#[derive(Debug, Clone)]
pub struct Layer {
    pub(super) blob: Blob,
    pub(super) media_type: String,
    pub(super) digest: Digest,
    pub(super) diff_id: Digest,
}

impl Layer {
    /// A layer from a `.tar.gz`, which is read once from end to end for its two digests. Blocking.
    ///
    /// `name` says in errors which layer it is.
    ///
    /// # Errors
    /// [`Error::File`] when the blob cannot be read, [`Error::Layer`] when it is not gzip.
    pub fn from_tar_gz(name: &str, blob: Blob) -> Result<Self, Error> {
        let unsound = |source| Error::Layer {
            name: name.into(),
            source,
        };
        let compressed = DigestReader::new(blob.reader()?);
        let mut decoder = MultiGzDecoder::new(io::BufReader::with_capacity(64 * 1024, compressed));
        let (diff_id, _) = DigestReader::new(decoder.by_ref())
            .finish()
            .map_err(unsound)?;
        let (digest, _) = decoder
            .into_inner()
            .into_inner()
            .finish()
            .map_err(unsound)?;
        Ok(Self {
            blob,
            media_type: TAR_GZIP.into(),
            digest,
            diff_id,
        })
    }

    /// The compressed archive.
    #[must_use]
    pub fn blob(&self) -> &Blob {
        &self.blob
    }

    /// Digest of the compressed archive.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Digest of the uncompressed archive.
    #[must_use]
    pub fn diff_id(&self) -> Digest {
        self.diff_id
    }

    /// Media type, which says how the archive is compressed.
    #[must_use]
    pub fn media_type(&self) -> &str {
        &self.media_type
    }
}

#[cfg(test)]
mod tests {
    use crate::services::testing::gzip;
    use bytes::Bytes;

    use super::*;

    #[test]
    fn has_the_digests_of_both_forms() {
        let archive: Vec<u8> = (0..300_000_u32).map(|i| (i % 253) as u8).collect();
        let compressed = gzip(&archive);
        let layer = Layer::from_tar_gz("test", Bytes::from(compressed.clone()).into()).unwrap();
        assert_eq!(layer.digest(), Digest::of(&compressed));
        assert_eq!(layer.diff_id(), Digest::of(&archive));
        assert_eq!(layer.blob().len(), compressed.len() as u64);
    }

    #[test]
    fn what_is_not_gzip_from_end_to_end_is_refused() {
        let sound = gzip(b"archive");
        let cut = sound[..sound.len() - 1].to_vec();
        let longer = [&sound[..], b"x"].concat();
        for bytes in [b"no gzip".to_vec(), cut, longer] {
            let error = Layer::from_tar_gz("rootfs.tar.gz", Bytes::from(bytes).into()).unwrap_err();
            assert!(error.to_string().contains("rootfs.tar.gz"), "{error}");
        }
    }
}
