//! Hardware addresses as they stand in boot URLs.

use std::fmt;
use std::str::FromStr;

use crate::services::Error;

/// An Ethernet hardware address; written in lower case with colons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mac(pub [u8; 6]);

impl FromStr for Mac {
    type Err = Error;

    /// Accepts the forms that iPXE makes of `${mac}` and `${mac:hexhyp}`: six pairs of hex digits, with colons or hyphens.
    fn from_str(text: &str) -> Result<Self, Error> {
        let refused = || Error::Syntax {
            text: text.into(),
            wanted: "a hardware address, as in b8:27:eb:00:00:01",
        };
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut pairs = text.split(separator);
        let mut bytes = [0; 6];
        for byte in &mut bytes {
            let pair = pairs.next().ok_or_else(refused)?;
            hex::decode_to_slice(pair, std::slice::from_mut(byte)).map_err(|_| refused())?;
        }
        if pairs.next().is_some() {
            return Err(refused());
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_of_ipxes_forms() {
        for text in ["b8:27:eb:00:0a:01", "B8-27-EB-00-0A-01"] {
            assert_eq!(
                text.parse::<Mac>().unwrap().to_string(),
                "b8:27:eb:00:0a:01"
            );
        }
    }

    #[test]
    fn nothing_else() {
        for text in [
            "",
            "b8:27:eb:00:0a",
            "b8:27:eb:00:0a:01:02",
            "b8:27-eb:00:0a:01",
            "b827eb000a01",
            "b8:27:eb:0:0a:01",
        ] {
            assert!(text.parse::<Mac>().is_err(), "{text}");
        }
    }
}
