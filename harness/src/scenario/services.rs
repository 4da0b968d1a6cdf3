//! `[services]`: who plays the servers around the board.
//!
//! A service is played by the run, or its connections are forwarded to a server on this machine, or nobody is there. TLS passes through a
//! forwarded connection untouched, so that the board's own trust and the server's own certificates decide.

use std::fmt;
use std::net::SocketAddr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::trigger::{RequestTrigger, Trigger};
use super::{PlannedFault, Registry, Tls, Transport};
use crate::board::{Board, Evidence, Stage};
use crate::fault::{Defect, HttpDefect};
use crate::timeline::ServiceId;

/// Fewest characters of a nonce: what is shorter may stand on a console by chance.
const SHORTEST_NONCE: usize = 16;

/// Who plays the servers around the board. The run does, unless it is said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Services {
    /// The boot server.
    pub boot: ServiceMode,
    /// The registry: Docker Hub's hosts, and the `names` that it has besides.
    pub registry: ServiceMode,
    /// The scratch space (S3).
    pub scratch: ServiceMode,
    /// Forward to other machines than this one, too.
    pub allow_remote: bool,
}

/// Who plays a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ServiceMode {
    /// The run.
    #[default]
    Played,
    /// A server outside of the run.
    Forwarded(Forward),
    /// Nobody: connections are refused.
    Absent,
}

/// A server outside of the run that a service's connections are forwarded to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Forward {
    /// Its address and port, for example `127.0.0.1:8443`.
    #[schemars(with = "String")]
    pub forwarded: SocketAddr,
    /// Names by which the board finds it, besides those that the service has anyway.
    #[serde(default)]
    pub names: Vec<String>,
    /// The port that the board dials; by default the usual one of the service.
    pub port: Option<u16>,
    /// Of a registry: what its container says, 16 characters at least. It proves that this image has run, and should be another for each
    /// image that is built.
    pub nonce: Option<String>,
}

impl Forward {
    /// To the server at this address, under the usual names and port of the service.
    #[must_use]
    pub fn to(address: SocketAddr) -> Self {
        Self {
            forwarded: address,
            names: Vec::new(),
            port: None,
            nonce: None,
        }
    }
}

impl ServiceMode {
    /// The server outside, if there is one.
    #[must_use]
    pub fn forward(&self) -> Option<&Forward> {
        match self {
            Self::Forwarded(forward) => Some(forward),
            Self::Played | Self::Absent => None,
        }
    }

    /// The run plays it.
    #[must_use]
    pub fn is_played(&self) -> bool {
        *self == Self::Played
    }
}

impl Services {
    /// Who plays this service.
    #[must_use]
    pub fn mode(&self, service: ServiceId) -> &ServiceMode {
        match service {
            ServiceId::Boot => &self.boot,
            ServiceId::Registry => &self.registry,
            ServiceId::Scratch => &self.scratch,
            ServiceId::Power | ServiceId::Bench => &ServiceMode::Played,
        }
    }

    /// Forwards a service.
    pub fn set(&mut self, service: ServiceId, forward: Forward) {
        let mode = match service {
            ServiceId::Boot => &mut self.boot,
            ServiceId::Registry => &mut self.registry,
            ServiceId::Scratch => &mut self.scratch,
            ServiceId::Power | ServiceId::Bench => return,
        };
        *mode = ServiceMode::Forwarded(forward);
    }

    /// The services that are forwarded, and where to.
    pub fn forwarded(&self) -> impl Iterator<Item = (ServiceId, &Forward)> {
        let services = [ServiceId::Boot, ServiceId::Registry, ServiceId::Scratch];
        let forwarded = services.map(|service| (service, self.mode(service).forward()));
        forwarded
            .into_iter()
            .filter_map(|(service, forward)| Some((service, forward?)))
    }

    /// The run plays all of them.
    #[must_use]
    pub fn are_played(&self) -> bool {
        self.boot.is_played() && self.registry.is_played() && self.scratch.is_played()
    }

    /// A stage with the evidence that such services can give.
    #[must_use]
    pub(super) fn adapted(&self, mut stage: Stage) -> Stage {
        if self.is_unseen(&stage.evidence)
            && let Some(forwarded) = stage.forwarded.take()
        {
            stage.evidence = *forwarded;
        }
        stage
    }

    /// Nobody can see such evidence of a forwarded service.
    pub(super) fn is_unseen(&self, evidence: &Evidence) -> bool {
        let Evidence::Request(request) = evidence else {
            return false;
        };
        self.mode(request.service).forward().is_some()
    }

    /// Says what of a scenario does not go with its services.
    pub(super) fn check(&self, of: &Surroundings<'_>) -> Result<(), String> {
        for (service, Forward { forwarded, .. }) in self.forwarded() {
            if !forwarded.ip().is_loopback() && !self.allow_remote {
                return Err(format!(
                    "the {service} server at {forwarded} is not on this machine: allow it by allow_remote (on the command line --allow-remote), or forward to 127.0.0.1"
                ));
            }
        }
        if !self.boot.is_played() {
            if *of.tls != Tls::default() {
                return Err("[tls] is about the certificates of a boot server that the run plays: leave it out, or let the run play it".into());
            }
            if of.transport == Transport::Tftp && self.boot.forward().is_some() {
                return Err("only TCP is forwarded, and this scenario boots by TFTP: say transport = \"http\" or \"https\"".into());
            }
        }
        if !self.registry.is_played() && *of.registry != Registry::default() {
            return Err("[registry] says how the run's registry serves: leave it out, or let the run play it".into());
        }
        self.check_requests(of)?;
        for (board, stages) in of.stages {
            for stage in stages {
                if self.is_unseen(&stage.evidence) {
                    return Err(format!(
                        "stage \"{}\" of board {} is proven by a request, and nobody sees the requests of a forwarded server: give the stage evidence for that, as in forwarded.answer = {{ service = \"boot\" }}, or leave it out by `without`",
                        stage.name, board.name
                    ));
                }
            }
            if stages.iter().any(|s| matches!(s.evidence, Evidence::Nonce)) {
                self.check_nonce()?;
            }
        }
        if of.proofs.iter().any(|proof| self.is_unseen(proof)) {
            return Err("a proof in [expect] is a request, and nobody sees the requests of a forwarded server: use `answer`, `tls` or `serial`".into());
        }
        Ok(())
    }

