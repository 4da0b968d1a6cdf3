//! What is around the board: names, addresses, boot server, registry and scratch space of one run.

use std::net::Ipv4Addr;
use std::path::Path;

use super::deployments::Deployments;
use super::fault_plan::FaultPlan;
use super::registries;
use super::segments::{Segments, Wires};
use super::servers::{ServedBoard, ServerConfig, Servers};
use super::tftp::SCRIPT;
use super::trust::Trust;
use crate::error::RunError;
use crate::fault::Faults;
use crate::lan::{self, FileForArchitecture, Lan, TcpListener};
use crate::plan::ProvisionedImage;
use crate::scenario::{Boot, Scenario, ServiceMode, Transport};
use crate::services::{DataRoot, Journal, PowerUnit, Secrets, Server, forward, serve, serve_pdu};
use crate::timeline::{BoardId, Event, ServiceId, Timeline};

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

/// The power distribution unit.
const POWER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 50);
/// The port of its binary protocol.
const POWER_PORT: u16 = 9191;
/// Its name.
const POWER_NAME: &str = "pdu.farm.example";

/// The names of the NTP pool.
const NTP_NAMES: &[&str] = &["pool.ntp.org", "*.pool.ntp.org"];

/// Starts the run's own servers of a service.
type Play<'a> = &'a dyn Fn(TcpListener) -> Result<Vec<Server>, RunError>;

/// The LAN with its servers; they stop when it is dropped.
pub(crate) struct Network {
    pub(crate) lan: Lan,
    /// What is beside it.
    segments: Segments,
    pub(crate) nonce: String,
    pub(crate) layers: Vec<String>,
    /// What the boot server hands out to each board.
    pub(crate) deployments: Vec<Deployments>,
    plan: FaultPlan,
    /// What decrypts the connections to the servers.
    pub(crate) secrets: Secrets,
    servers: Vec<Server>,
    timeline: Timeline,
}

impl Network {
    /// Starts the LAN and everything on it, for these boards. What its servers write for this run alone goes to `folder`. `image` is what the
    /// board of a run that has one is given to boot.
    pub(crate) fn start(
        scenario: &Scenario,
        boards: Vec<ServedBoard<'_>>,
        image: Option<&ProvisionedImage>,
        trust: &Trust,
        folder: &Path,
        timeline: &Timeline,
    ) -> Result<Self, RunError> {
        let boot = &scenario.boot;
        let lan = Lan::start(lan_config(scenario, &boards)?, timeline.clone())?;
        let secrets = Secrets::default();
        let config = ServerConfig {
            boards,
            scratch_endpoint: format!("http://{SCRATCH_NAME}:{SCRATCH_PORT}"),
            token_realm: registries::REALM.into(),
            folder: folder.into(),
            pushed: None,
            secrets: Some(secrets.clone()),
            data: DataRoot::default(),
            renews_keys: true,
        };
        let plan = FaultPlan::start(scenario, timeline);
        let servers = Servers::prepare(scenario, trust, config, timeline)?;
        let servers = servers.with_faults(&plan.faults);
        for (service, forward) in scenario.services.forwarded() {
            timeline.emit(Event::Forwarding {
                service,
                to: forward.forwarded.to_string(),
            });
        }
        let boot_server = match boot.transport {
            Transport::Https => boot_server(boot, image),
            Transport::Http | Transport::Tftp => (GATEWAY, 80),
        };
        // What is at an address of the LAN: a server of the run's, or one outside of it at the port that is usual or the forward's own.
        let start = |service, mode: &ServiceMode, (address, usual), play: Play<'_>| match mode {
            ServiceMode::Played => play(lan.listen(address, usual)?),
            ServiceMode::Forwarded(to) => {
                let listener = lan.listen(address, to.port.unwrap_or(usual))?;
                let journal = Journal::new(service, timeline.clone());
                Ok(vec![forward(listener, to.forwarded, journal)])
            }
            ServiceMode::Absent => Ok(Vec::new()),
        };
        let services = &scenario.services;
        let play_boot = |listener| Ok(vec![servers.boot(listener)?]);
        let mut running = start(ServiceId::Boot, &services.boot, boot_server, &play_boot)?;
        let hub = (registries::HUB, 443);
        let play_registries = |listener| {
            let registry = servers.registry(listener)?;
            let mirror = servers.mirror(lan.listen(registries::MIRROR, 443)?)?;
            Ok([registry].into_iter().chain(mirror).collect())
        };
        running.extend(start(
            ServiceId::Registry,
            &services.registry,
            hub,
            &play_registries,
        )?);
        let scratch = (SCRATCH, SCRATCH_PORT);
        let play_scratch = |listener| Ok(vec![servers.scratch(listener)]);
        running.extend(start(
            ServiceId::Scratch,
            &services.scratch,
            scratch,
            &play_scratch,
        )?);
        if boot.transport == Transport::Tftp && scenario.services.boot.is_played() {
            lan.serve_tftp(GATEWAY, ServiceId::Boot, servers.tftp())?;
        }
        let (nonce, layers) = match &scenario.services.registry {
            ServiceMode::Played => (servers.nonce().to_owned(), servers.layers().to_vec()),
            ServiceMode::Forwarded(to) => (to.nonce.clone().unwrap_or_default(), Vec::new()),
            ServiceMode::Absent => (String::new(), Vec::new()),
        };
        Ok(Self {
            nonce,
            deployments: servers.deployments(),
            layers,
            plan,
            servers: running,
            timeline: timeline.clone(),
            segments: Segments::of(scenario, &lan),
            lan,
            secrets,
        })
    }

    /// Plugs a board into its cables, which captures know as `who`; those to a network card that is nobody's any more are gone.
    pub(crate) fn plug_in(&self, board: Option<&BoardId>, who: &str) -> Wires {
        self.segments.plug_in(board, who, &self.lan)
    }

    /// What goes wrong on purpose.
    pub(crate) fn faults(&self) -> &Faults {
        &self.plan.faults
    }
}

