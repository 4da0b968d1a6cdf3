//! `--forward HOSTPORT:PORT`: a port of this machine that leads to a port of the board.

use std::fmt;
use std::str::FromStr;

/// A port of this machine that leads to a TCP port of the board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostForward {
    /// The port of this machine's loopback interface; 0 for any that is free.
    pub host_port: u16,
    /// The port of the board.
    pub port: u16,
}

/// A text that does not say which ports are meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not HOSTPORT:PORT: give a port of this machine and one of the board, for example 8080:80"
)]
pub struct BadHostForward(String);

impl FromStr for HostForward {
    type Err = BadHostForward;

    fn from_str(text: &str) -> Result<Self, BadHostForward> {
        let ports = text.split_once(':').and_then(|(host_port, port)| {
            let plain = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
            if !plain(host_port) || !plain(port) {
                return None;
            }
            Some((host_port.parse().ok()?, port.parse().ok()?))
        });
        match ports {
            Some((host_port, port)) if port != 0 => Ok(Self { host_port, port }),
            _ => Err(BadHostForward(text.into())),
        }
    }
}

impl fmt::Display for HostForward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host_port, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ports_are_meant() {
        let forward: HostForward = "8080:80".parse().unwrap();
        assert_eq!((forward.host_port, forward.port), (8080, 80));
        assert_eq!(forward.to_string(), "8080:80");
        for wrong in [
            "",
            "8080",
            ":",
            "80:",
            ":80",
            "8080:0",
            "70000:80",
            "1:2:3",
            "+1:2",
            "127.0.0.1:80",
            "a:b",
        ] {
            let error = wrong.parse::<HostForward>().unwrap_err().to_string();
            assert!(error.ends_with("for example 8080:80"), "{wrong}: {error}");
        }
    }
}
