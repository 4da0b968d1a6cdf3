//! Whose fault a failure most likely is. `docs/classes.md` has the table.

use std::collections::BTreeSet;

use crate::report::Class;
use crate::timeline::{Event, ServiceId};

/// The most names that are remembered; a guest may ask for any number.
const MOST_NAMES: usize = 256;

/// What network and servers have shown of a boot.
#[derive(Debug, Clone, Default)]
pub(super) struct Traces {
    /// Something that the image has started was on the network: until then everything that runs comes from the image.
    on_network: bool,
    /// The last handshake of a service failed, and whose fault that is.
    tls: Option<Class>,
    /// The boot server has answered well: what iPXE does since then, its script says.
    has_script: bool,
    /// The last answer of each service was an error, and whose fault that is.
    boot_server: Option<Class>,
    registry: Option<Class>,
    /// Names that have been answered.
    names: BTreeSet<String>,
    /// A name that has not been.
    unknown_name: Option<String>,
}

impl Traces {
    /// Of a boot that has not begun. On the network of a board behind another nobody sees anything: there it may be at any time.
    pub(super) fn of(is_behind: bool) -> Self {
        Self {
            on_network: is_behind,
            ..Self::default()
        }
    }

    /// A stage has been reached that comes after one on the network.
    pub(super) fn was_on_network(&mut self) {
        self.on_network = true;
    }

    pub(super) fn take(&mut self, event: &Event) {
        match event {
            Event::Lease { vendor_class, .. } => {
                let class = vendor_class.as_deref().unwrap_or_default();
                self.on_network |= !class.starts_with("U-Boot");
            }
            Event::Dns { query, answer } => self.name(query, answer.is_some()),
            Event::Tls(tls) => {
                self.on_network = true;
                self.tls = tls.error.as_deref().map(of_handshake);
            }
            Event::Request(request) => {
                self.on_network = true;
                let class = of_answer(request.service, request.status);
                match request.service {
                    ServiceId::Registry => self.registry = class,
                    service => {
                        self.has_script |= service == ServiceId::Boot && class.is_none();
                        self.boot_server = class;
                    }
                }
            }
            _ => {}
        }
    }

    fn name(&mut self, query: &str, is_answered: bool) {
        self.on_network = true;
        if is_answered {
            if self.names.len() < MOST_NAMES {
                self.names.insert(query.into());
            }
            if self.unknown_name.as_deref() == Some(query) {
                self.unknown_name = None;
            }
        } else if !self.names.contains(query) {
            self.unknown_name = Some(query.into());
        }
    }

    /// Whose script iPXE is in: that of the card, or that of the boot server.
    pub(super) fn class_of_script(&self) -> Class {
        match self.has_script {
            true => Class::Server,
            false => Class::Image,
        }
    }

    /// The class of a failure for which the board seems to answer.
    pub(super) fn class(&self) -> Class {
        if !self.on_network {
            return Class::Image;
        }
        let name = self.unknown_name.as_ref().map(|_| Class::Network);
        self.tls
            .or(self.boot_server)
            .or(self.registry)
            .or(name)
            .unwrap_or(Class::Board)
    }
}

/// Whose fault a failed handshake is. A server that refuses the certificate of the board blames the identity on the card; everything else
/// is the board refusing what the server shows.
fn of_handshake(error: &str) -> Class {
    const OF_CLIENT: &[&str] = &[
        "certificate expired",
        "not valid yet",
        "Revoked",
        "UnknownIssuer",
        "BadSignature",
        "no certificate",
        // The words of a server outside of the run.
        "TLS alert of the server: bad_certificate",
        "TLS alert of the server: unsupported_certificate",
        "TLS alert of the server: certificate_",
        "TLS alert of the server: unknown_ca",
        "TLS alert of the server: access_denied",
    ];
    if OF_CLIENT.iter().any(|words| error.contains(words)) {
        Class::Image
    } else {
        Class::Server
    }
}

/// Whose fault an answer is, if it is one. The boot server answers 403 to a board without identity; a registry asks for a password by 401.
fn of_answer(service: ServiceId, status: u16) -> Option<Class> {
    match (service, status) {
        (ServiceId::Boot, 401 | 403) => Some(Class::Image),
        (_, 400..) => Some(Class::Server),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use crate::timeline::TlsEvent;

    fn answer(service: ServiceId, status: u16) -> Event {
        Event::Request(testing::request(service, "/x", status))
    }

    fn name(query: &str, is_answered: bool) -> Event {
        Event::Dns {
            query: query.into(),
            answer: is_answered.then(|| [192, 0, 2, 1].into()),
        }
    }

    fn handshake(error: &str) -> Event {
        Event::Tls(TlsEvent {
            service: ServiceId::Boot,
            server_name: None,
            fingerprint: None,
            error: (!error.is_empty()).then(|| error.into()),
            duration: std::time::Duration::ZERO,
        })
    }

    fn class(events: &[Event]) -> Class {
        let mut traces = Traces::default();
        events.iter().for_each(|event| traces.take(event));
        traces.class()
    }

    #[test]
    fn what_network_and_servers_have_shown_decides() {
        use ServiceId::{Boot, Registry};
        let good = || answer(Boot, 200);
        let lease = |class: &str| Event::Lease {
            mac: String::new(),
            address: [10, 0, 0, 1].into(),
            vendor_class: Some(class.into()),
        };
        assert_eq!(class(&[]), Class::Image);
        assert_eq!(class(&[lease("U-Boot.armv8")]), Class::Image);
        assert_eq!(
            class(&[lease("PXEClient:Arch:00011:UNDI:003010")]),
            Class::Board
        );
        assert_eq!(class(&[answer(Boot, 403)]), Class::Image);
        assert_eq!(class(&[answer(Boot, 404)]), Class::Server);
        assert_eq!(class(&[answer(Boot, 404), good()]), Class::Board);
        assert_eq!(
            class(&[good(), answer(Registry, 401), answer(Registry, 200)]),
            Class::Board
        );
        assert_eq!(class(&[good(), answer(Registry, 404)]), Class::Server);
        assert_eq!(
            class(&[handshake(
                "invalid peer certificate: Expired, certificate expired"
            )]),
            Class::Image
        );
        assert_eq!(class(&[handshake("tls handshake eof")]), Class::Server);
        assert_eq!(
            class(&[handshake("tls handshake eof"), handshake("")]),
            Class::Board
        );
        assert_eq!(class(&[good(), name("quay.io", false)]), Class::Network);
        // A name has an address of one kind and none of the other.
        assert_eq!(
            class(&[good(), name("hub", false), name("hub", true)]),
            Class::Board
        );
        assert_eq!(
            class(&[good(), name("hub", true), name("hub", false)]),
            Class::Board
        );
    }
}
