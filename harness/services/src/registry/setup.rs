//! A registry before it is served: what it holds and how it treats its clients.

use std::path::PathBuf;
use std::sync::{Arc, RwLock};

use axum::Router;

use super::auth::{Auth, TokenAuth};
use super::fault::{BreakOff, Quota, RateLimit};
use super::name::{is_repository, is_tag};
use super::routes::answer;
use super::service::Service;
use super::store::Content;
use super::uploads::Uploads;
use crate::{Error, OciImage};

/// Images by repository and tag, and how they are handed out.
#[derive(Debug, Default)]
pub struct Registry {
    content: Content,
    auth: Option<TokenAuth>,
    rate_limit: Option<RateLimit>,
    break_off: Option<u64>,
    uploads: Option<PathBuf>,
}

impl Registry {
    /// A registry without images, which anybody may pull from.
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
            "a repository name, for example library/alpine",
        )?;
        check(is_tag(tag), tag, "a tag, for example latest")?;
        self.content.add(repository, tag, image);
        Ok(())
    }

    /// Lets in only who has a token.
    #[must_use]
    pub fn authenticate(mut self, auth: TokenAuth) -> Self {
        self.auth = Some(auth);
        self
    }

    /// Refuses who asks for manifests too often.
    #[must_use]
    pub fn limit(mut self, limit: RateLimit) -> Self {
        self.rate_limit = Some(limit);
        self
    }

    /// Breaks the connection off after `bytes` of each blob that is longer, when it is sent as a whole for the first time.
    #[must_use]
    pub fn break_off(mut self, bytes: u64) -> Self {
        self.break_off = Some(bytes);
        self
    }

    /// Accepts pushes; blobs go to files in `folder`, which must exist as long as the registry is served.
    #[must_use]
    pub fn accept_pushes(mut self, folder: impl Into<PathBuf>) -> Self {
        self.uploads = Some(folder.into());
        self
    }

    /// The routes. One handler takes them all, since repository names contain slashes.
    pub fn router(self) -> Router {
        let service = Service {
            content: RwLock::new(self.content),
            auth: self.auth.map(Auth::new),
            quota: self.rate_limit.map(Quota::new),
            break_off: self.break_off.map(BreakOff::new),
            uploads: self.uploads.map(Uploads::new),
        };
        Router::new().fallback(answer).with_state(Arc::new(service))
    }
}
