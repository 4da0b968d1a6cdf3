//! The faults of one run, and what decides whether they fire.

use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::watch;

use super::chance::{draw, share};
use super::defect::{
    CableDefect, CardDefect, DhcpDefect, DnsDefect, HttpDefect, NtpDefect, TcpDefect, TftpDefect,
    Way,
};
use crate::timeline::{BoardId, Event, Timeline};

/// Firings of a fault that are each on the timeline; of more, every one whose number is a power of two. A cable may lose thousands of frames.
pub const FIRST_TOLD: u64 = 16;

/// A fault: a defect, and when it shows.
#[derive(Debug, Clone)]
pub struct Fault {
    /// What people call it.
    pub name: String,
    /// What is wrong.
    pub defect: Defect,
    /// Only of this board, where a run has several.
    pub board: Option<BoardId>,
    /// Only in this boot of the board, counted from 0.
    pub boot: Option<u32>,
    /// Frames or requests that are left alone first.
    pub skip: u64,
    /// How often it fires; without end if `None`.
    pub times: Option<u64>,
    /// It shows from the start of the run on. If not, [`Faults::begin`] says from when on.
    pub at_once: bool,
}

impl Fault {
    /// It shows from the start of the run, to every board in every boot, without end.
    #[must_use]
    pub fn new(name: impl Into<String>, defect: Defect) -> Self {
        Self {
            name: name.into(),
            defect,
            board: None,
            boot: None,
            skip: 0,
            times: None,
            at_once: true,
        }
    }

    /// It shows to this board; `None` is the board of a run that has one.
    #[must_use]
    pub fn is_of(&self, board: Option<&BoardId>) -> bool {
        self.board.is_none() || self.board.as_ref() == board
    }

    /// A cable's fault of both directions is two, so that the traffic of one does not decide what happens in the other: this one becomes that
    /// of the frames to the board, and that of the frames from it is the answer.
    #[must_use]
    pub fn part_ways(&mut self) -> Option<Self> {
        let mut other = self.clone();
        let (Defect::Cable(to), Defect::Cable(from)) = (&mut self.defect, &mut other.defect) else {
            return None;
        };
        if to.way != Way::Both {
            return None;
        }
        (to.way, from.way) = (Way::ToBoard, Way::FromBoard);
        Some(other)
    }
}

/// What is wrong, and where.
#[derive(Debug, Clone)]
pub enum Defect {
    /// The board's cable.
    Cable(CableDefect),
    /// The DHCP server.
    Dhcp(DhcpDefect),
    /// The DNS server.
    Dns(DnsDefect),
    /// The NTP servers.
    Ntp(NtpDefect),
    /// The TFTP server.
    Tftp(TftpDefect),
    /// A TCP port.
    Tcp(TcpDefect),
    /// A server's answers over HTTP.
    Http(HttpDefect),
    /// The board's card.
    Card(CardDefect),
}

impl Defect {
    /// It happens on the board's cable.
    #[must_use]
    pub fn is_of_cable(&self) -> bool {
        !matches!(self, Self::Http(_) | Self::Card(_))
    }
}

/// The faults of a run, as they show to one of its boards. Clones share what has been counted, and so do those of other boards.
#[derive(Clone)]
pub struct Faults {
    inner: Arc<Inner>,
    /// The board's part of it.
    timeline: Timeline,
}

struct Inner {
    seed: u64,
    all: Vec<State>,
    /// Some fault has begun or ended.
    switched: watch::Sender<()>,
}

struct State {
    fault: Fault,
    is_on: AtomicBool,
    seen: AtomicU64,
    fired: AtomicU64,
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.inner.all.iter().map(|state| &state.fault.name);
        f.debug_list().entries(names).finish()
    }
}

impl Faults {
    /// These faults, with this seed, told on `timeline`.
    #[must_use]
    pub fn new(seed: u64, faults: Vec<Fault>, timeline: Timeline) -> Self {
        let all = faults.into_iter().map(|fault| State {
            is_on: AtomicBool::new(fault.at_once),
            fault,
            seen: AtomicU64::new(0),
            fired: AtomicU64::new(0),
        });
        let inner = Inner {
            seed,
            all: all.collect(),
            switched: watch::channel(()).0,
        };
        Self {
            inner: Arc::new(inner),
            timeline,
        }
    }

