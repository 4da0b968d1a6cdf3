//! The task that answers a client's requests from a disk.

use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until};

use super::message::{Command, Errno, NbdError, Request, reply};
use super::negotiation::{Negotiation, Step};
use super::{Answer, Disk};

/// Room made for each read of the stream, in bytes.
const ROOM: usize = 64 * 1024;
/// What is waited for at once. A timer is no finer, and a slow card's sectors take less: they are waited for together.
const LEAST_WAIT: Duration = Duration::from_millis(2);

/// Answers a client until it goes. Requests are answered one after the other, in the order in which they come.
///
/// # Errors
/// The stream fails, or carries something else than the protocol. A stream that breaks off is no error: that is how a QEMU that was killed
/// looks.
pub async fn serve<S, D>(stream: S, disk: Arc<Mutex<D>>) -> Result<(), NbdError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
    D: Disk,
{
    match answer_all(stream, &disk).await {
        Err(NbdError::Io(error)) if is_gone(error.kind()) => Ok(()),
        ended => ended,
    }
}

fn is_gone(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
    )
}

fn lock<D>(disk: &Mutex<D>) -> MutexGuard<'_, D> {
    disk.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer_all<S, D>(mut stream: S, disk: &Mutex<D>) -> Result<(), NbdError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
    D: Disk,
{
    let (size, is_read_only) = {
        let disk = lock(disk);
        (disk.size(), disk.is_read_only())
    };
    let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
    let mut negotiation = Negotiation::begin(size, is_read_only, &mut output);
    loop {
        let step = negotiation.take(&mut input, &mut output)?;
        stream.write_all_buf(&mut output).await?;
        match step {
            Step::Agreed => break,
            Step::Ended => return Ok(()),
            Step::More => more(&mut stream, &mut input, 1).await?,
        }
    }
    // Until then the disk is busy with what it was asked before.
    let mut ready = Instant::now();
    loop {
        let request = loop {
            match Request::decode(&mut input)? {
                Some(request) => break request,
                None => more(&mut stream, &mut input, 1).await?,
            }
        };
        let missing = request.written().saturating_sub(input.len());
        more(&mut stream, &mut input, missing).await?;
        let written = input.split_to(request.written());
        if request.command == Command::Disconnect {
            return Ok(());
        }
        let takes = answer(&request, &written, size, &mut *lock(disk), &mut output);
        if !takes.is_zero() {
            ready = ready.max(Instant::now()) + takes;
            if ready > Instant::now() + LEAST_WAIT {
                sleep_until(ready).await;
            }
        }
        stream.write_all_buf(&mut output).await?;
    }
}

/// Reads at least so many bytes more.
async fn more<S: AsyncRead + Unpin>(
    stream: &mut S,
    input: &mut BytesMut,
    bytes: usize,
) -> Result<(), NbdError> {
    let wanted = input.len() + bytes;
    while input.len() < wanted {
        input.reserve(ROOM.max(wanted - input.len()));
        if stream.read_buf(input).await? == 0 {
            return Err(NbdError::Io(ErrorKind::UnexpectedEof.into()));
        }
    }
    Ok(())
}

/// Appends the answer to a request; says how long it takes.
fn answer<D: Disk>(
    request: &Request,
    written: &[u8],
    size: u64,
    disk: &mut D,
    out: &mut BytesMut,
) -> Duration {
    let Request {
        command,
        cookie,
        offset,
        length,
    } = *request;
    let is_inside = offset
        .checked_add(u64::from(length))
        .is_some_and(|end| end <= size);
    let done = |Answer { takes, result }| (takes, Errno::from(result));
    let mut read = Vec::new();
    let (takes, errno) = match command {
        Command::Read | Command::Write if !is_inside => (Duration::ZERO, Errno::Invalid),
        Command::Read => {
            read.resize(length as usize, 0);
            done(disk.read(&mut read, offset))
        }
        Command::Write => done(disk.write(written, offset)),
        Command::Flush => done(disk.flush()),
        Command::Disconnect | Command::Unknown => (Duration::ZERO, Errno::NotSupported),
    };
    reply(cookie, errno, out);
    if errno == Errno::None {
        out.extend_from_slice(&read);
    }
    takes
}

#[cfg(test)]
mod tests {
    use bytes::{Buf, BufMut};
    use tokio::io::DuplexStream;

    use super::super::Refused;
    use super::*;

    /// A disk of 4 KiB that takes a second for each read, and refuses to write to its last sector.
    struct Memory(Vec<u8>);

    impl Disk for Memory {
        fn size(&self) -> u64 {
            self.0.len() as u64
        }

        fn is_read_only(&self) -> bool {
            false
        }

