//! The kinds of defects, as `[[fault]]` tables name them.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error};

use crate::input::{ByteSize, Pattern, duration};
use crate::timeline::{FrameKind, ServiceId};

/// Which way frames go on a board's cable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Both ways.
    #[default]
    Both,
    /// From the switch to the board.
    ToBoard,
    /// From the board to the switch.
    FromBoard,
}

impl Way {
    /// Frames that go this way are meant, `way` being one of the two.
    #[must_use]
    pub fn includes(self, way: Self) -> bool {
        self == Self::Both || self == way
    }
}

/// What a cable does to frames. Everything that is set happens. Each share is a probability from 0 to 1, drawn for each frame.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CableDefect {
    /// Frames that go this way.
    pub way: Way,
    /// Frames of this kind; every kind by default.
    pub of: Option<FrameKind>,
    /// The share of frames that are lost. 1 cuts the cable.
    #[serde(deserialize_with = "share")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub loss: f64,
    /// The share of frames that come twice.
    #[serde(deserialize_with = "share")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub duplicate: f64,
    /// The share of frames in which one bit is wrong. The adapter's checksum was right: the error happened before.
    #[serde(deserialize_with = "share")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub corrupt: f64,
    /// The share of frames that are held back until others have overtaken them.
    #[serde(deserialize_with = "share")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub reorder: f64,
    /// How much later frames come.
    #[serde(deserialize_with = "duration::deserialize")]
    #[schemars(with = "duration::Text")]
    pub delay: Duration,
    /// The most that is added to the delay, another amount for each frame. Frames keep their order.
    #[serde(deserialize_with = "duration::deserialize")]
    #[schemars(with = "duration::Text")]
    pub jitter: Duration,
    /// The most bytes a second.
    #[serde(deserialize_with = "some_rate")]
    pub rate: Option<ByteSize>,
    /// Frames are held back until the fault shows no more; then they come all at once, in their order.
    pub hold: bool,
}

impl CableDefect {
    /// It does something to frames.
    #[must_use]
    pub fn does_something(&self) -> bool {
        let shares = [self.loss, self.duplicate, self.corrupt, self.reorder];
        shares.iter().any(|share| *share > 0.0)
            || !self.delay.is_zero()
            || !self.jitter.is_zero()
            || self.rate.is_some()
            || self.hold
    }
}

fn some_rate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ByteSize>, D::Error> {
    rate(deserializer).map(Some)
}

fn rate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ByteSize, D::Error> {
    let rate = ByteSize::deserialize(deserializer)?;
    match rate.0 {
        0 => Err(D::Error::custom(
            "nothing would ever come: write a rate of 1 byte a second or more",
        )),
        _ => Ok(rate),
    }
}

/// Answers before the final one (1xx, RFC 9110, section 15.2) are not what a client waits for.
fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let status = u16::deserialize(deserializer)?;
    match (200..=599).contains(&status) {
        true => Ok(status),
        false => Err(D::Error::custom("a status is a number from 200 to 599")),
    }
}

fn port<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    match u16::deserialize(deserializer)? {
        0 => Err(D::Error::custom(
            "no connection goes to port 0: write a port from 1 to 65535",
        )),
        port => Ok(port),
    }
}

fn years<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    let years = i32::deserialize(deserializer)?;
    match (-100..=100).contains(&years) {
        true => Ok(years),
        false => Err(D::Error::custom("a clock is wrong by -100 to 100 years")),
    }
}

fn share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let share = f64::deserialize(deserializer)?;
    match (0.0..=1.0).contains(&share) {
        true => Ok(share),
        false => Err(D::Error::custom("a share is a number from 0 to 1")),
    }
}

/// What is wrong with the answers of a DHCP server. A server that says nothing, or has no address left, is a cable that loses its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DhcpDefect {
    /// It refuses what it has offered: DHCPNAK in place of DHCPACK.
    Nak,
    /// It names a boot file that no server has.
    WrongBootFile,
    /// Router and DNS server are an address that nobody has.
    WrongRouter,
    /// A second server offers first, with a boot file that nobody has.
    Rogue,
    /// The network mask has all bits: nobody else is on the client's network, not even its router.
    WrongMask,
    /// The address is lent for so short a time that it must be asked for again every few seconds: 10 s.
    ShortLease,
}

/// What is wrong with the answers of a TFTP server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TftpDefect {
    /// It says that a file has half the bytes that it has (`tsize`, RFC 2349).
    TooSmall,
    /// It says that a file has twice the bytes that it has.
    TooLarge,
    /// It sends an error in place of a block (error 0).
    GivesUp,
}

/// What is wrong with the answers of a DNS server over UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DnsDefect {
    /// The address is one that nobody has.
    WrongAddress,
    /// There is no such name.
    NoSuchName,
    /// The server has failed (SERVFAIL).
    Failed,
    /// The answer is cut short, so that the client must ask over TCP.
    Truncated,
}

/// What is wrong with the answers of an NTP server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NtpDefect {
    /// Years of 365 days that its clock is ahead; behind if less than 0.
    #[serde(deserialize_with = "years")]
    #[schemars(range(min = -100, max = 100))]
    pub years: i32,
}

/// What is wrong with the connections to a TCP port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpDefect {
    /// The port.
    #[serde(deserialize_with = "port")]
    #[schemars(range(min = 1))]
    pub port: u16,
    /// What happens.
    pub does: TcpAct,
}

/// What happens to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TcpAct {
    /// Nobody listens: it is refused.
    Refuse,
    /// It is reset at a segment with data on its way to the board.
    Reset,
}

/// What is wrong with an answer over HTTP.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpDefect {
    /// The server.
    pub service: ServiceId,
    /// Only requests whose path and query match.
    pub target: Option<Pattern>,
    /// What is wrong.
    pub answer: AnswerDefect,
}

/// What is wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerDefect {
    /// It is this status, with a line of text.
    Status(
        #[serde(deserialize_with = "status")]
        #[schemars(range(min = 200, max = 599))]
        u16,
    ),
    /// It leads to the same address again (302).
    RedirectLoop,
    /// None comes, and the connection stays.
    NoAnswer,
    /// Its head stops after so many bytes, and the connection stays.
    StallHead(ByteSize),
    /// The body stops after so many bytes, and the connection stays.
    Stall(ByteSize),
    /// The connection breaks off after so many bytes of the body.
    BreakOff(ByteSize),
    /// The body has so many bytes and the length says so: the file is too short.
    Truncate(ByteSize),
    /// The bits of the byte at this place of the body are turned over.
    Corrupt(ByteSize),
    /// The head promises so many bytes more than come.
    PromiseMore(ByteSize),
    /// So many bytes of the body come a second.
    Trickle(#[serde(deserialize_with = "rate")] ByteSize),
}

/// What is wrong with a board's card, or disk, while the board runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardDefect {
    /// Only what is read from or written to this partition, by its number.
    pub partition: Option<u32>,
    /// Only what belongs to this file of the partition's FAT file system.
    pub file: Option<String>,
    /// What happens.
    pub does: CardTrouble,
}

/// What a card, or disk, does in place of what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardTrouble {
    /// It reads and writes so many bytes a second.
    Slow(ByteSize),
    /// What is read has one wrong bit in each sector of 512 bytes.
    CorruptReads,
    /// Reading fails with an input/output error.
    FailReads,
    /// Writing fails with an input/output error.
    FailWrites,
    /// A write is accepted and not kept: what is read later is what was there before.
    LoseWrites,
    /// When the power goes away, the second half of what was written last, in one stretch, is as it was before.
    TornWrite,
    /// It can be read and not written to, and says so.
    ReadOnly,
}
