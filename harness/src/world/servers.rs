//! The servers of a scenario, ready to be put onto listeners: those of the LAN, or of the host for real clients.

use std::path::PathBuf;

use axum::Router;
use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite};

use super::SCRATCH;
use super::by_boot::{AtBoot, Deployed, by_boot};
use super::deployments::Deployments;
use super::registries::{Account, Registries};
use super::tftp::BoardFiles;
use super::trust::Trust;
use crate::architecture::Architecture;
use crate::board::Board;
use crate::error::RunError;
use crate::fault::Faults;
use crate::lan::TftpFiles;
use crate::mac::Mac;
use crate::plan::Parts;
use crate::scenario::{self, DEFAULT_DEPLOYMENT, Scenario, ServiceMode, Transport};
use crate::services::{
    BootServer, Client, Credentials, DataRoot, Digest, Journal, Nonce, OciImage, Peer, Platform,
    Refusal, ScratchSpace, Secrets, Server, Storage, TlsListener, TlsOptions, serve, with_faults,
};
use crate::timeline::{BoardId, ServiceId, Timeline};

/// What the servers of a scenario need to know of their surroundings.
#[derive(Debug)]
pub struct ServerConfig<'a> {
    /// The scenario's boards, in its order.
    pub boards: Vec<ServedBoard<'a>>,
    /// URL at which the scratch space will be found.
    pub scratch_endpoint: String,
    /// URL of the registry's token server.
    pub token_realm: String,
    /// Where the secrets of TLS connections go, for those who read a capture of their frames.
    pub secrets: Option<Secrets>,
    /// Where the scratch space keeps its objects, and what is packed for this run alone.
    pub folder: PathBuf,
    /// Where images go that are pushed to the registry; without it, it takes none.
    pub pushed: Option<PathBuf>,
    /// The folders of other clients than the scenario's boards.
    pub data: DataRoot,
    /// With each boot script the client's storage gets a new key, as from the real server.
    pub renews_keys: bool,
}

/// What the servers need to know of a board.
#[derive(Debug)]
pub struct ServedBoard<'a> {
    /// Its name; `None` where a run has one.
    pub id: Option<BoardId>,
    /// Its hardware address, by which the plain-HTTP boot server knows it.
    pub mac: Mac,
    /// Its console as a kernel has it on its command line.
    pub console: String,
    /// Its processor architecture as iPXE calls it.
    pub arch: &'static str,
    /// Of its processor.
    architecture: Architecture,
    /// What it is made of.
    pub parts: &'a Parts,
}

impl<'a> ServedBoard<'a> {
    /// A board of this kind, with this hardware address.
    #[must_use]
    pub fn new(id: Option<BoardId>, board: &Board, mac: Mac, parts: &'a Parts) -> Self {
        Self {
            id,
            mac,
            console: board.console(),
            arch: board.arch(),
            architecture: board.machine.arch,
            parts,
        }
    }

    /// The template variables that say what it is, and where its scratch space is.
    fn variables(&self, scratch_endpoint: &str) -> [(&'static str, String); 4] {
        [
            ("s3_endpoint", scratch_endpoint.into()),
            ("console", self.console.clone()),
            ("arch", self.arch.into()),
            ("mac", self.mac.to_string()),
        ]
    }
}

/// The servers of a scenario. Each may be put onto any number of listeners.
pub struct Servers<'a> {
    deployments: Vec<Deployments>,
    tftp: BoardFiles,
    transport: Transport,
    trust: &'a Trust,
    max_fragment: Option<usize>,
    refusal: Refusal,
    secrets: Option<Secrets>,
    timeline: Timeline,
    boot: Router,
    registry: Router,
    mirror: Option<Router>,
    scratch: Router,
    credentials: Credentials,
    nonce: String,
    layers: Vec<String>,
    account: Option<Account>,
    digest: Digest,
}

/// The registries of a run, as each boot of each board finds them.
#[derive(Default)]
struct AllRegistries {
    hubs: Vec<AtBoot>,
    mirrors: Vec<AtBoot>,
    /// One for each image that is handed out.
    images: Vec<Registries>,
}

impl AllRegistries {
    /// Those of a board.
    fn add(
        &mut self,
        scenario: &Scenario,
        board: &ServedBoard<'_>,
        nonce: &str,
        config: &ServerConfig<'_>,
    ) -> Result<(), RunError> {
        for (deployment, container, base) in images_of(scenario, board)? {
            let registries = Registries::prepare(scenario, container, base, nonce, &config.folder)?;
            for number in 0..scenario.boots(board.id.as_ref()) {
                let registries = registries.of_boot(board.id.as_ref(), number)?;
                let at = |router| AtBoot {
                    board: board.id.clone(),
                    boot: number,
                    deployment: deployment.into(),
                    router,
                };
                let hub = registries.hub(&config.token_realm, config.pushed.as_deref())?;
                self.hubs.push(at(hub));
                self.mirrors.extend(registries.mirror()?.map(at));
            }
            self.images.push(registries);
        }
        Ok(())
    }
}

