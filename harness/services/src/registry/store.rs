//! What a registry holds.

use std::collections::{BTreeMap, HashMap};

use super::error::Refusal;
use super::name::Reference;
use crate::oci::Document;
use crate::{Blob, Digest, OciImage};

/// Repositories by name.
#[derive(Debug, Default)]
pub(super) struct Content {
    repositories: BTreeMap<String, Repository>,
}

/// One repository. Content is looked up within it alone, as real registries do.
#[derive(Debug, Default)]
pub(super) struct Repository {
    tags: BTreeMap<String, Digest>,
    manifests: HashMap<Digest, Document>,
    blobs: HashMap<Digest, Blob>,
}

impl Content {
    /// Adds an image with all its documents and layers.
    pub(super) fn add(&mut self, name: &str, tag: &str, image: &OciImage) {
        let repository = self.entry(name);
        for document in [image.manifest(), image.top()] {
            repository.add_manifest(document.clone());
        }
        let config = image.config();
        repository.add_blob(config.digest, config.bytes.clone().into());
        for layer in image.layers() {
            repository.add_blob(layer.digest(), layer.blob().clone());
        }
        repository.tag(tag, image.digest());
    }

    pub(super) fn repository(&self, name: &str) -> Result<&Repository, Refusal> {
        let found = self.repositories.get(name);
        found.ok_or_else(|| Refusal::NameUnknown(name.into()))
    }

    /// The repository of this name, new if need be.
    pub(super) fn entry(&mut self, name: &str) -> &mut Repository {
        self.repositories.entry(name.into()).or_default()
    }
}

impl Repository {
    pub(super) fn manifest(&self, reference: &Reference<'_>) -> Option<&Document> {
        let digest = match reference {
            Reference::Tag(tag) => self.tags.get(*tag)?,
            Reference::Digest(digest) => digest,
        };
        self.manifests.get(digest)
    }

    /// All manifests, those without a tag included, in the order of their digests.
    pub(super) fn manifests(&self) -> Vec<&Document> {
        let mut all: Vec<_> = self.manifests.values().collect();
        all.sort_by_key(|document| document.digest);
        all
    }

    pub(super) fn blob(&self, digest: Digest) -> Option<&Blob> {
        self.blobs.get(&digest)
    }

    /// All tags in alphabetical order.
    pub(super) fn tags(&self) -> impl Iterator<Item = &str> {
        self.tags.keys().map(String::as_str)
    }

    pub(super) fn add_manifest(&mut self, document: Document) {
        self.manifests.insert(document.digest, document);
    }

    pub(super) fn add_blob(&mut self, digest: Digest, blob: Blob) {
        self.blobs.insert(digest, blob);
    }

    /// Removes a tag, or a manifest with all its tags. Whether there was one.
    pub(super) fn delete_manifest(&mut self, reference: &Reference<'_>) -> bool {
        match reference {
            Reference::Tag(tag) => self.tags.remove(*tag).is_some(),
            Reference::Digest(digest) => {
                self.tags.retain(|_, tagged| tagged != digest);
                self.manifests.remove(digest).is_some()
            }
        }
    }

    /// Removes a blob. Whether there was one.
    pub(super) fn delete_blob(&mut self, digest: Digest) -> bool {
        self.blobs.remove(&digest).is_some()
    }

    pub(super) fn tag(&mut self, tag: &str, digest: Digest) {
        self.tags.insert(tag.into(), digest);
    }
}
