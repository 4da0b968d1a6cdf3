//! The log itself: append, read from a cursor, wait.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::machines::{Machines, Owner};
use super::{BoardId, Event, Record};
use crate::mac::Mac;

/// A shared, append-only log of events on one clock. Clones are handles to the same log, for the same board.
#[derive(Debug, Clone)]
pub struct Timeline {
    inner: Arc<Inner>,
    /// The board that this handle's events happen to; `None` where a run has one board.
    board: Option<BoardId>,
    /// The boot of that board which is under way.
    boot: Arc<AtomicU32>,
}

#[derive(Debug)]
struct Inner {
    started: Instant,
    /// What the clock had shown when another run's timeline became the beginning of this one, if one has.
    ahead: OnceLock<Duration>,
    records: Mutex<Vec<Record>>,
    length: watch::Sender<usize>,
    /// What turns the address of a server's client into its board.
    machines: Mutex<Machines>,
}

/// A place in the log: everything before it has been read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor(usize);

impl Timeline {
    /// An empty log whose clock starts now.
    #[must_use]
    pub fn start() -> Self {
        Self::of_records(Vec::new())
    }

    /// A log of what was recorded before, to be judged again; its clock starts now and has nothing to do with theirs.
    #[must_use]
    pub fn of_records(records: Vec<Record>) -> Self {
        Self {
            inner: Arc::new(Inner {
                started: Instant::now(),
                ahead: OnceLock::new(),
                length: watch::Sender::new(records.len()),
                records: Mutex::new(records),
                machines: Mutex::default(),
            }),
            board: None,
            boot: Arc::default(),
        }
    }

