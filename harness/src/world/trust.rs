//! The certificates of a run: sound ones, and the defects that its scenario asks for.

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};

use super::registries;
use crate::cpio::{Archive, CpioError};
use crate::error::RunError;
use crate::plan::ProvisionedImage;
use crate::scenario::{
    self, ClientCertificate, RegistryCertificate, Scenario, ServerCertificate, ServerChain,
    ServerKey,
};
use crate::services::{
    Authority, Chain, Fingerprint, Identity, KeySize, ServerProfile, TlsOptions, Validity,
};
use crate::timeline::BoardId;

/// Common name of every run's authority.
const AUTHORITY: &str = "Shakedown farm CA";
/// Common name of every board's certificate.
const BOARD: &str = "shakedown board";
/// A host that no scenario's boot server is.
const ANOTHER_HOST: &str = "another.farm.example";
/// More than some builds of iPXE take, in bytes.
const LONG_CHAIN: usize = 4096;

/// The certificates of a run.
#[derive(Debug)]
pub struct Trust {
    /// What the board and the registry's clients trust.
    pub authority: Authority,
    /// Whose client certificates the boot server takes.
    client_authority: CertificateDer<'static>,
    /// The boards' identities, in the scenario's order; `None` of boards that have none.
    clients: Vec<Option<Identity>>,
    /// The boot server's identity.
    boot_server: Identity,
    /// The registry's identity.
    pub(crate) registry: Identity,
    /// The certificate that the first board has from its image, in place of one of the run's.
    known_client: Option<CertificateDer<'static>>,
    /// What the boot server knows to be revoked.
    revoked: Option<CertificateRevocationListDer<'static>>,
}

impl Trust {
    /// New certificates for a run of `scenario`, with `more_names` for all its servers.
    ///
    /// # Errors
    /// A key cannot be generated, or a name is no host name.
    pub fn generate(scenario: &Scenario, more_names: &[&str]) -> Result<Self, RunError> {
        Self::issued_by(Authority::generate(AUTHORITY)?, scenario, more_names)
    }

    /// New certificates of the authority that has this key, PKCS#8 in PEM, for a run of `scenario`.
    ///
    /// # Errors
    /// As for [`generate`](Self::generate), and for what is no such key.
    pub(crate) fn of_authority(key: &str, scenario: &Scenario) -> Result<Self, RunError> {
        Self::issued_by(Authority::from_key(AUTHORITY, key)?, scenario, &[])
    }

    fn issued_by(
        authority: Authority,
        scenario: &Scenario,
        more_names: &[&str],
    ) -> Result<Self, RunError> {
        let tls = &scenario.tls;
        let unknown = [
            tls.client == ClientCertificate::UnknownCa,
            tls.server == ServerCertificate::UnknownCa,
        ];
        let unknown_ca = match unknown.contains(&true) {
            true => Some(Authority::generate("Unknown CA")?),
            false => None,
        };
        let [client_issuer, server_issuer] = unknown.map(|unknown| {
            unknown_ca
                .as_ref()
                .filter(|_| unknown)
                .unwrap_or(&authority)
        });

        let mut clients = Vec::new();
        for board in scenario.board_ids() {
            clients.push(client_of(board.as_ref(), tls.client, client_issuer)?);
        }
        let revoked: Vec<_> = clients.iter().flatten().collect();
        let revoked = match tls.client {
            ClientCertificate::Revoked => Some(authority.revoke(&revoked)?),
            _ => None,
        };

        let names = match tls.server {
            ServerCertificate::WrongHost => vec![ANOTHER_HOST],
            _ => [&[scenario.boot.server.as_str()], more_names].concat(),
        };
        let profile = ServerProfile {
            validity: match tls.server {
                ServerCertificate::Expired => Validity::Expired,
                ServerCertificate::NotYetValid => Validity::NotYet,
                _ => Validity::Always,
            },
            key: match tls.server_key {
                ServerKey::Rsa2048 => KeySize::Rsa2048,
                ServerKey::Rsa4096 => KeySize::Rsa4096,
            },
            chain: match tls.server_chain {
                ServerChain::Short => Chain::Short,
                ServerChain::Long => Chain::LongerThan(LONG_CHAIN),
                ServerChain::CrossSigned => Chain::CrossSigned,
            },
        };
        let registry_profile = ServerProfile {
            validity: match scenario.registry.certificate {
                RegistryCertificate::Valid => Validity::Always,
                RegistryCertificate::Recent => Validity::Recent,
                RegistryCertificate::Expired => Validity::Expired,
            },
            ..ServerProfile::default()
        };
        let registry_names: Vec<_> = registries::addresses(&scenario.registry)
            .map(|(name, _)| name)
            .chain(more_names.iter().copied())
            .collect();
        Ok(Self {
            boot_server: server_issuer.issue_server_as(&names, &profile)?,
            registry: authority.issue_server_as(&registry_names, &registry_profile)?,
            clients,
            known_client: None,
            revoked,
            client_authority: authority.certificate_der().clone(),
            authority,
        })
    }

