//! One task per UART: reads, writes the raw record, and makes lines for the [`Recorder`].

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Mutex as AsyncMutex, broadcast};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::Expectations;
use super::cast::Recording;
use super::lines::Lines;
use super::recorder::Recorder;
use super::tap::tap;
use shakedown_base::folder::RunFolder;
use shakedown_base::timeline::Timeline;

/// The receive FIFO of the smaller UART, in bytes.
const FIFO: usize = 8;
/// The time between two pieces of what is typed: about three times as long as a UART at 115200 baud needs for one, since boot loaders
/// poll.
const PACE: Duration = Duration::from_millis(2);
/// How long the last bytes of a board that is off may take through its sockets.
const LAST_BYTES: Duration = Duration::from_secs(5);
/// The most of one UART that is recorded raw, in bytes.
const MOST_RAW: u64 = 128 << 20;

/// Bytes of a UART as they came.
#[derive(Debug, Clone)]
pub struct RawChunk {
    /// Index in the board's order.
    pub uart: u8,
    /// The bytes.
    pub bytes: Bytes,
}

/// The board's serial ports, recorded from power-on to power-off. Recording goes on until the streams end.
#[derive(Debug)]
pub struct Console {
    writers: Vec<AsyncMutex<OwnedWriteHalf>>,
    raw: broadcast::Sender<RawChunk>,
    tasks: Vec<JoinHandle<()>>,
    timeline: Timeline,
}

impl Console {
    /// Starts recording into `transcript.log`, `uartN.raw` and `uartN.cast` of `folder`; an existing record is continued, as after a power cut.
    /// Needs a tokio runtime.
    ///
    /// # Errors
    /// The files cannot be written to.
    pub fn start(
        uarts: Vec<UnixStream>,
        folder: &Path,
        timeline: &Timeline,
    ) -> io::Result<(Self, Expectations)> {
        let (tap, reader, marks) = tap();
        let transcript = append(&folder.join(RunFolder::TRANSCRIPT))?;
        let recorder = Arc::new(Mutex::new(Recorder::new(transcript, timeline, tap)));
        let (raw, _) = broadcast::channel(1024);
        let mut writers = Vec::new();
        let mut tasks = Vec::new();
        for (index, stream) in (0_u8..).zip(uarts) {
            let (from_board, to_board) = stream.into_split();
            writers.push(AsyncMutex::new(to_board));
            let cast = RunFolder::of(folder).cast(index.into());
            let files = Files {
                raw: append(&RunFolder::of(folder).raw(index))?,
                cast: Recording::open(&cast, &format!("UART {index}"), timeline.elapsed())?,
                written: 0,
                failed: false,
            };
            let (recorder, raw) = (Arc::clone(&recorder), raw.clone());
            tasks.push(tokio::spawn(record(
                index, from_board, files, recorder, raw,
            )));
        }
        let console = Self {
            writers,
            raw,
            tasks,
            timeline: timeline.clone(),
        };
        Ok((console, Expectations::new(reader, marks)))
    }

    /// How many UARTs there are.
    #[must_use]
    pub fn uarts(&self) -> u8 {
        u8::try_from(self.writers.len()).unwrap_or(u8::MAX)
    }

    /// Types bytes into a UART, in pieces that its FIFO can take, and no faster than a UART at 115200 baud takes them.
    ///
    /// # Errors
    /// The board is off, or has no such UART.
    pub async fn send(&self, uart: u8, bytes: &[u8]) -> io::Result<()> {
        let Some(writer) = self.writers.get(usize::from(uart)) else {
            let message = format!("the board has no UART {uart}");
            return Err(io::Error::new(io::ErrorKind::NotFound, message));
        };
        let mut writer = writer.lock().await;
        let mut pieces = bytes.chunks(FIFO).peekable();
        while let Some(piece) = pieces.next() {
            writer.write_all(piece).await?;
            if pieces.peek().is_some() {
                tokio::time::sleep(PACE).await;
            }
        }
        Ok(())
    }

    /// The bytes of all UARTs from now on. A reader that falls far behind loses the oldest; the record does not.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<RawChunk> {
        self.raw.subscribe()
    }

    /// Waits until everything that a board which is off has said is recorded, for five seconds at most. Then the record is whole.
    pub async fn finish(mut self) {
        // Nobody types any more; a peer that waits for that may end its side.
        self.writers.clear();
        let all = async {
            for task in &mut self.tasks {
                // A task that has panicked has nothing more to record either.
                let _ = task.await;
            }
        };
        if timeout(LAST_BYTES, all).await.is_err() {
            let text = "a serial port has not ended with the board; its record may lack the end";
            self.timeline.note("console", text);
        }
    }
}

