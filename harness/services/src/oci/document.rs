//! The JSON documents of an image (OCI image specification 1.1): descriptor, manifest, index, config.
//!
//! Fields that this crate has no use for are kept in `rest`, so that a config can be changed without losing what its builder put
//! there.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shakedown_base::architecture::Architecture;

use super::Digest;
use crate::Error;

/// Media type of an image index.
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Media type of an image manifest.
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an image config.
pub(super) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// A JSON document as it is served: bytes, their digest, their media type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Media type, sent as `Content-Type`.
    pub media_type: String,
    /// The exact bytes.
    pub bytes: Bytes,
    /// The bytes' digest.
    pub digest: Digest,
}

impl Document {
    /// Writes a value down. The order of its fields is that of its type, so equal values give equal bytes.
    pub(super) fn write(media_type: &str, value: &impl Serialize) -> Result<Self, Error> {
        let bytes = serde_json::to_vec(value).map_err(|source| Error::Document {
            document: format!("a new {media_type}"),
            source,
        })?;
        Ok(Self::from_bytes(media_type, bytes.into()))
    }

    pub(crate) fn from_bytes(media_type: &str, bytes: Bytes) -> Self {
        Self {
            media_type: media_type.into(),
            digest: Digest::of(&bytes),
            bytes,
        }
    }

    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.bytes).map_err(|source| Error::Document {
            document: self.digest.to_string(),
            source,
        })
    }

    /// A descriptor that points to this document.
    pub(super) fn descriptor(&self) -> Descriptor {
        Descriptor {
            media_type: self.media_type.clone(),
            digest: self.digest,
            size: self.bytes.len() as u64,
            platform: None,
            rest: Map::new(),
        }
    }
}

/// A reference to content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    pub(super) digest: Digest,
    pub(super) size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) platform: Option<Platform>,
    #[serde(flatten)]
    pub(super) rest: Map<String, Value>,
}

/// What a machine must be to run an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// CPU architecture by Go's name, for example `arm64`.
    pub architecture: String,
    /// Operating system by Go's name, for example `linux`.
    pub os: String,
    /// Variant of the architecture, for example `v8`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// 64-bit Arm Linux, without a variant.
    #[must_use]
    pub fn linux_arm64() -> Self {
        Self {
            architecture: "arm64".into(),
            os: "linux".into(),
            variant: None,
        }
    }

    /// Linux on a processor of this architecture, as Alpine's images name it.
    #[must_use]
    pub fn linux(architecture: Architecture) -> Self {
        let (name, variant) = architecture.oci();
        Self {
            architecture: name.into(),
            os: "linux".into(),
            variant: variant.map(Into::into),
        }
    }

    /// A machine of this platform runs images for `image`. A variant counts only where both sides name one.
    pub(super) fn runs(&self, image: &Self) -> bool {
        let variants = self.variant.as_ref().zip(image.variant.as_ref());
        self.architecture == image.architecture
            && self.os == image.os
            && variants.is_none_or(|(a, b)| a == b)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant
            .iter()
            .try_for_each(|variant| write!(f, "/{variant}"))
    }
}

/// A manifest: one config and its layers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    pub(super) schema_version: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) media_type: Option<String>,
    pub(super) config: Descriptor,
    pub(super) layers: Vec<Descriptor>,
    #[serde(flatten)]
    pub(super) rest: Map<String, Value>,
}

/// An index: manifests, or further indexes, for several platforms.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Index {
    pub(super) schema_version: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) media_type: Option<String>,
    pub(super) manifests: Vec<Descriptor>,
}

/// A config: what an image is for and how a container of it runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Config {
    #[serde(flatten)]
    pub(super) platform: Platform,
    #[serde(default)]
    pub(super) config: Execution,
    pub(super) rootfs: RootFs,
    #[serde(flatten)]
    pub(super) rest: Map<String, Value>,
}

/// The execution parameters of a config. `null` stands for nothing, as some builders write it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Execution {
    pub(super) env: Option<Vec<String>>,
    #[serde(flatten)]
    pub(super) rest: Map<String, Value>,
}

/// The layers of a config by the digests of their uncompressed archives.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RootFs {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) diff_ids: Vec<Digest>,
}

/// What goes into the config of a new image. The time of creation is always 1970-01-01, so that equal parts make equal images.
#[derive(Debug, Clone)]
pub struct ConfigSpec {
    /// What the image is for.
    pub platform: Platform,
    /// Environment variables by name and value, in this order.
    pub env: Vec<(String, String)>,
    /// The program that a container starts and its fixed arguments; may be empty.
    pub entrypoint: Vec<String>,
    /// Default command, or default arguments of the entry point.
    pub command: Vec<String>,
    /// Labels by name.
    pub labels: BTreeMap<String, String>,
}

impl ConfigSpec {
    /// No environment, no command, no labels.
    #[must_use]
    pub fn new(platform: Platform) -> Self {
        Self {
            platform,
            env: Vec::new(),
            entrypoint: Vec::new(),
            command: Vec::new(),
            labels: BTreeMap::new(),
        }
    }

    /// The config over layers with these `diff_ids`.
    pub(super) fn config(&self, diff_ids: Vec<Digest>) -> Config {
        let mut config = Config {
            platform: self.platform.clone(),
            config: Execution::default(),
            rootfs: RootFs {
                kind: "layers".into(),
                diff_ids,
            },
            rest: Map::from_iter([("created".into(), "1970-01-01T00:00:00Z".into())]),
        };
        let execution = &mut config.config;
        execution.set_env(&self.env);
        if !self.entrypoint.is_empty() {
            execution
                .rest
                .insert("Entrypoint".into(), self.entrypoint.clone().into());
        }
        if !self.command.is_empty() {
            execution
                .rest
                .insert("Cmd".into(), self.command.clone().into());
        }
        if !self.labels.is_empty() {
            let labels = self
                .labels
                .iter()
                .map(|(name, value)| (name.clone(), value.as_str().into()));
            execution
                .rest
                .insert("Labels".into(), Value::Object(labels.collect()));
        }
        config
    }
}

impl Execution {
    /// Sets environment variables, in place of those of the same name.
    pub(super) fn set_env(&mut self, variables: &[(String, String)]) {
        let env = self.env.get_or_insert_default();
        for (name, value) in variables {
            env.retain(|entry| {
                entry
                    .split_once('=')
                    .map_or(entry.as_str(), |(known, _)| known)
                    != name
            });
            env.push(format!("{name}={value}"));
        }
    }
}
