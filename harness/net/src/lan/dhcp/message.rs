//! The bytes of DHCP messages: what a request says, and how a reply is written.
//!
//! Sources: RFC 2131, section 2 (layout) and 4.1 (sizes); RFC 2132 (options); RFC 3004 (user class); RFC 4578 (architecture); RFC 6842 (client identifier).
//! Requests are not read with `smoltcp`'s `DhcpRepr`, which refuses the client identifiers that real clients send.

use std::net::Ipv4Addr;

use smoltcp::wire::{DhcpFlags, DhcpMessageType, DhcpOpCode, DhcpPacket};

use crate::lan::frame::Mac;

/// Shortest BOOTP message in bytes (RFC 1542, section 2.1); some clients drop shorter ones.
const SHORTEST: usize = 300;
/// Where the boot file name is, and its size with the NUL.
const FILE: std::ops::Range<usize> = 108..236;
/// Where the options begin.
const OPTIONS: usize = 240;
const MAGIC: u32 = 0x6382_5363;
const END: u8 = 255;

/// Option numbers.
pub(super) mod option {
    pub(in super::super) const SUBNET_MASK: u8 = 1;
    pub(in super::super) const ROUTER: u8 = 3;
    pub(in super::super) const DNS: u8 = 6;
    pub(in super::super) const DOMAIN: u8 = 15;
    pub(in super::super) const NTP: u8 = 42;
    pub(in super::super) const REQUESTED_ADDRESS: u8 = 50;
    pub(in super::super) const LEASE_TIME: u8 = 51;
    pub(in super::super) const MESSAGE_TYPE: u8 = 53;
    pub(in super::super) const SERVER: u8 = 54;
    pub(in super::super) const MESSAGE: u8 = 56;
    pub(in super::super) const RENEWAL_TIME: u8 = 58;
    pub(in super::super) const REBINDING_TIME: u8 = 59;
    pub(in super::super) const VENDOR_CLASS: u8 = 60;
    pub(in super::super) const CLIENT_IDENTIFIER: u8 = 61;
    pub(in super::super) const TFTP_SERVER: u8 = 66;
    pub(in super::super) const BOOT_FILE: u8 = 67;
    pub(in super::super) const USER_CLASS: u8 = 77;
    pub(in super::super) const ARCHITECTURE: u8 = 93;
    /// iPXE's own options, encapsulated.
    pub(in super::super) const IPXE: u8 = 175;
}

/// What a client's message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) kind: DhcpMessageType,
    pub(super) transaction: u32,
    pub(super) mac: Mac,
    /// The client cannot receive unicast before it has its address.
    pub(super) broadcast: bool,
    /// `ciaddr`: the address the client uses already, or 0.0.0.0.
    pub(super) client: Ipv4Addr,
    pub(super) requested: Option<Ipv4Addr>,
    pub(super) server: Option<Ipv4Addr>,
    pub(super) vendor_class: Option<String>,
    /// The client identifier, which every reply returns (RFC 6842, section 3).
    pub(super) identifier: Option<Vec<u8>>,
    /// Architectures the client can boot, best first.
    pub(super) architectures: Vec<u16>,
    /// The client says that it is iPXE.
    pub(super) is_ipxe: bool,
}

impl Request {
    /// Reads a client's message; `None` when it is none, or a plain BOOTP one, or was relayed, which cannot happen on one segment.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let packet = DhcpPacket::new_checked(bytes).ok()?;
        let is_ethernet = packet.hardware_type() == smoltcp::wire::ArpHardware::Ethernet
            && packet.hardware_len() == 6;
        let is_direct = packet.relay_agent_ip().is_unspecified();
        if packet.opcode() != DhcpOpCode::Request
            || !is_ethernet
            || !is_direct
            || packet.magic_number() != MAGIC
        {
            return None;
        }
        let mut request = Self {
            kind: DhcpMessageType::Unknown(0),
            transaction: packet.transaction_id(),
            mac: packet.client_hardware_address(),
            broadcast: packet.flags().contains(DhcpFlags::BROADCAST),
            client: packet.client_ip(),
            requested: None,
            server: None,
            vendor_class: None,
            identifier: None,
            architectures: Vec::new(),
            is_ipxe: false,
        };
        for option in packet.options() {
            let data = option.data;
            match option.kind {
                option::MESSAGE_TYPE => request.kind = (*data.first()?).into(),
                option::REQUESTED_ADDRESS => request.requested = address(data),
                option::SERVER => request.server = address(data),
                option::VENDOR_CLASS => request.vendor_class = Some(text(data)),
                option::CLIENT_IDENTIFIER => request.identifier = Some(data.to_vec()),
                option::USER_CLASS => request.is_ipxe |= is_ipxe(data),
                option::IPXE => request.is_ipxe = true,
                option::ARCHITECTURE => {
                    let words = data.chunks_exact(2).filter_map(|pair| pair.first_chunk());
                    request.architectures = words.map(|&pair| u16::from_be_bytes(pair)).collect();
                }
                _ => {}
            }
        }
        let is_sound = request.kind != DhcpMessageType::Unknown(0) && request.mac.is_unicast();
        is_sound.then_some(request)
    }

    /// The client remembers an address and asks whether it may go on using it (RFC 2131, section 4.3.2, "INIT-REBOOT").
    pub(super) fn is_init_reboot(&self) -> bool {
        self.server.is_none() && self.requested.is_some() && self.client.is_unspecified()
    }

    /// The address that a request for one is about.
    pub(super) fn wanted(&self) -> Ipv4Addr {
        self.requested.unwrap_or(self.client)
    }
}

