//! Claims that processes of this machine make on things of which there are a few: cores, and shares of memory.
//!
//! A claim is a listening socket with an abstract name: nobody else can listen at the same name, and the kernel gives the name up with the
//! process, whatever ends it. A process that waits for a claim connects to it and is told when it is given up: no polling.
//!
//! Source: unix(7), "Abstract sockets". Names belong to a network namespace, so containers do not see each other's claims.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

use futures_util::future::select_all;

/// A claim, given up when it is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    _socket: UnixListener,
}

impl Claim {
    /// Claims `name`; `None` if somebody else has it.
    pub(super) fn try_on(name: &str) -> Option<Self> {
        let address = SocketAddr::from_abstract_name(name).ok()?;
        let socket = UnixListener::bind_addr(&address).ok()?;
        Some(Self { _socket: socket })
    }
}

/// Completes when one of these claims is given up, at once if one of them is free.
pub(super) async fn given_up(names: &[String]) {
    let waits: Option<Vec<_>> = names.iter().map(|name| connect(name).ok()).collect();
    let Some(waits) = waits.filter(|waits| !waits.is_empty()) else {
        return;
    };
    let ends = waits.into_iter().map(|socket| {
        Box::pin(async move {
            // Nothing is ever sent, so what can be read is the end. Any error is an end, too.
            let _ = socket.readable().await;
        })
    });
    select_all(ends).await;
}

fn connect(name: &str) -> io::Result<tokio::net::UnixStream> {
    let socket = UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?)?;
    socket.set_nonblocking(true)?;
    tokio::net::UnixStream::from_std(socket)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn who_waits_is_told_when_one_of_several_is_given_up() {
        let name = |n: u32| format!("shakedown/test/{}/given-up/{n}", std::process::id());
        let names = [name(0), name(1)];
        let first = Claim::try_on(&names[0]).unwrap();
        let second = Claim::try_on(&names[1]).unwrap();
        assert!(Claim::try_on(&names[0]).is_none());
        let mut wait = std::pin::pin!(given_up(&names));
        let moment = Duration::from_millis(20);
        assert!(timeout(moment, &mut wait).await.is_err(), "both are held");
        drop(second);
        let bound = Duration::from_secs(10);
        timeout(bound, wait).await.unwrap();
        assert!(Claim::try_on(&names[1]).is_some());
        // One that nobody has needs no waiting.
        timeout(bound, given_up(&names)).await.unwrap();
        drop(first);
    }
}
