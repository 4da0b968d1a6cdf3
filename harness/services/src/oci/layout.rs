//! Reads an image from a directory, and writes one to it (OCI image specification, "Image Layout").
//!
//! Every byte is checked against the digest and the size that its descriptor names before anything is served.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Map;

use super::document::{Config, Descriptor, Document, INDEX, Index, Manifest};
use super::{Layer, OciImage, Platform};
use crate::{Blob, Error};
use shakedown_base::digest::DigestReader;

/// Indexes within indexes that are followed. Real layouts have one level, `docker buildx` writes two.
const DEPTH: usize = 4;

/// The version of the layout that this module reads.
const VERSION: &str = "1.0.0";

/// The annotation that names an image in a layout (OCI image specification, "Pre-Defined Annotation Keys").
const REFERENCE: &str = "org.opencontainers.image.ref.name";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    image_layout_version: String,
}

impl OciImage {
    /// The first image for `platform` in the layout at `directory`. Reads all of it to check it; blocking.
    ///
    /// # Errors
    /// [`Error::NotALayout`], [`Error::NoPlatform`], [`Error::File`] for a missing blob, [`Error::SizeMismatch`] and
    /// [`Error::DigestMismatch`] for a damaged one, [`Error::Document`], [`Error::LayerCount`].
    pub fn from_layout(directory: &Path, platform: &Platform) -> Result<Self, Error> {
        let layout = Layout { directory };
        layout.check_marker()?;
        let index = layout.parse_file(&directory.join("index.json"))?;
        let mut others = Vec::new();
        let Some((manifest, config)) = layout.find(index, platform, DEPTH, &mut others)? else {
            return Err(Error::NoPlatform {
                path: directory.into(),
                wanted: platform.clone(),
                found: others.join(", "),
            });
        };
        layout.image(manifest, config)
    }
}

impl OciImage {
    /// Writes the image to a new folder in this layout, under the reference `name`. The same image gives the same bytes. Blocking.
    ///
    /// # Errors
    /// [`Error::File`] when something cannot be read or written, [`Error::Document`], which does not happen with valid text.
    pub fn write_layout(&self, directory: &Path, name: &str) -> Result<(), Error> {
        let blobs = directory.join("blobs").join("sha256");
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |source| Error::File { path, source }
        };
        fs::create_dir_all(&blobs).map_err(failed(&blobs))?;
        for document in [self.config(), self.manifest()] {
            let path = blobs.join(document.digest.hex());
            fs::write(&path, &document.bytes).map_err(failed(&path))?;
        }
        for layer in self.layers() {
            let path = blobs.join(layer.digest().hex());
            let mut file = File::create(&path).map_err(failed(&path))?;
            io::copy(&mut layer.blob().reader()?, &mut file).map_err(failed(&path))?;
        }
        let config: Config = self.config().parse()?;
        let mut manifest = self.manifest().descriptor();
        manifest.platform = Some(config.platform);
        let names = Map::from_iter([(REFERENCE.to_owned(), name.into())]);
        manifest.rest.insert("annotations".into(), names.into());
        let index = Index {
            schema_version: 2,
            media_type: Some(INDEX.into()),
            manifests: vec![manifest],
        };
        let index = Document::write(INDEX, &index)?;
        let marker = format!("{{\"imageLayoutVersion\":\"{VERSION}\"}}");
        for (file, bytes) in [
            ("index.json", &*index.bytes),
            ("oci-layout", marker.as_bytes()),
        ] {
            let path = directory.join(file);
            fs::write(&path, bytes).map_err(failed(&path))?;
        }
        Ok(())
    }
}

struct Layout<'a> {
    directory: &'a Path,
}

