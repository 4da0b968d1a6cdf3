//! `[tls]`: what is wrong or unusual about the TLS between the board and its boot server.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Transport;
use crate::input::{Document, InputError, Span};

/// Plaintext that a TLS record may have: less than the handshake's headers is of no use, more the protocol forbids.
const FRAGMENTS: std::ops::RangeInclusive<u16> = 64..=16384;

/// What is wrong or unusual about the TLS between the board and its boot server. Nothing, unless it is said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// The certificate on the card.
    pub client: ClientCertificate,
    /// How the boot server refuses a bad one.
    pub refusal: Refusal,
    /// The boot server's certificate.
    pub server: ServerCertificate,
    /// What the boot server presents with its certificate.
    pub server_chain: ServerChain,
    /// The boot server's key.
    pub server_key: ServerKey,
    /// Largest plaintext of one record that the boot server sends, in bytes. Longer messages of the handshake come in fragments.
    #[schemars(with = "Option<u16>")]
    pub max_fragment: Option<Span<u16>>,
}

/// The certificate on the card.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClientCertificate {
    /// One that the boot server knows.
    #[default]
    Valid,
    /// There is none.
    None,
    /// Issued by an authority that the boot server does not trust.
    UnknownCa,
    /// Expired at the end of 2000.
    Expired,
    /// Valid from 2090.
    NotYetValid,
    /// On the authority's revocation list.
    Revoked,
    /// Good, but the key on the card is another's.
    WrongKey,
}

/// How the boot server refuses a bad client certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// After the handshake, by the status 400, as nginx does in front of the real one.
    #[default]
    BadRequest,
    /// Inside the handshake, by an alert.
    Alert,
}

/// The boot server's certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ServerCertificate {
    /// One that the board trusts, valid from 1970, the year that a board without a clock takes for this one.
    #[default]
    Valid,
    /// Issued to another host name.
    WrongHost,
    /// Issued by an authority that the board does not trust.
    UnknownCa,
    /// Valid from 1970, expired at the end of 2000.
    Expired,
    /// Valid from 2090.
    NotYetValid,
}

/// What the boot server presents with its certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ServerChain {
    /// Nothing: the trusted authority has issued it.
    #[default]
    Short,
    /// Intermediate authorities, more than 4 KiB of certificates in all.
    Long,
    /// The trusted authority's certificate as another authority has signed it, which the board does not trust.
    CrossSigned,
}

/// The boot server's key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum ServerKey {
    /// RSA with 2048 bits.
    #[default]
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    /// RSA with 4096 bits.
    #[serde(rename = "rsa-4096")]
    Rsa4096,
}

impl Tls {
    /// The largest plaintext of a record, in bytes, if it is said.
    #[must_use]
    pub fn max_fragment(&self) -> Option<usize> {
        self.max_fragment
            .as_ref()
            .map(|bytes| usize::from(*bytes.get_ref()))
    }

    /// Checks what the types do not.
    pub(super) fn check(
        this: &Span<Self>,
        transport: Transport,
        document: &Document,
    ) -> Result<(), InputError> {
        if transport.is_plain() {
            let message = "there is no TLS over plain HTTP and TFTP: say transport = \"https\" or leave [tls] out";
            return Err(document.error_at(this.span(), message));
        }
        match &this.get_ref().max_fragment {
            Some(bytes) if !FRAGMENTS.contains(bytes.get_ref()) => {
                let (least, most) = (FRAGMENTS.start(), FRAGMENTS.end());
                let message = format!("a record may have {least} to {most} bytes");
                Err(document.error_at(bytes.span(), &message))
            }
            _ => Ok(()),
        }
    }
}
