//! A container registry (OCI distribution specification 1.1): pulling, pushing, and the ways in which real ones refuse.
//!
//! Life cycle: [`Registry::add`] images under the names that clients will ask for, say how the registry treats its clients
//! ([`TokenAuth`], [`RateLimit`], …), then serve [`Registry::router`]. The host name that a client dialled makes no difference, so one
//! registry can be `docker.io` and its token server at the same time.

mod auth;
mod content;
mod discovery;
mod error;
mod fault;
mod headers;
mod name;
mod push;

mod routes;
mod scope;
mod service;
mod setup;
mod store;
mod uploads;

pub use auth::TokenAuth;
pub use fault::RateLimit;
pub use setup::Registry;

#[cfg(test)]
mod tests;