    /// The same faults as they show to the board of this part of the timeline.
    #[must_use]
    pub fn of(&self, timeline: Timeline) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            timeline,
        }
    }

    /// The same faults as they show to the client at this address of the LAN.
    #[must_use]
    pub fn of_client(&self, address: Ipv4Addr) -> Self {
        self.of(self.timeline.of_client(address))
    }

    /// Where it is told when they fire.
    #[must_use]
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// Some of them are of the board's cable.
    #[must_use]
    pub fn has_cable(&self) -> bool {
        self.inner.all.iter().any(|s| s.fault.defect.is_of_cable())
    }

    /// Those that are of the board's card, with their indices, whether they show now or not.
    pub fn of_card(&self) -> impl Iterator<Item = (usize, &CardDefect)> {
        let all = self.inner.all.iter().enumerate();
        all.filter_map(|(index, state)| match &state.fault.defect {
            Defect::Card(defect) => Some((index, defect)),
            _ => None,
        })
    }

    /// The fault with this index shows from now on.
    pub fn begin(&self, index: usize) {
        self.switch(index, true);
    }

    /// The fault with this index shows no more.
    pub fn end(&self, index: usize) {
        self.switch(index, false);
    }

    fn switch(&self, index: usize, on: bool) {
        if let Some(state) = self.inner.all.get(index) {
            state.is_on.store(on, Ordering::Relaxed);
            self.inner.switched.send_replace(());
        }
    }

    /// Changes when a fault begins, ends, or has shown as often as it should.
    #[must_use]
    pub fn switched(&self) -> watch::Receiver<()> {
        self.inner.switched.subscribe()
    }

    /// The defects that show now, with their indices.
    pub fn at_work(&self) -> impl Iterator<Item = (usize, &Defect)> {
        let (board, boot) = (self.timeline.board(), self.timeline.boot());
        let all = self.inner.all.iter().enumerate();
        all.filter(move |(_, state)| {
            let left = |times| state.fired.load(Ordering::Relaxed) < times;
            state.is_on.load(Ordering::Relaxed)
                && state.fault.is_of(board.as_ref())
                && state.fault.boot.is_none_or(|of| of == boot)
                && state.fault.times.is_none_or(left)
        })
        .map(|(index, state)| (index, &state.fault.defect))
    }

    /// Counts a frame or request that the fault is about. It is left alone if it is one of the first ones, else it has a number, by which
    /// [`Faults::share`] decides.
    #[must_use]
    pub fn count(&self, index: usize) -> Option<u64> {
        let state = self.inner.all.get(index)?;
        let number = state.seen.fetch_add(1, Ordering::Relaxed);
        (number >= state.fault.skip).then_some(number)
    }

    /// A number from 0 up to and without 1 for this frame or request; `salt` parts several questions about one.
    #[must_use]
    pub fn share(&self, index: usize, number: u64, salt: u64) -> f64 {
        share(self.inner.seed, index, number, salt)
    }

    /// Any number for this frame or request.
    #[must_use]
    pub fn draw(&self, index: usize, number: u64, salt: u64) -> u64 {
        draw(self.inner.seed, index, number, salt)
    }

    /// The fault fires, at this place. `false` if it has fired often enough.
    pub fn fires(&self, index: usize, place: &str) -> bool {
        let Some(state) = self.inner.all.get(index) else {
            return false;
        };
        let times = state.fault.times.unwrap_or(u64::MAX);
        let more = |fired: u64| (fired < times).then_some(fired + 1);
        let Ok(before) = state
            .fired
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
        else {
            return false;
        };
        let nth = before + 1;
        if nth == times {
            self.inner.switched.send_replace(());
        }
        if nth <= FIRST_TOLD || nth.is_power_of_two() {
            self.timeline.emit(Event::Fault {
                name: state.fault.name.clone(),
                place: place.into(),
                nth,
            });
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(skip: u64, times: Option<u64>) -> Fault {
        let defect = Defect::Cable(CableDefect {
            loss: 0.5,
            ..CableDefect::default()
        });
        Fault {
            skip,
            times,
            ..Fault::new("loss", defect)
        }
    }

    /// Which of 40 frames are lost.
    fn lost(seed: u64, fault: Fault) -> (Vec<u64>, Vec<Event>) {
        let timeline = Timeline::start();
        let faults = Faults::new(seed, vec![fault], timeline.clone());
        let mut lost = Vec::new();
        for frame in 0..40 {
            let Some((index, _)) = faults.at_work().next() else {
                break;
            };
            if let Some(number) = faults.count(index)
                && faults.share(index, number, 0) < 0.5
                && faults.fires(index, "the cable")
            {
                lost.push(frame);
            }
        }
        let events = timeline.snapshot().into_iter().map(|r| r.event);
        (lost, events.collect())
    }

    #[test]
    fn the_same_seed_does_the_same() {
        let (first, events) = lost(7, fault(0, None));
        assert_eq!((first.clone(), events), lost(7, fault(0, None)));
        assert_ne!(first, lost(8, fault(0, None)).0);
        assert!((10..30).contains(&first.len()), "{first:?}");
    }

    #[test]
    fn what_goes_one_way_does_not_decide_what_happens_the_other_way() {
        let mut both = fault(2, Some(3));
        let from = both.part_ways().unwrap();
        let way = |fault: &Fault| match &fault.defect {
            Defect::Cable(cable) => cable.way,
            _ => Way::Both,
        };
        assert_eq!([&both, &from].map(way), [Way::ToBoard, Way::FromBoard]);
        assert_eq!((from.skip, from.times), (2, Some(3)));
        assert!(both.part_ways().is_none());
    }

    #[test]
    fn the_first_are_left_alone_and_the_last_too() {
        let all = lost(7, fault(0, None)).0;
        let later: Vec<_> = all.iter().copied().filter(|frame| *frame >= 10).collect();
        assert_eq!(lost(7, fault(10, None)).0, later);
        let (three, events) = lost(7, fault(0, Some(3)));
        assert_eq!(three, all[..3]);
        assert_eq!(events.len(), 3);
    }

    #[test]
    fn each_firing_is_an_event_and_thousands_are_few() {
        let timeline = Timeline::start();
        let faults = Faults::new(1, vec![fault(0, None)], timeline.clone());
        (0..5_000).for_each(|_| assert!(faults.fires(0, "the cable")));
        let numbers: Vec<_> = timeline
            .snapshot()
            .into_iter()
            .filter_map(|record| match record.event {
                Event::Fault { nth, .. } => Some(nth),
                _ => None,
            })
            .collect();
        assert_eq!(numbers[..16], (1..=16).collect::<Vec<_>>());
        assert_eq!(numbers[16..], [32, 64, 128, 256, 512, 1024, 2048, 4096]);
    }

    #[test]
    fn a_fault_may_be_of_one_board() {
        let run = Timeline::start();
        let [gateway, dut] = ["gateway", "dut"].map(|name| run.for_board(name.parse().unwrap()));
        let of_dut = Fault {
            board: dut.board(),
            ..fault(0, None)
        };
        let faults = Faults::new(1, vec![of_dut, fault(0, None)], run.clone());
        let at_work = |of: &Timeline| {
            let faults = faults.of(of.clone());
            faults.at_work().map(|(index, _)| index).collect::<Vec<_>>()
        };
        assert_eq!(at_work(&gateway), [1]);
        assert_eq!(at_work(&dut), [0, 1]);
        assert!(faults.of(dut).fires(0, "the cable"));
        assert_eq!(run.snapshot()[0].board.as_ref().unwrap().to_string(), "dut");
    }

    #[test]
    fn a_fault_is_of_one_boot_and_can_begin_and_end() {
        let timeline = Timeline::start();
        let later = Fault {
            boot: Some(1),
            at_once: false,
            ..fault(0, None)
        };
        let faults = Faults::new(1, vec![later], timeline.clone());
        let is_at_work = || faults.at_work().count() == 1;
        faults.begin(0);
        assert!(!is_at_work());
        timeline.begin_next_boot();
        assert!(is_at_work());
        faults.end(0);
        assert!(!is_at_work());
    }
}
