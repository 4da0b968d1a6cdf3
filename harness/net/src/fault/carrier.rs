//! The task that carries frames between a switch port and a network adapter, and does to them what the faults say.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use shakedown_base::fault::{CableDefect, Defect, Faults, Way};
use shakedown_base::timeline::FrameKind;
use shakedown_base::wire::{self, WireEnd, WireSender};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::dhcp::{self, Rogue};
use super::queue::{Queue, Travel};
use super::replies;
use super::window;
use crate::lan::kinds_of;

/// Frames that the cable holds in each direction besides those that are delayed.
const CABLE: usize = 512;
/// Most frames that are on their way in each direction. Then the cable takes no more, as a full one does.
const ON_THE_WAY: usize = 2048;
/// Frames of room that a full cable waits for.
const ROOM: usize = 16;

/// Questions that chance is asked about one frame.
const LOSS: u64 = 0;
const DUPLICATE: u64 = 1;
const CORRUPT: u64 = 2;
const REORDER: u64 = 3;
const JITTER: u64 = 4;
const BIT: u64 = 5;

/// A cable with these faults: the adapter's end of it. `switch` is the other end's, which frames go to, and is the whole cable where nothing happens on
/// it. `window` is the most bytes that the board is sent by TCP before it has acknowledged them. Needs a tokio runtime.
#[must_use]
pub fn impaired(switch: WireEnd, faults: Faults, window: Option<u16>) -> WireEnd {
    if !faults.has_cable() && window.is_none() {
        return switch;
    }
    let (near, far) = wire::cable(CABLE);
    let (to_switch, from_switch) = switch.split();
    let (to_board, from_board) = near.split();
    let carrier = Carrier {
        started: Instant::now(),
        down: Queue::default(),
        up: Queue::default(),
        to_board,
        to_switch,
        spoiler: Spoiler {
            faults,
            rogue: Rogue::default(),
        },
        window,
    };
    tokio::spawn(carrier.run(from_switch, from_board));
    far
}

struct Carrier {
    started: Instant,
    down: Queue,
    up: Queue,
    to_board: WireSender,
    to_switch: WireSender,
    spoiler: Spoiler,
    window: Option<u16>,
}

impl Carrier {
    async fn run(
        mut self,
        mut from_switch: mpsc::Receiver<Bytes>,
        mut from_board: mpsc::Receiver<Bytes>,
    ) {
        let mut switched = self.spoiler.faults.switched();
        loop {
            let now = self.started.elapsed();
            self.release(now);
            let down_blocked = deliver(&mut self.down, &self.to_board, now);
            let up_blocked = deliver(&mut self.up, &self.to_switch, now);
            let due = [(&self.down, down_blocked), (&self.up, up_blocked)];
            let due = due
                .into_iter()
                .filter_map(|(queue, blocked)| queue.due().filter(|_| !blocked));
            let next = due.min();
            let alarm = self.started + next.unwrap_or_default();
            tokio::select! {
                frame = from_switch.recv(), if self.down.len() < ON_THE_WAY => match frame {
                    Some(frame) => self.pass(Way::ToBoard, frame),
                    None => break,
                },
                frame = from_board.recv(), if self.up.len() < ON_THE_WAY => match frame {
                    Some(frame) => self.pass(Way::FromBoard, frame),
                    None => break,
                },
                () = sleep_until(alarm), if next.is_some() => {}
                Ok(()) = switched.changed() => {}
                is_alive = self.to_board.wait_for_room(ROOM), if down_blocked => if !is_alive { break },
                is_alive = self.to_switch.wait_for_room(ROOM), if up_blocked => if !is_alive { break },
            }
        }
    }

    /// Lets go of what faults have held that show no more.
    fn release(&mut self, now: Duration) {
        if self.down.holds() || self.up.holds() {
            let at_work: Vec<usize> = self.spoiler.faults.at_work().map(|(n, _)| n).collect();
            for queue in [&mut self.down, &mut self.up] {
                queue.release(now, |fault| !at_work.contains(&fault));
            }
        }
    }

    fn pass(&mut self, way: Way, frame: Bytes) {
        let now = self.started.elapsed();
        let frame = match self.window {
            Some(most) => window::clamped(way, frame, most),
            None => frame,
        };
        for (way, frame, travel) in self.spoiler.spoiled(way, frame) {
            match way {
                Way::FromBoard => self.up.push(now, frame, travel),
                Way::ToBoard | Way::Both => self.down.push(now, frame, travel),
            }
        }
    }
}

/// Hands over what has come by now; `true` when the cable has no room for it.
fn deliver(queue: &mut Queue, wire: &WireSender, now: Duration) -> bool {
    while queue.due().is_some_and(|due| due <= now) {
        if wire.room() == 0 {
            return true;
        }
        if let Some(frame) = queue.pop(now) {
            // Fails when the other end has just gone, which ends the task.
            let _ = wire.send(frame);
        }
    }
    false
}

/// What faults make of frames. No clock and no task.
struct Spoiler {
    faults: Faults,
    rogue: Rogue,
}

impl Spoiler {
    /// The frames in place of one, each with its way.
    fn spoiled(&mut self, way: Way, frame: Bytes) -> Vec<(Way, Bytes, Travel)> {
        let mut frames = vec![(way, frame, Travel::default())];
        let faults = self.faults.clone();
        for (index, defect) in faults.at_work() {
            let mut after = Vec::with_capacity(frames.len());
            for (way, frame, travel) in frames {
                match defect {
                    Defect::Cable(cable) => {
                        after.extend(self.on_cable(index, cable, way, frame, travel));
                    }
                    _ => after.extend(self.replaced(index, defect, way, frame, travel)),
                }
            }
            frames = after;
        }
        frames
    }

