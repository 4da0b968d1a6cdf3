//! A writer of packet captures that Wireshark opens and decrypts.
//!
//! Source: draft-ietf-opsawg-pcapng, sections 3 (blocks), 4.1 (section header), 4.2 (interface description), 4.3 (enhanced packet)
//! and 4.7 (decryption secrets). Numbers are little endian.
//!
//! Secrets have to stand before the packets that they decrypt, yet become known while packets come. The file therefore begins with a
//! block of secrets that is mostly empty lines, and [`Writer::secrets`] fills it from the front: the file is whole at any moment.

use std::collections::HashMap;
use std::io::{self, Seek, SeekFrom, Write};
use std::time::Duration;

/// Bytes for secrets: those of some three hundred TLS 1.2 connections.
const SECRETS: usize = 64 << 10;
/// "TLSK": the secrets are a key log of TLS.
const TLS_KEY_LOG: u32 = 0x544c_534b;
const ETHERNET: u16 = 1;
/// Option codes of a packet block.
const OPTION_FLAGS: u16 = 2;
const OPTION_COMMENT: u16 = 1;
/// The option that says in which unit a capture tells the time: 10^-9 s.
const OPTION_RESOLUTION: u16 = 9;
const NANOSECONDS: u8 = 9;

/// Which way a packet went, as seen from the switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the board.
    Inbound = 1,
    /// To the board.
    Outbound = 2,
}

/// A port of a switch.
#[derive(Debug, Clone, Copy)]
pub struct Interface<'a> {
    /// What the switch is called.
    pub segment: &'a str,
    /// The port's number, which no other port has.
    pub port: u32,
    /// Who is plugged in there; empty if nobody has said. Of each segment this names the interface, else its number does.
    pub who: &'a str,
}

/// A capture of switches that is being written. Each board is an interface, the same one at each of its boots. A frame that a switch passes on is
/// there once for each port: inbound on one, outbound on others.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    /// The interface of each port.
    ports: HashMap<u32, u32>,
    /// The names of the interfaces that have been described, in their order.
    names: Vec<String>,
    /// Where the next secrets go, and how much room they have.
    secrets_at: u64,
    secrets_room: usize,
}

impl<W: Write + Seek> Writer<W> {
    /// Begins a capture; `out` stands at its beginning.
    ///
    /// # Errors
    /// `out` cannot be written to.
    pub fn new(mut out: W) -> io::Result<Self> {
        let mut section = Vec::new();
        section.extend(0x1a2b_3c4d_u32.to_le_bytes());
        section.extend([1, 0, 0, 0]);
        // The section's length is not known.
        section.extend(u64::MAX.to_le_bytes());
        write_block(&mut out, 0x0a0d_0d0a, &section)?;

        let mut secrets = Vec::with_capacity(SECRETS + 8);
        secrets.extend(TLS_KEY_LOG.to_le_bytes());
        secrets.extend((SECRETS as u32).to_le_bytes());
        // Behind type and length of the block, type and length of the secrets.
        let secrets_at = out.stream_position()? + 16;
        secrets.resize(SECRETS + 8, b'\n');
        write_block(&mut out, 10, &secrets)?;
        Ok(Self {
            out,
            ports: HashMap::new(),
            names: Vec::new(),
            secrets_at,
            secrets_room: SECRETS,
        })
    }

    /// The number of an interface, which is described when it is first seen: by its segment, and who or which port it is.
    fn interface(&mut self, at: Interface<'_>) -> io::Result<u32> {
        let Interface { segment, port, who } = at;
        if let Some(known) = self.ports.get(&port) {
            return Ok(*known);
        }
        let name = match who {
            "" => format!("{segment} {port}"),
            who => format!("{segment} {who}"),
        };
        if let Some(known) = self.names.iter().position(|known| *known == name) {
            self.ports.insert(port, known as u32);
            return Ok(known as u32);
        }
        let mut description = Vec::new();
        description.extend(u32::from(ETHERNET).to_le_bytes());
        // No limit on a packet's length.
        description.extend(0_u32.to_le_bytes());
        option(&mut description, 2, name.as_bytes());
        option(&mut description, OPTION_RESOLUTION, &[NANOSECONDS]);
        option(&mut description, 0, &[]);
        write_block(&mut self.out, 1, &description)?;
        let number = self.names.len() as u32;
        self.names.push(name);
        self.ports.insert(port, number);
        Ok(number)
    }

    /// Adds a packet that was seen `since_epoch` on a port of a switch.
    ///
    /// # Errors
    /// The file cannot be written to.
    pub fn packet(
        &mut self,
        since_epoch: Duration,
        interface: Interface<'_>,
        direction: Direction,
        frame: &[u8],
        comment: Option<&str>,
    ) -> io::Result<()> {
        let interface = self.interface(interface)?;
        let nanoseconds = since_epoch.as_nanos() as u64;
        let length = frame.len() as u32;
        let mut body = Vec::with_capacity(frame.len() + 40);
        body.extend(interface.to_le_bytes());
        body.extend(((nanoseconds >> 32) as u32).to_le_bytes());
        body.extend((nanoseconds as u32).to_le_bytes());
        body.extend(length.to_le_bytes());
        body.extend(length.to_le_bytes());
        body.extend(frame);
        pad(&mut body);
        option(&mut body, OPTION_FLAGS, &(direction as u32).to_le_bytes());
        if let Some(comment) = comment {
            option(&mut body, OPTION_COMMENT, comment.as_bytes());
        }
        option(&mut body, 0, &[]);
        write_block(&mut self.out, 6, &body)
    }

