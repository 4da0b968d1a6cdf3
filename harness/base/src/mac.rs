//! Ethernet hardware addresses.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A 48-bit Ethernet hardware address. Its text form is `b8:27:eb:12:34:56`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac(pub [u8; 6]);

/// A text is not a hardware address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a hardware address: write six pairs of hexadecimal digits, for example b8:27:eb:12:34:56"
)]
pub struct MacError(String);

impl Mac {
    /// The address of every station, `ff:ff:ff:ff:ff:ff`.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// True for group addresses, broadcast included.
    #[must_use]
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// The next address of the same vendor; behind the last one comes the first.
    #[must_use]
    pub const fn next(self) -> Self {
        let [a, b, c, d, e, f] = self.0;
        let [_, d, e, f] = (u32::from_be_bytes([0, d, e, f]) + 1).to_be_bytes();
        Self([a, b, c, d, e, f])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Mac {
    type Err = MacError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || MacError(text.into());
        // iPXE's `${mac:hexhyp}`, which boot URLs hold, has hyphens.
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut pairs = text.split(separator);
        let mut bytes = [0; 6];
        for byte in &mut bytes {
            let pair = pairs.next().ok_or_else(error)?;
            // `from_str_radix` alone would take a sign.
            if pair.len() != 2 || !pair.bytes().all(|c| c.is_ascii_hexdigit()) {
                return Err(error());
            }
            *byte = u8::from_str_radix(pair, 16).map_err(|_| error())?;
        }
        match pairs.next() {
            None => Ok(Self(bytes)),
            Some(_) => Err(error()),
        }
    }
}

impl TryFrom<String> for Mac {
    type Error = MacError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> Self {
        mac.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_that_is_no_address_is_refused() {
        for text in [
            "",
            "b8:27:eb:12:34",
            "b8:27:eb:12:34:56:78",
            "b8-27:eb-12-34-56",
            "b827eb123456",
            "b8:27:eb:12:34:+5",
            "b8:27:eb:12:34:5",
        ] {
            assert!(text.parse::<Mac>().is_err(), "{text}");
        }
    }

    #[test]
    fn both_of_ipxes_forms_are_read() {
        for text in ["b8:27:eb:00:0a:01", "B8-27-EB-00-0A-01"] {
            assert_eq!(text.parse(), Ok(Mac([0xb8, 0x27, 0xeb, 0, 0x0a, 1])));
        }
    }

    #[test]
    fn json_carries_the_text_form() {
        let mac: Mac = "B8:27:EB:12:34:56".parse().unwrap();
        assert_eq!(
            serde_json::to_string(&mac).unwrap(),
            r#""b8:27:eb:12:34:56""#
        );
        assert_eq!(
            serde_json::from_str::<Mac>(r#""b8:27:eb:12:34:56""#).unwrap(),
            mac
        );
    }

    #[test]
    fn the_next_address_is_of_the_same_vendor() {
        let next = |text: &str| text.parse::<Mac>().unwrap().next().to_string();
        assert_eq!(next("52:54:00:12:34:ff"), "52:54:00:12:35:00");
        assert_eq!(next("52:54:00:ff:ff:ff"), "52:54:00:00:00:00");
    }

    proptest! {
        #[test]
        fn text_round_trip(bytes: [u8; 6]) {
            prop_assert_eq!(Mac(bytes).to_string().parse::<Mac>().unwrap(), Mac(bytes));
        }
    }
}
