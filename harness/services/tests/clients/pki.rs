//! Certificates for all trials of the process, since RSA keys are slow to make.

use std::sync::LazyLock;

use shakedown_services::{Authority, Identity};

/// The boot server's name.
pub(crate) const HOST: &str = "boot.example";

pub(crate) struct Pki {
    pub(crate) authority: Authority,
    pub(crate) unknown_ca: Authority,
    pub(crate) server: Identity,
    pub(crate) client: Identity,
}

pub(crate) static PKI: LazyLock<Pki> = LazyLock::new(|| {
    let authority = Authority::generate("Trial authority").unwrap();
    Pki {
        server: authority.issue_server(&[HOST]).unwrap(),
        client: authority.issue_client("trial").unwrap(),
        unknown_ca: Authority::generate("Unknown authority").unwrap(),
        authority,
    }
});