    /// Adds lines of a TLS key log. Lines that find no room any more are dropped, and `false` is returned.
    ///
    /// # Errors
    /// The file cannot be written to.
    pub fn secrets(&mut self, lines: &str) -> io::Result<bool> {
        if lines.len() > self.secrets_room {
            return Ok(false);
        }
        let end = self.out.stream_position()?;
        self.out.seek(SeekFrom::Start(self.secrets_at))?;
        self.out.write_all(lines.as_bytes())?;
        self.out.seek(SeekFrom::Start(end))?;
        self.secrets_at += lines.len() as u64;
        self.secrets_room -= lines.len();
        Ok(true)
    }

    /// Hands everything to the file.
    ///
    /// # Errors
    /// The file cannot be written to.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A block: type, length, body, length again. The body is padded to 4 bytes.
fn write_block(out: &mut impl Write, kind: u32, body: &[u8]) -> io::Result<()> {
    let padded = body.len().next_multiple_of(4);
    let length = (padded as u32 + 12).to_le_bytes();
    out.write_all(&kind.to_le_bytes())?;
    out.write_all(&length)?;
    out.write_all(body)?;
    out.write_all(&[0; 3][..padded - body.len()])?;
    out.write_all(&length)
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    body.extend(code.to_le_bytes());
    body.extend((value.len() as u16).to_le_bytes());
    body.extend(value);
    pad(body);
}

fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use pcap_parser::{Block, PcapBlockOwned, PcapNGReader, traits::PcapReaderIterator};

    use super::*;

    fn lan(port: u32) -> Interface<'static> {
        Interface {
            segment: "lan",
            port,
            who: "",
        }
    }

    fn behind(port: u32) -> Interface<'static> {
        Interface {
            segment: "behind gateway",
            port,
            who: "dut",
        }
    }

    /// What a foreign reader finds: packets with interface, time and contents, and the text of the secrets.
    fn read(bytes: &[u8]) -> (Vec<(u32, u64, Vec<u8>)>, String) {
        let mut reader = PcapNGReader::new(1 << 20, bytes).unwrap();
        let (mut packets, mut secrets) = (Vec::new(), String::new());
        while let Ok((offset, block)) = reader.next() {
            match block {
                PcapBlockOwned::NG(Block::EnhancedPacket(p)) => {
                    let time = u64::from(p.ts_high) << 32 | u64::from(p.ts_low);
                    packets.push((p.if_id, time, p.data[..p.caplen as usize].to_vec()));
                }
                PcapBlockOwned::NG(Block::DecryptionSecrets(s)) => {
                    secrets += std::str::from_utf8(s.data).unwrap().trim_end();
                }
                _ => {}
            }
            reader.consume(offset);
        }
        (packets, secrets)
    }

    #[test]
    fn a_foreign_reader_finds_everything_and_secrets_stand_first() {
        let mut file = Cursor::new(Vec::new());
        let mut writer = Writer::new(&mut file).unwrap();
        let at = Duration::new(1_700_000_000, 5);
        writer
            .packet(at, lan(5), Direction::Inbound, &[1; 61], Some("odd length"))
            .unwrap();
        assert!(writer.secrets("CLIENT_RANDOM aa bb\n").unwrap());
        writer
            .packet(at, behind(0), Direction::Outbound, &[2; 64], None)
            .unwrap();
        writer
            .packet(at, lan(5), Direction::Outbound, &[3; 64], None)
            .unwrap();
        // The next boot of the same board has another cable.
        writer
            .packet(at, behind(7), Direction::Inbound, &[4; 64], None)
            .unwrap();
        let (packets, secrets) = read(file.get_ref());
        let nanoseconds = 1_700_000_000_000_000_005;
        assert_eq!(
            packets,
            [
                (0, nanoseconds, vec![1; 61]),
                (1, nanoseconds, vec![2; 64]),
                (0, nanoseconds, vec![3; 64]),
                (1, nanoseconds, vec![4; 64]),
            ]
        );
        assert_eq!(secrets, "CLIENT_RANDOM aa bb");
        let text = String::from_utf8_lossy(file.get_ref());
        assert_eq!(text.matches("lan 5").count(), 1, "described once");
        assert_eq!(text.matches("behind gateway dut").count(), 1);
    }

    #[test]
    fn secrets_never_overwrite_packets() {
        let mut file = Cursor::new(Vec::new());
        let mut writer = Writer::new(&mut file).unwrap();
        writer
            .packet(Duration::ZERO, lan(0), Direction::Inbound, &[7; 60], None)
            .unwrap();
        let line = "x".repeat(999) + "\n";
        let taken = (0..1000).filter(|_| writer.secrets(&line).unwrap()).count();
        assert_eq!(taken, SECRETS / 1000);
        assert_eq!(read(file.get_ref()).0, [(0, 0, vec![7; 60])]);
    }
}
