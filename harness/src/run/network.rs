//! What is around the board: names, addresses, boot server and registry of one run.

use std::net::Ipv4Addr;

use bytes::Bytes;

use super::{Parts, RunError};
use crate::lan::{self, Lan};
use crate::mac::Mac;
use crate::scenario::{Boot, Transport};
use crate::services::{
    Authority, Blob, BootServer, Client, DataRoot, Folder, Identity, Journal, Nonce, OciImage,
    Registry, Server, TlsListener, TlsOptions, serve,
};
use crate::timeline::Timeline;

/// The private network, as CONTRACTS has it.
const SUBNET: &str = "10.42.0.0/16";
/// The gateway of the private network, as CONTRACTS has it: DHCP, DNS, and the plain-HTTP boot server.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 42, 0, 1);
/// The HTTPS boot server, somewhere on the internet (RFC 5737, TEST-NET-1, as are the others).
const BOOT_SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
/// Docker Hub's hosts.
const REGISTRY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 20);
/// The NTP pool.
const NTP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 30);

/// The names of Docker Hub's hosts.
const REGISTRY_NAMES: &[&str] = &[
    "docker.io",
    "registry-1.docker.io",
    "auth.docker.io",
    "index.docker.io",
];
/// The names of the NTP pool.
const NTP_NAMES: &[&str] = &["pool.ntp.org", "*.pool.ntp.org"];

/// The certificates of a run.
pub(super) struct Trust {
    pub(super) authority: Authority,
    pub(super) client: Identity,
    server: Identity,
}

impl Trust {
    /// New certificates: an authority, one for all servers, one for the board.
    pub(super) fn generate(boot: &Boot) -> Result<Self, RunError> {
        let authority = Authority::generate("Shakedown farm CA")?;
        let mut names = vec![boot.server.as_str()];
        names.extend(REGISTRY_NAMES);
        Ok(Self {
            server: authority.issue_server(&names)?,
            client: authority.issue_client("shakedown board")?,
            authority,
        })
    }
}

/// The LAN with its servers; they stop when it is dropped.
pub(super) struct Network {
    pub(super) lan: Lan,
    pub(super) nonce: String,
    pub(super) layers: Vec<String>,
    _servers: Vec<Server>,
}

impl Network {
    /// Starts the LAN and everything on it. `trust_archive` is a cpio archive that makes the guest trust the registry.
    pub(super) fn start(
        boot: &Boot,
        parts: &Parts,
        trust: &Trust,
        mac: Mac,
        trust_archive: Vec<u8>,
        timeline: &Timeline,
    ) -> Result<Self, RunError> {
        let lan = Lan::start(lan_config(boot, mac)?, timeline.clone())?;
        let nonce = Nonce::random();
        let image = parts.container.image.with_env(&[nonce.variable()])?;

        let mut folder = Folder::default();
        folder.insert("boot.ipxe", Bytes::from(boot.script.clone()))?;
        folder.insert("kernel", Blob::file(&parts.kernel)?)?;
        folder.insert("initramfs", Blob::file(&parts.initramfs)?)?;
        folder.insert("trust", Bytes::from(trust_archive))?;
        for (path, blob) in &parts.files {
            folder.insert(path, blob.clone())?;
        }
        let mut root = DataRoot::default();
        let journal = Journal::new("boot", timeline.clone());
        let boot_server = match boot.transport {
            Transport::Https => {
                root.set(Client::Certificate(trust.client.fingerprint()), folder);
                let options =
                    TlsOptions::for_ipxe(&trust.server, trust.authority.certificate_der());
                let listener =
                    TlsListener::start(lan.listen(BOOT_SERVER, 443)?, &options, journal.clone())?;
                serve(listener, BootServer::new(root).https(), journal)
            }
            Transport::Http => {
                root.set(Client::Machine(mac), folder);
                serve(
                    lan.listen(GATEWAY, 80)?,
                    BootServer::new(root).http(),
                    journal,
                )
            }
        };

        let journal = Journal::new("registry", timeline.clone());
        let (repository, tag) = repository_and_tag(&boot.container);
        let mut registry = Registry::new();
        registry.add(repository, tag, &image)?;
        let listener = lan.listen(REGISTRY, 443)?;
        let listener =
            TlsListener::start(listener, &TlsOptions::new(&trust.server), journal.clone())?;
        let registry = serve(listener, registry.router(), journal);

        Ok(Self {
            lan,
            nonce: nonce.as_str().to_owned(),
            layers: layer_digests(&image),
            _servers: vec![boot_server, registry],
        })
    }
}

fn layer_digests(image: &OciImage) -> Vec<String> {
    image
        .layers()
        .iter()
        .map(|l| l.digest().to_string())
        .collect()
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

fn lan_config(boot: &Boot, mac: Mac) -> Result<lan::Config, lan::Error> {
    let boot_server = match boot.transport {
        Transport::Https => BOOT_SERVER,
        Transport::Http => GATEWAY,
    };
    let names = std::iter::once((boot.server.as_str(), boot_server))
        .chain(REGISTRY_NAMES.iter().map(|name| (*name, REGISTRY)))
        .chain(NTP_NAMES.iter().map(|name| (*name, NTP)));
    // CONTRACTS, plain-HTTP variant: DHCP tells iPXE the script's address.
    let script = format!(
        "http://{}/boot/{mac}/boot.ipxe?platform=${{platform}}&buildarch=${{buildarch}}",
        boot.server
    );
    // The gateway knows iPXE: it tells every one not to wait for a proxy DHCP server.
    let told = lan::Boot {
        next_server: GATEWAY,
        file: None,
        by_architecture: Vec::new(),
        ipxe: (boot.transport == Transport::Http).then_some(script),
        http: None,
    };
    Ok(lan::Config {
        subnet: SUBNET.parse()?,
        gateway: GATEWAY,
        names: names
            .map(|(name, address)| (name.to_owned(), address))
            .collect(),
        ntp: vec![NTP],
        dhcp: lan::Dhcp {
            first: Ipv4Addr::new(10, 42, 1, 0),
            last: Ipv4Addr::new(10, 42, 1, 255),
            boot: Some(told),
            ..lan::Dhcp::default()
        },
    })
}
