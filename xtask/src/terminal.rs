//! The user's terminal as the other end of a serial line.

use std::io::{IsTerminal, Read, Write};

use anyhow::Result;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::sync::mpsc;

/// Ctrl-], as in telnet: leaves the board.
const LEAVE: u8 = 0x1d;

/// The terminal while it belongs to a board: raw, and put back as it was when dropped.
pub(crate) struct Terminal {
    keys: mpsc::UnboundedReceiver<Vec<u8>>,
    before: Option<Termios>,
}

impl Terminal {
    /// Takes the terminal. Where standard input is no terminal it is read as it comes.
    pub(crate) fn take() -> Self {
        Self {
            keys: keyboard(),
            before: raw(),
        }
    }

    /// What is typed next, or `None` when the user leaves. Without a keyboard nothing is ever typed.
    pub(crate) async fn typed(&mut self) -> Option<Vec<u8>> {
        match self.keys.recv().await {
            Some(bytes) if bytes.contains(&LEAVE) => None,
            Some(bytes) => Some(bytes),
            None => std::future::pending().await,
        }
    }

    /// Shows what the board says.
    pub(crate) fn show(&self, bytes: &[u8]) -> Result<()> {
        let mut out = std::io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()?;
        Ok(())
    }

    /// Says something that is not the board's, on lines of their own.
    pub(crate) fn say(&self, text: &str) -> Result<()> {
        let lines: String = text.lines().map(|l| format!("\r\n-- {l}")).collect();
        self.show((lines + "\r\n").as_bytes())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // The terminal may be gone.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}

/// Switches the terminal to raw mode; returns how it was, or `None` when standard input is no terminal.
fn raw() -> Option<Termios> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return None;
    }
    let before = tcgetattr(&stdin).ok()?;
    let mut raw = before.clone();
    raw.make_raw();
    tcsetattr(&stdin, OptionalActions::Now, &raw).ok()?;
    Some(before)
}

/// What is typed, from a thread of its own, since reading a terminal blocks.
fn keyboard() -> mpsc::UnboundedReceiver<Vec<u8>> {
    let (tx, rx) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 256];
        while let Ok(n @ 1..) = std::io::stdin().lock().read(&mut buffer) {
            if tx.send(buffer[..n].to_vec()).is_err() {
                break;
            }
        }
    });
    rx
}
