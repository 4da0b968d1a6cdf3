//! One file on its way to one client: which blocks are sent when.
//!
//! An acknowledgement counts when it is for a block that is under way; it moves the window, and a window that was only received in part
//! is sent again from where it broke (RFC 7440, section 4). An old or doubled acknowledgement is not answered by a block, since two
//! peers that answer everything would send everything twice for ever (RFC 1123, section 4.2.3.1). What is not acknowledged in time is
//! sent again, after ever longer waits unless the client has set the time-out, and a few times only.

use std::io;
use std::time::Duration;

use super::content::TftpContent;
use super::message::{self, Options};

/// The first wait for an acknowledgement, unless the client has set it.
const TIMEOUT: Duration = Duration::from_secs(1);
/// How often the same packets are sent before the client is given up.
const TRIES: u32 = 6;

/// A transfer, before its last acknowledgement.
#[derive(Debug)]
pub(super) struct Transfer {
    content: TftpContent,
    options: Options,
    /// The option acknowledgement has not been acknowledged yet.
    is_negotiating: bool,
    /// Blocks that the client has, counted without wrapping.
    acknowledged: u64,
    /// Blocks that have been sent, counted without wrapping.
    sent: u64,
    /// Sendings of the same packets so far.
    tries: u32,
    /// When the packets under way are sent again, as time since the LAN was started.
    deadline: Duration,
    /// A doubled acknowledgement has been answered since the last progress.
    has_repeated: bool,
    /// The client has acknowledged something.
    is_heard: bool,
}

/// What comes of a packet or of time.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// These packets go to the client; the list may be empty.
    Send(Vec<Vec<u8>>),
    /// The client has everything.
    Finished,
    /// The client has not answered for too long.
    GivenUp,
}

impl Transfer {
    /// Begins a transfer; also returns its first packets.
    pub(super) fn start(
        content: TftpContent,
        options: Options,
        now: Duration,
    ) -> io::Result<(Self, Vec<Vec<u8>>)> {
        let agreed = message::option_acknowledgement(options, content.length());
        let mut transfer = Self {
            content,
            options,
            is_negotiating: agreed.is_some(),
            acknowledged: 0,
            sent: 0,
            tries: 1,
            deadline: Duration::ZERO,
            has_repeated: false,
            is_heard: false,
        };
        let packets = transfer.window()?;
        transfer.arm(now);
        Ok((transfer, packets))
    }

    /// An acknowledgement has come.
    pub(super) fn acknowledge(&mut self, number: u16, now: Duration) -> io::Result<Progress> {
        // Block numbers are the low 16 bits of the count.
        let ahead = u64::from(number.wrapping_sub(self.acknowledged as u16));
        let under_way = self.sent - self.acknowledged;
        if self.is_negotiating {
            if number != 0 {
                return Ok(Progress::Send(Vec::new()));
            }
            self.is_negotiating = false;
        } else if ahead == 0 {
            // The client misses the first block of the window, or has said so twice.
            let is_answered = self.options.window() > 1 && !self.has_repeated;
            if !is_answered {
                return Ok(Progress::Send(Vec::new()));
            }
            self.has_repeated = true;
            let packets = self.window()?;
            self.arm(now);
            return Ok(Progress::Send(packets));
        } else if ahead > under_way {
            return Ok(Progress::Send(Vec::new()));
        }
        self.is_heard = true;
        self.acknowledged += ahead;
        if self.acknowledged == self.blocks() {
            return Ok(Progress::Finished);
        }
        self.tries = 1;
        self.has_repeated = false;
        let packets = self.window()?;
        self.arm(now);
        Ok(Progress::Send(packets))
    }

    /// The deadline may have passed.
    pub(super) fn wake(&mut self, now: Duration) -> io::Result<Progress> {
        if now < self.deadline {
            return Ok(Progress::Send(Vec::new()));
        }
        if self.tries >= TRIES {
            return Ok(Progress::GivenUp);
        }
        self.tries += 1;
        let packets = self.window()?;
        self.arm(now);
        Ok(Progress::Send(packets))
    }

    /// The request has come again: the first packets once more. `None` when the client has answered them already, so that it has begun
    /// anew.
    pub(super) fn repeat_start(&mut self) -> io::Result<Option<Vec<Vec<u8>>>> {
        if self.is_heard {
            return Ok(None);
        }
        self.window().map(Some)
    }

