//! What is around the board: names, addresses, boot server and registry of one run.

use std::net::Ipv4Addr;

use bytes::Bytes;
use rustls::pki_types::CertificateDer;

use super::registries::Registries;
use super::{Given, Parts, RunError};
use crate::lan::{self, Lan};
use crate::mac::Mac;
use crate::scenario::{Boot, Transport};
use crate::services::{
    Authority, Blob, BootServer, DataRoot, Fingerprint, Folder, Identity, Journal, Server,
    TlsListener, TlsOptions, serve,
};
use crate::timeline::Timeline;

/// The private network, as CONTRACTS has it.
const SUBNET: &str = "10.42.0.0/16";
/// The gateway of the private network, as CONTRACTS has it: DHCP, DNS, and the plain-HTTP boot server.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 42, 0, 1);
/// The HTTPS boot server, somewhere on the internet (RFC 5737, TEST-NET-1, as are the others).
const BOOT_SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
/// The NTP pool.
const NTP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 30);

/// The names of the NTP pool.
const NTP_NAMES: &[&str] = &["pool.ntp.org", "*.pool.ntp.org"];

/// The certificates of a run.
pub(super) struct Trust {
    pub(super) authority: Authority,
    pub(super) client: Identity,
    server: Identity,
    /// The machine's certificate, if it is not [`Self::client`]'s but one that came with the image.
    given: Option<CertificateDer<'static>>,
}

impl Trust {
    /// New certificates: an authority, one for all servers, those of these names included, and one for the board, which may have one
    /// already.
    pub(super) fn generate<'a>(
        boot: &'a Boot,
        given: Option<&Given>,
        registries: impl Iterator<Item = &'a str>,
    ) -> Result<Self, RunError> {
        let authority = Authority::generate("Shakedown farm CA")?;
        let mut names = vec![boot.server.as_str()];
        names.extend(registries);
        Ok(Self {
            server: authority.issue_server(&names)?,
            client: authority.issue_client("shakedown board")?,
            authority,
            given: match given {
                Some(Given::Https { certificate, .. }) => Some(certificate.clone().into()),
                Some(Given::Dhcp) | None => None,
            },
        })
    }

    /// The name of the machine at the boot server.
    fn fingerprint(&self) -> Fingerprint {
        let given = self.given.as_ref().map(|der| Fingerprint::of(der));
        given.unwrap_or_else(|| self.client.fingerprint())
    }

    /// How the boot server shakes hands with iPXE.
    fn tls_options(&self) -> TlsOptions<'_> {
        let options = TlsOptions::for_ipxe(&self.server, self.authority.certificate_der());
        TlsOptions {
            known_client: self.given.as_ref(),
            ..options
        }
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
        registries: Registries,
        timeline: &Timeline,
    ) -> Result<Self, RunError> {
        let lan = Lan::start(lan_config(boot, &registries, mac)?, timeline.clone())?;

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
                root.set_client(trust.fingerprint(), folder);
                let (address, port) = boot_server(boot, parts.given.as_ref());
                let listener = lan.listen(address, port)?;
                let listener = TlsListener::start(listener, &trust.tls_options(), journal.clone())?;
                serve(listener, BootServer::new(root).https(), journal)
            }
            Transport::Http => {
                root.set_machine(mac, folder);
                serve(
                    lan.listen(GATEWAY, 80)?,
                    BootServer::new(root).http(),
                    journal,
                )
            }
        };

        let mut servers = registries.serve(&lan, &trust.server, timeline)?;
        servers.push(boot_server);
        Ok(Self {
            lan,
            nonce: registries.nonce().to_owned(),
            layers: registries.layers(),
            _servers: servers,
        })
    }
}

/// Where the HTTPS boot server is: at the address that an image has in place of a name, and at the image's port.
fn boot_server(boot: &Boot, given: Option<&Given>) -> (Ipv4Addr, u16) {
    let port = match given {
        Some(Given::Https { server, .. }) => server.port(),
        Some(Given::Dhcp) | None => 443,
    };
    (boot.server.parse().unwrap_or(BOOT_SERVER), port)
}

fn lan_config(boot: &Boot, registries: &Registries, mac: Mac) -> Result<lan::Config, lan::Error> {
    let boot_server = match boot.transport {
        Transport::Https => BOOT_SERVER,
        Transport::Http => GATEWAY,
    };
    let names = std::iter::once((boot.server.as_str(), boot_server))
        .chain(registries.addresses())
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
