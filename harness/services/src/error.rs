//! What can go wrong while the services are set up. Once they run, errors go to the client and onto the timeline instead.

use shakedown_base::timeline::ServiceId;
use std::io;
use std::path::PathBuf;

use super::download::chain;
use super::oci::{Digest, Platform};

/// An error of the services room.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key could not be generated or a certificate not be signed.
    #[error("cannot issue a certificate for {subject}")]
    Certificate {
        /// Common name of the certificate's subject.
        subject: String,
        /// The generator's reason.
        source: rcgen::Error,
    },
    /// A certificate or setting was refused by the TLS library.
    #[error("cannot configure TLS for the {service} service")]
    Tls {
        /// The service.
        service: ServiceId,
        /// The library's reason.
        source: rustls::Error,
    },
    /// The authority for client certificates was refused by the TLS library.
    #[error(
        "cannot verify client certificates of the {service} service against the given authority"
    )]
    ClientAuthority {
        /// The service.
        service: ServiceId,
        /// The library's reason.
        source: rustls::server::VerifierBuilderError,
    },
    /// A file could not be opened, read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A blob's file is not what it was when the blob was made.
    #[error("{} had {expected} bytes when the service was set up and has {found} now: do not touch it during a run", path.display())]
    FileChanged {
        /// The file.
        path: PathBuf,
        /// Length in bytes when the blob was made.
        expected: u64,
        /// Length in bytes now.
        found: u64,
    },
    /// A path is not a plain relative path.
    #[error("{path:?} is not a file path: {reason}")]
    Path {
        /// The path as given.
        path: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// A symbolic link leads out of the data root.
    #[error("{} leads out of the data root", path.display())]
    Outside {
        /// The link, or a path through it.
        path: PathBuf,
    },
    /// A directory cannot hold scratch space.
    #[error("cannot keep scratch space in {}: {reason}", path.display())]
    ScratchSpace {
        /// The directory.
        path: PathBuf,
        /// The library's reason.
        reason: String,
    },
    /// Text is not a value of the type that was wanted.
    #[error("{text:?} is not {wanted}")]
    Syntax {
        /// The text as given.
        text: String,
        /// What it should have been, with an example.
        wanted: &'static str,
    },
    /// A client's folder has no such template.
    #[error("there is no {name} for {client}: add one to the client's folder in the data root")]
    NoTemplate {
        /// The template, for example `boot.ipxe`.
        name: String,
        /// Fingerprint or hardware address of the client.
        client: String,
    },
    /// A template is too long to be one.
    #[error("{name} has {found} bytes, and a template may have {limit}")]
    TemplateTooLong {
        /// The template, for example `boot.ipxe`.
        name: String,
        /// Length in bytes.
        found: u64,
        /// The longest that is rendered, in bytes.
        limit: u64,
    },
    /// A template is not text.
    #[error("{name} is not UTF-8 text")]
    TemplateNotText {
        /// The template, for example `boot.ipxe`.
        name: String,
        /// Where it is none.
        source: std::str::Utf8Error,
    },
    /// A layer cannot be unpacked.
    #[error("layer {name} cannot be unpacked")]
    Layer {
        /// The layer's file, or its digest.
        name: String,
        /// The decoder's reason.
        source: io::Error,
    },
    /// A directory is not an OCI image layout.
    #[error("{} is not an OCI image layout: {reason}", path.display())]
    NotALayout {
        /// The directory.
        path: PathBuf,
        /// What is missing or wrong.
        reason: String,
    },
    /// A JSON document of an image does not parse.
    #[error(
        "{document} is not valid: it must be a JSON document as the OCI image specification describes it"
    )]
    Document {
        /// The document: a path or a digest.
        document: String,
        /// The parser's reason.
        source: serde_json::Error,
    },
    /// A blob does not have the content that its name promises.
    #[error("{} has the digest {found} instead of {expected}: the layout is damaged, fetch it again", path.display())]
    DigestMismatch {
        /// The blob's file.
        path: PathBuf,
        /// The digest that its descriptor names.
        expected: Digest,
        /// The digest of the content.
        found: Digest,
    },
    /// A blob does not have the size that its descriptor promises.
    #[error("{} has {found} bytes instead of {expected}: the layout is damaged, fetch it again", path.display())]
    SizeMismatch {
        /// The blob's file.
        path: PathBuf,
        /// Size in bytes that its descriptor names.
        expected: u64,
        /// Size of the file in bytes.
        found: u64,
    },
    /// A layout holds no image for the machine.
    #[error("{} holds no image for {wanted}, only for: {found}", path.display())]
    NoPlatform {
        /// The layout's directory.
        path: PathBuf,
        /// The platform asked for.
        wanted: Platform,
        /// The platforms that are there, separated by commas.
        found: String,
    },
    /// A config lists another number of layers than its manifest.
    #[error("image {image}: its config lists {config} layers and its manifest {manifest}")]
    LayerCount {
        /// Digest of the manifest.
        image: Digest,
        /// Number of `diff_ids` in the config.
        config: usize,
        /// Number of layers in the manifest.
        manifest: usize,
    },
}

impl Error {
    /// What clients are told: as much as helps, without the paths of this machine. The journal has all of it.
    pub(crate) fn for_clients(&self) -> String {
        match self {
            Self::File { source, .. } => {
                format!("a file of the server cannot be used: {}", source.kind())
            }
            Self::FileChanged {
                expected, found, ..
            } => format!(
                "a file of the server had {expected} bytes when the service was set up and has {found} now"
            ),
            Self::Outside { .. } => "the path leads out of the data root".into(),
            Self::ScratchSpace { .. }
            | Self::Layer { .. }
            | Self::NotALayout { .. }
            | Self::Document { .. }
            | Self::DigestMismatch { .. }
            | Self::SizeMismatch { .. }
            | Self::NoPlatform { .. } => "the server cannot use its files".into(),
            other => chain(other),
        }
    }
}
