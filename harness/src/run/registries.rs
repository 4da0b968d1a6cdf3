//! The registries of a run: Docker Hub's hosts and perhaps a mirror, the image that they hand out, and what the board is told of them.

use std::iter;
use std::net::Ipv4Addr;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Job, RunError};
use crate::lan::Lan;
use crate::scenario::{self, Auth, LayerFormat};
use crate::services::{
    Compression, Identity, Journal, Nonce, OciImage, RateLimit, Registry, Server, TlsListener,
    TlsOptions, TokenAuth, serve,
};
use crate::timeline::Timeline;

/// Docker Hub's hosts, somewhere on the internet (RFC 5737, TEST-NET-1).
const HUB: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 20);
/// The mirror.
const MIRROR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 21);

/// The names of Docker Hub's hosts.
const HUB_NAMES: &[&str] = &[
    "docker.io",
    "registry-1.docker.io",
    "auth.docker.io",
    "index.docker.io",
];
/// Docker Hub's token server, and what it calls the registry.
const REALM: &str = "https://auth.docker.io/token";
const SERVICE: &str = "registry.docker.io";

/// The account that private images are for, and its password.
const USER: &str = "farm";
const PASSWORD: &str = "not the password of anything";

/// The registries before they are served.
pub(super) struct Registries {
    rules: scenario::Registry,
    container: String,
    image: OciImage,
    nonce: Nonce,
}

impl Registries {
    /// Makes the run's image: with a nonce, and in the form that the scenario wants. Layers that have to be packed anew go to `folder`.
    pub(super) fn prepare(job: &Job<'_>, folder: &Path) -> Result<Self, RunError> {
        let rules = job.scenario.registry.clone();
        let nonce = Nonce::random();
        let mut image = job.parts.container.image.with_env(&[nonce.variable()])?;
        if let Some(format) = rules.layer {
            let compression = match format {
                LayerFormat::Gzip => Compression::Gzip,
                LayerFormat::Zstd => Compression::Zstd,
            };
            image = image.repacked(compression, folder)?;
        }
        if rules.index {
            image = image.with_index()?;
        }
        Ok(Self {
            rules,
            container: job.scenario.boot.container.clone(),
            image,
            nonce,
        })
    }

    /// What the container says if it is the registry's.
    pub(super) fn nonce(&self) -> &str {
        self.nonce.as_str()
    }

    /// Digests of the image's layers.
    pub(super) fn layers(&self) -> Vec<String> {
        let layers = self.image.layers().iter();
        layers.map(|layer| layer.digest().to_string()).collect()
    }

    /// The names of all hosts.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.addresses().map(|(name, _)| name)
    }

    /// The names of all hosts and their addresses.
    pub(super) fn addresses(&self) -> impl Iterator<Item = (&str, Ipv4Addr)> {
        let hub = HUB_NAMES.iter().map(|name| (*name, HUB));
        hub.chain(self.rules.mirror.iter().map(|m| (m.host.as_str(), MIRROR)))
    }

    /// What the board is told, by path in its root file system: the mirror, and its password.
    pub(super) fn guest_files(&self) -> Vec<(&'static str, String)> {
        let mirror = self.rules.mirror.as_ref().map(|mirror| {
            let text = format!(
                "[[registry]]\nlocation = \"docker.io\"\n\n[[registry.mirror]]\nlocation = \"{}\"\n",
                mirror.host
            );
            ("etc/containers/registries.conf.d/mirror.conf", text)
        });
        let password = match self.rules.auth {
            Auth::None | Auth::Token => None,
            Auth::Login => Some(PASSWORD),
            Auth::WrongLogin => Some("a guess"),
        };
        let login = password.map(|password| {
            // As in RFC 7617.
            let credentials = STANDARD.encode(format!("{USER}:{password}"));
            let text = format!(r#"{{"auths":{{"docker.io":{{"auth":"{credentials}"}}}}}}"#);
            ("root/.config/containers/auth.json", text)
        });
        mirror.into_iter().chain(login).collect()
    }

    /// Starts all of them. They share the journal: a request's host says which was asked.
    pub(super) fn serve(
        &self,
        lan: &Lan,
        identity: &Identity,
        timeline: &Timeline,
    ) -> Result<Vec<Server>, RunError> {
        let hub = iter::once(self.hub().map(|registry| (HUB, registry)));
        let mirror = self.rules.mirror.iter().map(|mirror| {
            let registry = if mirror.holds {
                self.with_image()?
            } else {
                Registry::new()
            };
            Ok((MIRROR, registry))
        });
        hub.chain(mirror)
            .map(|registry| {
                let (address, registry) = registry?;
                let journal = Journal::new("registry", timeline.clone());
                let listener = lan.listen(address, 443)?;
                let options = TlsOptions::new(identity);
                let listener = TlsListener::start(listener, &options, journal.clone())?;
                Ok(serve(listener, registry.router(), journal))
            })
            .collect()
    }

    /// Docker Hub, as the scenario has it.
    fn hub(&self) -> Result<Registry, RunError> {
        let mut hub = self.with_image()?;
        let auth = TokenAuth::new(REALM, SERVICE)?;
        hub = match self.rules.auth {
            Auth::None => hub,
            Auth::Token => hub.authenticate(auth.public()),
            Auth::Login | Auth::WrongLogin => hub.authenticate(auth.account(USER, PASSWORD)),
        };
        if let Some(limit) = self.rules.rate_limit {
            hub = hub.limit(RateLimit {
                requests: limit.requests,
                retry_after: limit.retry_after,
            });
        }
        Ok(match self.rules.break_off {
            Some(size) => hub.break_off(size.0),
            None => hub,
        })
    }

    fn with_image(&self) -> Result<Registry, RunError> {
        let (repository, tag) = repository_and_tag(&self.container);
        let mut registry = Registry::new();
        registry.add(repository, tag, &self.image)?;
        Ok(registry)
    }
}

/// `library/alpine` and `latest` of `docker.io/library/alpine:latest`.
fn repository_and_tag(container: &str) -> (&str, &str) {
    let without_host = container
        .split_once('/')
        .map_or(container, |(_, rest)| rest);
    without_host
        .rsplit_once(':')
        .unwrap_or((without_host, "latest"))
}
