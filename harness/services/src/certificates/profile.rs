//! What certificates are asked for: sound by default, and with the properties that a test needs.

use rcgen::{CertificateParams, RsaKeySize, date_time_ymd};

/// When a certificate is valid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Validity {
    /// From the epoch, which iPXE takes for today, to the end of the century.
    #[default]
    Always,
    /// From the epoch to the end of 2000: expired for everybody who has a clock.
    Expired,
    /// From 2020, as a real server's: not yet for a machine that has no clock.
    Recent,
    /// From 2090: not yet for anybody.
    NotYet,
}

impl Validity {
    pub(super) fn set(self, params: &mut CertificateParams) {
        let (first, last) = match self {
            Self::Always => (1970, 2099),
            Self::Expired => (1970, 2000),
            Self::Recent => (2020, 2099),
            Self::NotYet => (2090, 2099),
        };
        params.not_before = date_time_ymd(first, 1, 1);
        params.not_after = date_time_ymd(last, 12, 31);
    }
}

/// Length of an RSA key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeySize {
    /// 2048 bits, which every client can do.
    #[default]
    Rsa2048,
    /// 4096 bits.
    Rsa4096,
}

impl From<KeySize> for RsaKeySize {
    fn from(size: KeySize) -> Self {
        match size {
            KeySize::Rsa2048 => Self::_2048,
            KeySize::Rsa4096 => Self::_4096,
        }
    }
}

/// A server certificate that is out of the ordinary.
#[derive(Debug, Clone, Copy, Default)]
pub struct ServerProfile {
    /// When it is valid.
    pub validity: Validity,
    /// Its key; any but the usual one is generated anew.
    pub key: KeySize,
    /// What is presented with it.
    pub chain: Chain,
}

/// What is presented with a server certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Chain {
    /// Nothing: the authority has issued it.
    #[default]
    Short,
    /// As many intermediate authorities as make the chain longer than this, in bytes of DER.
    LongerThan(usize),
    /// The authority's certificate as another authority has signed it, which nobody trusts. Who trusts the authority itself has no need of it.
    CrossSigned,
}