    /// When to call [`Transfer::wake`].
    pub(super) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Every block has been sent at least once.
    pub(super) fn is_sent(&self) -> bool {
        self.sent == self.blocks()
    }

    /// Bytes of the whole file.
    pub(super) fn length(&self) -> u64 {
        self.content.length()
    }

    /// Bytes that the client has acknowledged.
    pub(super) fn delivered(&self) -> u64 {
        let size = self.options.block_size() as u64;
        self.acknowledged
            .saturating_mul(size)
            .min(self.content.length())
    }

    /// Blocks of the whole file. The last one is shorter than the others, and empty if need be.
    fn blocks(&self) -> u64 {
        self.content.length() / self.options.block_size() as u64 + 1
    }

    /// The packets behind the last acknowledgement.
    fn window(&mut self) -> io::Result<Vec<Vec<u8>>> {
        if self.is_negotiating {
            let agreed = message::option_acknowledgement(self.options, self.content.length());
            return Ok(agreed.into_iter().collect());
        }
        let size = self.options.block_size();
        let end = (self.acknowledged + self.options.window()).min(self.blocks());
        self.sent = end;
        (self.acknowledged..end)
            .map(|index| {
                let mut packet = message::data((index + 1) as u16, size);
                self.content.read(index * size as u64, size, &mut packet)?;
                Ok(packet)
            })
            .collect()
    }

