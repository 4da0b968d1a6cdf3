//! A switch port: the place that every frame of one cable passes, on its way in and on its way out.
//!
//! The port's task takes turns: it takes what has arrived, lets the TCP engine receive and send, and sleeps until a frame comes,
//! a stream rings, a timer of TCP runs out, or the full cable has room again. It ends with the LAN or when the NIC drops its end
//! of the cable.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::egress::Egress;
use super::frame::{GATEWAY_MAC, Mac};
use super::host::{Host, Verdict};
use super::switch::Switch;
use super::tcp::{Link, Turn};

/// Most frames taken in one turn.
const BATCH: usize = 64;
/// Frames of room that a blocked engine waits for: waking it for each would cost more than it sends.
const ROOM: usize = 64;
/// How often a blocked engine looks whether its connections are still worth waiting for.
const BLOCKED: Duration = Duration::from_secs(1);
/// Shortest sleep. The engine has just had its turn; if it wants another one now, it would want it for ever.
const SHORTEST: Duration = Duration::from_millis(1);

/// A port and what it is connected to.
pub(super) struct Port {
    pub(super) egress: Arc<Egress>,
    pub(super) host: Arc<Host>,
    pub(super) switch: Arc<Switch>,
    pub(super) link: Arc<Link>,
    /// When the LAN was started.
    pub(super) started: Instant,
}

impl Port {
    /// The port's task.
    pub(super) async fn run(self, mut cable: mpsc::Receiver<Bytes>) {
        let mut frames = Vec::with_capacity(BATCH);
        let mut last_source = None;
        let mut alarm = pin!(sleep_until(self.started));
        let mut alarm_at = None;
        loop {
            let now = self.started.elapsed();
            let packets: Vec<_> = frames
                .drain(..)
                .filter_map(|frame| self.receive(frame, &mut last_source, now))
                .collect();
            let turn = self.link.turn(packets, now);
            for address in &turn.refused {
                let text = format!("refused a connection to {address}: nobody listens there");
                self.egress.timeline.note("lan", text);
            }
            let next = wake_at(&turn, now).map(|next| self.started + next);
            // An alarm that comes too early costs one turn a second at most; setting it anew for each segment costs more.
            if let Some(next) = next.filter(|next| alarm_at.is_none_or(|at| *next < at)) {
                alarm.as_mut().reset(next);
                alarm_at = Some(next);
            }
            tokio::select! {
                biased;
                taken = cable.recv_many(&mut frames, BATCH) => if taken == 0 { break },
                () = self.link.rung() => {}
                () = alarm.as_mut(), if alarm_at.is_some() => alarm_at = None,
                is_alive = self.egress.wire.wait_for_room(ROOM), if turn.is_blocked => if !is_alive { break },
            }
        }
    }

    /// Takes a frame; returns what the TCP engine should have, and from whom.
    fn receive(
        &self,
        frame: Bytes,
        last_source: &mut Option<Mac>,
        now: Duration,
    ) -> Option<(Bytes, Mac)> {
        let (source, destination) = self.egress.arrived(&frame)?;
        if *last_source != Some(source) {
            self.switch.learn(source, self.egress.port);
            *last_source = Some(source);
        }
        if destination != GATEWAY_MAC {
            self.switch.forward(&frame, destination, self.egress.port);
        }
        if destination != GATEWAY_MAC && !destination.is_broadcast() {
            return None;
        }
        match self.host.receive(&frame, now) {
            Verdict::Reply(replies) => {
                replies
                    .into_iter()
                    .for_each(|reply| self.egress.deliver(reply));
            }
            Verdict::Tcp(packet) => return Some((packet, source)),
            Verdict::Done => {}
        }
        None
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.switch.unplug(self.egress.port);
        self.link.close();
    }
}

/// When to take the next turn if nothing happens before, as time since the LAN was started.
fn wake_at(turn: &Turn, now: Duration) -> Option<Duration> {
    let next = turn.next?;
    Some(next.max(now + if turn.is_blocked { BLOCKED } else { SHORTEST }))
}
