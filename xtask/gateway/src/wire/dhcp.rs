//! A DHCP client (RFC 2131, 2132; PXE 2.1 and RFC 4578 for what a board that boots from the network adds).

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::udp_on;

const COOKIE: [u8; 4] = [0x63, 0x82, 0x53, 0x63];
const HEAD: usize = 240;
const SERVER: u16 = 67;
const CLIENT: u16 = 68;
/// How long an answer may take; a busy machine runs the gateway.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Discover,
    Request,
}

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    /// Its hardware address.
    pub(crate) mac: [u8; 6],
    /// Its architecture (option 93), if it boots from the network.
    pub(crate) architecture: Option<u16>,
    /// Its user class (option 77), as `iPXE`.
    pub(crate) user_class: Option<&'static str>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lease {
    /// The address offered.
    pub(crate) address: Ipv4Addr,
    /// 2 for an offer, 5 for an acknowledgement.
    pub(crate) kind: u8,
    /// All options but 53, by number.
    pub(crate) options: BTreeMap<u8, Vec<u8>>,
    /// Options by number in the order that they came in; 0 is a pad byte.
    pub(crate) order: Vec<u8>,
}

/// Sends a message on `card` and waits for the answer to it. `None` when there is none in `patience`.
pub(crate) fn exchange(
    card: &str,
    client: &Client,
    kind: Kind,
    patience: Option<Duration>,
) -> Result<Option<Lease>> {
    let patience = patience.unwrap_or(PATIENCE);
    let socket = udp_on(card, CLIENT, Duration::from_millis(200))?;
    let transaction = transaction(client, kind);
    socket
        .send_to(
            &message(client, kind, transaction),
            (Ipv4Addr::BROADCAST, SERVER),
        )
        .with_context(|| format!("sending on {card}"))?;
    let end = Instant::now() + patience;
    let mut buffer = [0; 2048];
    while Instant::now() < end {
        let Ok(length) = socket.recv(&mut buffer) else {
            continue;
        };
        let bytes = buffer.get(..length).unwrap_or_default();
        if bytes.get(4..8) == Some(&transaction.to_be_bytes()[..]) && bytes.first() == Some(&2) {
            return parse(bytes).map(Some);
        }
    }
    Ok(None)
}

fn transaction(client: &Client, kind: Kind) -> u32 {
    let [_, _, a, b, c, d] = client.mac;
    u32::from_be_bytes([a, b, c, d])
        ^ if kind == Kind::Discover {
            0x0100_0000
        } else {
            0x0300_0000
        }
}

fn message(client: &Client, kind: Kind, transaction: u32) -> Vec<u8> {
    let mut bytes = vec![1, 1, 6, 0];
    bytes.extend(transaction.to_be_bytes());
    // Answers by broadcast: there is no address yet.
    bytes.extend([0, 0, 0x80, 0]);
    bytes.extend([0; 16]);
    bytes.extend(client.mac);
    bytes.resize(HEAD - COOKIE.len(), 0);
    bytes.extend(COOKIE);
    let mut option = |number: u8, value: &[u8]| {
        bytes.push(number);
        bytes.push(u8::try_from(value.len()).unwrap_or(u8::MAX));
        bytes.extend(value);
    };
    option(53, &[if kind == Kind::Discover { 1 } else { 3 }]);
    if let Some(architecture) = client.architecture {
        option(93, &architecture.to_be_bytes());
        option(94, &[1, 3, 16]);
        option(
            60,
            format!("PXEClient:Arch:{architecture:05}:UNDI:003016").as_bytes(),
        );
        option(55, &[1, 3, 6, 43, 66, 67]);
    }
    if let Some(class) = client.user_class {
        option(77, class.as_bytes());
    }
    bytes.push(255);
    bytes
}

fn parse(bytes: &[u8]) -> Result<Lease> {
    let field = |from: usize| bytes.get(from..from + 4).context("a short answer");
    ensure!(
        field(HEAD - 4)? == COOKIE,
        "an answer without the magic cookie"
    );
    let address = <[u8; 4]>::try_from(field(16)?)?;
    let (mut options, mut order) = (BTreeMap::new(), Vec::new());
    let mut rest = bytes.get(HEAD..).unwrap_or_default();
    while let [number, after @ ..] = rest {
        match (number, after) {
            (255, _) => break,
            (0, _) => {
                order.push(0);
                rest = after;
            }
            (number, [length, after @ ..]) => {
                let (value, after) = after
                    .split_at_checked(usize::from(*length))
                    .context("an option longer than the answer")?;
                order.push(*number);
                options.insert(*number, value.to_vec());
                rest = after;
            }
            _ => anyhow::bail!("an option without a length"),
        }
    }
    let kind = options
        .remove(&53)
        .and_then(|v| v.first().copied())
        .unwrap_or(0);
    Ok(Lease {
        address: address.into(),
        kind,
        options,
        order,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_asks_with_its_architecture() {
        let client = Client {
            mac: [2, 0, 0, 0, 0, 9],
            architecture: Some(0x0b),
            user_class: Some("iPXE"),
        };
        let bytes = message(&client, Kind::Request, 7);
        assert_eq!(&bytes[28..34], client.mac);
        assert_eq!(&bytes[236..243], [0x63, 0x82, 0x53, 0x63, 53, 1, 3]);
        let options = &bytes[243..];
        assert!(options.windows(4).any(|w| w == [93, 2, 0, 0x0b]));
        assert!(
            options
                .windows(6)
                .any(|w| w == [77, 4, b'i', b'P', b'X', b'E'])
        );
        assert_eq!(bytes.last(), Some(&255));
    }

    #[test]
    fn an_answer_is_read_with_the_order_of_its_options() {
        let mut bytes = vec![0; 240];
        bytes[16..20].copy_from_slice(&[10, 42, 0, 5]);
        bytes[236..].copy_from_slice(&COOKIE);
        bytes.extend([53, 1, 2, 66, 1, b'x', 67, 2, b'a', b'b', 0, 255, 9, 9]);
        let lease = parse(&bytes).unwrap();
        assert_eq!(
            (lease.address, lease.kind),
            (Ipv4Addr::new(10, 42, 0, 5), 2)
        );
        assert_eq!(lease.options[&67], b"ab");
        assert_eq!(lease.order, [53, 66, 67, 0]);
        bytes[244] = 200;
        assert!(parse(&bytes).is_err());
        assert!(parse(&[0; 10]).is_err());
    }
}
