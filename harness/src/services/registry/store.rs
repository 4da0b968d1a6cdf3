//! What a registry holds.

use std::collections::{BTreeMap, HashMap};

use super::name::{Reference, is_repository, is_tag};
use crate::services::oci::Document;
use crate::services::{Blob, Digest, Error, OciImage};

/// Images by repository and tag.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    repositories: BTreeMap<String, Repository>,
}

/// One repository. Content is looked up within it alone, as real registries do.
#[derive(Debug, Clone, Default)]
pub(super) struct Repository {
    tags: BTreeMap<String, Digest>,
    manifests: HashMap<Digest, Document>,
    blobs: HashMap<Digest, Blob>,
}

impl Registry {
    /// A registry without images.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an image, and moves `tag` to it. Docker Hub's own images are in the repository `library/<name>`.
    ///
    /// # Errors
    /// [`Error::Syntax`] when repository or tag are not as the specification wants them.
    pub fn add(&mut self, repository: &str, tag: &str, image: &OciImage) -> Result<(), Error> {
        let check = |fits: bool, text: &str, wanted| {
            let text = text.into();
            if fits {
                Ok(())
            } else {
                Err(Error::Syntax { text, wanted })
            }
        };
        check(
            is_repository(repository),
            repository,
            "a repository name, as in library/alpine",
        )?;
        check(is_tag(tag), tag, "a tag, as in latest")?;
        let repository = self.repositories.entry(repository.into()).or_default();
        for document in [image.manifest(), image.top()] {
            repository
                .manifests
                .insert(document.digest, document.clone());
        }
        let config = image.config();
        repository
            .blobs
            .insert(config.digest, config.bytes.clone().into());
        for layer in image.layers() {
            repository
                .blobs
                .insert(layer.digest(), layer.blob().clone());
        }
        repository.tags.insert(tag.into(), image.digest());
        Ok(())
    }

    pub(super) fn repository(&self, name: &str) -> Option<&Repository> {
        self.repositories.get(name)
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

    pub(super) fn blob(&self, digest: Digest) -> Option<&Blob> {
        self.blobs.get(&digest)
    }

    /// All tags in alphabetical order.
    pub(super) fn tags(&self) -> Vec<&str> {
        self.tags.keys().map(String::as_str).collect()
    }
}
