//! What stands around the gateway: its container, two cables, the servers of the network outside, a board and its plug.

mod container;
mod journal;
mod machine;
mod network;
mod outside;
mod submit;

pub(crate) use container::{Cards, Container, Start};
pub(crate) use journal::Log;
pub(crate) use machine::{Machine, Mode, place};
pub(crate) use network::{
    GATEWAY_PRIVATE, GATEWAY_PUBLIC, OUTSIDE, PRIVATE_CARD, PUBLIC_CARD, give_address,
};
pub(crate) use outside::{FILES, Outside};
pub(crate) use submit::{Job, Submitted, submit};