impl Layout<'_> {
    fn check_marker(&self) -> Result<(), Error> {
        let path = self.directory.join("oci-layout");
        let wrong = |reason| Error::NotALayout {
            path: self.directory.into(),
            reason,
        };
        if !path.is_file() {
            return Err(wrong("it has no file oci-layout".into()));
        }
        let marker: Marker = self.parse_file(&path)?;
        if marker.image_layout_version == VERSION {
            Ok(())
        } else {
            Err(wrong(format!(
                "version {} instead of {VERSION}",
                marker.image_layout_version
            )))
        }
    }

    /// The manifest and config of the first image in `index` that `platform` runs. Platforms of the others go to `others`.
    fn find(
        &self,
        index: Index,
        platform: &Platform,
        depth: usize,
        others: &mut Vec<String>,
    ) -> Result<Option<(Document, Document)>, Error> {
        for descriptor in index.manifests {
            if let Some(other) = descriptor
                .platform
                .as_ref()
                .filter(|other| !platform.runs(other))
            {
                others.push(other.to_string());
                continue;
            }
            let document = self.document(&descriptor)?;
            if is_index(&descriptor.media_type) {
                let inner = document.parse()?;
                if depth > 0
                    && let Some(found) = self.find(inner, platform, depth - 1, others)?
                {
                    return Ok(Some(found));
                }
                continue;
            }
            let manifest: Manifest = document.parse()?;
            // An artefact such as a signature or a bill of materials has a config of its own kind, or an empty one.
            if !is_config(&manifest.config.media_type) {
                others.push(format!("a {}", manifest.config.media_type));
                continue;
            }
            let config = self.document(&manifest.config)?;
            let described: Config = config.parse()?;
            if platform.runs(&described.platform) {
                return Ok(Some((document, config)));
            }
            others.push(described.platform.to_string());
        }
        Ok(None)
    }

    fn image(&self, manifest: Document, config: Document) -> Result<OciImage, Error> {
        let descriptors = manifest.parse::<Manifest>()?.layers;
        let diff_ids = config.parse::<Config>()?.rootfs.diff_ids;
        if descriptors.len() != diff_ids.len() {
            return Err(Error::LayerCount {
                image: manifest.digest,
                config: diff_ids.len(),
                manifest: descriptors.len(),
            });
        }
        let layers = descriptors
            .iter()
            .zip(diff_ids)
            .map(|(descriptor, diff_id)| {
                Ok(Layer {
                    blob: self.blob(descriptor)?,
                    media_type: descriptor.media_type.clone(),
                    digest: descriptor.digest,
                    diff_id,
                })
            });
        let layers = layers.collect::<Result<_, Error>>()?;
        Ok(OciImage::from_parts(config, manifest, layers))
    }

    /// A blob, once its size and content have been found to be what its descriptor says.
    fn blob(&self, descriptor: &Descriptor) -> Result<Blob, Error> {
        let path = self.path(descriptor);
        let blob = Blob::file(&path)?;
        if blob.len() != descriptor.size {
            return Err(Error::SizeMismatch {
                path,
                expected: descriptor.size,
                found: blob.len(),
            });
        }
        let digest = DigestReader::new(blob.reader()?).finish();
        match digest {
            Ok((found, _)) if found == descriptor.digest => Ok(blob),
            Ok((found, _)) => Err(Error::DigestMismatch {
                path,
                expected: descriptor.digest,
                found,
            }),
            Err(source) => Err(Error::File { path, source }),
        }
    }

    /// A checked blob as a document. The documents of an image are small.
    fn document(&self, descriptor: &Descriptor) -> Result<Document, Error> {
        let blob = self.blob(descriptor)?;
        let mut bytes = Vec::new();
        blob.reader()?
            .read_to_end(&mut bytes)
            .map_err(|source| Error::File {
                path: self.path(descriptor),
                source,
            })?;
        Ok(Document::from_bytes(&descriptor.media_type, bytes.into()))
    }

    fn path(&self, descriptor: &Descriptor) -> PathBuf {
        // The one `:` of a digest is the directory separator here.
        let relative = descriptor.digest.to_string().replace(':', "/");
        self.directory.join("blobs").join(relative)
    }

    fn parse_file<T: DeserializeOwned>(&self, path: &Path) -> Result<T, Error> {
        let bytes = std::fs::read(path).map_err(|source| Error::File {
            path: path.into(),
            source,
        })?;
        serde_json::from_slice(&bytes).map_err(|source| Error::Document {
            document: path.display().to_string(),
            source,
        })
    }
}

fn is_config(media_type: &str) -> bool {
    media_type == super::document::CONFIG
        || media_type == "application/vnd.docker.container.image.v1+json"
}

