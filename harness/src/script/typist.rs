//! Typing at a board as a person does: no faster than its UART takes it, and looking whether it comes back.
//!
//! The boot loader and the shell repeat what they have taken; the kernel may write its log in between. What does not come back is taken back
//! with Ctrl-U and typed again.

use std::io;
use std::time::Duration;

use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::timeout;

use crate::console::{Console, RawChunk};
use crate::judge::Keys;
use crate::timeline::{Event, Timeline};

/// How much is typed before it must have come back, in bytes: half of what the smaller UART's FIFO holds.
const PIECE: usize = 4;
/// How long a piece may take to come back. A boot loader that scans a bus looks at its UART once it is done.
const ECHO: Duration = Duration::from_secs(10);
/// How often a line is typed before it is given up.
const TRIES: u32 = 3;
/// Ctrl-U: takes back the line, at U-Boot's prompt as at a shell's.
const TAKE_BACK: &[u8] = b"\x15";

/// Types, and puts onto the timeline what was typed, or that it was not repeated. What the board answers comes behind that record. A board that is
/// off, or has no such UART, repeats nothing.
pub(crate) async fn type_keys(console: &Console, keys: &Keys, timeline: &Timeline) {
    if let Err(error) = try_keys(console, keys, timeline).await {
        timeline.note("script", format!("cannot type: {error}"));
        timeline.emit(Event::NotRepeated {
            uart: keys.uart,
            text: keys.text.clone(),
        });
    }
}

async fn try_keys(console: &Console, keys: &Keys, timeline: &Timeline) -> io::Result<()> {
    let Keys {
        text,
        enter,
        echo,
        uart,
    } = keys;
    let typed = || {
        let text = if *enter {
            format!("{text}\r")
        } else {
            text.clone()
        };
        timeline.emit(Event::Typed { uart: *uart, text });
    };
    if !echo {
        typed();
        console.send(*uart, text.as_bytes()).await?;
        return if *enter {
            console.send(*uart, b"\r").await
        } else {
            Ok(())
        };
    }
    for attempt in 1..=TRIES {
        if type_line(console, *uart, text).await? {
            typed();
            return if *enter {
                console.send(*uart, b"\r").await
            } else {
                Ok(())
            };
        }
        if attempt < TRIES {
            timeline.note(
                "script",
                format!("typing {text:?} again: it did not come back"),
            );
            console.send(*uart, TAKE_BACK).await?;
        }
    }
    timeline.emit(Event::NotRepeated {
        uart: *uart,
        text: text.clone(),
    });
    Ok(())
}

/// Types a text without Enter; `false` if it does not come back.
async fn type_line(console: &Console, uart: u8, text: &str) -> io::Result<bool> {
    let mut said = console.subscribe();
    for piece in text.as_bytes().chunks(PIECE) {
        console.send(uart, piece).await?;
        if !comes_back(&mut said, uart, piece).await {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn comes_back(said: &mut Receiver<RawChunk>, uart: u8, piece: &[u8]) -> bool {
    let mut echo = Echo::of(piece);
    let all = async {
        while !echo.is_whole() {
            match said.recv().await {
                Ok(chunk) if chunk.uart == uart => echo.take(&chunk.bytes),
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return false,
            }
        }
        true
    };
    timeout(ECHO, all).await.unwrap_or(false)
}

/// What must come back of what has been typed. Control characters do not, and the lines of the kernel's log, `[ 12.345678] …`, are passed
/// over.
#[derive(Debug)]
struct Echo {
    rest: Vec<u8>,
    /// A line of the kernel's log has begun.
    in_log: bool,
}

impl Echo {
    fn of(piece: &[u8]) -> Self {
        let shown = |byte: &&u8| !byte.is_ascii_control();
        Self {
            rest: piece.iter().filter(shown).copied().rev().collect(),
            in_log: false,
        }
    }

    fn is_whole(&self) -> bool {
        self.rest.is_empty()
    }

    fn take(&mut self, bytes: &[u8]) {
        for (index, byte) in bytes.iter().enumerate() {
            if self.in_log {
                self.in_log = *byte != b'\n';
            } else if self.rest.last() == Some(byte) {
                self.rest.pop();
            } else if *byte == b'[' && matches!(bytes.get(index + 1), Some(b' ' | b'0'..=b'9')) {
                self.in_log = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    use super::*;

    fn echo(piece: &[u8], said: &[&[u8]]) -> bool {
        let mut echo = Echo::of(piece);
        said.iter().for_each(|bytes| echo.take(bytes));
        echo.is_whole()
    }

    #[test]
    fn the_log_of_the_kernel_may_come_between() {
        assert!(echo(b"boot", &[b"bo", b"ot"]));
        assert!(!echo(b"boot", &[b"bot"]));
        assert!(echo(
            b"ls",
            &[b"l", b"\r\n[   12.345678] usb 1-1: new\r\ns"]
        ));
        // What the log says is no echo.
        assert!(!echo(b"ls", &[b"l", b"\r\n[   12.345678] usb: s\r\n"]));
        assert!(echo(b"\x03", &[]));
    }

    /// What the board at the other end has got, and what the timeline says.
    async fn typed(keys: Keys, deaf: usize) -> (String, Vec<Event>) {
        let folder = tempfile::tempdir().unwrap();
        let timeline = Timeline::start();
        let (ours, board) = UnixStream::pair().unwrap();
        let (console, _expectations) =
            Console::start(vec![ours], folder.path(), &timeline).unwrap();
        let (mut reader, mut writer) = board.into_split();
        let (got, mut have) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut buffer = [0; 64];
            let mut count = 0;
            while let Ok(n @ 1..) = reader.read(&mut buffer).await {
                count += 1;
                got.send(buffer[..n].to_vec()).unwrap();
                if count > deaf {
                    writer.write_all(&buffer[..n]).await.unwrap();
                }
            }
        });
        try_keys(&console, &keys, &timeline).await.unwrap();
        console.finish().await;
        let mut bytes = Vec::new();
        while let Some(more) = have.recv().await {
            bytes.extend(more);
        }
        let events = timeline.snapshot().into_iter().map(|r| r.event);
        let ours = events.filter(|e| matches!(e, Event::Typed { .. } | Event::NotRepeated { .. }));
        (String::from_utf8(bytes).unwrap(), ours.collect())
    }

    fn keys(text: &str, echo: bool) -> Keys {
        Keys {
            text: text.into(),
            enter: true,
            echo,
            uart: 0,
        }
    }

    #[tokio::test]
    async fn a_line_is_typed_and_is_on_the_timeline() {
        let (got, events) = typed(keys("printenv", true), 0).await;
        assert_eq!(got, "printenv\r");
        let text = "printenv\r".to_owned();
        assert_eq!(events, [Event::Typed { uart: 0, text }]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_come_back_is_typed_again() {
        let (got, events) = typed(keys("boot", true), 1).await;
        assert_eq!(got, "boot\x15boot\r");
        assert!(matches!(&*events, [Event::Typed { .. }]));
        let (got, events) = typed(keys("boot", true), 99).await;
        assert_eq!(got, "boot\x15boot\x15boot");
        assert!(matches!(&*events, [Event::NotRepeated { .. }]));
    }

    #[tokio::test]
    async fn a_password_is_not_repeated() {
        let (got, events) = typed(keys("secret", false), 99).await;
        assert_eq!((got.as_str(), events.len()), ("secret\r", 1));
    }
}
