//! What kind of private key some DER is, as far as a message about it needs to know.
//!
//! Sources: X.690, section 8.1 (DER); RFC 5958, section 2 (PKCS #8); RFC 8017, appendix A.1 (RSA keys) and A.2.3 (RSA-PSS).

use crate::survey::bits;

/// rsaEncryption, 1.2.840.113549.1.1.1.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
/// id-RSASSA-PSS, 1.2.840.113549.1.1.10.
const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OBJECT: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

/// A private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// An RSA key.
    Rsa {
        /// Bits of its modulus.
        bits: usize,
        /// It has more than two primes.
        is_multi_prime: bool,
    },
    /// An RSA key that is for RSA-PSS alone.
    RsaPss,
    /// A key of another algorithm.
    Other,
}

/// The key in some DER, of PKCS #8 or PKCS #1; `None` for what is neither.
pub(super) fn key(der: &[u8]) -> Option<Key> {
    let (outer, _) = element(der, SEQUENCE)?;
    let (_version, rest) = element(outer, INTEGER)?;
    let Some((algorithm, rest)) = element(rest, SEQUENCE) else {
        return rsa(der);
    };
    match element(algorithm, OBJECT)?.0 {
        RSA => rsa(element(rest, OCTETS)?.0),
        RSA_PSS => Some(Key::RsaPss),
        _ => Some(Key::Other),
    }
}

/// An RSA key of PKCS #1. Version 1 has more than two primes.
fn rsa(der: &[u8]) -> Option<Key> {
    let (key, _) = element(der, SEQUENCE)?;
    let (version, rest) = element(key, INTEGER)?;
    let (modulus, _) = element(rest, INTEGER)?;
    Some(Key::Rsa {
        bits: bits(modulus),
        is_multi_prime: version == [1],
    })
}

/// The contents of the element that `der` begins with, and what follows it; `None` when it has another tag or is cut off.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..0x80 => (usize::from(*length), rest),
        _ => {
            let (length, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            let significant = length.len() <= 4;
            let value = length
                .iter()
                .fold(0, |value, byte| value << 8 | usize::from(*byte));
            (significant.then_some(value)?, rest)
        }
    };
    (*first == tag).then(|| rest.split_at_checked(length))?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::PKI;

    #[test]
    fn keys_are_told_by_their_algorithm() {
        let rsa = PKI.client.key_pkcs8_der().secret_pkcs8_der();
        let expected = Key::Rsa {
            bits: 2048,
            is_multi_prime: false,
        };
        assert_eq!(key(rsa), Some(expected));
        // PKCS #1 is inside of PKCS #8.
        assert_eq!(key(&rsa[26..]), Some(expected));
        let mut pss = rsa.to_vec();
        let at = pss.windows(RSA.len()).position(|part| part == RSA).unwrap();
        pss[at + 8] = 10;
        assert_eq!(key(&pss), Some(Key::RsaPss));
        let mut primes = rsa.to_vec();
        primes[32] = 1;
        assert!(matches!(
            key(&primes),
            Some(Key::Rsa {
                is_multi_prime: true,
                ..
            })
        ));
        let ec = rcgen::KeyPair::generate().unwrap().serialize_der();
        assert_eq!(key(&ec), Some(Key::Other));
        assert_eq!((key(b""), key(&rsa[..100])), (None, None));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = key(&bytes);
            let _ = key(&[&[0x30, 0x84][..], &bytes].concat());
        }
    }
}
