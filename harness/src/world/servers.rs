//! The servers of a scenario, ready to be put onto listeners: those of the LAN, or of the host for real clients.

use std::path::PathBuf;

use axum::Router;
use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite};

use super::SCRATCH;
use super::by_boot::{BootNumber, by_boot};
use super::deployments::Deployments;
use super::registries::{Account, Registries};
use super::trust::Trust;
use crate::error::RunError;
use crate::fault::Faults;
use crate::lan::TftpFiles;
use crate::mac::Mac;
use crate::plan::Parts;
use crate::scenario::{self, Scenario, ServiceMode, Transport};
use crate::services::{
    BootServer, Client, Credentials, DataRoot, Digest, Journal, Peer, Refusal, ScratchSpace,
    Secrets, Server, Storage, TlsListener, TlsOptions, serve, with_faults,
};
use crate::timeline::{ServiceId, Timeline};

/// What the servers of a scenario need to know of their surroundings.
#[derive(Debug)]
pub struct ServerConfig {
    /// The board's hardware address, by which the plain-HTTP boot server knows it.
    pub mac: Mac,
    /// The board's console as a kernel has it on its command line.
    pub console: String,
    /// The board's processor architecture as iPXE calls it.
    pub arch: &'static str,
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
    /// The folders of other clients than the scenario's.
    pub data: DataRoot,
    /// With each boot script the client's storage gets a new key, as from the real server.
    pub renews_keys: bool,
}

/// The servers of a scenario. Each may be put onto any number of listeners.
pub struct Servers<'a> {
    deployments: Deployments,
    transport: Transport,
    trust: &'a Trust,
    max_fragment: Option<usize>,
    refusal: Refusal,
    secrets: Option<Secrets>,
    timeline: Timeline,
    boot: Router,
    registry: Router,
    mirror: Option<Router>,
    boots: BootNumber,
    scratch: Router,
    credentials: Credentials,
    nonce: String,
    layers: Vec<String>,
    account: Option<Account>,
    digest: Digest,
}

impl<'a> Servers<'a> {
    /// Puts together what `scenario` hands out of `parts`. Needs a tokio runtime.
    ///
    /// # Errors
    /// A file cannot be read, or the scenario names an image as no registry does.
    pub fn prepare(
        scenario: &Scenario,
        parts: &Parts,
        trust: &'a Trust,
        config: ServerConfig,
        timeline: &Timeline,
    ) -> Result<Self, RunError> {
        let boot = &scenario.boot;
        let mut scratch = ScratchSpace::new(config.folder.join(SCRATCH))?;
        let registries = Registries::prepare(scenario, parts, &config.folder)?;
        let credentials = scratch.add_client()?;

        let data = config.data;
        let client = match boot.transport {
            Transport::Http | Transport::Tftp => Some(Client::Machine(config.mac)),
            Transport::Https => trust.fingerprint().map(Client::Certificate),
        };
        let mac = config.mac.to_string();
        let known = [
            ("s3_endpoint", config.scratch_endpoint.as_str()),
            ("console", &config.console),
            ("arch", config.arch),
            ("mac", &mac),
        ];
        let mut server = BootServer::new(data.clone());
        for (name, value) in &boot.variables {
            server = server.variable(name, value);
        }
        for (name, value) in known {
            server = server.variable(name, value);
        }
        if let Some(client) = client {
            for (name, value) in [
                ("s3_access_key_id", &credentials.access_key_id),
                ("s3_access_key", &credentials.access_key),
                ("s3_bucket_name", &credentials.bucket),
            ] {
                server = server.client_variable(client, name, value);
            }
            let storage = match scenario.services.scratch {
                ServiceMode::Absent => Some(Storage::Down),
                ServiceMode::Played if config.renews_keys => Some(Storage::Renewed {
                    keys: scratch.keys(),
                    bucket: credentials.bucket.clone(),
                }),
                ServiceMode::Played | ServiceMode::Forwarded(_) => None,
            };
            if let Some(storage) = storage {
                server = server.storage(client, storage);
            }
        }
        let (mut hubs, mut mirrors) = (Vec::new(), Vec::new());
        for boot in 0..scenario.boots() {
            let registries = registries.of_boot(boot)?;
            hubs.push(registries.hub(&config.token_realm, config.pushed.as_deref())?);
            mirrors.extend(registries.mirror()?);
        }
        let boots = BootNumber::default();
        let machine = Client::Machine(config.mac);
        let deployments = Deployments::start(
            scenario,
            parts,
            trust,
            (&data, client),
            &known,
            |folder, script| server.rendered(machine, folder, script),
        )?;
        Ok(Self {
            deployments,
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
            registry: by_boot(hubs, &boots),
            mirror: (!mirrors.is_empty()).then(|| by_boot(mirrors, &boots)),
            boots,
            scratch: scratch.router()?,
            credentials,
            layers: registries.layers(),
            account: registries.account(),
            digest: registries.digest(),
            nonce: registries.nonce().to_owned(),
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
        self.deployments.tftp()
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

    /// What the boot server hands out, which a step may switch.
    pub(crate) fn deployments(&self) -> Deployments {
        self.deployments.clone()
    }

    /// The board's boot that is under way, which decides over the nonce of the registry's image.
    pub(crate) fn boots(&self) -> BootNumber {
        self.boots.clone()
    }

    /// What the scenario's client uses its scratch space with.
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

#[cfg(test)]
mod tests;
