//! What a LAN looks like to its guests: plain data, checked before anything starts.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Error;

/// Longest boot file name or URL in bytes: it fits the `file` field of a BOOTP message (RFC 2131, section 2) with its NUL.
const MAX_FILE: usize = 127;
/// Longest domain in bytes that leaves room for everything else in a message of the minimum size.
const MAX_DOMAIN: usize = 64;

/// A whole LAN. The default is a private /24 whose guests find an NTP pool and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The addresses on the segment itself.
    pub subnet: Subnet,
    /// Router, DHCP server and DNS server of the segment.
    pub gateway: Ipv4Addr,
    /// DNS names and their addresses. A name `*.docker.io` stands for all names below `docker.io`, not for `docker.io` itself; an
    /// exact name wins over a wildcard, a longer wildcard over a shorter one. Addresses may be anywhere, public ones included.
    pub names: BTreeMap<String, Ipv4Addr>,
    /// Addresses that answer NTP; DHCP names the first four of them to its clients.
    pub ntp: Vec<Ipv4Addr>,
    /// Address assignment.
    pub dhcp: Dhcp,
}

/// Address assignment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dhcp {
    /// First address of the pool.
    pub first: Ipv4Addr,
    /// Last address of the pool.
    pub last: Ipv4Addr,
    /// Lease time in seconds.
    pub lease_seconds: u32,
    /// Domain of the segment, which clients append to short names.
    pub domain: Option<String>,
    /// What network boot clients are told; `None` tells them nothing.
    pub boot: Option<Boot>,
}

/// What network boot clients are told, by kind of client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Boot {
    /// The server to boot from: `siaddr` and option 66.
    pub next_server: Ipv4Addr,
    /// Boot file for every client that no other setting is for.
    #[serde(default)]
    pub file: Option<String>,
    /// Boot files for clients of one architecture (option 93).
    #[serde(default)]
    pub by_architecture: Vec<FileForArchitecture>,
    /// URL of the script for clients that are iPXE already. iPXE gets no other file, since it would load itself for ever.
    #[serde(default)]
    pub ipxe: Option<String>,
    /// URL for UEFI HTTP boot clients, those with the vendor class `HTTPClient`.
    #[serde(default)]
    pub http: Option<String>,
}

/// A boot file for one client architecture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileForArchitecture {
    /// Number in IANA's registry of processor architecture types, for example 11 for 64-bit ARM UEFI.
    pub architecture: u16,
    /// File name or URL.
    pub file: String,
}

impl Default for Config {
    fn default() -> Self {
        let ntp = Ipv4Addr::new(162, 159, 200, 1);
        Self {
            subnet: Subnet {
                network: Ipv4Addr::new(10, 0, 2, 0),
                prefix: 24,
            },
            gateway: Ipv4Addr::new(10, 0, 2, 1),
            names: [("pool.ntp.org", ntp), ("*.pool.ntp.org", ntp)]
                .map(|(name, address)| (name.to_owned(), address))
                .into(),
            ntp: vec![ntp],
            dhcp: Dhcp::default(),
        }
    }
}

impl Default for Dhcp {
    fn default() -> Self {
        Self {
            first: Ipv4Addr::new(10, 0, 2, 100),
            last: Ipv4Addr::new(10, 0, 2, 199),
            lease_seconds: 3600,
            domain: None,
            boot: None,
        }
    }
}

impl Config {
    /// Finds what contradicts itself or cannot be told to a guest.
    ///
    /// # Errors
    /// The first problem found, in the order of the fields.
    pub fn check(&self) -> Result<(), Error> {
        let Dhcp { first, last, .. } = self.dhcp;
        let inside = [
            ("gateway", self.gateway),
            ("dhcp pool's first address", first),
            ("dhcp pool's last address", last),
        ];
        for (what, address) in inside {
            if !self.subnet.is_host(address) {
                let subnet = self.subnet.to_string();
                return Err(Error::Outside {
                    what,
                    address,
                    subnet,
                });
            }
        }
        if first > last || self.in_pool(self.gateway) {
            let gateway = self.gateway;
            return Err(Error::Pool {
                first,
                last,
                gateway,
            });
        }
        if self.dhcp.lease_seconds < 8 {
            return Err(Error::Lease(self.dhcp.lease_seconds));
        }
        for (name, &address) in &self.names {
            check_name(name)?;
            check_unicast("the address of a dns name,", address)?;
        }
        for &address in &self.ntp {
            check_unicast("ntp server", address)?;
        }
        if let Some(domain) = &self.dhcp.domain {
            check_name(domain)?;
            check_text("dhcp domain", domain, MAX_DOMAIN)?;
        }
        if let Some(boot) = &self.dhcp.boot {
            check_unicast("next server", boot.next_server)?;
            let by_architecture = boot.by_architecture.iter().map(|f| &f.file);
            for file in [&boot.file, &boot.ipxe, &boot.http]
                .into_iter()
                .flatten()
                .chain(by_architecture)
            {
                check_text("boot file", file, MAX_FILE)?;
            }
        }
        Ok(())
    }

    /// Whether DHCP may give this address away.
    pub(super) fn in_pool(&self, address: Ipv4Addr) -> bool {
        (self.dhcp.first..=self.dhcp.last).contains(&address)
    }
}

