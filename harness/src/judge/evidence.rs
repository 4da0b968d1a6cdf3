//! Whether an event is the evidence of a stage. What must be so besides (order, the container's section) is the boot's to know.

use crate::board::{Evidence, LeaseEvidence, RequestEvidence};
use crate::services::Nonce;
use crate::timeline::Event;

/// What evidence depends on besides the event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    /// What the container says if it is the registry's, one of these.
    pub(super) nonces: &'a [String],
    /// Digests of the container image's layers.
    pub(super) layers: &'a [String],
    /// The event is a line that the container has said.
    pub(super) in_container: bool,
    /// A layer of the image has been served before.
    pub(super) layer_served: bool,
}

/// Evidence that a UART gives.
pub(super) fn is_serial(evidence: &Evidence) -> bool {
    matches!(
        evidence,
        Evidence::Serial(_) | Evidence::Container(_) | Evidence::Nonce
    )
}

/// Evidence that the container gives by what it says. What it says first is of no interest.
pub(super) fn is_of_container(evidence: &Evidence) -> bool {
    matches!(evidence, Evidence::Container(_) | Evidence::Nonce)
}

/// Whether an event is the evidence.
pub(super) fn proves(evidence: &Evidence, event: &Event, context: Context<'_>) -> bool {
    match (evidence, event) {
        (Evidence::Firmware, Event::Firmware { .. }) | (Evidence::Lease, Event::Lease { .. }) => {
            true
        }
        (Evidence::Dhcp(wanted), Event::Lease { vendor_class, .. }) => {
            is_client(wanted, vendor_class.as_deref().unwrap_or_default())
        }
        (
            Evidence::Serial(pattern),
            Event::Serial { line, .. } | Event::Prompt { text: line, .. },
        ) => pattern.regex().is_match(line),
        (Evidence::Container(pattern), Event::Serial { line, .. }) => {
            context.in_container && pattern.regex().is_match(line)
        }
        (Evidence::Nonce, Event::Serial { line, .. }) => {
            // A line with the variable's name is the image's configuration, which can be printed without running anything.
            let is_configuration = line.contains(Nonce::VARIABLE);
            let says = |nonce: &String| !nonce.is_empty() && line.contains(nonce.as_str());
            let is_said = !is_configuration && context.nonces.iter().any(says);
            context.in_container && context.layer_served && is_said
        }
        (Evidence::Tls { service }, Event::Tls(tls)) => {
            tls.service == *service && tls.error.is_none()
        }
        (Evidence::TlsFailure { service, error }, Event::Tls(tls)) => {
            let matches = |e: &String| error.regex().is_match(e);
            tls.service == *service && tls.error.as_ref().is_some_and(matches)
        }
        (Evidence::Answer(wanted), Event::Answer(answer)) => wanted.is_met_by(answer),
        (Evidence::Power(wanted), Event::Power { action }) => wanted == action,
        (Evidence::Request(wanted), Event::Request(request)) => {
            let RequestEvidence {
                service,
                target,
                layer,
                status,
            } = wanted;
            let answered = match status {
                Some(status) => request.status == *status,
                None => request.complete && request.has_succeeded(),
            };
            request.service == *service
                && answered
                && target.regex().is_match(&request.target)
                && (!layer || is_layer(&request.target, context.layers))
        }
        _ => false,
    }
}

/// A target that is one of these layers.
pub(super) fn is_layer(target: &str, layers: &[String]) -> bool {
    layers.iter().any(|layer| target.ends_with(layer.as_str()))
}

fn is_client(wanted: &LeaseEvidence, vendor_class: &str) -> bool {
    let matches = |p: &crate::input::Pattern| p.regex().is_match(vendor_class);
    wanted.vendor_class.as_ref().is_none_or(matches) && !wanted.except.as_ref().is_some_and(matches)
}
