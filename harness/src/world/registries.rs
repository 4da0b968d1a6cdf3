//! The registries of a run: Docker Hub's hosts and perhaps a mirror, the image that they hand out, and what the board is told of them.

use std::net::Ipv4Addr;
use std::path::Path;

use axum::Router;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::RunError;
use crate::judge::nonce_of_boot;
use crate::scenario::{self, Auth, LayerFormat, Scenario};
use crate::services::{
    Compression, Digest, Layer, Nonce, OciImage, RateLimit, Registry, TokenAuth,
};
use crate::timeline::BoardId;

/// Docker Hub's hosts, somewhere on the internet (RFC 5737, TEST-NET-1).
pub(crate) const HUB: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 20);
/// The mirror.
pub(crate) const MIRROR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 21);

/// The names of Docker Hub's hosts.
const HUB_NAMES: &[&str] = &[
    "docker.io",
    "registry-1.docker.io",
    "auth.docker.io",
    "index.docker.io",
];
/// Docker Hub's token server, and what it calls the registry.
pub(crate) const REALM: &str = "https://auth.docker.io/token";
const SERVICE: &str = "registry.docker.io";

/// Who may have private images.
const ACCOUNT: Account = Account {
    user: "farm",
    password: "not the password of anything",
};
/// What somebody else takes for the password.
const GUESS: Account = Account {
    password: "a guess",
    ..ACCOUNT
};

/// An account at a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub user: &'static str,
    /// Its password.
    pub password: &'static str,
}

/// The registries before they are served.
pub(crate) struct Registries {
    rules: scenario::Registry,
    container: String,
    /// The image without a nonce.
    base: OciImage,
    image: OciImage,
    nonce: String,
}

impl Registries {
    /// Makes the run's image: `base` with this nonce, and in the form that the scenario wants, by the name `container`. Layers that must be
    /// compressed again are written to `folder`, which exists.
    pub(crate) fn prepare(
        scenario: &Scenario,
        container: &str,
        mut base: OciImage,
        nonce: &str,
        folder: &Path,
    ) -> Result<Self, RunError> {
        let rules = scenario.registry.clone();
        if let Some(format) = rules.layer {
            let compression = match format {
                LayerFormat::Gzip => Compression::Gzip,
                LayerFormat::Zstd => Compression::Zstd,
            };
            base = base.repacked(compression, folder)?;
        }
        if let Some(size) = rules.padding {
            base = base.with_layer(Layer::of_zeros("padding", size.0, folder)?)?;
        }
        Ok(Self {
            image: with_nonce(&base, nonce, &rules)?,
            rules,
            container: container.into(),
            base,
            nonce: nonce.to_owned(),
        })
    }

    /// The same registries with the nonce of a boot of a board.
    pub(crate) fn of_boot(&self, board: Option<&BoardId>, boot: u32) -> Result<Self, RunError> {
        let nonce = nonce_of_boot(&self.nonce, board, boot);
        Ok(Self {
            rules: self.rules.clone(),
            container: self.container.clone(),
            base: self.base.clone(),
            image: with_nonce(&self.base, &nonce, &self.rules)?,
            nonce,
        })
    }

    /// Digests of the image's layers.
    pub(crate) fn layers(&self) -> Vec<String> {
        let layers = self.image.layers().iter();
        layers.map(|layer| layer.digest().to_string()).collect()
    }

    /// The image's digest, or that of its index.
    pub(crate) fn digest(&self) -> Digest {
        self.image.digest()
    }

    /// Who may have the image, if not everybody.
    pub(crate) fn account(&self) -> Option<Account> {
        match self.rules.auth {
            Auth::None | Auth::Token => None,
            Auth::Login | Auth::WrongLogin => Some(ACCOUNT),
        }
    }

    /// Docker Hub, as the scenario has it. Its token server is at the URL `realm`; with a folder for them, it takes images too.
    pub(crate) fn hub(&self, realm: &str, pushed: Option<&Path>) -> Result<Router, RunError> {
        let mut hub = self.with_image()?;
        if let Some(folder) = pushed {
            hub = hub.accept_pushes(folder);
        }
        let auth = TokenAuth::new(realm, SERVICE)?;
        hub = match self.rules.auth {
            Auth::None => hub,
            Auth::Token => hub.authenticate(auth.public()),
            Auth::Login | Auth::WrongLogin => {
                hub.authenticate(auth.account(ACCOUNT.user, ACCOUNT.password))
            }
        };
        if let Some(limit) = self.rules.rate_limit {
            hub = hub.limit(RateLimit {
                requests: limit.requests,
                retry_after: limit.retry_after,
            });
        }
        if let Some(size) = self.rules.break_off {
            hub = hub.break_off(size.0);
        }
        Ok(hub.router())
    }

    /// The mirror, if the scenario has one.
    pub(crate) fn mirror(&self) -> Result<Option<Router>, RunError> {
        let mirror = self.rules.mirror.as_ref().map(|mirror| {
            if mirror.holds {
                self.with_image()
            } else {
                Ok(Registry::new())
            }
        });
        Ok(mirror.transpose()?.map(|registry| registry.router()))
    }

    fn with_image(&self) -> Result<Registry, RunError> {
        let (repository, tag) = repository_and_tag(&self.container);
        let mut registry = Registry::new();
        registry.add(repository, tag, &self.image)?;
        Ok(registry)
    }
}

/// The image with a nonce in its environment, behind an index if the rules want that.
fn with_nonce(
    base: &OciImage,
    nonce: &str,
    rules: &scenario::Registry,
) -> Result<OciImage, RunError> {
    let image = base.with_env(&[(Nonce::VARIABLE.into(), nonce.into())])?;
    Ok(match rules.index {
        true => image.with_index()?,
        false => image,
    })
}

/// The names of all hosts and their addresses.
pub(crate) fn addresses(rules: &scenario::Registry) -> impl Iterator<Item = (&str, Ipv4Addr)> {
    let hub = HUB_NAMES.iter().map(|name| (*name, HUB));
    hub.chain(rules.mirror.iter().map(|m| (m.host.as_str(), MIRROR)))
}

/// What the board is told, by path in its root file system: the mirror, and its password.
pub(crate) fn guest_files(rules: &scenario::Registry) -> Vec<(&'static str, String)> {
    let mirror = rules.mirror.as_ref().map(|mirror| {
        let text = format!(
            "[[registry]]\nlocation = \"docker.io\"\n\n[[registry.mirror]]\nlocation = \"{}\"\n",
            mirror.host
        );
        ("etc/containers/registries.conf.d/mirror.conf", text)
    });
    let account = match rules.auth {
        Auth::None | Auth::Token => None,
        Auth::Login => Some(ACCOUNT),
        Auth::WrongLogin => Some(GUESS),
    };
    let login = account.map(|Account { user, password }| {
        // As in RFC 7617.
        let credentials = STANDARD.encode(format!("{user}:{password}"));
        let text = format!(r#"{{"auths":{{"docker.io":{{"auth":"{credentials}"}}}}}}"#);
        ("root/.config/containers/auth.json", text)
    });
    mirror.into_iter().chain(login).collect()
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