    fn arm(&mut self, now: Duration) {
        let wait = match self.options.timeout {
            Some(seconds) => Duration::from_secs(seconds.into()),
            None => TIMEOUT * 2u32.saturating_pow(self.tries - 1),
        };
        self.deadline = now + wait;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    const START: Duration = Duration::ZERO;

    fn options(block: u16, window: u16) -> Options {
        Options {
            block: Some(block),
            window: Some(window),
            ..Options::default()
        }
    }

    fn content(length: usize) -> Bytes {
        (0..length).map(|i| (i * 7 % 251) as u8).collect()
    }

    fn numbers(packets: &[Vec<u8>]) -> Vec<u16> {
        packets
            .iter()
            .map(|p| u16::from_be_bytes([p[2], p[3]]))
            .collect()
    }

    fn sent(progress: Progress) -> Vec<Vec<u8>> {
        match progress {
            Progress::Send(packets) => packets,
            other => panic!("{other:?}"),
        }
    }

    /// A client that reads everything in order over a channel that loses what `loses` says. Returns what it has read.
    fn read(bytes: &Bytes, options: Options, mut loses: impl FnMut() -> bool) -> Option<Vec<u8>> {
        let block = options.block_size();
        let (mut transfer, mut packets) =
            Transfer::start(bytes.clone().into(), options, START).unwrap();
        let (mut got, mut received, mut is_complete) = (Vec::new(), 0u64, false);
        let mut now = START;
        loop {
            let mut answer = None;
            let all: Vec<_> = packets.drain(..).filter(|_| !loses()).collect();
            for packet in all {
                match packet[1] {
                    6 => answer = Some(0),
                    3 if numbers(std::slice::from_ref(&packet))[0] == (received + 1) as u16 => {
                        got.extend_from_slice(&packet[4..]);
                        received += 1;
                        is_complete = packet.len() - 4 < block;
                        answer = Some(received as u16);
                    }
                    // Out of order: say again what is there.
                    3 => answer = Some(received as u16),
                    _ => panic!("{packet:?}"),
                }
            }
            let progress = match answer {
                Some(number) if !loses() => transfer.acknowledge(number, now).unwrap(),
                _ => Progress::Send(Vec::new()),
            };
            match progress {
                Progress::Finished => return Some(got),
                Progress::GivenUp => return is_complete.then_some(got),
                Progress::Send(new) => packets = new,
            }
            if packets.is_empty() {
                now = transfer.deadline();
                match transfer.wake(now).unwrap() {
                    Progress::Send(new) => packets = new,
                    // The last acknowledgement may be lost for ever.
                    _ => return is_complete.then_some(got),
                }
            }
        }
    }

    #[test]
    fn a_file_goes_over_block_by_block_and_ends_with_a_short_one() {
        for length in [0, 1, 511, 512, 513, 1024] {
            let bytes = content(length);
            let got = read(&bytes, Options::default(), || false);
            assert_eq!(got.as_deref(), Some(&bytes[..]), "{length}");
        }
        let (mut transfer, first) =
            Transfer::start(content(512).into(), Options::default(), START).unwrap();
        assert_eq!((numbers(&first), first[0].len()), (vec![1], 516));
        let last = sent(transfer.acknowledge(1, START).unwrap());
        assert_eq!((numbers(&last), last[0].len()), (vec![2], 4));
        assert_eq!(transfer.acknowledge(2, START).unwrap(), Progress::Finished);
        assert_eq!(transfer.delivered(), 512);
    }

    #[test]
    fn block_numbers_wrap() {
        let bytes = content(8 * 65_540);
        for window in [1, 3, 64] {
            let got = read(&bytes, options(8, window), || false).unwrap();
            assert!(got == bytes[..], "window {window}");
        }
    }

    #[test]
    fn options_are_agreed_on_before_the_first_block() {
        let (mut transfer, first) =
            Transfer::start(content(100).into(), options(8, 4), START).unwrap();
        assert_eq!(first[0][1], 6);
        assert!(sent(transfer.acknowledge(1, START).unwrap()).is_empty());
        let window = sent(transfer.acknowledge(0, START).unwrap());
        assert_eq!(numbers(&window), [1, 2, 3, 4]);
    }

    #[test]
    fn a_window_goes_on_from_where_it_broke() {
        let (mut transfer, _) = Transfer::start(content(100).into(), options(8, 4), START).unwrap();
        sent(transfer.acknowledge(0, START).unwrap());
        let again = sent(transfer.acknowledge(2, START).unwrap());
        assert_eq!(numbers(&again), [3, 4, 5, 6]);
        // Nothing of it has come: once, and not for every copy of the acknowledgement.
        assert_eq!(
            numbers(&sent(transfer.acknowledge(2, START).unwrap())),
            [3, 4, 5, 6]
        );
        assert!(sent(transfer.acknowledge(2, START).unwrap()).is_empty());
        // Neither old nor future acknowledgements count.
        assert!(sent(transfer.acknowledge(1, START).unwrap()).is_empty());
        assert!(sent(transfer.acknowledge(7, START).unwrap()).is_empty());
    }

    #[test]
    fn a_doubled_acknowledgement_is_not_answered_without_a_window() {
        let (mut transfer, _) =
            Transfer::start(content(2000).into(), Options::default(), START).unwrap();
        assert_eq!(numbers(&sent(transfer.acknowledge(1, START).unwrap())), [2]);
        assert!(sent(transfer.acknowledge(1, START).unwrap()).is_empty());
    }

    #[test]
    fn what_is_not_acknowledged_is_sent_again_after_ever_longer_waits() {
        let (mut transfer, _) =
            Transfer::start(content(10).into(), Options::default(), START).unwrap();
        let mut waits = Vec::new();
        let mut now = START;
        loop {
            let wait = transfer.deadline() - now;
            waits.push(wait.as_secs());
            assert!(sent(transfer.wake(now + wait / 2).unwrap()).is_empty());
            now = transfer.deadline();
            match transfer.wake(now).unwrap() {
                Progress::GivenUp => break,
                progress => assert_eq!(numbers(&sent(progress)), [1]),
            }
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32]);
        let set = Options {
            timeout: Some(3),
            ..Options::default()
        };
        let (mut transfer, _) = Transfer::start(content(10).into(), set, START).unwrap();
        assert_eq!(transfer.deadline(), Duration::from_secs(3));
        transfer.wake(Duration::from_secs(3)).unwrap();
        assert_eq!(transfer.deadline(), Duration::from_secs(6));
    }

    proptest! {
        #[test]
        fn a_lossy_cable_loses_nothing_of_a_file(
            length in 0usize..5000,
            block in 8u16..600,
            window in 1u16..20,
            losses in prop::collection::btree_set(0usize..400, 0..6),
        ) {
            let bytes = content(length);
            let mut packet = 0;
            // Five losses are one fewer than a client needs to be given up.
            let got = read(&bytes, options(block, window), || {
                packet += 1;
                losses.contains(&packet)
            });
            prop_assert!(got.as_deref() == Some(&bytes[..]));
        }

        #[test]
        fn no_acknowledgement_harms(
            length in 0usize..2000,
            window in 1u16..8,
            numbers in prop::collection::vec(any::<u16>(), 0..50),
        ) {
            let (mut transfer, _) =
                Transfer::start(content(length).into(), options(8, window), START).unwrap();
            for number in numbers {
                if let Progress::Send(packets) = transfer.acknowledge(number, START).unwrap() {
                    prop_assert!(packets.len() <= usize::from(window));
                } else {
                    break;
                }
            }
        }
    }
}
