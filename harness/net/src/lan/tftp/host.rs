//! The task that connects a TFTP server with the LAN.

use std::future::pending;

use shakedown_base::timeline::{Event, Timeline};
use tokio::time::{Instant, sleep_until};

use super::content::TftpFiles;
use super::server::{Output, Server};
use crate::lan::sockets::Socket;
use shakedown_base::timeline::ServiceId;

/// Serves files until the LAN ends. `started` is when the LAN was started.
pub(in crate::lan) async fn serve(
    mut socket: Socket,
    service: ServiceId,
    files: impl TftpFiles,
    timeline: Timeline,
    started: Instant,
) {
    let mut server = Server::new(files, service, socket.address().to_string());
    loop {
        let deadline = server.deadline();
        let alarm = async {
            match deadline {
                Some(deadline) => sleep_until(started + deadline).await,
                None => pending().await,
            }
        };
        let output = tokio::select! {
            received = socket.receive() => match received {
                Some(datagram) => server.receive(&datagram, started.elapsed()),
                None => return,
            },
            () = alarm => server.wake(started.elapsed()),
        };
        for output in output {
            match output {
                Output::Send {
                    from,
                    to,
                    mac,
                    payload,
                } => socket.send(from, mac, to, &payload),
                Output::Event(Event::Request(request)) => {
                    let timeline = timeline.of_client(request.client);
                    timeline.emit(Event::Request(request));
                }
                Output::Event(event) => timeline.emit(event),
            }
        }
    }
}