impl Network {
    /// Puts the power distribution unit onto the LAN, by its binary protocol and by HTTP: software under test can switch boards.
    ///
    /// # Errors
    /// Its ports are taken.
    pub(crate) fn serve_power(&mut self, unit: &PowerUnit) -> Result<(), RunError> {
        let journal = Journal::new(ServiceId::Power, self.timeline.clone());
        let binary = self.lan.listen(POWER, POWER_PORT)?;
        self.servers
            .push(serve_pdu(binary, unit.clone(), journal.clone()));
        let http = self.lan.listen(POWER, 80)?;
        self.servers.push(serve(http, unit.router(), journal));
        Ok(())
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

/// The names that servers outside of the run have besides those of their service.
fn names_of_forwarded(
    scenario: &Scenario,
    boot_server: Ipv4Addr,
) -> impl Iterator<Item = (&str, Ipv4Addr)> {
    scenario
        .services
        .forwarded()
        .flat_map(move |(service, to)| {
            let address = match service {
                ServiceId::Registry => registries::HUB,
                ServiceId::Scratch => SCRATCH,
                ServiceId::Boot | ServiceId::Power | ServiceId::Bench => boot_server,
            };
            to.names.iter().map(move |name| (name.as_str(), address))
        })
}

fn lan_config(scenario: &Scenario, boards: &[ServedBoard<'_>]) -> Result<lan::Config, lan::Error> {
    let boot = &scenario.boot;
    let boot_server = match boot.transport {
        Transport::Https => BOOT_SERVER,
        Transport::Http | Transport::Tftp => GATEWAY,
    };
    let names = std::iter::once((boot.server.as_str(), boot_server))
        .chain(registries::addresses(&scenario.registry))
        .chain(NTP_NAMES.iter().map(|name| (*name, NTP)))
        .chain([(SCRATCH_NAME, SCRATCH), (POWER_NAME, POWER)])
        .chain(names_of_forwarded(scenario, boot_server));
    // CONTRACTS, plain-HTTP variant: DHCP tells iPXE the script's address. Of several boards each puts its own in.
    let machine = match boards {
        [board] => board.mac.to_string(),
        _ => "${netX/mac}".into(),
    };
    let script = format!(
        "http://{}/boot/{machine}/boot.ipxe?platform=${{platform}}&buildarch=${{buildarch}}",
        boot.server
    );
    // The gateway knows iPXE: it tells every one not to wait for a proxy DHCP server.
    let told = lan::Boot {
        next_server: GATEWAY,
        file: scenario.dhcp.file.clone(),
        by_architecture: scenario
            .dhcp
            .by_architecture
            .iter()
            .map(|(architecture, file)| FileForArchitecture {
                architecture: *architecture,
                file: file.clone(),
            })
            .collect(),
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

#[cfg(test)]
mod tests;
