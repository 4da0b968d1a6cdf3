//! `cargo xtask bench net`: how fast a guest loads and sends, with our LAN9514 and with QEMU's own `usb-net`.
//!
//! Three boots: iPXE by way of U-Boot and the LAN9514, in plain HTTP and HTTPS by turns; Linux with the LAN9514; the same Linux with
//! `usb-net` on QEMU's user network, which reaches this process over a loopback port. Both adapters are on the root port. Rates are as the
//! server saw them: a request's bytes over the time from its head to the last byte of its answer.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use serde::Serialize;
use shakedown_harness::board::Board;
use shakedown_harness::report::{Class, Failure};
use shakedown_harness::run::{Job, Live, Nic, Parts, Start, host_scale};
use shakedown_harness::scenario::Scenario;
use shakedown_harness::services::{Blob, Journal, serve};
use shakedown_harness::timeline::{Cursor, Event, Power, Record, RequestEvent, Timeline};
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::timeout;

use super::figures::write_json;
use super::guest;
use super::host::{Conditions, Observation};
use super::rates::{Direction, OURS, QEMUS, Rates, Ratios, table};
use super::size::ByteSize;
use super::target::{self, SERVICE, SINK};
use crate::project::{PartsArgs, Project};

/// The scenario whose network and card the boots use: its iPXE has an identity.
const SCENARIO: &str = "alpine-https";
/// Name of the file on the boot server.
const FILE: &str = "bench/blob";
/// The server's address on the LAN (RFC 5737, TEST-NET-1).
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 40);
/// This host, as seen from QEMU's user network.
const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// Bytes that the kernel buffers for a connection over loopback. What is buffered counts as sent: its own choice is megabytes.
const BUFFER: u32 = 128 * 1024;
/// A Pi 3B has 1 GiB, and Linux' wget holds what it sends twice.
const MOST: u64 = 256 << 20;

/// Arguments of `bench net`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Bytes of each transfer.
    #[arg(long, default_value = "64MiB")]
    size: ByteSize,
    /// Transfers of each kind.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// The board.
    #[arg(long)]
    board: Option<String>,
    /// Write the figures to this file too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    parts: PartsArgs,
}

/// All figures of an invocation.
#[derive(Debug, Serialize)]
struct Figures {
    board: String,
    size: u64,
    rates: Vec<Rates>,
    ratios: Ratios,
    host: Conditions,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let size = args.size;
    ensure!(
        (1..=MOST).contains(&size.0),
        "--size {size}: at most {} fit into the board's memory",
        ByteSize(MOST)
    );
    let project = Project::read()?;
    let (scenario, board) = project.one(SCENARIO, args.board.as_deref())?;
    let bench = Bench {
        project: &project,
        scenario,
        board,
        parts: args.parts.kit()?.parts(board)?,
        data: vec![b'x'; usize::try_from(size.0)?].into(),
        times: args.runs,
    };
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let observation = Observation::begin()?;
    let rates = runtime.block_on(async {
        tokio::select! {
            rates = bench.measure() => rates,
            Ok(()) = tokio::signal::ctrl_c() => bail!("stopped by the user"),
        }
    });
    // Threads of the matcher may still wait for the text of a port that has ended.
    runtime.shutdown_background();
    let rates = rates?;
    let figures = Figures {
        board: board.name.clone(),
        size: size.0,
        ratios: Ratios::new(&rates),
        rates,
        host: observation.end()?,
    };
    println!(
        "\nMB/s (10^6 bytes), medians of {} transfers of {size}\n\n{}{}",
        args.runs,
        table(&figures.rates, &figures.ratios),
        figures.host
    );
    if let Some(path) = &args.json {
        write_json(path, &figures)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What all boots of an invocation have in common.
struct Bench<'a> {
    project: &'a Project,
    scenario: &'a Scenario,
    board: &'a Board,
    parts: Parts,
    data: Bytes,
    times: u32,
}

impl Bench<'_> {
    async fn measure(&self) -> Result<Vec<Rates>> {
        let mut rates = self.ipxe().await?;
        rates.extend(self.linux(OURS, Nic::Board).await?);
        rates.extend(self.linux(QEMUS, Nic::Emulator).await?);
        Ok(rates)
    }

    /// iPXE by way of U-Boot.
    async fn ipxe(&self) -> Result<Vec<Rates>> {
        let mut scenario = self.scenario.clone();
        let (http, https) = (format!("http://{SERVER}"), format!("/files/{FILE}"));
        scenario.boot.script = guest::ipxe_script(&http, &https, self.times);
        let mut parts = self.parts.clone();
        parts
            .files
            .push((FILE.into(), Blob::from(self.data.clone())));
        let requests = self
            .boot("iPXE, LAN9514", &scenario, &parts, Start::Card, None)
            .await?;
        let of = |name: &str, is_https: bool| {
            let requests = requests
                .iter()
                .filter(|r| (r.service != SERVICE) == is_https);
            self.rates(name, Direction::Download, requests)
        };
        Ok(vec![
            of("iPXE, LAN9514, HTTP", false),
            of("iPXE, LAN9514, HTTPS", true),
        ])
    }