    fn on_cable(
        &self,
        index: usize,
        cable: &CableDefect,
        way: Way,
        mut frame: Bytes,
        mut travel: Travel,
    ) -> Vec<(Way, Bytes, Travel)> {
        let kind = cable.of.unwrap_or(FrameKind::Any);
        if !cable.way.includes(way) || !is_of(kind, &frame) {
            return vec![(way, frame, travel)];
        }
        let Some(number) = self.faults.count(index) else {
            return vec![(way, frame, travel)];
        };
        let chance =
            |share: f64, salt| share > 0.0 && self.faults.share(index, number, salt) < share;
        let side = match way {
            Way::FromBoard => "from",
            Way::ToBoard | Way::Both => "to",
        };
        let what = match cable.of {
            Some(kind) if kind != FrameKind::Any => format!("{kind} frame"),
            _ => "frame".into(),
        };
        let place = format!("cable {side} the board, {what} {}", number + 1);
        let is_lost = chance(cable.loss, LOSS);
        let comes_twice = chance(cable.duplicate, DUPLICATE);
        let is_damaged = chance(cable.corrupt, CORRUPT);
        let is_held = chance(cable.reorder, REORDER);
        let is_late =
            !cable.delay.is_zero() || !cable.jitter.is_zero() || cable.rate.is_some() || cable.hold;
        let does_something = is_lost || comes_twice || is_damaged || is_held || is_late;
        if !does_something || !self.faults.fires(index, &place) {
            return vec![(way, frame, travel)];
        }
        if is_lost {
            return Vec::new();
        }
        let jitter = cable
            .jitter
            .mul_f64(self.faults.share(index, number, JITTER));
        travel.delay += cable.delay + jitter;
        travel.is_held |= is_held;
        if cable.hold {
            travel.until = Some(index);
        }
        travel.rate = cable.rate.map(|rate| rate.0).or(travel.rate);
        if is_damaged {
            frame = damaged(&frame, self.faults.draw(index, number, BIT));
        }
        let mut frames = vec![(way, frame.clone(), travel)];
        if comes_twice {
            frames.push((way, frame, travel));
        }
        frames
    }

    fn replaced(
        &mut self,
        index: usize,
        defect: &Defect,
        way: Way,
        frame: Bytes,
        travel: Travel,
    ) -> Vec<(Way, Bytes, Travel)> {
        let is_to_board = way == Way::ToBoard;
        let (place, frames) = match defect {
            Defect::Dhcp(_) if !is_to_board => {
                let asked = dhcp::from_board(&frame, &mut self.rogue);
                return vec![(way, asked.unwrap_or(frame), travel)];
            }
            Defect::Dhcp(dhcp) => (
                "DHCP server",
                dhcp::to_board(*dhcp, &frame, &mut self.rogue)
                    .map(|frames| frames.into_iter().map(|frame| (way, frame)).collect()),
            ),
            Defect::Dns(dns) if is_to_board => (
                "DNS server",
                replies::dns(*dns, &frame).map(|frame| vec![(way, frame)]),
            ),
            Defect::Ntp(ntp) if is_to_board => (
                "NTP server",
                replies::ntp(*ntp, &frame).map(|frame| vec![(way, frame)]),
            ),
            Defect::Tftp(tftp) if is_to_board => (
                "TFTP server",
                replies::tftp(*tftp, &frame).map(|frame| vec![(way, frame)]),
            ),
            Defect::Tcp(tcp) => (
                "TCP connection",
                replies::tcp(*tcp, &frame, is_to_board).map(|broken| {
                    let to_switch = broken.to_switch.map(|frame| (Way::FromBoard, frame));
                    let to_board = (Way::ToBoard, broken.to_board);
                    std::iter::once(to_board)
                        .chain(to_switch)
                        .collect::<Vec<_>>()
                }),
            ),
            Defect::Cable(_)
            | Defect::Dns(_)
            | Defect::Ntp(_)
            | Defect::Tftp(_)
            | Defect::Http(_)
            | Defect::Card(_) => ("", None),
        };
        // Only what the defect shows in counts.
        let Some(frames) = frames else {
            return vec![(way, frame, travel)];
        };
        match self.faults.count(index) {
            Some(number)
                if self
                    .faults
                    .fires(index, &format!("{place}, answer {}", number + 1)) =>
            {
                let frames = frames.into_iter();
                frames.map(|(way, frame)| (way, frame, travel)).collect()
            }
            _ => vec![(way, frame, travel)],
        }
    }
}

fn is_of(kind: FrameKind, frame: &[u8]) -> bool {
    kind == FrameKind::Any || kinds_of(frame).contains(&kind)
}

/// The frame with one bit turned over, behind the addresses: a switch would not forward it otherwise.
fn damaged(frame: &Bytes, draw: u64) -> Bytes {
    /// Bytes of the two hardware addresses.
    const ADDRESSES: usize = 12;
    let mut bytes = BytesMut::from(&frame[..]);
    let bits = bytes.len().saturating_sub(ADDRESSES) as u64 * 8;
    if let Some(bit) = draw.checked_rem(bits)
        && let Some(byte) = bytes.get_mut(ADDRESSES + (bit / 8) as usize)
    {
        *byte ^= 1 << (bit % 8);
    }
    bytes.freeze()
}

#[cfg(test)]
mod tests;
