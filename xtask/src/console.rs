//! `cargo xtask console`: a board with the terminal on its serial port, to look around: a new one, one that runs up to a stage first, or
//! one that a failed run has left on.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use futures_util::stream::{SelectAll, StreamExt};
use shakedown_harness::console::Expectations;
use shakedown_harness::evidence::Attach;
use shakedown_harness::host::on_own_core;
use shakedown_harness::plan::{Extras, Job, Start};
use shakedown_harness::run::{Live, run_until};
use shakedown_harness::session::{self, Session, SessionError};
use shakedown_harness::shell::OurCommand;
use shakedown_harness::timeline::{Cursor, Event, Power, Record, Timeline};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::io::ReaderStream;

use crate::globals::Globals;
use crate::recording::RecordFile;
use crate::terminal::Terminal;
use shakedown_common::{PartsArgs, outln};

/// Arguments of `console`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The scenario.
    #[arg(default_value = "alpine-https")]
    scenario: String,
    /// The board.
    #[arg(long)]
    board: Option<String>,
    /// Run up to this stage, for example `U-Boot`, and let the board stand still there until a key is pressed.
    #[arg(long, value_name = "STAGE")]
    until: Option<String>,
    /// Wait for a debugger to start the board.
    #[arg(long)]
    gdb: bool,
    /// Attach to the board that a run with `--keep` has left on; FOLDER is the run's.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["scenario", "board", "until", "gdb"])]
    attach: Option<PathBuf>,
    /// Write the session down as a scenario that does the same again: what is typed, and what the board says to it. FILE is a new file
    /// `NAME.toml`; it is written when the session has ended.
    #[arg(long, value_name = "FILE", conflicts_with = "attach")]
    record: Option<PathBuf>,
    #[command(flatten)]
    parts: PartsArgs,
}