fn is_index(media_type: &str) -> bool {
    media_type == super::document::INDEX
        || media_type == "application/vnd.docker.distribution.manifest.list.v2+json"
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::testing::{image, write_layout};

    fn layout() -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        write_layout(directory.path(), &image().with_index().unwrap());
        directory
    }

    fn read(directory: &TempDir) -> Result<OciImage, Error> {
        OciImage::from_layout(directory.path(), &Platform::linux_arm64())
    }

    fn blob_path(directory: &TempDir, digest: super::super::Digest) -> PathBuf {
        directory
            .path()
            .join("blobs")
            .join(digest.to_string().replace(':', "/"))
    }

    #[test]
    fn what_was_written_comes_back_to_the_byte() {
        let read = read(&layout()).unwrap();
        let image = image();
        assert_eq!(read.manifest(), image.manifest());
        assert_eq!(read.config(), image.config());
        assert_eq!(read.layers()[0].digest(), image.layers()[0].digest());
        assert_eq!(read.layers()[0].diff_id(), image.layers()[0].diff_id());
    }

    #[test]
    fn an_image_that_was_written_is_read_and_twice_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        image().write_layout(&one, "test").unwrap();
        image().write_layout(&two, "test").unwrap();
        let read = OciImage::from_layout(&one, &Platform::linux_arm64()).unwrap();
        assert_eq!(read.manifest(), image().manifest());
        assert_eq!(read.layers()[0].digest(), image().layers()[0].digest());
        let index = |folder: &Path| fs::read_to_string(folder.join("index.json")).unwrap();
        assert_eq!(index(&one), index(&two));
        assert!(index(&one).contains(r#""org.opencontainers.image.ref.name":"test""#));
        let amd64 = Platform {
            architecture: "amd64".into(),
            ..Platform::linux_arm64()
        };
        assert!(OciImage::from_layout(&one, &amd64).is_err());
    }

    #[test]
    fn a_damaged_layer_is_named() {
        let directory = layout();
        let layer = blob_path(&directory, image().layers()[0].digest());
        let mut bytes = std::fs::read(&layer).unwrap();
        bytes[20] ^= 1;
        std::fs::write(&layer, &bytes).unwrap();
        let error = read(&directory).unwrap_err();
        assert!(
            matches!(&error, Error::DigestMismatch { path, .. } if *path == layer),
            "{error}"
        );
        std::fs::write(&layer, &bytes[1..]).unwrap();
        let error = read(&directory).unwrap_err();
        assert!(
            matches!(&error, Error::SizeMismatch { path, .. } if *path == layer),
            "{error}"
        );
        std::fs::remove_file(&layer).unwrap();
        let error = read(&directory).unwrap_err();
        assert!(
            matches!(&error, Error::File { path, .. } if *path == layer),
            "{error}"
        );
    }

    #[test]
    fn another_platform_is_an_error_that_says_what_there_is() {
        let directory = layout();
        let riscv = Platform {
            architecture: "riscv64".into(),
            ..Platform::linux_arm64()
        };
        let error = OciImage::from_layout(directory.path(), &riscv)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("no image for linux/riscv64, only for: linux/arm64"),
            "{error}"
        );
    }

    /// As `docker buildx` pushes an image, and `cosign` and others add to it: an index of the image and of manifests that say something of
    /// it, in front of it and behind it.
    #[test]
    fn attestations_and_other_artefacts_are_passed_over() {
        let directory = layout();
        let path = directory.path().join("index.json");
        let text = std::fs::read_to_string(&path).unwrap();
        let index: serde_json::Value = serde_json::from_str(&text).unwrap();
        let put = |media_type: &str, value: &serde_json::Value| {
            let bytes = value.to_string().into_bytes();
            let digest = super::super::Digest::of(&bytes);
            std::fs::write(blob_path(&directory, digest), &bytes).unwrap();
            serde_json::json!({ "mediaType": media_type, "digest": digest.to_string(), "size": bytes.len() })
        };
        let artefact = |config: &str, contents: &serde_json::Value| {
            let layer = put(
                "application/vnd.in-toto+json",
                &serde_json::json!({ "_type": "statement" }),
            );
            let config = put(config, contents);
            let manifest =
                serde_json::json!({ "schemaVersion": 2, "config": config, "layers": [layer] });
            put("application/vnd.oci.image.manifest.v1+json", &manifest)
        };
        let unknown = serde_json::json!({ "architecture": "unknown", "os": "unknown", "config": {}, "rootfs": { "type": "layers", "diff_ids": [] } });
        let mut attestation = artefact("application/vnd.oci.image.config.v1+json", &unknown);
        let unnamed = attestation.clone();
        attestation["platform"] = serde_json::json!({ "architecture": "unknown", "os": "unknown" });
        let empty = artefact("application/vnd.oci.empty.v1+json", &serde_json::json!({}));
        let manifests = [attestation, unnamed, empty];
        let with = |manifests: &[&serde_json::Value]| {
            let nested = serde_json::json!({ "schemaVersion": 2, "manifests": manifests });
            let top = put("application/vnd.oci.image.index.v1+json", &nested);
            let top = serde_json::json!({ "schemaVersion": 2, "manifests": [top] });
            std::fs::write(&path, top.to_string()).unwrap();
            read(&directory)
        };
        let image = &index["manifests"][0];
        let [attestation, unnamed, empty] = &manifests;
        let found = with(&[attestation, unnamed, empty, image, attestation]).unwrap();
        assert_eq!(found.manifest(), super::tests::image().manifest());
        let error = with(&[attestation, empty]).unwrap_err().to_string();
        let expected = "only for: unknown/unknown, a application/vnd.oci.empty.v1+json";
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn what_is_no_layout_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(read(&directory), Err(Error::NotALayout { .. })));
        std::fs::write(
            directory.path().join("oci-layout"),
            r#"{"imageLayoutVersion":"2.0.0"}"#,
        )
        .unwrap();
        assert!(matches!(read(&directory), Err(Error::NotALayout { .. })));
        std::fs::write(directory.path().join("oci-layout"), "no JSON").unwrap();
        assert!(matches!(read(&directory), Err(Error::Document { .. })));
    }
}
