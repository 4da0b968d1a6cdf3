//! Globally unique identifiers as UEFI stores them: the first three fields little endian, the rest as it is written.
//!
//! Source: UEFI specification 2.10, appendix A "GUID and Time Formats".

use std::fmt;

use sha2::{Digest, Sha256};

/// A GUID, in the byte order of the UEFI specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Guid(pub [u8; 16]);

impl Guid {
    /// What stands in places that hold no GUID.
    pub const NIL: Self = Self([0; 16]);

    /// The GUID `a-b-c-dddd-dddddddddddd`.
    #[must_use]
    pub const fn new(a: u32, b: u16, c: u16, d: u64) -> Self {
        let [a0, a1, a2, a3] = a.to_le_bytes();
        let [b0, b1] = b.to_le_bytes();
        let [c0, c1] = c.to_le_bytes();
        let [d0, d1, d2, d3, d4, d5, d6, d7] = d.to_be_bytes();
        Self([
            a0, a1, a2, a3, b0, b1, c0, c1, d0, d1, d2, d3, d4, d5, d6, d7,
        ])
    }

    /// A GUID that follows from `text` alone, where a random one would make two equal images differ (RFC 9562, section 5.8).
    #[must_use]
    pub fn derived(text: &str) -> Self {
        let mut bytes = [0; 16];
        for (byte, digest) in bytes.iter_mut().zip(Sha256::digest(text)) {
            *byte = digest;
        }
        bytes[7] = bytes[7] & 0x0f | 0x80; // version 8, in the third field, which is little endian
        bytes[8] = bytes[8] & 0x3f | 0x80; // the variant of RFC 9562
        Self(bytes)
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a0, a1, a2, a3, b0, b1, c0, c1, d0, d1, node @ ..] = self.0;
        write!(
            f,
            "{}-{}-{}-{}-{}",
            hex::encode([a3, a2, a1, a0]),
            hex::encode([b1, b0]),
            hex::encode([c1, c0]),
            hex::encode([d0, d1]),
            hex::encode(node)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_have_the_orders_of_the_specification() {
        let esp = Guid::new(0xc12a_7328, 0xf81f, 0x11d2, 0xba4b_00a0_c93e_c93b);
        assert_eq!(hex::encode(esp.0), "28732ac11ff8d211ba4b00a0c93ec93b");
        assert_eq!(esp.to_string(), "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
    }

    #[test]
    fn derived_ones_differ_and_say_their_version() {
        let (one, two) = (Guid::derived("one"), Guid::derived("two"));
        assert_ne!(one, two);
        assert_eq!(one, Guid::derived("one"));
        let text = one.to_string();
        assert_eq!(text.chars().nth(14), Some('8'), "{text}");
    }
}
