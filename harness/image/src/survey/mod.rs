//! Looks an image over: [`inspect`] says what is in it, [`verify`](verify()) holds it to docs/image-spec.md.
//!
//! Neither writes anything, neither shows a private key, and neither stops at the first thing that is wrong.

mod certificate;
pub mod inspect;
mod rules;
mod verify;
mod violation;

pub(crate) use certificate::bits;
pub use certificate::{Certificate, CertificateError};
pub use rules::{ALL as RULES, Level, Rule};
pub use verify::{ImageKind, Verification, VerifyOptions, verify};
pub use violation::{Place, Violation};
