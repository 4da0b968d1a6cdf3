//! Images: a config and layers, and the documents that tie them together.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::document::{CONFIG, Config, Descriptor, Document, INDEX, Index, MANIFEST, Manifest};
use super::{Compression, ConfigSpec, Digest, Layer};
use crate::Error;

/// An image, ready to be served. Clones share the layers.
#[derive(Debug, Clone)]
pub struct OciImage {
    config: Document,
    manifest: Document,
    index: Option<Document>,
    layers: Vec<Layer>,
}

impl OciImage {
    /// An image of these layers, the lowest first.
    ///
    /// # Errors
    /// [`Error::Document`] when a document cannot be written, which does not happen with valid text.
    pub fn new(layers: Vec<Layer>, spec: &ConfigSpec) -> Result<Self, Error> {
        let diff_ids = layers.iter().map(Layer::diff_id).collect();
        let config = Document::write(CONFIG, &spec.config(diff_ids))?;
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(MANIFEST.into()),
            config: config.descriptor(),
            layers: layers.iter().map(descriptor).collect(),
            rest: Map::new(),
        };
        Ok(Self {
            manifest: Document::write(MANIFEST, &manifest)?,
            config,
            index: None,
            layers,
        })
    }

    /// An image from documents and layers that belong together.
    pub(super) fn from_parts(config: Document, manifest: Document, layers: Vec<Layer>) -> Self {
        Self {
            config,
            manifest,
            index: None,
            layers,
        }
    }

    /// The same layers under a config with more environment variables, which replace those of the same name. Everything else
    /// in config and manifest stays. An index is dropped: see [`with_index`](Self::with_index).
    ///
    /// # Errors
    /// [`Error::Document`] when config or manifest is not valid.
    pub fn with_env(&self, variables: &[(String, String)]) -> Result<Self, Error> {
        let mut config: Config = self.config.parse()?;
        config.config.set_env(variables);
        self.with(&config, None)
    }

    /// The same image with one more layer on top. Whatever else config and manifest say stays. An index is dropped.
    ///
    /// # Errors
    /// [`Error::Document`] when config or manifest is not valid.
    pub fn with_layer(&self, layer: Layer) -> Result<Self, Error> {
        let mut config: Config = self.config.parse()?;
        config.rootfs.diff_ids.push(layer.diff_id());
        if let Some(Value::Array(history)) = config.rest.get_mut("history") {
            history.push(json!({ "comment": "a further layer" }));
        }
        self.with(&config, Some(layer))
    }

    /// The same image with this config, and perhaps with one more layer on top.
    fn with(&self, config: &Config, more: Option<Layer>) -> Result<Self, Error> {
        let config = Document::write(&self.config.media_type, config)?;
        let mut manifest: Manifest = self.manifest.parse()?;
        manifest.config.digest = config.digest;
        manifest.config.size = config.bytes.len() as u64;
        manifest.layers.extend(more.as_ref().map(descriptor));
        let mut layers = self.layers.clone();
        layers.extend(more);
        Ok(Self {
            manifest: Document::write(&self.manifest.media_type, &manifest)?,
            config,
            index: None,
            layers,
        })
    }

    /// The same image with its layers compressed in another way, in files in `folder` that must stay there. Blocking.
    ///
    /// # Errors
    /// As for [`Layer::repacked`], and [`Error::Document`] when the manifest is not valid.
    pub fn repacked(&self, compression: Compression, folder: &Path) -> Result<Self, Error> {
        let layers = self.layers.iter().map(|l| l.repacked(compression, folder));
        let layers: Vec<_> = layers.collect::<Result<_, _>>()?;
        let mut manifest: Manifest = self.manifest.parse()?;
        manifest.layers = layers.iter().map(descriptor).collect();
        Ok(Self {
            config: self.config.clone(),
            manifest: Document::write(&self.manifest.media_type, &manifest)?,
            index: None,
            layers,
        })
    }

    /// The image behind an index that names its platform, as multi-platform registries serve it.
    ///
    /// # Errors
    /// [`Error::Document`] when the config is not valid.
    pub fn with_index(mut self) -> Result<Self, Error> {
        let config: Config = self.config.parse()?;
        let manifest = Descriptor {
            platform: Some(config.platform),
            ..self.manifest.descriptor()
        };
        let index = Index {
            schema_version: 2,
            media_type: Some(INDEX.into()),
            manifests: vec![manifest],
        };
        self.index = Some(Document::write(INDEX, &index)?);
        Ok(self)
    }

    /// The config.
    #[must_use]
    pub fn config(&self) -> &Document {
        &self.config
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Document {
        &self.manifest
    }

    /// The document that a tag names: the index if there is one, else the manifest.
    #[must_use]
    pub fn top(&self) -> &Document {
        self.index.as_ref().unwrap_or(&self.manifest)
    }

    /// The layers, the lowest first.
    #[must_use]
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The image's name by content, which `podman pull` prints as well.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.top().digest
    }
}

