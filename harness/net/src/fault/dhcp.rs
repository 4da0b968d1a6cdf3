//! What a DHCP server with a defect answers, made of what a good one answers.
//!
//! Sources: RFC 2131, section 2 (layout), 3.1 and 4.1 (refusals); RFC 2132 (options).

use std::net::Ipv4Addr;

use bytes::Bytes;
use shakedown_base::fault::DhcpDefect;
use smoltcp::wire::EthernetAddress;

use super::packet::{Ends, datagram, with_datagram};

const SERVER_PORT: u16 = 67;
const YOUR_ADDRESS: usize = 16;
const NEXT_SERVER: usize = 20;
const TRANSACTION: std::ops::Range<usize> = 4..8;
const FILE: std::ops::Range<usize> = 108..236;
const OPTIONS: usize = 240;
const END: u8 = 255;

const MASK: u8 = 1;
const ROUTER: u8 = 3;
const DNS: u8 = 6;
const LEASE: u8 = 51;
const MESSAGE_TYPE: u8 = 53;
const SERVER: u8 = 54;
/// When an address is asked for again, and when of any server.
const RENEWALS: [u8; 2] = [58, 59];
const BOOT_FILE: u8 = 67;
const OFFER: u8 = 2;
const REQUEST: u8 = 3;
const ACK: u8 = 5;
const NAK: u8 = 6;

/// Seconds of a short lease.
const SHORT: u32 = 10;

/// The address of the second server, and of a router that is not there: the last of the server's own network of 256.
const LAST: u8 = 254;

/// A second server on the segment. It answers with what the first one answers, in its own name.
#[derive(Debug, Default)]
pub(super) struct Rogue {
    /// The transaction of a client that has taken its offer, and the server in whose name the first one must be asked.
    chosen: Option<([u8; 4], Ipv4Addr)>,
    server: Option<Ipv4Addr>,
}

/// The frames in place of one to the board; `None` if the defect does not show in it.
pub(super) fn to_board(defect: DhcpDefect, frame: &Bytes, rogue: &mut Rogue) -> Option<Vec<Bytes>> {
    let (ends, payload) = datagram(frame)?;
    if ends.from.port() != SERVER_PORT {
        return None;
    }
    let mut message = Message::parse(payload)?;
    let kind = message.kind()?;
    match defect {
        DhcpDefect::Nak if kind == ACK => Some(vec![message.refusal(ends)?]),
        DhcpDefect::WrongBootFile if matches!(kind, OFFER | ACK) => {
            message.set_boot_file()?;
            Some(vec![message.frame(ends)])
        }
        DhcpDefect::WrongRouter if matches!(kind, OFFER | ACK) => {
            let nobody = last_of(message.server()?).octets();
            message.set(ROUTER, nobody.to_vec());
            message.set(DNS, nobody.to_vec());
            Some(vec![message.frame(ends)])
        }
        DhcpDefect::WrongMask if matches!(kind, OFFER | ACK) => {
            message.set(MASK, vec![0xff; 4]);
            Some(vec![message.frame(ends)])
        }
        DhcpDefect::ShortLease if matches!(kind, OFFER | ACK) => {
            message.set(LEASE, SHORT.to_be_bytes().to_vec());
            message.options.retain(|(of, _)| !RENEWALS.contains(of));
            Some(vec![message.frame(ends)])
        }
        DhcpDefect::Rogue if kind == OFFER => {
            rogue.server = message.server();
            message.become_rogue()?;
            Some(vec![message.frame(ends), frame.clone()])
        }
        DhcpDefect::Rogue if kind == ACK => {
            rogue.chosen.filter(|(transaction, _)| {
                message.fixed.get(TRANSACTION) == Some(&transaction[..])
            })?;
            message.become_rogue()?;
            Some(vec![message.frame(ends)])
        }
        _ => None,
    }
}