fn append(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).open(path)
}

/// The files of one UART.
struct Files {
    raw: File,
    cast: Recording,
    /// How much has been recorded, in bytes.
    written: u64,
    /// Writing has failed, and this has been said.
    failed: bool,
}

impl Files {
    fn write(&mut self, at: Duration, bytes: &[u8]) -> io::Result<()> {
        let room = usize::try_from(MOST_RAW.saturating_sub(self.written)).unwrap_or(usize::MAX);
        let bytes = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.written += bytes.len() as u64;
        self.raw.write_all(bytes)?;
        self.cast.add(at, bytes)
    }
}

/// Life of a UART's task: read, record, until the board is off.
async fn record(
    uart: u8,
    mut stream: OwnedReadHalf,
    mut files: Files,
    recorder: Arc<Mutex<Recorder>>,
    raw: broadcast::Sender<RawChunk>,
) {
    let recorder = || recorder.lock().unwrap_or_else(PoisonError::into_inner);
    let timeline = recorder().timeline().clone();
    let mut lines = Lines::default();
    let mut received = 0;
    let mut buffer = vec![0; 4096];
    loop {
        let settles = lines.settles_at();
        let settles = settles.map(|at| at.saturating_sub(timeline.elapsed()));
        let read = stream.read(&mut buffer);
        let read = match settles {
            None => read.await,
            Some(wait) => match timeout(wait, read).await {
                Ok(read) => read,
                Err(_) => {
                    let said = lines.settle(timeline.elapsed());
                    recorder().take(uart, said.into_iter().collect(), received);
                    continue;
                }
            },
        };
        let Ok(n @ 1..) = read else {
            break;
        };
        let bytes = buffer.get(..n).unwrap_or_default();
        received += n as u64;
        let now = timeline.elapsed();
        // A full disk must not end the run without a word.
        if let Err(e) = files.write(now, bytes)
            && !std::mem::replace(&mut files.failed, true)
        {
            timeline.note("console", format!("cannot record UART {uart}: {e}"));
        }
        let said = lines.take(now, bytes);
        recorder().take(uart, said, received);
        // Nobody may be watching.
        let _ = raw.send(RawChunk {
            uart,
            bytes: Bytes::copy_from_slice(bytes),
        });
    }
    recorder().take(uart, lines.end().into_iter().collect(), received);
}

#[cfg(test)]
mod tests {
    use super::*;
    use shakedown_base::timeline::{Cursor, Event};

    #[tokio::test]
    async fn two_uarts_make_one_record() {
        let folder = tempfile::tempdir().unwrap();
        let timeline = Timeline::start();
        let (a, mut board_a) = UnixStream::pair().unwrap();
        let (b, mut board_b) = UnixStream::pair().unwrap();
        let (console, _expectations) =
            Console::start(vec![a, b], folder.path(), &timeline).unwrap();
        let mut cursor = Cursor::default();
        board_a
            .write_all(b"\r\nU-Boot 2025.01\r\nDRAM:  ")
            .await
            .unwrap();
        let is_banner = |r: &shakedown_base::timeline::Record| matches!(&r.event, Event::Serial { uart: 0, line } if line == "U-Boot 2025.01");
        timeline.wait_for(&mut cursor, is_banner).await;
        board_b
            .write_all(b"Kernel panic - not syncing: x\r\n")
            .await
            .unwrap();
        // It stands still, and the other port has spoken since.
        let is_prompt = |r: &shakedown_base::timeline::Record| matches!(&r.event, Event::Prompt { text, .. } if text == "DRAM:  ");
        timeline.wait_for(&mut Cursor::default(), is_prompt).await;
        board_a.write_all(b"960 MiB").await.unwrap();
        drop((board_a, board_b));
        console.finish().await;
        let transcript = std::fs::read_to_string(folder.path().join("transcript.log")).unwrap();
        let text: Vec<_> = transcript.lines().map(|l| &l[15..]).collect();
        assert_eq!(
            text,
            [
                "uart0: ",
                "uart0: U-Boot 2025.01",
                "uart1: Kernel panic - not syncing: x",
                "uart0: DRAM:  960 MiB"
            ]
        );
        let raw = std::fs::read(folder.path().join("uart0.raw")).unwrap();
        assert_eq!(raw, b"\r\nU-Boot 2025.01\r\nDRAM:  960 MiB");
        let cast = std::fs::read_to_string(folder.path().join("uart0.cast")).unwrap();
        let played: String = super::super::read_cast(&cast)
            .into_iter()
            .map(|e| e.text)
            .collect();
        assert_eq!(played.as_bytes(), raw);
    }
}
