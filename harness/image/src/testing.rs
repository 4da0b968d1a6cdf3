//! Certificates for the tests of this crate, made once for all tests of a process, since RSA keys are slow to make.

use std::sync::LazyLock;

use shakedown_services::{Authority, Identity};

/// An authority with a client of its own.
pub(crate) struct Pki {
    pub(crate) authority: Authority,
    pub(crate) server: Identity,
    pub(crate) client: Identity,
}

pub(crate) static PKI: LazyLock<Pki> = LazyLock::new(|| {
    let authority = Authority::generate("Test authority").unwrap();
    Pki {
        server: authority.issue_server(&["boot.example"]).unwrap(),
        client: authority.issue_client("gateway").unwrap(),
        authority,
    }
});

/// A client of another authority.
pub(crate) static UNKNOWN_CA: LazyLock<Identity> = LazyLock::new(|| {
    Authority::generate("Another authority")
        .unwrap()
        .issue_client("unknown")
        .unwrap()
});