/// The frame in place of one from the board, which asks the second server for what it has offered.
pub(super) fn from_board(frame: &Bytes, rogue: &mut Rogue) -> Option<Bytes> {
    let (ends, payload) = datagram(frame)?;
    let mut message = Message::parse(payload).filter(|_| ends.to.port() == SERVER_PORT)?;
    let server = rogue.server?;
    if message.kind()? != REQUEST || message.server()? != last_of(server) {
        return None;
    }
    let transaction = message.fixed.get(TRANSACTION)?.try_into().ok()?;
    rogue.chosen = Some((transaction, server));
    message.set(SERVER, server.octets().to_vec());
    Some(message.frame(ends))
}

fn last_of(server: Ipv4Addr) -> Ipv4Addr {
    let [a, b, c, _] = server.octets();
    Ipv4Addr::new(a, b, c, LAST)
}

/// A DHCP message: what is before the options, and the options in order.
struct Message {
    fixed: Vec<u8>,
    options: Vec<(u8, Vec<u8>)>,
}

impl Message {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (fixed, mut rest) = bytes.split_at_checked(OPTIONS)?;
        let mut options = Vec::new();
        loop {
            match rest {
                [0, after @ ..] => rest = after,
                [] | [END, ..] => break,
                [kind, length, after @ ..] => {
                    let (data, after) = after.split_at_checked(usize::from(*length))?;
                    options.push((*kind, data.to_vec()));
                    rest = after;
                }
                [_] => return None,
            }
        }
        Some(Self {
            fixed: fixed.to_vec(),
            options,
        })
    }

    fn option(&self, kind: u8) -> Option<&[u8]> {
        let found = self.options.iter().find(|(of, _)| *of == kind);
        found.map(|(_, data)| &data[..])
    }

    fn kind(&self) -> Option<u8> {
        self.option(MESSAGE_TYPE)?.first().copied()
    }

    fn server(&self) -> Option<Ipv4Addr> {
        let octets: [u8; 4] = self.option(SERVER)?.try_into().ok()?;
        Some(octets.into())
    }

    fn set(&mut self, kind: u8, data: Vec<u8>) {
        match self.options.iter_mut().find(|(of, _)| *of == kind) {
            Some((_, old)) => *old = data,
            None => self.options.push((kind, data)),
        }
    }

    fn set_boot_file(&mut self) -> Option<()> {
        let file = format!("http://{}/no-such-file.ipxe", self.server()?).into_bytes();
        let field = self.fixed.get_mut(FILE)?;
        field.fill(0);
        field.get_mut(..file.len())?.copy_from_slice(&file);
        self.set(BOOT_FILE, file);
        Some(())
    }

    /// The second server's boot file is on the first one, where it is not.
    fn become_rogue(&mut self) -> Option<()> {
        self.set_boot_file()?;
        let rogue = last_of(self.server()?);
        self.set(SERVER, rogue.octets().to_vec());
        Some(())
    }

    /// A refusal is for everybody: the client has no address.
    fn refusal(mut self, ends: Ends) -> Option<Bytes> {
        self.fixed.get_mut(YOUR_ADDRESS..NEXT_SERVER + 4)?.fill(0);
        self.fixed.get_mut(FILE)?.fill(0);
        self.options
            .retain(|(kind, _)| matches!(*kind, MESSAGE_TYPE | SERVER | 61));
        self.set(MESSAGE_TYPE, vec![NAK]);
        let mut ends = Ends {
            to_mac: EthernetAddress::BROADCAST,
            ..ends
        };
        ends.to.set_ip(Ipv4Addr::BROADCAST);
        Some(self.frame(ends))
    }

    fn frame(&self, ends: Ends) -> Bytes {
        /// Shortest BOOTP message (RFC 1542, section 2.1).
        const SHORTEST: usize = 300;
        let mut bytes = self.fixed.clone();
        for (kind, data) in &self.options {
            bytes.extend([*kind, data.len() as u8]);
            bytes.extend(data);
        }
        bytes.push(END);
        bytes.resize(bytes.len().max(SHORTEST), 0);
        with_datagram(ends, &bytes)
    }
}