    /// The first board is known by the certificate that its image came with, whatever CA has issued it.
    #[must_use]
    pub fn with_client_certificate_of(mut self, image: Option<&ProvisionedImage>) -> Self {
        self.known_client = match image {
            Some(ProvisionedImage::Https { certificate, .. }) => Some(certificate.clone().into()),
            Some(ProvisionedImage::Dhcp) | None => None,
        };
        self
    }

    /// The identity of a board by its place in the scenario, if it has one.
    #[must_use]
    pub fn client(&self, place: usize) -> Option<&Identity> {
        self.clients.get(place)?.as_ref()
    }

    /// The name of a board at the boot server, by its place in the scenario, if it has an identity.
    pub(crate) fn fingerprint(&self, place: usize) -> Option<Fingerprint> {
        match &self.known_client {
            Some(der) if place == 0 => Some(Fingerprint::of(der)),
            _ => self.client(place).map(Identity::fingerprint),
        }
    }

    /// How the boot server shakes hands with iPXE.
    pub(crate) fn boot_options(&self) -> TlsOptions<'_> {
        TlsOptions {
            known_client: self.known_client.as_ref(),
            revoked: self.revoked.as_ref(),
            ..TlsOptions::for_ipxe(&self.boot_server, &self.client_authority)
        }
    }

    /// Makes the boot server take client certificates of another authority, whose own certificate is in `pem`, in place of
    /// those of the run's.
    ///
    /// # Errors
    /// It is not there.
    pub fn take_clients_of(&mut self, pem: &[u8]) -> Result<(), pem::Error> {
        self.client_authority = CertificateDer::from_pem_slice(pem)?;
        Ok(())
    }

    /// A cpio archive by which a guest's initramfs is extended: so that it trusts the authority, and what its registries ask for.
    ///
    /// # Errors
    /// The certificate does not fit into an archive.
    pub fn archive(&self, registry: &scenario::Registry) -> Result<Vec<u8>, CpioError> {
        let pem = self.authority.certificate_pem();
        let mut archive = Archive::new();
        archive.file("etc/ssl/certs/shakedown-ca.pem", 0o644, pem)?;
        for (path, text) in registries::guest_files(registry) {
            archive.file(path, 0o600, text)?;
        }
        Ok(archive.to_bytes())
    }
}

/// The identity of a board, with the defect that the scenario asks for.
fn client_of(
    board: Option<&BoardId>,
    wanted: ClientCertificate,
    issuer: &Authority,
) -> Result<Option<Identity>, RunError> {
    let name = board.map_or_else(|| BOARD.into(), |board| format!("{BOARD} {board}"));
    let issue = |validity| issuer.issue_client_as(&name, validity);
    Ok(match wanted {
        ClientCertificate::None => None,
        ClientCertificate::Valid | ClientCertificate::UnknownCa | ClientCertificate::Revoked => {
            Some(issue(Validity::Always)?)
        }
        ClientCertificate::Expired => Some(issue(Validity::Expired)?),
        ClientCertificate::NotYetValid => Some(issue(Validity::NotYet)?),
        ClientCertificate::WrongKey => {
            let another = issue(Validity::Always)?;
            Some(issue(Validity::Always)?.with_key_of(&another))
        }
    })
}
