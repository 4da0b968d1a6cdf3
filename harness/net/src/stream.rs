//! Frames over QEMU's `stream` network back end: each behind its length, over a byte stream.
//!
//! Source: QEMU's `net/stream.c`: `u32` big endian, then the Ethernet frame without FCS. `-netdev stream` is known since QEMU 7.2.
//!
//! The way for boards whose network adapter is QEMU's own. There is no back-pressure signal but the stream's: while the LAN's cable is full
//! nothing is read, and QEMU queues. A guest's short frames come unpadded; towards the guest they are padded as on a real network.
//!
//! Life cycle: one [`run`] for each QEMU process, over the connection that QEMU makes; it ends with the stream.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use shakedown_base::wire::WireEnd;

/// Longest frame accepted, in bytes: QEMU's own limit (`NET_BUFSIZE`).
const LONGEST: usize = 4096 + 65536;
/// Shortest frame on a real network, without FCS.
const SHORTEST: usize = 60;
/// Bytes of the length.
const LENGTH: usize = 4;
/// Room made for each read, and written bytes above which no frame is taken from the cable, in bytes.
const ROOM: usize = 64 * 1024;

/// Why a stream ended otherwise than by being closed.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The bytes are no frames.
    #[error(
        "the network stream announces a frame of {length} bytes, and {LONGEST} are the most; is this QEMU's -netdev stream?"
    )]
    Oversized {
        /// Bytes announced.
        length: usize,
    },
    /// The stream cannot be read or written.
    #[error("the network stream of the emulator has failed: {0}")]
    Io(#[from] io::Error),
}

/// Counts what has passed, which shows whether the guest is alive. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Counters(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    from_guest: AtomicU64,
    bytes_from_guest: AtomicU64,
    to_guest: AtomicU64,
}

impl Counters {
    /// Frames that the guest sent.
    #[must_use]
    pub fn frames_from_guest(&self) -> u64 {
        self.0.from_guest.load(Ordering::Relaxed)
    }

    /// Their bytes, without FCS.
    #[must_use]
    pub fn bytes_from_guest(&self) -> u64 {
        self.0.bytes_from_guest.load(Ordering::Relaxed)
    }

    /// Frames that were handed to the emulator for the guest.
    #[must_use]
    pub fn frames_to_guest(&self) -> u64 {
        self.0.to_guest.load(Ordering::Relaxed)
    }
}

/// Takes the next frame off the front of `input`; `None` until it is there in full.
///
/// # Errors
/// [`StreamError::Oversized`].
pub fn decode(input: &mut BytesMut) -> Result<Option<Bytes>, StreamError> {
    let mut head = &input[..];
    let Ok(length) = head.try_get_u32() else {
        return Ok(None);
    };
    let length = length as usize;
    if length > LONGEST {
        return Err(StreamError::Oversized { length });
    }
    if head.len() < length {
        input.reserve(LENGTH + length - input.len());
        return Ok(None);
    }
    input.advance(LENGTH);
    Ok(Some(input.split_to(length).freeze()))
}

/// Appends a frame behind its length, padded to the shortest that a real network has.
pub fn encode(frame: &[u8], out: &mut BytesMut) {
    let length = frame.len().max(SHORTEST);
    out.reserve(LENGTH + length);
    out.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    out.put_slice(frame);
    out.put_bytes(0, length - frame.len());
}