        fn read(&mut self, bytes: &mut [u8], at: u64) -> Answer {
            bytes.copy_from_slice(&self.0[at as usize..][..bytes.len()]);
            Answer {
                takes: Duration::from_secs(1),
                ..Answer::DONE
            }
        }

        fn write(&mut self, bytes: &[u8], at: u64) -> Answer {
            if at as usize + 512 == self.0.len() {
                return Answer {
                    result: Err(Refused::Io),
                    ..Answer::DONE
                };
            }
            self.0[at as usize..][..bytes.len()].copy_from_slice(bytes);
            Answer::DONE
        }

        fn flush(&mut self) -> Answer {
            Answer::DONE
        }
    }

    /// A client that has connected.
    async fn client() -> (
        DuplexStream,
        tokio::task::JoinHandle<Result<(), NbdError>>,
        Arc<Mutex<Memory>>,
    ) {
        let (mut ours, theirs) = tokio::io::duplex(1 << 16);
        let disk = Arc::new(Mutex::new(Memory(vec![7; 4096])));
        let served = tokio::spawn(serve(theirs, Arc::clone(&disk)));
        let mut hello = [0; 18];
        ours.read_exact(&mut hello).await.unwrap();
        ours.write_all(b"\0\0\0\x01IHAVEOPT\0\0\0\x07\0\0\0\x06\0\0\0\0\0\0")
            .await
            .unwrap();
        let mut told = [0; 32 + 34 + 20];
        ours.read_exact(&mut told).await.unwrap();
        (ours, served, disk)
    }

    /// What comes back: the error and `length` bytes.
    async fn ask(
        client: &mut DuplexStream,
        command: u16,
        at: u64,
        length: u32,
        written: &[u8],
    ) -> (u32, Vec<u8>) {
        let mut request = BytesMut::new();
        request.put_u32(0x2560_9513);
        request.put_u32(u32::from(command));
        request.put_u64(42);
        request.put_u64(at);
        request.put_u32(length);
        request.put_slice(written);
        client.write_all(&request).await.unwrap();
        let mut head = [0; 16];
        client.read_exact(&mut head).await.unwrap();
        let mut head = &head[..];
        assert_eq!(head.get_u32(), 0x6744_6698);
        let errno = head.get_u32();
        assert_eq!(head.get_u64(), 42);
        let mut data = vec![
            0;
            if errno == 0 && command == 0 {
                length
            } else {
                0
            } as usize
        ];
        client.read_exact(&mut data).await.unwrap();
        (errno, data)
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_written_is_read_and_takes_its_time() {
        let (mut client, served, disk) = client().await;
        let sector = [9; 512];
        assert_eq!(ask(&mut client, 1, 512, 512, &sector).await.0, 0);
        assert_eq!(ask(&mut client, 3, 0, 0, &[]).await.0, 0);
        let began = Instant::now();
        let (errno, read) = ask(&mut client, 0, 0, 1024, &[]).await;
        assert_eq!(errno, 0);
        assert!(read[..512] == [7; 512] && read[512..] == sector);
        assert_eq!(began.elapsed().as_secs(), 1);
        assert_eq!(lock(&disk).0[512], 9);
        drop(client);
        served.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_disk_refuses_is_an_error_and_the_connection_stays() {
        let (mut client, _served, _disk) = client().await;
        assert_eq!(ask(&mut client, 1, 3584, 512, &[1; 512]).await.0, 5);
        // Behind the end, at its very end, and what nobody offered.
        assert_eq!(ask(&mut client, 0, 4096, 512, &[]).await.0, 22);
        assert_eq!(ask(&mut client, 0, u64::MAX, 512, &[]).await.0, 22);
        assert_eq!(ask(&mut client, 6, 0, 512, &[]).await.0, 95);
        let (errno, read) = ask(&mut client, 0, 3584, 512, &[]).await;
        assert_eq!((errno, read), (0, vec![7; 512]));
    }

    proptest::proptest! {
        #[test]
        fn whatever_comes_ends_or_is_answered(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200), agreed in proptest::bool::ANY) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
            runtime.block_on(async {
                let (mut ours, theirs) = tokio::io::duplex(1 << 16);
                let disk = Arc::new(Mutex::new(Memory(vec![7; 4096])));
                let served = tokio::spawn(serve(theirs, disk));
                if agreed {
                    ours.write_all(b"\0\0\0\x01IHAVEOPT\0\0\0\x07\0\0\0\0\x25\x60\x95\x13").await.unwrap();
                }
                ours.write_all(&bytes).await.unwrap();
                ours.shutdown().await.unwrap();
                let mut said = Vec::new();
                ours.read_to_end(&mut said).await.unwrap();
                // It does not panic, and ends.
                let _ = served.await.unwrap();
                assert!(said.starts_with(b"NBDMAGIC"));
            });
        }
    }
}
