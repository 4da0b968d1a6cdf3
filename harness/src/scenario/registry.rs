//! The table `[registry]`: how the registry of a run treats its clients.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::input::{ByteSize, Document, InputError, Span, duration};

/// The largest padding of an image: each run compresses its layer again.
const MOST_PADDING: u64 = 4 << 30;

/// How the registry serves the image. The default is the friendliest: one manifest, gzip, for everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registry {
    /// Who is served.
    pub auth: Auth,
    /// The image is behind an index, as on Docker Hub.
    pub index: bool,
    /// How the layers are compressed; as they are by default.
    pub layer: Option<LayerFormat>,
    /// How often manifests may be asked for.
    pub rate_limit: Option<RateLimit>,
    /// The first transfer of each longer layer ends after so many bytes.
    pub break_off: Option<ByteSize>,
    /// A second registry, which the board asks first.
    pub mirror: Option<Mirror>,
    /// The certificate of all registries.
    pub certificate: RegistryCertificate,
    /// The image has a further layer with a file of zeros of this size, `/padding`.
    pub padding: Option<ByteSize>,
}

/// When a registry's certificate is valid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RegistryCertificate {
    /// From 1970 on, so that a board without a clock accepts it.
    #[default]
    Valid,
    /// From 2020 on, as a real registry's: a board must have set its clock.
    Recent,
    /// From 1970 to the end of 2000: a board that has set its clock must refuse it.
    Expired,
}

/// Who is served.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Auth {
    /// Everybody.
    #[default]
    None,
    /// Who has a token, which everybody gets, as on Docker Hub.
    Token,
    /// Who has a token for its password. The board has the password.
    Login,
    /// The same, and the board has another password.
    WrongLogin,
}

/// How layers are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LayerFormat {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// How often manifests may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests that are answered before a pause.
    pub requests: u32,
    /// The pause, whole seconds.
    pub retry_after: Duration,
}

/// A registry that has Docker Hub's images too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// Its name in the LAN's DNS.
    pub host: String,
    /// It has the image. If not, the board has to go on to Docker Hub.
    pub holds: bool,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RegistryTable {
    auth: Auth,
    index: bool,
    layer: Option<LayerFormat>,
    rate_limit: Option<RateLimitTable>,
    #[schemars(with = "Option<ByteSize>")]
    break_off: Option<Span<ByteSize>>,
    mirror: Option<MirrorTable>,
    certificate: RegistryCertificate,
    /// The image has a further layer with a file of zeros of this size, `/padding`: large on the board, and small on the wire. 4 GiB at most.
    #[schemars(with = "Option<ByteSize>")]
    padding: Option<Span<ByteSize>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RateLimitTable {
    requests: u32,
    #[schemars(with = "duration::Text")]
    retry_after: Span<Wait>,
}

#[derive(Deserialize)]
struct Wait(#[serde(with = "duration")] Duration);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MirrorTable {
    #[schemars(with = "String")]
    host: Span<String>,
    #[serde(default = "yes")]
    holds: bool,
}

fn yes() -> bool {
    true
}

impl RegistryTable {
    /// Checks what the types cannot.
    pub(super) fn check(self, document: &Document) -> Result<Registry, InputError> {
        let rate_limit = self.rate_limit.map(|limit| {
            let (span, wait) = (limit.retry_after.span(), limit.retry_after.into_inner().0);
            if wait.is_zero() || wait.subsec_nanos() != 0 {
                let message = "Retry-After has whole seconds: write \"1s\" or more";
                return Err(document.error_at(span, message));
            }
            Ok(RateLimit {
                requests: limit.requests,
                retry_after: wait,
            })
        });
        let break_off = self.break_off.map(|size| {
            if size.get_ref().0 == 0 {
                let message = "the first byte cannot be the last: write \"1\" or more";
                return Err(document.error_at(size.span(), message));
            }
            Ok(size.into_inner())
        });
        let mirror = self.mirror.map(|mirror| {
            let host = mirror.host.get_ref();
            if !is_host(host) || is_docker_hub(host) {
                let message = format!("\"{host}\" is not the name of another host than docker.io");
                return Err(document.error_at(mirror.host.span(), &message));
            }
            Ok(Mirror {
                host: mirror.host.into_inner(),
                holds: mirror.holds,
            })
        });
        let padding = self.padding.map(|size| {
            if !(1..=MOST_PADDING).contains(&size.get_ref().0) {
                let message = "the padding of an image has 1 byte to 4 GiB";
                return Err(document.error_at(size.span(), message));
            }
            Ok(size.into_inner())
        });
        Ok(Registry {
            auth: self.auth,
            index: self.index,
            layer: self.layer,
            rate_limit: rate_limit.transpose()?,
            break_off: break_off.transpose()?,
            mirror: mirror.transpose()?,
            certificate: self.certificate,
            padding: padding.transpose()?,
        })
    }
}

/// Labels of letters, digits and hyphens (RFC 1123, section 2.1), in lower case.
fn is_host(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.split('.').all(|label| {
        !label.is_empty()
            && label.chars().all(fits)
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}

fn is_docker_hub(name: &str) -> bool {
    name == "docker.io" || name.ends_with(".docker.io")
}