/// A network address and its prefix length, written `10.0.2.0/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet {
    network: Ipv4Addr,
    prefix: u8,
}

impl Subnet {
    /// The subnet mask.
    #[must_use]
    pub fn mask(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(u32::MAX << (32 - self.prefix))
    }

    /// The address that reaches everybody on the segment.
    #[must_use]
    pub fn broadcast(self) -> Ipv4Addr {
        self.network | !self.mask()
    }

    /// Whether the address belongs to the segment.
    #[must_use]
    pub fn contains(self, address: Ipv4Addr) -> bool {
        address & self.mask() == self.network
    }

    /// Whether a host of the segment can have this address.
    #[must_use]
    pub fn is_host(self, address: Ipv4Addr) -> bool {
        self.contains(address) && address != self.network && address != self.broadcast()
    }
}

impl FromStr for Subnet {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = || Error::Subnet(text.into());
        let (address, prefix) = text.split_once('/').ok_or_else(invalid)?;
        let address: Ipv4Addr = address.parse().map_err(|_| invalid())?;
        let prefix = prefix.parse().map_err(|_| invalid())?;
        if !(8..=30).contains(&prefix) {
            return Err(invalid());
        }
        let mut subnet = Self {
            network: address,
            prefix,
        };
        subnet.network = address & subnet.mask();
        Ok(subnet)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

impl Serialize for Subnet {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Subnet {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Whether a server can have this address at all.
pub(super) fn check_unicast(what: &'static str, address: Ipv4Addr) -> Result<(), Error> {
    if address.is_unspecified()
        || address.is_loopback()
        || address.is_multicast()
        || address.is_broadcast()
    {
        return Err(Error::Unicast { what, address });
    }
    Ok(())
}

fn check_text(what: &'static str, text: &str, max: usize) -> Result<(), Error> {
    if text.is_empty() || text.len() > max || text.contains('\0') {
        let text = text.into();
        return Err(Error::Text { what, text, max });
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), Error> {
    let plain = name.strip_prefix("*.").unwrap_or(name);
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if plain.len() > 253 || !plain.split('.').all(label) {
        return Err(Error::Name(name.into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_sound() {
        assert_eq!(Config::default().check(), Ok(()));
    }

    #[test]
    fn a_whole_configuration_survives_toml() {
        let text = r#"
            subnet = "10.42.0.9/16"
            gateway = "10.42.0.1"
            ntp = ["10.42.0.1"]
            [names]
            "docker.io" = "44.208.254.194"
            "*.docker.io" = "44.208.254.194"
            [dhcp]
            first = "10.42.1.1"
            last = "10.42.1.9"
            domain = "lab.example"
            [dhcp.boot]
            next_server = "10.42.0.1"
            ipxe = "http://ci-gateway/boot.ipxe"
            by_architecture = [{ architecture = 11, file = "ipxe-arm64.efi" }]
        "#;
        let config: Config = toml::from_str(text).unwrap();
        assert_eq!(config.check(), Ok(()));
        assert_eq!(config.subnet.to_string(), "10.42.0.0/16");
        assert_eq!(config.subnet.broadcast(), Ipv4Addr::new(10, 42, 255, 255));
        assert_eq!(config.dhcp.lease_seconds, 3600);
        let again: Config = toml::from_str(&toml::to_string(&config).unwrap()).unwrap();
        assert_eq!(again, config);
        assert!(toml::from_str::<Config>("gatway = \"10.0.2.1\"").is_err());
    }

    #[test]
    fn contradictions_are_named() {
        let problem = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.check().unwrap_err().to_string()
        };
        insta::assert_snapshot!(
            [
                problem(|c| c.gateway = Ipv4Addr::new(10, 0, 3, 1)),
                problem(|c| c.dhcp.first = Ipv4Addr::new(10, 0, 2, 0)),
                problem(|c| c.gateway = Ipv4Addr::new(10, 0, 2, 150)),
                problem(|c| c.dhcp.lease_seconds = 1),
                problem(|c| c.names = [("a..b".to_owned(), Ipv4Addr::new(1, 1, 1, 1))].into()),
                problem(|c| c.ntp = vec![Ipv4Addr::BROADCAST]),
                problem(|c| c.dhcp.domain = Some("x".repeat(63) + ".yy")),
            ]
            .join("\n"),
            @r#"
        gateway 10.0.3.1 is no host address of subnet 10.0.2.0/24: choose one inside it
        dhcp pool's first address 10.0.2.0 is no host address of subnet 10.0.2.0/24: choose one inside it
        dhcp pool 10.0.2.100 to 10.0.2.199 is empty or holds the gateway 10.0.2.150: move one of them
        dhcp lease of 1 s is too short: give at least 8 s
        `a..b` is no DNS name: use labels of 1 to 63 letters, digits, `-` and `_`, with `*.` in front for all names below it
        ntp server 255.255.255.255 is no unicast address: choose another
        dhcp domain `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.yy` is empty or longer than 64 bytes: shorten it
        "#
        );
        assert!("10.0.2.0/31".parse::<Subnet>().is_err());
        assert!("10.0.2/24".parse::<Subnet>().is_err());
    }
}