    /// Only the answers of servers that the run plays can be spoiled, and only their requests be waited for.
    fn check_requests(&self, of: &Surroundings<'_>) -> Result<(), String> {
        for fault in of.faults {
            if let PlannedFault::Running { fault, .. } = fault
                && let Defect::Http(HttpDefect { service, .. }) = &fault.defect
                && !self.mode(*service).is_played()
            {
                return Err(format!(
                    "the fault \"{}\" is of what the {service} server answers, and the run does not play that server: leave the fault out, or let the run play it",
                    fault.name
                ));
            }
        }
        for trigger in of.triggers {
            if let Trigger::Request(RequestTrigger { service, .. }) = trigger
                && !self.mode(*service).is_played()
            {
                return Err(format!(
                    "`after` or `until` waits for a request to the {service} server, and nobody sees the requests of a server that the run does not play: wait for a stage, or for what a UART says"
                ));
            }
        }
        Ok(())
    }

    fn check_nonce(&self) -> Result<(), String> {
        let nonce = match &self.registry {
            ServiceMode::Played => return Ok(()),
            ServiceMode::Absent => None,
            ServiceMode::Forwarded(forward) => forward.nonce.as_ref(),
        };
        match nonce {
            Some(nonce) if nonce.len() >= SHORTEST_NONCE => Ok(()),
            Some(nonce) => Err(format!(
                "the nonce \"{nonce}\" is too short to prove anything: it needs {SHORTEST_NONCE} characters"
            )),
            None => Err("nothing would prove that the container has run: say what the container of this registry says, 16 random characters at least, by nonce (on the command line --nonce), or say in [expect] where the run ends".into()),
        }
    }
}

/// What of a scenario its services must go with.
pub(super) struct Surroundings<'a> {
    pub(super) transport: Transport,
    pub(super) tls: &'a Tls,
    pub(super) registry: &'a Registry,
    /// The stages that each board must go through.
    pub(super) stages: &'a [(&'a Board, Vec<Stage>)],
    pub(super) proofs: &'a [Evidence],
    pub(super) faults: &'a [PlannedFault],
    /// What its steps and faults wait for.
    pub(super) triggers: &'a [&'a Trigger],
}

impl<'de> Deserialize<'de> for ServiceMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Mode;

        impl<'de> Visitor<'de> for Mode {
            type Value = ServiceMode;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"played\", \"absent\" or { forwarded = \"127.0.0.1:8443\" }")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<ServiceMode, E> {
                match text {
                    "played" => Ok(ServiceMode::Played),
                    "absent" => Ok(ServiceMode::Absent),
                    other => Err(E::unknown_variant(other, &["played", "absent"])),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ServiceMode, A::Error> {
                let forward = Forward::deserialize(MapAccessDeserializer::new(map))?;
                Ok(ServiceMode::Forwarded(forward))
            }
        }

        deserializer.deserialize_any(Mode)
    }
}

impl JsonSchema for ServiceMode {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ServiceMode".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let forward = generator.subschema_for::<Forward>();
        json_schema!({
            "description": "Who plays a service: the run, nobody (connections are refused), or a server outside of the run.",
            "anyOf": [{ "enum": ["played", "absent"] }, forward],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Services, String> {
        toml::from_str(text).map_err(|e| e.message().to_owned())
    }

    #[test]
    fn each_service_has_its_mode() {
        let services = parse(
            "boot = \"absent\"\nregistry = { forwarded = \"127.0.0.1:5000\", names = [\"r.example\"], port = 5000 }",
        );
        let services = services.unwrap();
        assert_eq!(*services.mode(ServiceId::Boot), ServiceMode::Absent);
        assert!(services.scratch.is_played() && !services.are_played());
        let forwarded: Vec<_> = services.forwarded().collect();
        let [(ServiceId::Registry, forward)] = forwarded[..] else {
            panic!("{forwarded:?}")
        };
        assert_eq!(forward.forwarded, "127.0.0.1:5000".parse().unwrap());
        assert_eq!((forward.port, forward.names.len()), (Some(5000), 1));
        assert!(parse("").unwrap().are_played());
    }

    #[test]
    fn what_is_no_mode_is_said_in_words() {
        let error = parse("boot = \"plaid\"").unwrap_err();
        assert!(
            error.contains("plaid") && error.contains("played"),
            "{error}"
        );
        let error = parse("boot = { forwarded = \"localhost\" }").unwrap_err();
        assert!(error.contains("socket address"), "{error}");
        let error = parse("boot = 3").unwrap_err();
        assert!(error.contains("{ forwarded = "), "{error}");
        let error = parse("dns = \"absent\"").unwrap_err();
        assert!(error.contains("unknown field"), "{error}");
    }
}