fn descriptor(layer: &Layer) -> Descriptor {
    Descriptor {
        media_type: layer.media_type.clone(),
        digest: layer.digest,
        size: layer.blob.len(),
        platform: None,
        rest: Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::Platform;
    use crate::testing::image;

    fn text(document: &Document) -> &str {
        assert_eq!(document.digest, Digest::of(&document.bytes));
        str::from_utf8(&document.bytes).unwrap()
    }

    #[test]
    fn the_documents_of_a_new_image() {
        let image = image().with_index().unwrap();
        insta::assert_snapshot!(text(image.config()), @r#"{"architecture":"arm64","os":"linux","config":{"Env":["PATH=/usr/bin"],"Cmd":["/bin/sh"],"Labels":{"org.opencontainers.image.title":"test"}},"rootfs":{"type":"layers","diff_ids":["sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"]},"created":"1970-01-01T00:00:00Z"}"#);
        insta::assert_snapshot!(text(image.manifest()), @r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:e267509394d5c898251299c5fb696f6114b827bc6da6d7fb5c64a4645a91c89f","size":288},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:f31b3021082ff798b6d0b88824263adf13c8b2d7a2c6b16fd256619ab7d08da9","size":26}]}"#);
        insta::assert_snapshot!(text(image.top()), @r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:e1ad4fa75d26b87fc84afb273536350a180c2fa06b437f08f85bbd562ab004cc","size":400,"platform":{"architecture":"arm64","os":"linux"}}]}"#);
    }

    #[test]
    fn equal_parts_make_equal_images() {
        assert_eq!(image().digest(), image().digest());
    }

    #[test]
    fn new_variables_change_the_config_and_nothing_else() {
        let before = image();
        let variables = [("PATH", "/bin"), ("SHAKEDOWN_NONCE", "00ff")]
            .map(|(n, v)| (n.to_owned(), v.to_owned()));
        let after = before.with_env(&variables).unwrap();
        let env = |image: &OciImage| image.config().parse::<Config>().unwrap().config.env;
        assert_eq!(env(&before).unwrap(), ["PATH=/usr/bin"]);
        assert_eq!(env(&after).unwrap(), ["PATH=/bin", "SHAKEDOWN_NONCE=00ff"]);
        let undone = after
            .with_env(&[("SHAKEDOWN_NONCE".into(), "00ff".into())])
            .unwrap();
        assert_eq!(undone.digest(), after.digest());
        let manifest: Manifest = after.manifest().parse().unwrap();
        assert_eq!(manifest.config, after.config().descriptor());
        assert_eq!(manifest.layers[0].digest, before.layers()[0].digest());
    }

    #[test]
    fn a_further_layer_is_on_top() {
        let before = image();
        let blob = Bytes::from(crate::testing::gzip(b"more")).into();
        let layer = Layer::from_tar_gz("more", blob).unwrap();
        let after = before.with_layer(layer.clone()).unwrap();
        let manifest: Manifest = after.manifest().parse().unwrap();
        let digests: Vec<_> = manifest.layers.iter().map(|layer| layer.digest).collect();
        assert_eq!(digests, [before.layers()[0].digest(), layer.digest()]);
        assert_eq!(manifest.config, after.config().descriptor());
        let config: Config = after.config().parse().unwrap();
        let of_layers: Vec<_> = after.layers().iter().map(Layer::diff_id).collect();
        assert_eq!(config.rootfs.diff_ids, of_layers);
    }

    #[test]
    fn what_another_builder_wrote_survives() {
        let config = br#"{"architecture":"arm64","os":"linux","variant":"v8","author":"someone","config":{"Env":null,"User":"1000"},"rootfs":{"type":"layers","diff_ids":[]},"history":[{"empty_layer":true}]}"#;
        let config = Document::from_bytes(CONFIG, Bytes::from_static(config));
        let manifest = format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"{CONFIG}","digest":"{}","size":{}}},"layers":[],"annotations":{{"a":"b"}}}}"#,
            config.digest,
            config.bytes.len()
        );
        let manifest = Document::from_bytes(MANIFEST, manifest.into());
        let image = OciImage::from_parts(config, manifest, Vec::new());
        let image = image
            .with_env(&[("A".into(), "B".into())])
            .unwrap()
            .with_index()
            .unwrap();
        insta::assert_snapshot!(text(image.config()), @r#"{"architecture":"arm64","os":"linux","variant":"v8","config":{"Env":["A=B"],"User":"1000"},"rootfs":{"type":"layers","diff_ids":[]},"author":"someone","history":[{"empty_layer":true}]}"#);
        insta::assert_snapshot!(text(image.manifest()), @r#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:bc6649cf400be4078525cb09f1f91089b5709ce8f7758b4e498a9d3518ba3f82","size":184},"layers":[],"annotations":{"a":"b"}}"#);
        let index: Index = image.top().parse().unwrap();
        let platform = index.manifests[0].platform.clone().unwrap();
        assert_eq!(platform.to_string(), "linux/arm64/v8");
        assert!(Platform::linux_arm64().runs(&platform));
    }
}
