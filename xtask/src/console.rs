//! `cargo xtask console`: the same board with the terminal on its serial port, to look around.

use std::io::{IsTerminal, Read, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use shakedown_harness::run::{Job, Live, Start};
use shakedown_harness::scenario::Tier;
use shakedown_harness::timeline::Timeline;
use tokio::sync::mpsc;

use crate::project::{PartsArgs, Project};

/// Ctrl-], as in telnet: leaves the board.
const LEAVE: u8 = 0x1d;

/// Arguments of `console`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The scenario.
    #[arg(default_value = "alpine-https")]
    scenario: String,
    /// The board.
    #[arg(long)]
    board: Option<String>,
    #[command(flatten)]
    parts: PartsArgs,
}

/// Runs the command until the board is off or the user leaves.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let project = Project::read()?;
    let selected = project.select(
        std::slice::from_ref(&args.scenario),
        args.board.as_deref(),
        Tier::Full,
    )?;
    let Some((scenario, board)) = selected.into_iter().next() else {
        return Ok(ExitCode::from(crate::COULD_NOT_RUN));
    };
    let parts = args.parts.kit()?.parts(board)?;
    let job = Job {
        board,
        scenario,
        parts: &parts,
        start: Start::Card,
        folder: project.run_folder(scenario, board),
        keep: false,
        reproduce: format!("cargo xtask console {}", scenario.name),
    };
    println!(
        "{} on {}; Ctrl-] pulls the plug",
        scenario.name, board.title
    );
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let attached = runtime.block_on(attach(&job));
    // A thread still waits for the keyboard.
    runtime.shutdown_background();
    attached?;
    println!("\r\nrecord: {}", job.folder.display());
    Ok(ExitCode::SUCCESS)
}

async fn attach(job: &Job<'_>) -> Result<()> {
    let timeline = Timeline::start();
    let (mut live, _expectations) = Live::start(job, &timeline).await?;
    let mut from_board = live.console().subscribe();
    let mut keys = keyboard();
    let _raw = RawMode::enter();
    live.machine().power_on().await?;
    // Keys go to the port that spoke last: the boot loader changes ports on its way.
    let mut speaking = 0;
    loop {
        tokio::select! {
            chunk = from_board.recv() => match chunk {
                Ok(chunk) => {
                    speaking = chunk.uart;
                    let mut out = std::io::stdout().lock();
                    out.write_all(&chunk.bytes)?;
                    out.flush()?;
                }
                Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                Err(tokio::sync::broadcast::error::RecvError::Closed) => break,
            },
            Some(bytes) = keys.recv() => {
                if bytes.contains(&LEAVE) {
                    break;
                }
                live.console().send(speaking, &bytes).await?;
            }
            _ = timeline_end(&timeline) => break,
        }
    }
    live.shut_down().await;
    Ok(())
}

/// Completes when the guest has powered off.
async fn timeline_end(timeline: &Timeline) {
    use shakedown_harness::timeline::{Cursor, Event, Power};
    let off = |r: &shakedown_harness::timeline::Record| {
        matches!(
            r.event,
            Event::Power {
                action: Power::GuestShutdown | Power::Exited
            }
        )
    };
    timeline.wait_for(&mut Cursor::default(), off).await;
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

/// The terminal in raw mode, put back as it was when dropped.
struct RawMode(Termios);

impl RawMode {
    /// `None` when standard input is no terminal.
    fn enter() -> Option<Self> {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            return None;
        }
        let before = tcgetattr(&stdin).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&stdin, OptionalActions::Now, &raw).ok()?;
        Some(Self(before))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // The terminal may be gone.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}
