//! The DHCP server: what each kind of message leads to.
//!
//! Source: RFC 2131, sections 4.1 (addressing of replies), 4.3 (server behaviour) and 4.4.5 (times). The server is alone on its
//! segment and says so: an address that a client cannot have is refused. Only a client that it does not know and that remembers an
//! address of this segment is met with silence, as section 4.3.2 demands.

use std::net::Ipv4Addr;
use std::time::Duration;

use smoltcp::wire::DhcpMessageType as Kind;

use super::boot;
use super::leases::Leases;
use super::message::{Reply, Request, option};
use crate::lan::Config;
use crate::lan::frame::mac_text;
use crate::lan::udp::{Answer, Datagram, Service, To};
use shakedown_base::timeline::Event;

/// Port of the server.
pub(in crate::lan) const PORT: u16 = 67;
/// Port of the clients.
const CLIENT_PORT: u16 = 68;
/// Most NTP servers that a client is told.
const MAX_NTP: usize = 4;

/// The server and its leases.
#[derive(Debug)]
pub(in crate::lan) struct Server {
    config: Config,
    leases: Leases,
}

impl Server {
    pub(in crate::lan) fn new(config: &Config) -> Self {
        let dhcp = &config.dhcp;
        Self {
            config: config.clone(),
            leases: Leases::new(
                dhcp.first..=dhcp.last,
                Duration::from_secs(dhcp.lease_seconds.into()),
            ),
        }
    }

    /// The message to send back, if any.
    fn decide(&mut self, request: &Request, now: Duration) -> Option<Reply<'_>> {
        match request.kind {
            Kind::Discover => {
                let address = self.leases.offer(request.mac, request.requested, now)?;
                Some(self.grant(Kind::Offer, request, address))
            }
            Kind::Request => self.decide_request(request, now),
            Kind::Inform => Some(self.inform(request)),
            Kind::Decline => {
                self.leases.decline(request.mac, request.requested?);
                None
            }
            Kind::Release => {
                self.leases.release(request.mac, request.client, now);
                None
            }
            _ => None,
        }
    }

    /// A client wants to take an offer, to use a remembered address again, or to prolong its lease.
    fn decide_request(&mut self, request: &Request, now: Duration) -> Option<Reply<'_>> {
        if request
            .server
            .is_some_and(|server| server != self.config.gateway)
        {
            self.leases.forget(request.mac);
            return None;
        }
        let wanted = request.wanted();
        // Another server may know the client, RFC 2131 says; on this segment there is none, and the client asks anew when nobody answers.
        let is_here = self.config.subnet.contains(wanted);
        if request.is_init_reboot() && is_here && !self.leases.knows(request.mac) {
            return None;
        }
        Some(if self.leases.bind(request.mac, wanted, now) {
            self.grant(Kind::Ack, request, wanted)
        } else {
            self.refuse()
        })
    }

    fn grant(&self, kind: Kind, request: &Request, address: Ipv4Addr) -> Reply<'_> {
        let lease = self.config.dhcp.lease_seconds;
        let times = [
            (option::LEASE_TIME, lease),
            (option::RENEWAL_TIME, lease / 2),
            (option::REBINDING_TIME, lease - lease / 8),
        ];
        let mut reply = self.inform(request);
        reply.kind = kind;
        reply.your = address;
        let at = 1;
        reply.options.splice(
            at..at,
            times.map(|(kind, seconds)| (kind, seconds.to_be_bytes().to_vec())),
        );
        reply
    }

    /// Everything but an address.
    fn inform(&self, request: &Request) -> Reply<'_> {
        let config = &self.config;
        let gateway = config.gateway.octets().to_vec();
        let mut options = vec![
            (option::SERVER, gateway.clone()),
            (option::SUBNET_MASK, config.subnet.mask().octets().to_vec()),
            (option::ROUTER, gateway.clone()),
            (option::DNS, gateway),
        ];
        options.extend(
            config
                .dhcp
                .domain
                .as_ref()
                .map(|domain| (option::DOMAIN, domain.clone().into_bytes())),
        );
        if !config.ntp.is_empty() {
            let servers = config
                .ntp
                .iter()
                .take(MAX_NTP)
                .flat_map(|server| server.octets());
            options.push((option::NTP, servers.collect()));
        }
        let (mut next_server, mut file) = (Ipv4Addr::UNSPECIFIED, "");
        if let Some(boot) = &config.dhcp.boot {
            let told = boot::tell(boot, request);
            next_server = boot.next_server;
            file = told.file.unwrap_or_default();
            options.extend(told.options);
        }
        Reply {
            kind: Kind::Ack,
            client: request.client,
            your: Ipv4Addr::UNSPECIFIED,
            next_server,
            file,
            options,
        }
    }

    fn refuse(&self) -> Reply<'_> {
        Reply {
            kind: Kind::Nak,
            client: Ipv4Addr::UNSPECIFIED,
            your: Ipv4Addr::UNSPECIFIED,
            next_server: Ipv4Addr::UNSPECIFIED,
            file: "",
            options: vec![
                (option::SERVER, self.config.gateway.octets().to_vec()),
                (option::MESSAGE, b"address not available".to_vec()),
            ],
        }
    }
}

impl Service for Server {
    fn answer(&mut self, datagram: &Datagram<'_>, now: Duration) -> Option<Answer> {
        let request = Request::parse(datagram.payload)?;
        let mac = mac_text(request.mac);
        let Some(reply) = self.decide(&request, now) else {
            let is_exhausted = request.kind == Kind::Discover;
            let event = is_exhausted
                .then(|| note(format!("no dhcp address left for {mac}: enlarge the pool")));
            return Some(Answer { reply: None, event });
        };
        let event = match reply.kind {
            Kind::Ack if !reply.your.is_unspecified() => Some(Event::Lease {
                mac,
                address: reply.your,
                vendor_class: request.vendor_class.clone(),
            }),
            Kind::Nak => Some(note(format!(
                "refused {mac} the address {}",
                request.wanted()
            ))),
            _ => None,
        };
        let address = if request.client.is_unspecified() {
            reply.your
        } else {
            request.client
        };
        let is_reachable =
            !request.client.is_unspecified() || !request.broadcast && !reply.your.is_unspecified();
        let to = if is_reachable && reply.kind != Kind::Nak {
            To::Machine(request.mac, address, CLIENT_PORT)
        } else {
            To::Everybody(CLIENT_PORT)
        };
        Some(Answer {
            reply: Some((to, reply.encode(&request))),
            event,
        })
    }
}

fn note(text: String) -> Event {
    let room = "lan".into();
    Event::Note { room, text }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