    /// Linux, started directly.
    async fn linux(&self, name: &str, nic: Nic) -> Result<Vec<Rates>> {
        let (loopback, server) = match nic {
            Nic::Board => (None, format!("http://{SERVER}")),
            Nic::Emulator => {
                let listener = listen_on_loopback().context("cannot listen on loopback")?;
                let port = listener.local_addr()?.port();
                (Some(listener), format!("http://{HOST}:{port}"))
            }
        };
        // The kernel unpacks archives that follow each other one after the other.
        let mut initramfs = std::fs::read(&self.parts.initramfs)
            .with_context(|| format!("cannot read {}", self.parts.initramfs.display()))?;
        initramfs.extend(guest::linux_archive(
            &server,
            self.data.len() as u64,
            self.times,
        )?);
        let folder = tempfile::tempdir()?;
        let mut parts = self.parts.clone();
        parts.initramfs = folder.path().join("initramfs");
        std::fs::write(&parts.initramfs, initramfs)?;
        let console = self.board.uarts.first().context("the board has no UART")?;
        let start = Start::Direct {
            append: guest::linux_command_line(&console.linux),
            nic,
        };
        let requests = self
            .boot(name, self.scenario, &parts, start, loopback)
            .await?;
        let of = |direction, is_upload: bool| {
            let requests = requests.iter().filter(|r| (r.target == SINK) == is_upload);
            self.rates(name, direction, requests)
        };
        Ok(vec![
            of(Direction::Download, false),
            of(Direction::Upload, true),
        ])
    }

    fn rates<'r>(
        &self,
        name: &str,
        direction: Direction,
        requests: impl Iterator<Item = &'r RequestEvent>,
    ) -> Rates {
        Rates::new(name, direction, requests.map(|r| self.rate(r)))
    }

    /// 10^6 bytes a second.
    fn rate(&self, request: &RequestEvent) -> f64 {
        self.data.len() as f64 / request.duration.as_secs_f64() / 1e6
    }

    /// Boots once and returns the transfers, `2 * times` of them. Guests load from `loopback`, or from a server on the LAN.
    async fn boot(
        &self,
        name: &str,
        scenario: &Scenario,
        parts: &Parts,
        start: Start,
        loopback: Option<TcpListener>,
    ) -> Result<Vec<RequestEvent>> {
        let job = Job {
            board: self.board,
            scenario,
            parts,
            start,
            folder: self.project.run_folder(scenario, self.board),
            keep: false,
            reproduce: "cargo xtask bench net".into(),
        };
        println!("{name}: booting, record in {}", job.folder.display());
        let timeline = Timeline::start();
        let (live, _expectations) = Live::start(&job, &timeline).await?;
        let (routes, journal) = (
            target::routes(self.data.clone()),
            Journal::new(SERVICE, timeline.clone()),
        );
        let _server = match loopback {
            Some(listener) => serve(listener, routes, journal),
            None => serve(live.lan().listen(SERVER, 80)?, routes, journal),
        };
        live.machine().power_on().await?;
        let transfers = tokio::select! {
            transfers = self.transfers(name, &timeline) => transfers,
            words = live.machine().ended() => Err(anyhow::anyhow!("QEMU has ended; its last words: {words:?}")),
        };
        live.shut_down().await;
        transfers.with_context(|| {
            let last = Failure::new(Class::Board, String::new(), &timeline.snapshot());
            format!(
                "{name}: not everything was transferred; the last serial lines:\n{}",
                last.last_serial.join("\n")
            )
        })
    }

    /// The transfers of a boot, as soon as the last has been made.
    async fn transfers(&self, name: &str, timeline: &Timeline) -> Result<Vec<RequestEvent>> {
        let bound = self.board.limits.whole.mul_f64(host_scale());
        let wanted = 2 * self.times as usize;
        let (mut cursor, mut transfers) = (Cursor::default(), Vec::new());
        while transfers.len() < wanted {
            let next = timeline.wait_for(&mut cursor, is_news);
            let Ok(record) = timeout(bound, next).await else {
                bail!("no transfer has ended for {:.0} s", bound.as_secs_f64());
            };
            match record.event {
                Event::Request(r) if r.complete && (200..300).contains(&r.status) => {
                    println!(
                        "{name}: {} {} {:.1} MB/s",
                        r.method,
                        r.target,
                        self.rate(&r)
                    );
                    transfers.push(r);
                }
                Event::Request(r) => bail!(
                    "{} {} was answered with {}, {} bytes",
                    r.method,
                    r.target,
                    r.status,
                    r.bytes
                ),
                Event::Alarm { name, line } => bail!("{name} on the console: {line}"),
                _ => bail!("the board has gone off or has reset itself"),
            }
        }
        Ok(transfers)
    }
}

/// A transfer has ended, or no other will.
fn is_news(record: &Record) -> bool {
    match &record.event {
        Event::Request(r) => r.service == SERVICE || r.target.ends_with(FILE),
        Event::Alarm { .. } => true,
        Event::Power { action } => !matches!(action, Power::On),
        _ => false,
    }
}

/// A port of this host that only this host can reach.
fn listen_on_loopback() -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    // Connections take them over from the listener.
    socket.set_send_buffer_size(BUFFER)?;
    socket.set_recv_buffer_size(BUFFER)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    socket.listen(16)
}
