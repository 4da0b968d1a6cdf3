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
    /// The last answer of each service was an error, and whose fault that is.
    boot_server: Option<Class>,
    registry: Option<Class>,
    /// Names that have been answered.
    names: BTreeSet<String>,
    /// A name that has not been.
    unknown_name: Option<String>,
}

impl Traces {
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
                    _ => self.boot_server = class,
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
