//! An image that was provisioned before it came here, and what a run can take from it.
//!
//! The run's boot server answers under the image's server name and knows the machine by the image's certificate. It cannot have a
//! certificate that the image's CA has signed, because that CA's key is not here: in the run's copy of the image the run's own
//! CA is trusted in its place. Script, certificate and key stay byte for byte as they are.

use crate::image::netboot::{Netboot, ScriptIdentityError};
use crate::image::script::Server;
use crate::image::source::Source;
use crate::image::{Disk, ImageError};
use crate::scenario::Transport;

/// An image with a boot script.
#[derive(Debug, Clone)]
pub enum ProvisionedImage {
    /// It boots over HTTPS.
    Https {
        /// The boot server that its script names first.
        server: Server,
        /// The machine's certificate, DER.
        certificate: Vec<u8>,
        /// What a run cannot show of this image, for people to read.
        untested: Vec<String>,
    },
    /// It boots from wherever DHCP says.
    Dhcp,
}

/// Why a run cannot play the servers of an image.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionedImageError {
    /// The image cannot be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The script's identity cannot be read.
    #[error("autoexec.ipxe: {0}")]
    Identity(#[from] ScriptIdentityError),
    /// The script has an identity, and no server can be seen in it.
    #[error(
        "autoexec.ipxe sets an identity, but names no boot server in an https:// URL, so that none can be played; give the prebuilt image instead"
    )]
    NoServer,
    /// The script names a server, and there is no identity.
    #[error(
        "autoexec.ipxe boots from {0} without a client certificate, which no boot server answers"
    )]
    NoIdentity(Server),
}

impl ProvisionedImage {
    /// What can be taken from an image; `None` for a prebuilt one.
    ///
    /// # Errors
    /// [`ProvisionedImageError`].
    pub fn of(source: &Source) -> Result<Option<Self>, ProvisionedImageError> {
        let Some(netboot) = Netboot::read(&Disk::of(source)?)? else {
            return Ok(None);
        };
        let identity = netboot.script.identity()?;
        let mut servers = netboot.script.servers().into_iter();
        match (servers.next(), identity) {
            (Some(server), Some(identity)) => Ok(Some(Self::Https {
                untested: untested(&netboot, servers),
                server,
                certificate: identity.certificate,
            })),
            (Some(server), None) => Err(ProvisionedImageError::NoIdentity(server)),
            (None, Some(_)) => Err(ProvisionedImageError::NoServer),
            (None, None) => Ok(Some(Self::Dhcp)),
        }
    }

    /// The transport of scenarios that this image can boot in.
    #[must_use]
    pub fn transport(&self) -> Transport {
        match self {
            Self::Https { .. } => Transport::Https,
            Self::Dhcp => Transport::Http,
        }
    }

    /// What a run cannot show of this image.
    #[must_use]
    pub fn untested(&self) -> &[String] {
        match self {
            Self::Https { untested, .. } => untested,
            Self::Dhcp => &[],
        }
    }
}

fn untested(netboot: &Netboot, others: impl Iterator<Item = Server>) -> Vec<String> {
    let trust = match netboot.trusted.is_empty() {
        true => {
            "the image trusts no CA: its real boot server would be refused; the run adds its own CA to a copy"
        }
        false => {
            "that iPXE accepts the certificate of the real boot server: the key of the image's CA is not here, so the run's CA takes its place in a copy"
        }
    };
    let mut untested = vec![
        trust.into(),
        "that the real boot server accepts the client certificate: here it is known by its fingerprint, whatever CA has signed it".into(),
    ];
    untested.extend(others.map(|server| format!("{server}, which the boot script names too")));
    untested
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::image::prebuilt::{self, EFI_BOOT_FILE, PrebuiltSpec, SourceFile};
    use crate::image::script::{BootSource, CustomScript, Identity};
    use crate::image::{Sizes, provision, source};

    fn prebuilt(directory: &Path) -> Source {
        let ipxe = directory.join("ipxe.efi");
        std::fs::write(&ipxe, b"iPXE").unwrap();
        let spec = PrebuiltSpec {
            sizes: Sizes::SMALL,
            esp_files: vec![SourceFile::new(EFI_BOOT_FILE, &ipxe)],
            ..PrebuiltSpec::default()
        };
        let path = directory.join("prebuilt.img");
        prebuilt::build(&spec, &path).unwrap();
        source::open(&path).unwrap()
    }

    fn given(
        boot: &BootSource,
        script: Option<&str>,
    ) -> Result<Option<ProvisionedImage>, ProvisionedImageError> {
        let directory = tempfile::tempdir().unwrap();
        let prebuilt = prebuilt(directory.path());
        assert!(ProvisionedImage::of(&prebuilt).unwrap().is_none());
        let path = directory.path().join("netboot.img");
        let script = script.map(|text| CustomScript::parse(text.as_bytes()).unwrap());
        provision::provision(&prebuilt, boot, script.as_ref(), &path).unwrap();
        ProvisionedImage::of(&source::open(&path).unwrap())
    }

    fn https() -> BootSource {
        BootSource::Https {
            server: "https://boot.example:8443".parse().unwrap(),
            identity: Some(Identity {
                certificate: b"certificate".to_vec(),
                private_key: b"private key".to_vec(),
            }),
            trusted_ca: b"authority".to_vec(),
        }
    }

    #[test]
    fn server_and_certificate_are_the_images() {
        let Some(ProvisionedImage::Https {
            server,
            certificate,
            untested,
        }) = given(&https(), None).unwrap()
        else {
            panic!("it boots over HTTPS")
        };
        assert_eq!((server.host(), server.port()), ("boot.example", 8443));
        assert_eq!(certificate, b"certificate");
        assert_eq!(untested.len(), 2);
        assert!(matches!(
            given(&BootSource::Dhcp, None).unwrap(),
            Some(ProvisionedImage::Dhcp)
        ));
    }

    #[test]
    fn a_server_that_nobody_can_play_is_an_error() {
        let script = "#!ipxe\nchain https://${server}/boot\n";
        assert!(matches!(
            given(&https(), Some(script)),
            Err(ProvisionedImageError::NoServer)
        ));
        let script = "#!ipxe\nchain https://boot.example/boot\n";
        assert!(matches!(
            given(&BootSource::Dhcp, Some(script)),
            Err(ProvisionedImageError::NoIdentity(_))
        ));
    }
}
