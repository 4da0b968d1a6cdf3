//! Layers: compressed tar archives with the digests of both their forms.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::Digest;
use crate::{Blob, Error};
use shakedown_base::digest::DigestReader;

/// Media type of a layer that gzip compressed.
const TAR_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Media type of a layer that zstd compressed.
const TAR_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// As every registry client knows it.
    Gzip,
    /// As newer ones do.
    Zstd,
}

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

    /// A layer with one file of `size` zeros, in a file in `folder` that must stay there. Blocking.
    ///
    /// # Errors
    /// [`Error::File`] when the file cannot be written or read.
    pub fn of_zeros(name: &str, size: u64, folder: &Path) -> Result<Self, Error> {
        let path = folder.join(format!("{name}.tar.gz"));
        let write = || {
            let file = BufWriter::new(File::create(&path)?);
            let mut archive = tar::Builder::new(GzEncoder::new(file, flate2::Compression::fast()));
            let mut header = tar::Header::new_gnu();
            header.set_size(size);
            header.set_mode(0o644);
            archive.append_data(&mut header, name, io::repeat(0).take(size))?;
            archive.into_inner()?.finish()?.flush()
        };
        write().map_err(|source| Error::File {
            path: path.clone(),
            source,
        })?;
        Self::from_tar_gz(name, Blob::file(&path)?)
    }

    /// The same archive compressed in another way, in a file in `folder` that must stay there. Blocking.
    ///
    /// # Errors
    /// [`Error::File`] when a file cannot be read or written, [`Error::Layer`] when the layer cannot be unpacked.
    pub fn repacked(&self, compression: Compression, folder: &Path) -> Result<Self, Error> {
        let (media_type, ending) = match compression {
            Compression::Gzip => (TAR_GZIP, "tar.gz"),
            Compression::Zstd => (TAR_ZSTD, "tar.zst"),
        };
        let path = folder.join(format!("{}.{ending}", self.digest.hex()));
        let unusable = |source| Error::File {
            path: path.clone(),
            source,
        };
        let mut archive = self.archive()?;
        let file = BufWriter::new(File::create(&path).map_err(unusable)?);
        let written = match compression {
            Compression::Gzip => {
                let mut encoder = GzEncoder::new(file, flate2::Compression::default());
                io::copy(&mut archive, &mut encoder).and_then(|_| encoder.finish())
            }
            Compression::Zstd => zstd::Encoder::new(file, 0).and_then(|mut encoder| {
                io::copy(&mut archive, &mut encoder).and_then(|_| encoder.finish())
            }),
        };
        written
            .and_then(|mut file| file.flush())
            .map_err(unusable)?;
        let blob = Blob::file(&path)?;
        let (digest, _) = DigestReader::new(blob.reader()?)
            .finish()
            .map_err(unusable)?;
        Ok(Self {
            blob,
            media_type: media_type.into(),
            digest,
            diff_id: self.diff_id,
        })
    }

    /// The uncompressed archive.
    fn archive(&self) -> Result<Box<dyn Read>, Error> {
        let compressed = BufReader::with_capacity(64 * 1024, self.blob.reader()?);
        let unsound = |source| Error::Layer {
            name: self.digest.to_string(),
            source,
        };
        // Docker's own media types end in `.tar.gzip`.
        Ok(match self.media_type.rsplit(['+', '.']).next() {
            Some("gzip") => Box::new(MultiGzDecoder::new(compressed)),
            Some("zstd") => Box::new(zstd::Decoder::with_buffer(compressed).map_err(unsound)?),
            _ => Box::new(compressed),
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
    use crate::testing::gzip;
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
    fn a_repacked_layer_holds_the_same_archive() {
        let folder = tempfile::tempdir().unwrap();
        let archive: Vec<u8> = (0..300_000_u32).map(|i| (i % 253) as u8).collect();
        let gzip = Layer::from_tar_gz("test", Bytes::from(gzip(&archive)).into()).unwrap();
        let zstd = gzip.repacked(Compression::Zstd, folder.path()).unwrap();
        let again = zstd.repacked(Compression::Gzip, folder.path()).unwrap();
        assert!(
            zstd.media_type().ends_with("tar+zstd"),
            "{}",
            zstd.media_type()
        );
        for layer in [&zstd, &again] {
            assert_eq!(layer.diff_id(), gzip.diff_id());
            let mut bytes = Vec::new();
            layer
                .blob()
                .reader()
                .unwrap()
                .read_to_end(&mut bytes)
                .unwrap();
            assert_eq!(layer.digest(), Digest::of(&bytes));
            let mut unpacked = Vec::new();
            layer.archive().unwrap().read_to_end(&mut unpacked).unwrap();
            assert!(unpacked == archive);
        }
    }

    #[test]
    fn a_layer_of_zeros_unpacks_to_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let layer = Layer::of_zeros("padding", 3_000_000, folder.path()).unwrap();
        assert!(layer.blob().len() < 30_000, "{}", layer.blob().len());
        let mut archive = tar::Archive::new(layer.archive().unwrap());
        let mut entries = archive.entries().unwrap();
        let mut entry = entries.next().unwrap().unwrap();
        assert_eq!(entry.path().unwrap(), Path::new("padding"));
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        assert!(bytes.len() == 3_000_000 && bytes.iter().all(|byte| *byte == 0));
        assert!(entries.next().is_none());
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