/// Carries frames both ways until the stream ends, or the network does.
///
/// # Errors
/// What [`StreamError`] lists. A stream that breaks off is no error: that is how an emulator that was killed looks.
pub async fn run<S>(stream: S, wire: WireEnd, counters: Counters) -> Result<(), StreamError>
where
    S: AsyncRead + AsyncWrite + Send,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (to_network, mut from_network) = wire.split();
    let (mut input, mut output) = (BytesMut::with_capacity(ROOM), BytesMut::new());
    loop {
        while to_network.room() > 0
            && let Some(frame) = decode(&mut input)?
        {
            let counts = &counters.0;
            counts.from_guest.fetch_add(1, Ordering::Relaxed);
            let bytes = u64::try_from(frame.len()).unwrap_or(u64::MAX);
            counts.bytes_from_guest.fetch_add(bytes, Ordering::Relaxed);
            to_network.send(frame);
        }
        let blocked = to_network.room() == 0;
        let (writes, takes) = (!output.is_empty(), output.len() < ROOM);
        input.reserve(ROOM);
        let goes_on = tokio::select! {
            biased;
            written = writer.write_buf(&mut output), if writes => written.map(|bytes| bytes > 0),
            goes_on = to_network.wait_for_room(1), if blocked => Ok(goes_on),
            read = reader.read_buf(&mut input), if !blocked => read.map(|bytes| bytes > 0),
            frame = from_network.recv(), if takes => Ok(match frame {
                Some(frame) => {
                    encode(&frame, &mut output);
                    counters.0.to_guest.fetch_add(1, Ordering::Relaxed);
                    true
                }
                None => false,
            }),
        };
        match goes_on {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) if is_gone(error.kind()) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The other side went away without a word, as a killed process does.
fn is_gone(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::UnexpectedEof
    )
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use shakedown_base::wire::cable;

    use super::*;

    proptest! {
        /// Whatever pieces the bytes come in, the frames are the same.
        #[test]
        fn frames_survive_any_split(
            frames in vec(vec(any::<u8>(), 0..2000), 0..20), cuts in vec(1..700usize, 1..50),
        ) {
            let mut bytes = BytesMut::new();
            frames.iter().for_each(|frame| encode(frame, &mut bytes));
            let (mut input, mut decoded, mut sizes) = (BytesMut::new(), Vec::new(), cuts.iter().cycle());
            while !bytes.is_empty() {
                let size = sizes.next().map_or(1, |size| bytes.len().min(*size));
                input.extend_from_slice(&bytes.split_to(size));
                while let Some(frame) = decode(&mut input).unwrap() {
                    decoded.push(frame.to_vec());
                }
            }
            prop_assert!(input.is_empty());
            let padded = |frame: &Vec<u8>| {
                let mut frame = frame.clone();
                frame.resize(frame.len().max(SHORTEST), 0);
                frame
            };
            prop_assert_eq!(decoded, frames.iter().map(padded).collect::<Vec<_>>());
        }

        #[test]
        fn foreign_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..300)) {
            let mut input = BytesMut::from(&bytes[..]);
            while let Ok(Some(frame)) = decode(&mut input) {
                prop_assert!(frame.len() <= LONGEST);
            }
            prop_assert!(input.capacity() <= LENGTH + LONGEST);
        }
    }

    #[tokio::test]
    async fn frames_pass_both_ways_until_the_emulator_is_gone() {
        let (mut qemu, ours) = tokio::io::duplex(100);
        let (mut network, wire) = cable(4);
        let counters = Counters::default();
        let task = tokio::spawn(run(ours, wire, counters.clone()));
        qemu.write_all(b"\0\0\0\x0esixteen bytes!").await.unwrap();
        assert_eq!(network.recv().await.unwrap(), "sixteen bytes!");
        assert!(network.send(Bytes::from(vec![7; 1514])));
        let mut read = vec![0; 4 + 1514];
        qemu.read_exact(&mut read).await.unwrap();
        assert_eq!(read[..5], [0, 0, 5, 0xea, 7]);
        let seen = (counters.frames_from_guest(), counters.bytes_from_guest());
        assert_eq!((seen, counters.frames_to_guest()), ((1, 14), 1));
        drop(qemu);
        assert!(task.await.unwrap().is_ok());
    }

    /// A full cable stops the reading, and loses nothing.
    #[tokio::test]
    async fn a_slow_network_slows_the_emulator_down() {
        let (mut qemu, ours) = tokio::io::duplex(100);
        let (mut network, wire) = cable(2);
        let task = tokio::spawn(run(ours, wire, Counters::default()));
        let writer = tokio::spawn(async move {
            for number in 0..100 {
                let mut bytes = BytesMut::new();
                encode(&[number; 200], &mut bytes);
                qemu.write_all(&bytes).await.unwrap();
            }
            qemu
        });
        tokio::task::yield_now().await;
        for number in 0..100 {
            assert_eq!(network.recv().await.unwrap(), [number; 200][..]);
        }
        drop(writer.await.unwrap());
        assert!(task.await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn what_is_no_frame_ends_it() {
        let (mut qemu, ours) = tokio::io::duplex(100);
        let (_network, wire) = cable(4);
        qemu.write_all(b"GET / HTTP/1.1").await.unwrap();
        let error = run(ours, wire, Counters::default())
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("1195725856 bytes"), "{error}");
    }
}