/// Runs the command until the board is off or the user leaves.
pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode> {
    match &args.attach {
        Some(folder) => {
            let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
            let done = runtime.block_on(attach(folder));
            // A thread still waits for the keyboard.
            runtime.shutdown_background();
            done?;
        }
        None => start(args, globals)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn start(args: &Args, globals: &Globals) -> Result<()> {
    let project = globals.project()?;
    let (scenario, board) = project.chosen(&args.scenario, args.board.as_deref())?;
    if let Some(until) = &args.until {
        let stages = scenario.stages(board);
        if !stages.iter().any(|s| &s.name == until) {
            let names: Vec<_> = stages.iter().map(|s| s.name.as_str()).collect();
            bail!(
                "there is no stage `{until}`; there is: {}",
                names.join(", ")
            );
        }
    }
    let file = args.record.as_deref().map(RecordFile::at).transpose()?;
    let parts = args
        .parts
        .kit(project.defaults())?
        .parts_for(scenario, board)?;
    let job = Job {
        board,
        scenario,
        parts: &parts,
        others: &[],
        start: Start::Card,
        folder: project.run_folder(scenario, board),
        keep: false,
        checkpoints: None,
        extras: Extras {
            gdb: args.gdb,
            ..Extras::default()
        },
        reproduce: format!(
            "{} {} --board {}{}",
            OurCommand("console"),
            scenario.name,
            board.name,
            args.parts.words()
        ),
    };
    outln!(
        "{} on {}; Ctrl-] pulls the plug",
        scenario.name,
        board.title
    );
    let scenario = on_own_core(async |_| {
        let session = sit_at(&job, args.until.as_deref(), file.is_some()).await?;
        let text = file.is_some().then(|| session.as_scenario(&job));
        anyhow::Ok(text.transpose()?)
    })??;
    outln!("\nrecord: {}", job.folder.display());
    if let (Some(text), Some(file)) = (scenario, file) {
        file.write(&text, project.scenario_library(), board)?;
        outln!("scenario: {}", file.path().display());
    }
    Ok(())
}

/// What a session was, once it has ended.
struct Ended {
    records: Vec<Record>,
    nonce: String,
    layers: Vec<String>,
}

impl Ended {
    /// The scenario that does the same again.
    fn as_scenario(&self, job: &Job<'_>) -> Result<String, SessionError> {
        let session = Session {
            scenario: job.scenario,
            board: job.board,
            nonce: &self.nonce,
            layers: &self.layers,
        };
        session::text(&session, &self.records)
    }
}

/// A new board, from power-on until it is off or the user leaves.
async fn sit_at(job: &Job<'_>, until: Option<&str>, records: bool) -> Result<Ended> {
    let timeline = Timeline::start();
    let (live, expectations) = Live::start(job, &timeline).await?;
    outln!("QMP: {}", live.machine().user_monitor().display());
    if job.extras.gdb {
        outln!("the board waits for a debugger; start it by `continue`:");
        outln!(
            "  gdb-multiarch -ex 'target remote {}'",
            live.machine().gdb().display()
        );
    }
    let talked = talk(job, &live, expectations, &timeline, until, records).await;
    let (nonce, layers) = (live.nonce().to_owned(), live.layers().to_vec());
    let kept = live.shut_down().await;
    talked?;
    kept.context("the guest's files could not be kept")?;
    Ok(Ended {
        records: timeline.snapshot(),
        nonce,
        layers,
    })
}

/// What the board and the user say to each other.
async fn talk(
    job: &Job<'_>,
    live: &Live,
    expectations: Expectations,
    timeline: &Timeline,
    until: Option<&str>,
    records: bool,
) -> Result<()> {
    let mut from_board = live.console().subscribe();
    let mut terminal = Terminal::take();
    if job.extras.gdb {
        live.machine().power_on_for_debugger();
    } else {
        live.machine().power_on().await?;
    }
    let stage = async {
        match until {
            Some(stage) => run_until(stage, job, live, expectations, timeline).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(stage);
    let (mut awaiting, mut standing) = (true, false);
    // Keys go to the port that spoke last: the boot loader changes ports on its way.
    let mut speaking = 0;
    loop {
        tokio::select! {
            chunk = from_board.recv() => match chunk {
                Ok(chunk) => {
                    speaking = chunk.uart;
                    terminal.show(&chunk.bytes)?;
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => break,
            },
            typed = terminal.typed() => {
                let Some(bytes) = typed else { break };
                if std::mem::take(&mut standing) {
                    live.machine().resume().await?;
                }
                if records {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    timeline.emit(Event::Typed { uart: speaking, text });
                }
                live.console().send(speaking, &bytes).await?;
            }
            reached = &mut stage, if awaiting => {
                awaiting = false;
                match reached {
                    Ok(()) => {
                        live.machine().pause().await?;
                        standing = true;
                        let stage = until.unwrap_or_default();
                        terminal.say(&format!("{stage} is reached and the board stands still; a key lets it go on, and is typed"))?;
                    }
                    Err(failure) => terminal.say(&failure.cause)?,
                }
            }
            () = powered_off(timeline) => break,
        }
    }
    Ok(())
}

/// Completes when the guest has powered off.
async fn powered_off(timeline: &Timeline) {
    let off = |r: &Record| {
        matches!(
            r.event,
            Event::Power {
                action: Power::GuestShutdown | Power::Exited
            }
        )
    };
    timeline.wait_for(&mut Cursor::default(), off).await;
}

/// The board of a run that keeps it on, until the run ends it or the user leaves.
async fn attach(folder: &Path) -> Result<()> {
    let attach = Attach::read(folder).with_context(|| {
        format!(
            "no run keeps a board on in {}; `{}` does when it has failed",
            folder.display(),
            OurCommand("e2e --keep")
        )
    })?;
    let mut writers = Vec::new();
    let mut from_board = SelectAll::new();
    for (uart, socket) in attach.uarts.iter().enumerate() {
        let stream = UnixStream::connect(socket)
            .await
            .context("the run that kept the board on has ended")?;
        let (reader, writer) = stream.into_split();
        writers.push(writer);
        from_board.push(ReaderStream::new(reader).map(move |bytes| (uart, bytes)));
    }
    outln!("Ctrl-] leaves the board on; QMP: {}", attach.qmp.display());
    let mut terminal = Terminal::take();
    let mut speaking = usize::from(attach.speaking);
    terminal.show(&attach.backlog(folder)?)?;
    loop {
        tokio::select! {
            said = from_board.next() => {
                let Some((uart, bytes)) = said else { break };
                speaking = uart;
                terminal.show(&bytes?)?;
            }
            typed = terminal.typed() => {
                let Some(bytes) = typed else { break };
                if let Some(writer) = writers.get_mut(speaking) {
                    writer.write_all(&bytes).await?;
                }
            }
        }
    }
    Ok(())
}