fn address(data: &[u8]) -> Option<Ipv4Addr> {
    <[u8; 4]>::try_from(data).ok().map(Ipv4Addr::from)
}

/// Text of a client, some of which end it with NUL.
fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data)
        .trim_end_matches('\0')
        .to_owned()
}

/// iPXE sends its user class as plain text; others send what RFC 3004 wants, each class behind its length.
fn is_ipxe(mut data: &[u8]) -> bool {
    const NAME: &[u8] = b"iPXE";
    if data == NAME {
        return true;
    }
    while let Some((&length, rest)) = data.split_first() {
        let Some((class, rest)) = rest.split_at_checked(length.into()) else {
            return false;
        };
        if class == NAME {
            return true;
        }
        data = rest;
    }
    false
}

/// A reply: its fixed fields, and its options in the order of sending, the message type and the end not among them.
#[derive(Debug)]
pub(super) struct Reply<'a> {
    pub(super) kind: DhcpMessageType,
    /// `ciaddr`
    pub(super) client: Ipv4Addr,
    /// `yiaddr`
    pub(super) your: Ipv4Addr,
    /// `siaddr`
    pub(super) next_server: Ipv4Addr,
    /// `file`
    pub(super) file: &'a str,
    pub(super) options: Vec<(u8, Vec<u8>)>,
}

impl Reply<'_> {
    /// Writes the reply to `request`. Options longer than 255 bytes do not exist here: the configuration was checked.
    pub(super) fn encode(&self, request: &Request) -> Vec<u8> {
        let mut bytes = vec![0; OPTIONS];
        let mut packet = DhcpPacket::new_unchecked(&mut bytes[..]);
        packet.set_opcode(DhcpOpCode::Reply);
        packet.set_hardware_type(smoltcp::wire::ArpHardware::Ethernet);
        packet.set_hardware_len(6);
        packet.set_transaction_id(request.transaction);
        let flags = if request.broadcast {
            DhcpFlags::BROADCAST
        } else {
            DhcpFlags::empty()
        };
        packet.set_flags(flags);
        packet.set_client_ip(self.client);
        packet.set_your_ip(self.your);
        packet.set_server_ip(self.next_server);
        packet.set_client_hardware_address(request.mac);
        packet.set_magic_number(MAGIC);
        if let Some(field) = bytes.get_mut(FILE) {
            for (byte, &letter) in field.iter_mut().zip(self.file.as_bytes()) {
                *byte = letter;
            }
        }
        let mut put = |kind: u8, data: &[u8]| {
            bytes.extend_from_slice(&[kind, data.len() as u8]);
            bytes.extend_from_slice(data);
        };
        put(option::MESSAGE_TYPE, &[self.kind.into()]);
        for (kind, data) in &self.options {
            put(*kind, data);
        }
        if let Some(identifier) = &request.identifier {
            put(option::CLIENT_IDENTIFIER, identifier);
        }
        bytes.push(END);
        if bytes.len() < SHORTEST {
            bytes.resize(SHORTEST, 0);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ipxe_is_recognised_however_it_says_so() {
        assert!(is_ipxe(b"iPXE"));
        assert!(is_ipxe(b"\x04iPXE"));
        assert!(is_ipxe(b"\x02ab\x04iPXE"));
        assert!(!is_ipxe(b"\x09iPXE"));
        assert!(!is_ipxe(b""));
    }

    proptest! {
        #[test]
        fn foreign_bytes_do_no_harm(
            bytes in prop::collection::vec(any::<u8>(), 0..600),
            options in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let _ = Request::parse(&bytes);
            let mut framed = vec![0; OPTIONS];
            framed[..3].copy_from_slice(&[1, 1, 6]);
            framed[236..240].copy_from_slice(&MAGIC.to_be_bytes());
            framed.extend_from_slice(&options);
            let _ = Request::parse(&framed);
        }
    }
}
