//! Finds private keys where they must not be: any key in any bytes, and the pieces of one key all over a disk.
//!
//! A key stands in files as bytes, as hex digits with or without separators (iPXE's `hexraw`, `hex`, `hexhyp`), and in base64, as PEM
//! has it. All three are read; what the digits mean is then looked at as bytes. Sources: RFC 7468 (PEM), RFC 5208 and 5958 (PKCS #8),
//! RFC 8017, appendix A.1.2 (PKCS #1), RFC 5915 (EC keys), RFC 4648 (base64).

mod encoded;
mod traces;

pub(crate) use traces::Traces;

use encoded::{decoded_base64, decoded_hex};

/// Hex digits, or base64 characters, that are too few for a key.
const SHORTEST_HEX: usize = 64;
const SHORTEST_BASE64: usize = 48;

/// What PKCS #8 has behind its outer header: version 0 and the algorithm.
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

/// Whether the bytes hold a private key, in any form that a run, an image or a person writes one in.
#[must_use]
pub fn holds_private_key(bytes: &[u8]) -> bool {
    contains(bytes, PEM)
        || holds_der(bytes)
        || decoded_hex(bytes, SHORTEST_HEX).any(|run| holds_der(&run.bytes))
        || decoded_base64(bytes, SHORTEST_BASE64).any(|run| holds_der(&run.bytes))
}

fn holds_der(bytes: &[u8]) -> bool {
    PKCS8.iter().any(|mark| contains(bytes, mark)) || holds_pkcs1(bytes) || holds_sec1(bytes)
}

/// PKCS #1: a sequence of two length bytes, version 0, and a modulus of 1024 to 16384 bits. A public key has no version.
fn holds_pkcs1(bytes: &[u8]) -> bool {
    bytes.windows(11).any(|window| {
        matches!(
            window,
            [
                0x30,
                0x82,
                _,
                _,
                0x02,
                0x01,
                0x00,
                0x02,
                0x82,
                0x00..=0x08,
                _
            ] | [
                0x30,
                0x82,
                _,
                _,
                0x02,
                0x01,
                0x00,
                0x02,
                0x81,
                0x80..=0xff,
                _
            ]
        )
    })
}

/// RFC 5915: version 1 and a key of 32, 48 or 66 bytes.
fn holds_sec1(bytes: &[u8]) -> bool {
    bytes.windows(7).any(|window| {
        matches!(
            window,
            [0x30, 0x74..=0xff, 0x02, 0x01, 0x01, 0x04, 0x20 | 0x30]
        ) || matches!(window, [0x81, _, 0x02, 0x01, 0x01, 0x04, 0x30 | 0x42])
    })
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::PKI;

    /// The identity's key as PKCS #8 and PKCS #1.
    fn keys() -> [Vec<u8>; 2] {
        let pkcs8 = PKI.client.key_pkcs8_der().secret_pkcs8_der().to_vec();
        let pkcs1 = pkcs8[26..].to_vec();
        assert!(
            pkcs1.starts_with(&[0x30, 0x82]),
            "PKCS #1 is inside of PKCS #8"
        );
        [pkcs8, pkcs1]
    }

    fn separated(der: &[u8], separator: &str) -> String {
        let digits: Vec<_> = der.iter().map(|byte| format!("{byte:02x}")).collect();
        digits.join(separator)
    }

    fn base64(der: &[u8], width: usize) -> String {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for group in der.chunks(3) {
            let bits = group
                .iter()
                .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
            let bits = bits << (8 * (3 - group.len()));
            for index in 0..=group.len() {
                text.push(ALPHABET[(bits >> (18 - 6 * index)) as usize & 63] as char);
            }
        }
        let lines: Vec<_> = text.as_bytes().chunks(width).collect();
        lines
            .iter()
            .map(|line| format!("{}\n", String::from_utf8_lossy(line)))
            .collect()
    }

    #[test]
    fn a_key_is_found_in_every_form() {
        for der in keys() {
            let forms = [
                separated(&der, ""),
                separated(&der, "").to_uppercase(),
                separated(&der, ":"),
                separated(&der, "-"),
                separated(&der, " "),
                base64(&der, 64),
                base64(&der, 76).replace('\n', "\r\n"),
                base64(&der, 1 << 20),
            ];
            for form in forms {
                for text in [
                    form.clone(),
                    format!("set privkey:hex {form}\n"),
                    format!("abc {form}"),
                    format!("a{form}"),
                ] {
                    assert!(holds_private_key(text.as_bytes()), "{:.60}", text);
                }
            }
            assert!(holds_private_key(&[b"card", &der[..], b"rest"].concat()));
        }
        assert!(holds_private_key(b"-----BEGIN RSA PRIVATE KEY-----"));
        let ec = rcgen::KeyPair::generate().unwrap();
        assert!(holds_private_key(ec.serialize_pem().as_bytes()));
        assert!(holds_private_key(&ec.serialize_der()));
        let sec1 = [&[0x30, 0x77, 0x02, 0x01, 0x01, 0x04, 0x20][..], &[7; 32]].concat();
        assert!(holds_private_key(separated(&sec1, ":").as_bytes()));
    }

    #[test]
    fn certificates_and_noise_are_none() {
        let authority = &PKI.authority;
        for der in [PKI.client.certificate_der(), authority.certificate_der()] {
            for bytes in [
                der.to_vec(),
                separated(der, ":").into_bytes(),
                base64(der, 64).into_bytes(),
            ] {
                assert!(!holds_private_key(&bytes));
            }
        }
        let noise: Vec<u8> = (0..200_000_u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        assert!(!holds_private_key(&noise));
    }
}
