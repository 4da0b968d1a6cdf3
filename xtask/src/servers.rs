//! The options of `e2e` that put servers of the user's own around the boards.

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

use anyhow::{Result, anyhow};
use shakedown_harness::board::Board;
use shakedown_harness::scenario::{Forward, Scenario, Services};
use shakedown_harness::shell;
use shakedown_harness::timeline::ServiceId;

/// Options that put servers of the user's own around the boards.
#[derive(clap::Args, Clone, Default)]
pub(crate) struct ServerArgs {
    /// A boot server on this machine, for example `127.0.0.1:8443`, in place of ours. TLS passes through untouched: the image is provisioned for this
    /// server, and keeps its trust.
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address)]
    boot_server: Option<SocketAddr>,
    /// A registry on this machine in place of ours, for example `127.0.0.1:5000`; the board finds it as Docker Hub, and as NAME at the given or the usual
    /// port.
    #[arg(long, value_name = "[NAME[:PORT]=]ADDRESS:PORT", requires = "nonce")]
    registry: Option<RegistryAt>,
    /// What the container of that registry's image says, 16 random characters at least: the proof that it has run.
    #[arg(long, value_name = "TEXT", requires = "registry")]
    nonce: Option<String>,
    /// An S3-compatible server on this machine in place of our scratch space.
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address)]
    scratch: Option<SocketAddr>,
    /// Let these servers be on other machines.
    #[arg(long)]
    allow_remote: bool,
}

/// Where a registry is, and what boards call it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RegistryAt {
    name: Option<String>,
    port: Option<u16>,
    address: SocketAddr,
}

impl FromStr for RegistryAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, at) = match text.split_once('=') {
            Some((host, at)) => (Some(host), at),
            None => (None, text),
        };
        let (name, port) = match host.and_then(|host| host.split_once(':')) {
            Some((name, port)) => {
                let port = port.parse().map_err(|e| format!("port `{port}`: {e}"))?;
                (Some(name), Some(port))
            }
            None => (host, None),
        };
        Ok(Self {
            name: name.map(str::to_lowercase),
            port,
            address: address(at)?,
        })
    }
}

/// An address with its port; `localhost` is this machine's.
fn address(text: &str) -> Result<SocketAddr, String> {
    if let Some(port) = text.strip_prefix("localhost:") {
        let port = port.parse().map_err(|e| format!("port `{port}`: {e}"))?;
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    text.parse()
        .map_err(|_| "write an address and a port, for example 127.0.0.1:8443".into())
}

impl ServerArgs {
    /// Nothing is said.
    pub(crate) fn are_ours(&self) -> bool {
        self.boot_server.is_none() && self.registry.is_none() && self.scratch.is_none()
    }

    /// The boot server is the user's own.
    pub(crate) fn has_boot_server(&self) -> bool {
        self.boot_server.is_some()
    }

    /// The options as they are typed, each with a space before it.
    pub(crate) fn words(&self) -> String {
        let mut words = String::new();
        let mut add = |option: &str, value: Option<String>| {
            if let Some(value) = value {
                // Writing to a string cannot fail.
                let _ = write!(words, " {option} {}", shell::word(&value));
            }
        };
        add("--boot-server", self.boot_server.map(|a| a.to_string()));
        add(
            "--registry",
            self.registry.as_ref().map(RegistryAt::to_string),
        );
        add("--nonce", self.nonce.clone());
        add("--scratch", self.scratch.map(|a| a.to_string()));
        if self.allow_remote {
            words += " --allow-remote";
        }
        words
    }

    /// The scenario with these servers.
    ///
    /// # Errors
    /// It does not go with them.
    pub(crate) fn put_around(&self, scenario: &Scenario, board: &Board) -> Result<Scenario> {
        if self.are_ours() {
            return Ok(scenario.clone());
        }
        scenario
            .with_services(self.services(&scenario.services), &[board])
            .map_err(|message| anyhow!("scenario {}: {message}", scenario.name))
    }

    fn services(&self, of_scenario: &Services) -> Services {
        let mut services = of_scenario.clone();
        services.allow_remote |= self.allow_remote;
        if let Some(address) = self.boot_server {
            services.set(ServiceId::Boot, Forward::to(address));
        }
        if let Some(registry) = &self.registry {
            let forward = Forward {
                names: registry.name.clone().into_iter().collect(),
                port: registry.port,
                nonce: self.nonce.clone(),
                ..Forward::to(registry.address)
            };
            services.set(ServiceId::Registry, forward);
        }
        if let Some(address) = self.scratch {
            services.set(ServiceId::Scratch, Forward::to(address));
        }
        services
    }
}

impl std::fmt::Display for RegistryAt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{name}")?;
            if let Some(port) = self.port {
                write!(f, ":{port}")?;
            }
            write!(f, "=")?;
        }
        write!(f, "{}", self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_may_have_a_name_and_a_port() {
        for text in [
            "127.0.0.1:5000",
            "registry.example=127.0.0.1:5000",
            "registry.example:5000=127.0.0.1:5000",
        ] {
            let at: RegistryAt = text.parse().unwrap();
            assert_eq!(at.to_string(), text);
        }
        let at: RegistryAt = "R.example=localhost:5000".parse().unwrap();
        assert_eq!(at.to_string(), "r.example=127.0.0.1:5000");
        for text in [
            "5000",
            "r.example:x=127.0.0.1:1",
            "r.example=",
            "localhost:",
        ] {
            assert!(text.parse::<RegistryAt>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_was_typed_can_be_typed_again() {
        let args = ServerArgs {
            boot_server: Some("127.0.0.1:8443".parse().unwrap()),
            registry: Some("r.example=127.0.0.1:5000".parse().unwrap()),
            nonce: Some("a b".into()),
            ..ServerArgs::default()
        };
        assert_eq!(
            args.words(),
            " --boot-server 127.0.0.1:8443 --registry r.example=127.0.0.1:5000 --nonce 'a b'"
        );
        assert_eq!(ServerArgs::default().words(), "");
    }
}
