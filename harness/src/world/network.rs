//! What is around the board: names, addresses, boot server, registry and scratch space of one run.

use std::net::Ipv4Addr;
use std::path::Path;

use super::by_boot::BootNumber;
use super::registries;
use super::servers::{ServerConfig, Servers};
use super::tftp::SCRIPT;
use super::trust::Trust;
use crate::board::Board;
use crate::error::RunError;
use crate::lan::{self, Lan};
use crate::mac::Mac;
use crate::plan::{Parts, ProvisionedImage};
use crate::scenario::{Boot, Scenario, Transport};
use crate::services::{DataRoot, Secrets, Server};
use crate::timeline::{ServiceId, Timeline};

/// The private network, as CONTRACTS has it.
const SUBNET: &str = "10.42.0.0/16";
/// The gateway of the private network, as CONTRACTS has it: DHCP, DNS, and the plain-HTTP boot server.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 42, 0, 1);
/// The HTTPS boot server, somewhere on the internet (RFC 5737, TEST-NET-1, as are the others).
const BOOT_SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
/// The NTP pool.
const NTP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 30);

/// The scratch space.
const SCRATCH: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 40);
/// The port that S3-compatible servers are usually found at.
const SCRATCH_PORT: u16 = 9000;
/// The scratch space's name.
const SCRATCH_NAME: &str = "s3.farm.example";

/// The names of the NTP pool.
const NTP_NAMES: &[&str] = &["pool.ntp.org", "*.pool.ntp.org"];

/// The LAN with its servers; they stop when it is dropped.
pub(crate) struct Network {
    pub(crate) lan: Lan,
    pub(crate) nonce: String,
    pub(crate) layers: Vec<String>,
    pub(crate) boots: BootNumber,
    /// What decrypts the connections to the servers.
    pub(crate) secrets: Secrets,
    _servers: Vec<Server>,
}

impl Network {
    /// Starts the LAN and everything on it. What its servers write for this run alone goes to `folder`.
    pub(crate) fn start(
        scenario: &Scenario,
        board: &Board,
        parts: &Parts,
        trust: &Trust,
        mac: Mac,
        folder: &Path,
        timeline: &Timeline,
    ) -> Result<Self, RunError> {
        let boot = &scenario.boot;
        let lan = Lan::start(lan_config(scenario, mac)?, timeline.clone())?;
        let secrets = Secrets::default();
        let setting = ServerConfig {
            mac,
            console: board.console(),
            arch: board.arch(),
            scratch_endpoint: format!("http://{SCRATCH_NAME}:{SCRATCH_PORT}"),
            token_realm: registries::REALM.into(),
            folder: folder.into(),
            pushed: None,
            secrets: Some(secrets.clone()),
            data: DataRoot::default(),
        };
        let servers = Servers::prepare(scenario, parts, trust, setting, timeline)?;
        let boot_listener = match boot.transport {
            Transport::Https => {
                let (address, port) = boot_server(boot, parts.provisioned.as_ref());
                lan.listen(address, port)?
            }
            Transport::Http | Transport::Tftp => lan.listen(GATEWAY, 80)?,
        };
        let mut running = vec![
            servers.boot(boot_listener)?,
            servers.registry(lan.listen(registries::HUB, 443)?)?,
            servers.scratch(lan.listen(SCRATCH, SCRATCH_PORT)?),
        ];
        if boot.transport == Transport::Tftp {
            lan.serve_tftp(GATEWAY, ServiceId::Boot, servers.tftp())?;
        }
        running.extend(servers.mirror(lan.listen(registries::MIRROR, 443)?)?);
        Ok(Self {
            nonce: servers.nonce().to_owned(),
            boots: servers.boots(),
            layers: servers.layers().to_vec(),
            _servers: running,
            lan,
            secrets,
        })
    }
}

/// Where the HTTPS boot server is: at the address that an image has in place of a name, and at the image's port.
fn boot_server(boot: &Boot, image: Option<&ProvisionedImage>) -> (Ipv4Addr, u16) {
    let port = match image {
        Some(ProvisionedImage::Https { server, .. }) => server.port(),
        Some(ProvisionedImage::Dhcp) | None => 443,
    };
    (boot.server.parse().unwrap_or(BOOT_SERVER), port)
}

fn lan_config(scenario: &Scenario, mac: Mac) -> Result<lan::Config, lan::Error> {
    let boot = &scenario.boot;
    let boot_server = match boot.transport {
        Transport::Https => BOOT_SERVER,
        Transport::Http | Transport::Tftp => GATEWAY,
    };
    let names = std::iter::once((boot.server.as_str(), boot_server))
        .chain(registries::addresses(&scenario.registry))
        .chain(NTP_NAMES.iter().map(|name| (*name, NTP)))
        .chain([(SCRATCH_NAME, SCRATCH)]);
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
        ipxe: match boot.transport {
            Transport::Https => None,
            Transport::Http => Some(script),
            Transport::Tftp => Some(SCRIPT.into()),
        },
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