    /// A handle to the same log for what happens to one of several boards, whose boots are counted apart.
    #[must_use]
    pub fn for_board(&self, board: BoardId) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            board: Some(board),
            boot: Arc::default(),
        }
    }

    /// The board of this handle has this hardware address: what comes from it happens to the board.
    pub fn has_machine(&self, mac: Mac) {
        let owner = Owner {
            board: self.board.clone(),
            boot: Arc::clone(&self.boot),
        };
        self.machines().add(mac, owner);
    }

    /// The machine with this hardware address has been given this address of the LAN.
    pub fn lives_at(&self, mac: Mac, address: Ipv4Addr) {
        self.machines().settle(mac, address);
    }

    /// A handle for what the machine with this hardware address does; this one if it is no board's.
    #[must_use]
    pub fn of_machine(&self, mac: Mac) -> Self {
        let owner = self.machines().owner(mac);
        self.owned_by(owner)
    }

    /// A handle for what the client at this address of the LAN does; this one if no board lives there.
    #[must_use]
    pub fn of_client(&self, address: Ipv4Addr) -> Self {
        let owner = self.machines().owner_at(address);
        self.owned_by(owner)
    }

    /// A handle for what has begun in the boot that is under way, however late it ends.
    #[must_use]
    pub fn of_this_boot(&self) -> Self {
        Self {
            boot: Arc::new(AtomicU32::new(self.boot())),
            ..self.clone()
        }
    }

    fn owned_by(&self, owner: Option<Owner>) -> Self {
        let Some(Owner { board, boot }) = owner else {
            return self.clone();
        };
        Self {
            inner: Arc::clone(&self.inner),
            board,
            boot,
        }
    }

    /// What comes from now on through this handle and its clones belongs to the board's next boot. Returns its number.
    pub fn begin_next_boot(&self) -> u32 {
        self.boot.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The board that this handle is of; `None` where a run has one.
    #[must_use]
    pub fn board(&self) -> Option<BoardId> {
        self.board.clone()
    }

    /// The place behind everything that has been recorded.
    #[must_use]
    pub fn end(&self) -> Cursor {
        Cursor(self.len())
    }

    /// The boot that is under way, counted from 0.
    #[must_use]
    pub fn boot(&self) -> u32 {
        self.boot.load(Ordering::Relaxed)
    }

    /// Goes on from another log, of which these are the records: from `at`, which its clock showed. For once, and before anything has
    /// been recorded here.
    pub fn go_on_from(&self, before: Vec<Record>, at: Duration) {
        let length = {
            let mut records = self.records();
            self.inner.ahead.get_or_init(|| at);
            records.extend(before);
            records.len()
        };
        self.inner.length.send_replace(length);
    }

    /// Time since the log was started, or since the one was that it goes on from.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        let ahead = self.inner.ahead.get().copied().unwrap_or_default();
        self.inner.started.elapsed() + ahead
    }

    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records().len()
    }

    /// Nothing has happened yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends an event that happens now.
    pub fn emit(&self, event: Event) {
        let length = {
            let mut records = self.records();
            let at = self.elapsed();
            records.push(Record {
                at,
                board: self.board.clone(),
                boot: self.boot(),
                event,
            });
            records.len()
        };
        self.inner.length.send_replace(length);
    }

    /// Appends a [`Event::Note`].
    pub fn note(&self, room: &str, text: impl Into<String>) {
        self.emit(Event::Note {
            room: room.into(),
            text: text.into(),
        });
    }

    /// A copy of every record so far.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Record> {
        self.records().clone()
    }

    /// What the last record gives for which `find` gives something. Nothing is copied.
    pub fn find_last<T>(&self, find: impl Fn(&Record) -> Option<T>) -> Option<T> {
        self.records().iter().rev().find_map(find)
    }

    /// Copies of the records at and after `cursor`, which moves behind them.
    pub fn read(&self, cursor: &mut Cursor) -> Vec<Record> {
        let records = self.records();
        let new = records.get(cursor.0..).unwrap_or_default().to_vec();
        cursor.0 = records.len();
        new
    }

    /// Waits for the first record at or after `cursor` for which `matches` is true, and moves the cursor behind it.
    /// Without a match it waits for ever: bound it with `tokio::time::timeout`. Dropping the future leaves the cursor
    /// behind the records already looked at.
    pub async fn wait_for(&self, cursor: &mut Cursor, matches: impl Fn(&Record) -> bool) -> Record {
        let mut length = self.inner.length.subscribe();
        loop {
            {
                let records = self.records();
                while let Some(record) = records.get(cursor.0) {
                    cursor.0 += 1;
                    if matches(record) {
                        return record.clone();
                    }
                }
            }
            // The sender lives in `self`, so the channel cannot close while we wait.
            let _ = length.changed().await;
        }
    }

    fn machines(&self) -> MutexGuard<'_, Machines> {
        self.inner
            .machines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn records(&self) -> MutexGuard<'_, Vec<Record>> {
        self.inner
            .records
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_note(text: &str) -> impl Fn(&Record) -> bool {
        move |r| matches!(&r.event, Event::Note { text: t, .. } if t == text)
    }

    #[tokio::test]
    async fn a_late_reader_misses_nothing() {
        let timeline = Timeline::start();
        timeline.note("test", "one");
        timeline.note("test", "two");
        let mut cursor = Cursor::default();
        timeline.wait_for(&mut cursor, is_note("one")).await;
        let later = timeline.clone();
        let wait = tokio::spawn(async move {
            let mut cursor = cursor;
            later.wait_for(&mut cursor, is_note("three")).await
        });
        timeline.note("test", "three");
        let record = wait.await.unwrap();
        assert!(record.at <= timeline.elapsed());
        assert_eq!(timeline.read(&mut Cursor::default()).len(), 3);
    }

    #[test]
    fn a_log_goes_on_from_another() {
        let before = Timeline::start();
        before.note("test", "one");
        let at = Duration::from_secs(100);
        let timeline = Timeline::start();
        timeline.go_on_from(before.snapshot(), at);
        timeline.note("test", "two");
        let records = timeline.snapshot();
        assert!(is_note("one")(&records[0]) && records[0].at < at);
        assert!(is_note("two")(&records[1]) && records[1].at >= at);
    }

    #[test]
    fn a_handle_stamps_its_board_and_the_boot_under_way() {
        let timeline = Timeline::start();
        let gateway = timeline.for_board("gateway".parse().unwrap());
        let clone = gateway.clone();
        timeline.note("test", "one");
        assert_eq!(gateway.begin_next_boot(), 1);
        clone.note("test", "two");
        let seen: Vec<_> = timeline.snapshot();
        let seen = seen
            .iter()
            .map(|r| (r.board.as_ref().map(ToString::to_string), r.boot));
        assert!(seen.eq([(None, 0), (Some("gateway".into()), 1)]));
    }

    #[test]
    fn what_a_client_does_happens_to_the_board_that_lives_at_its_address() {
        let timeline = Timeline::start();
        let board = timeline.for_board("two".parse().unwrap());
        let mac: Mac = "b8:27:eb:00:00:02".parse().unwrap();
        let [address, another] = [2, 3].map(|host| Ipv4Addr::new(10, 42, 1, host));
        board.has_machine(mac);
        let of = |handle: Timeline| (handle.board().map(|b| b.to_string()), handle.boot());
        assert_eq!(of(timeline.of_client(address)), (None, 0));
        timeline.lives_at(mac, address);
        board.begin_next_boot();
        let two = (Some("two".into()), 1);
        assert_eq!(of(timeline.of_client(address)), two);
        assert_eq!(of(timeline.of_machine(mac)), two);
        assert_eq!(of(timeline.of_client(another)), (None, 0));
        // A lease that has run out is another machine's.
        timeline.lives_at("52:54:00:00:00:01".parse().unwrap(), address);
        assert_eq!(of(timeline.of_client(address)), (None, 0));
    }

    #[test]
    fn records_survive_json() {
        let timeline = Timeline::start();
        timeline.emit(Event::Serial {
            uart: 1,
            line: "U-Boot 2025.01".into(),
        });
        let text = serde_json::to_string(&timeline.snapshot()).unwrap();
        assert!(text.contains(r#""event":"serial""#), "{text}");
        let back: Vec<Record> = serde_json::from_str(&text).unwrap();
        assert_eq!(back[0].event, timeline.snapshot()[0].event);
    }
}