impl<'a> Servers<'a> {
    /// Puts together what `scenario` hands out. Needs a tokio runtime.
    ///
    /// # Errors
    /// A file cannot be read, or the scenario names an image as no registry does.
    pub fn prepare(
        scenario: &Scenario,
        trust: &'a Trust,
        config: ServerConfig<'_>,
        timeline: &Timeline,
    ) -> Result<Self, RunError> {
        let boot = &scenario.boot;
        let mut scratch = ScratchSpace::new(config.folder.join(SCRATCH))?;
        let mut server = BootServer::new(config.data.clone());
        for (name, value) in &boot.variables {
            server = server.variable(name, value);
        }
        // Clients of the data root that are no boards are taken for the first.
        let first = config.boards.first().ok_or(RunError::Plug)?;
        for (name, value) in first.variables(&config.scratch_endpoint) {
            server = server.variable(name, &value);
        }
        let nonce = Nonce::random().as_str().to_owned();
        let (mut tftp, mut deployments, mut credentials) = (Vec::new(), Vec::new(), Vec::new());
        let mut registries = AllRegistries::default();
        let deployed = Deployed::default();
        for (place, board) in config.boards.iter().enumerate() {
            let keys = scratch.add_client()?;
            let client = match boot.transport {
                Transport::Http | Transport::Tftp => Some(Client::Machine(board.mac)),
                Transport::Https => trust.fingerprint(place).map(Client::Certificate),
            };
            if let Some(client) = client {
                server = with_keys(server, client, &keys);
                let renews = || Storage::Renewed {
                    keys: scratch.keys(),
                    bucket: keys.bucket.clone(),
                };
                let storage = match scenario.services.scratch {
                    ServiceMode::Absent => Some(Storage::Down),
                    ServiceMode::Played => config.renews_keys.then(renews),
                    ServiceMode::Forwarded(_) => None,
                };
                if let Some(storage) = storage {
                    server = server.storage(client, storage);
                }
            }
            registries.add(scenario, board, &nonce, &config)?;
            let machine = Client::Machine(board.mac);
            let handed_out = Deployments::start(
                scenario,
                board.parts,
                trust,
                (board.id.clone(), deployed.clone()),
                (&config.data, client),
                &board.variables(&config.scratch_endpoint),
                |folder, script| server.rendered(machine, folder, script),
            )?;
            tftp.push((board.id.clone(), handed_out.tftp()));
            deployments.push(handed_out);
            credentials.push(keys);
        }
        let AllRegistries {
            hubs,
            mirrors,
            images,
        } = registries;
        let first = images.first().ok_or(RunError::Plug)?;
        let mut layers: Vec<_> = images.iter().flat_map(Registries::layers).collect();
        layers.sort();
        layers.dedup();
        Ok(Self {
            deployments,
            tftp: BoardFiles::new(tftp, timeline),
            transport: boot.transport,
            trust,
            max_fragment: scenario.tls.max_fragment(),
            refusal: match scenario.tls.refusal {
                scenario::Refusal::BadRequest => Refusal::BadRequest,
                scenario::Refusal::Alert => Refusal::Alert,
            },
            secrets: config.secrets,
            timeline: timeline.clone(),
            boot: match boot.transport {
                Transport::Https => server.https(),
                Transport::Http | Transport::Tftp => server.http(),
            },
            registry: by_boot(hubs, &deployed, timeline),
            mirror: (!mirrors.is_empty()).then(|| by_boot(mirrors, &deployed, timeline)),
            scratch: scratch.router()?,
            credentials: credentials.into_iter().next().ok_or(RunError::Plug)?,
            layers,
            account: first.account(),
            digest: first.digest(),
            nonce,
        })
    }

    /// The same servers, with those of `faults` that are of their answers.
    #[must_use]
    pub fn with_faults(mut self, faults: &Faults) -> Self {
        let with = |router, service| with_faults(router, service, faults.clone());
        self.boot = with(self.boot, ServiceId::Boot);
        self.registry = with(self.registry, ServiceId::Registry);
        self.mirror = self.mirror.map(|mirror| with(mirror, ServiceId::Registry));
        self.scratch = with(self.scratch, ServiceId::Scratch);
        self
    }

