//! A container registry, as far as pulling goes (OCI distribution specification 1.1).
//!
//! Life cycle: [`Registry::add`] images under the names that clients will ask for, then serve [`Registry::router`]. The host name
//! that a client dialled makes no difference, so one registry can be `docker.io` and a private one at the same time.

mod error;
mod name;
mod routes;
mod store;

pub use store::Registry;

#[cfg(test)]
mod tests;
