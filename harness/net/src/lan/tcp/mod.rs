//! TCP: what services listen on and read from.
//!
//! Each switch port has an [`engine::Engine`] of its own, a `smoltcp` interface that owns every address of the world, so guests
//! never wait for one another and a connection needs no route. A [`Registry`] of listeners is all that the engines share.
//!
//! `smoltcp` has no backlog: a listening socket becomes the connection. So a socket is made for each request that somebody
//! listens for, just before `smoltcp` sees it. Streams work on the engine's sockets directly, under its lock, and ring
//! for the port's task when there is something to send.
//!
//! Source: RFC 9293.

mod engine;
mod link;
mod listener;
mod packets;
mod registry;
mod stream;
mod turn;

pub(super) use link::Link;
pub use listener::TcpListener;
pub(super) use registry::Registry;
pub use stream::TcpStream;
pub(super) use turn::Turn;
