//! Whether bytes hold a private key, in any form that a run writes one in.
//!
//! Source: RFC 7468 (PEM labels), RFC 5208 and 5958 (PKCS#8), RFC 8017 (PKCS#1). iPXE is given its key as the hex digits of PKCS#8, which is
//! why the same bytes are looked for in hex too.

use std::sync::LazyLock;

use regex::bytes::Regex;

/// What PKCS#8 begins with after its outer header: version 0 and the algorithm.
const PKCS8: [&[u8]; 3] = [
    // rsaEncryption
    b"\x02\x01\x00\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x04",
    // id-ecPublicKey
    b"\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01",
    // id-Ed25519
    b"\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04",
];
/// How every label of a private key ends.
const PEM: &[u8] = b"PRIVATE KEY-----";

static MARKS: LazyLock<Regex> = LazyLock::new(marks);

/// The bytes hold a private key.
pub(super) fn hold_private_key(bytes: &[u8]) -> bool {
    MARKS.is_match(bytes)
}

#[expect(
    clippy::expect_used,
    reason = "the marks are constants, and a test compiles them"
)]
fn marks() -> Regex {
    let literal =
        |bytes: &[u8]| -> String { bytes.iter().map(|b| format!(r"\x{b:02x}")).collect() };
    let hex = |bytes: &[u8]| format!("(?i:{})", hex::encode(bytes));
    let marks = PKCS8.iter().flat_map(|mark| [literal(mark), hex(mark)]);
    let any: Vec<_> = marks.chain([literal(PEM)]).collect();
    Regex::new(&format!("(?-u:{})", any.join("|"))).expect("the marks of keys compile")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::Authority;

    #[test]
    fn a_key_is_found_in_every_form_and_certificates_are_none() {
        let authority = Authority::generate("test").unwrap();
        let client = authority.issue_client("board").unwrap();
        let der = client.key_pkcs8_der().secret_pkcs8_der();
        let script = format!("set privkey:hexraw {}\n", hex::encode(der));
        let pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n";
        assert!(hold_private_key(&[b"card", der, b"rest"].concat()));
        assert!(hold_private_key(script.as_bytes()));
        assert!(hold_private_key(script.to_uppercase().as_bytes()));
        assert!(hold_private_key(pem.as_bytes()));
        assert!(!hold_private_key(client.certificate_der()));
        assert!(!hold_private_key(authority.certificate_pem().as_bytes()));
    }
}