    /// Starts the boot server on `listener`, over TLS if that is the scenario's transport.
    ///
    /// # Errors
    /// The TLS library refuses the certificates.
    pub fn boot<L, I>(&self, listener: L) -> Result<Server, RunError>
    where
        L: Listener<Io = I, Addr: Into<Peer>>,
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (router, journal) = (self.boot.clone(), self.journal(ServiceId::Boot));
        if self.transport.is_plain() {
            return Ok(serve(listener, router, journal));
        }
        let mut options = self.trust.boot_options();
        options.max_fragment = self.max_fragment.or(options.max_fragment);
        options.secrets.clone_from(&self.secrets);
        options.refusal = self.refusal;
        let listener = TlsListener::start(listener, &options, journal.clone())?;
        Ok(serve(listener, router, journal))
    }

    /// What the board may read by TFTP: its boot script, and every file that the boot server hands out, below `files/`.
    #[must_use]
    pub fn tftp(&self) -> impl TftpFiles + use<> {
        self.tftp.clone()
    }

    /// Starts the registry on `listener`, over TLS.
    ///
    /// # Errors
    /// The TLS library refuses the certificates.
    pub fn registry<L, I>(&self, listener: L) -> Result<Server, RunError>
    where
        L: Listener<Io = I, Addr: Into<Peer>>,
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.serve_registry(listener, self.registry.clone())
    }

    /// Starts the registry's mirror on `listener`, over TLS, if the scenario has one. It shares the journal: a request's host says which
    /// was asked.
    ///
    /// # Errors
    /// The TLS library refuses the certificates.
    pub fn mirror<L, I>(&self, listener: L) -> Result<Option<Server>, RunError>
    where
        L: Listener<Io = I, Addr: Into<Peer>>,
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mirror = self.mirror.clone();
        mirror
            .map(|router| self.serve_registry(listener, router))
            .transpose()
    }

    fn serve_registry<L, I>(&self, listener: L, router: Router) -> Result<Server, RunError>
    where
        L: Listener<Io = I, Addr: Into<Peer>>,
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let journal = self.journal(ServiceId::Registry);
        let options = TlsOptions {
            secrets: self.secrets.clone(),
            ..TlsOptions::new(&self.trust.registry)
        };
        let listener = TlsListener::start(listener, &options, journal.clone())?;
        Ok(serve(listener, router, journal))
    }

    /// Starts the scratch space on `listener`.
    pub fn scratch<L>(&self, listener: L) -> Server
    where
        L: Listener<Addr: Into<Peer>>,
    {
        serve(
            listener,
            self.scratch.clone(),
            self.journal(ServiceId::Scratch),
        )
    }

    /// What the boot server hands out to each board, which a step may switch.
    pub(crate) fn deployments(&self) -> Vec<Deployments> {
        self.deployments.clone()
    }

    /// What the scenario's first board uses its scratch space with.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Who may have the container image, if not everybody.
    #[must_use]
    pub fn account(&self) -> Option<Account> {
        self.account
    }

    /// The container image's digest, or that of its index.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What the container says if it is the registry's.
    #[must_use]
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// Digests of the container image's layers.
    #[must_use]
    pub fn layers(&self) -> &[String] {
        &self.layers
    }

    fn journal(&self, service: ServiceId) -> Journal {
        Journal::new(service, self.timeline.clone())
    }
}

/// What the boot server puts in place of the variables for a client's bucket.
fn with_keys(mut server: BootServer, client: Client, keys: &Credentials) -> BootServer {
    for (name, value) in [
        ("s3_access_key_id", &keys.access_key_id),
        ("s3_access_key", &keys.access_key),
        ("s3_bucket_name", &keys.bucket),
    ] {
        server = server.client_variable(client, name, value);
    }
    server
}

/// The images that the registry may have for a board: the deployment, the name at the registry, and the image. The first is the default.
fn images_of<'s>(
    scenario: &'s Scenario,
    board: &ServedBoard<'_>,
) -> Result<Vec<(&'s str, &'s str, OciImage)>, RunError> {
    let whole = &board.parts.container.image;
    let name = scenario.boot.container.as_str();
    let mut images = vec![(DEFAULT_DEPLOYMENT, name, whole.clone())];
    for (deployment, its) in &scenario.deployments {
        let image = match &its.image {
            Some(layout) => OciImage::from_layout(layout, &Platform::linux(board.architecture))?,
            None if its.boot.container == name => continue,
            None => whole.clone(),
        };
        images.push((deployment.as_str(), its.boot.container.as_str(), image));
    }
    Ok(images)
}

#[cfg(test)]
mod tests;
