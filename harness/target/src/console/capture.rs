//! The recorder: one task per UART, one record.

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

use super::Expectations;
use super::alarm;
use super::cast::Recording;
use super::clean::Cleaner;
use super::tap::{TapSender, tap};
use shakedown_base::folder::RunFolder;
use shakedown_base::timeline::{Event, Timeline};

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
        let recorder = Arc::new(Mutex::new(Recorder {
            transcript: append(&folder.join(RunFolder::TRANSCRIPT))?,
            timeline: timeline.clone(),
            tap,
            open: None,
            lines: vec![Line::default(); uarts.len()],
        }));
        let (raw, _) = broadcast::channel(1024);
        let mut writers = Vec::new();
        for (index, stream) in (0_u8..).zip(uarts) {
            let (from_board, to_board) = stream.into_split();
            writers.push(AsyncMutex::new(to_board));
            let cast = RunFolder::of(folder).cast(index.into());
            let record_into = Files {
                raw: append(&RunFolder::of(folder).raw(index))?,
                cast: Recording::open(&cast, &format!("UART {index}"), timeline.elapsed())?,
            };
            tokio::spawn(record(
                index,
                from_board,
                record_into,
                Arc::clone(&recorder),
                raw.clone(),
            ));
        }
        Ok((Self { writers, raw }, Expectations::new(reader, marks)))
    }

    /// How many UARTs there are.
    #[must_use]
    pub fn uarts(&self) -> u8 {
        u8::try_from(self.writers.len()).unwrap_or(u8::MAX)
    }

    /// Types bytes into a UART, in pieces that its FIFO can take.
    ///
    /// # Errors
    /// The board is off, or has no such UART.
    pub async fn send(&self, uart: u8, bytes: &[u8]) -> io::Result<()> {
        /// The receive FIFO of the smaller UART, in bytes.
        const FIFO: usize = 8;
        let Some(writer) = self.writers.get(usize::from(uart)) else {
            let message = format!("the board has no UART {uart}");
            return Err(io::Error::new(io::ErrorKind::NotFound, message));
        };
        let mut writer = writer.lock().await;
        for piece in bytes.chunks(FIFO) {
            writer.write_all(piece).await?;
        }
        Ok(())
    }

    /// The bytes of all UARTs from now on. A reader that falls far behind loses the oldest; the record does not.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<RawChunk> {
        self.raw.subscribe()
    }
}

fn append(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).open(path)
}

/// The files of one UART.
struct Files {
    raw: File,
    cast: Recording,
}

impl Files {
    fn write(&mut self, at: Duration, bytes: &[u8]) -> io::Result<()> {
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
    let mut cleaner = Cleaner::default();
    let mut buffer = vec![0; 4096];
    while let Ok(n @ 1..) = stream.read(&mut buffer).await {
        let bytes = buffer.get(..n).unwrap_or_default();
        let mut recorder = recorder.lock().unwrap_or_else(PoisonError::into_inner);
        // A full disk must not end the run without a word.
        let written = files.write(recorder.timeline.elapsed(), bytes);
        if let Err(e) = written {
            recorder
                .timeline
                .note("console", format!("cannot record UART {uart}: {e}"));
        }
        recorder.take(uart, &cleaner.clean(bytes));
        // Nobody may be watching.
        let _ = raw.send(RawChunk {
            uart,
            bytes: Bytes::copy_from_slice(bytes),
        });
    }
    recorder
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .end(uart);
}

/// Merges the clean text of all UARTs by line.
struct Recorder {
    transcript: File,
    timeline: Timeline,
    tap: TapSender,
    /// The UART whose line stands unfinished at the end of the merged text.
    open: Option<u8>,
    lines: Vec<Line>,
}

/// A line in the making.
#[derive(Clone, Default)]
struct Line {
    began: Duration,
    text: String,
}

impl Recorder {
    fn take(&mut self, uart: u8, text: &str) {
        if text.is_empty() {
            return;
        }
        let now = self.timeline.elapsed();
        for piece in text.split_inclusive('\n') {
            let Some(line) = self.lines.get_mut(usize::from(uart)) else {
                return;
            };
            if line.text.is_empty() {
                line.began = now;
            }
            match piece.strip_suffix('\n') {
                None => line.text.push_str(piece),
                Some(rest) => {
                    line.text.push_str(rest);
                    let done = std::mem::take(line);
                    self.finish(uart, &done);
                }
            }
        }
        self.pass_on(uart, text, now);
    }

    /// Gives the matcher the text; a line of another UART that stands unfinished is broken off first.
    fn pass_on(&mut self, uart: u8, text: &str, now: Duration) {
        let mut out = String::with_capacity(text.len() + 1);
        if self.open.is_some_and(|open| open != uart) {
            out.push('\n');
        }
        out.push_str(text);
        self.open = (!text.ends_with('\n')).then_some(uart);
        self.tap.send(out, now);
    }

    fn finish(&mut self, uart: u8, line: &Line) {
        let at = line.began.as_secs_f64();
        if let Err(e) = writeln!(self.transcript, "[{at:12.6}] uart{uart}: {}", line.text) {
            self.timeline
                .note("console", format!("cannot write the transcript: {e}"));
        }
        if let Some(alarm) = alarm::event(&line.text) {
            self.timeline.emit(alarm);
        }
        self.timeline.emit(Event::Serial {
            uart,
            line: line.text.clone(),
        });
    }

    /// The UART will say no more.
    fn end(&mut self, uart: u8) {
        let last = self.lines.get_mut(usize::from(uart)).map(std::mem::take);
        if let Some(line) = last.filter(|l| !l.text.is_empty()) {
            self.finish(uart, &line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shakedown_base::timeline::Cursor;

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
        let alarm = timeline
            .wait_for(&mut cursor, |r| matches!(r.event, Event::Alarm { .. }))
            .await;
        assert!(matches!(alarm.event, Event::Alarm { name, .. } if name == "kernel panic"));
        drop((board_a, board_b, console));
        timeline
            .wait_for(
                &mut cursor,
                |r| matches!(&r.event, Event::Serial { line, .. } if line.starts_with("DRAM")),
            )
            .await;
        let transcript = std::fs::read_to_string(folder.path().join("transcript.log")).unwrap();
        let text: Vec<_> = transcript.lines().map(|l| &l[15..]).collect();
        assert_eq!(
            text,
            [
                "uart0: ",
                "uart0: U-Boot 2025.01",
                "uart1: Kernel panic - not syncing: x",
                "uart0: DRAM:  "
            ]
        );
        let raw = std::fs::read(folder.path().join("uart0.raw")).unwrap();
        assert_eq!(raw, b"\r\nU-Boot 2025.01\r\nDRAM:  ");
        let cast = std::fs::read_to_string(folder.path().join("uart0.cast")).unwrap();
        let played: String = super::super::read_cast(&cast)
            .into_iter()
            .map(|e| e.text)
            .collect();
        assert_eq!(played.as_bytes(), raw);
    }
}
