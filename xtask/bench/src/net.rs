//! `cargo xtask bench net`: how fast a guest loads and sends, with our LAN9514 and with QEMU's own `usb-net`.
//!
//! Three boots: iPXE by way of U-Boot and the LAN9514, in plain HTTP and HTTPS by turns; Linux with the LAN9514; the same Linux with
//! `usb-net` on QEMU's user network, which reaches this process over a loopback port. Both adapters are on the root port.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail, ensure};
use bytes::Bytes;
use shakedown_harness::alarm::{AlarmKind, AlarmWatch, Progress, Raised};
use shakedown_harness::board::Board;
use shakedown_harness::host::{host_scale, on_own_core};
use shakedown_harness::input::ByteSize;
use shakedown_harness::plan::{Extras, Job, Nic, Parts, Start};
use shakedown_harness::report::{Class, Failure};
use shakedown_harness::run::Live;
use shakedown_harness::scenario::Scenario;
use shakedown_harness::services::{Blob, Journal, serve};
use shakedown_harness::timeline::{Cursor, Event, Power, Record, Timeline};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout_at};

use super::figures::Measured;
use super::guest;
use super::host::Observation;
use super::rates::{Rates, Ratios, Setup, figures, rate, table};
use super::target::{self, SERVICE};
use super::transfers::{Course, Transfer};
use shakedown_common::{PartsArgs, outln};
use shakedown_harness::project::Project;

/// The scenario whose network and card the boots use: its iPXE has an identity.
const SCENARIO: &str = "alpine-https";
/// Name of the file on the boot server.
const FILE: &str = "bench/blob";
/// The server's address on the LAN (RFC 5737, TEST-NET-1).
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 40);
/// This host, as seen from QEMU's user network.
const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// `usb-net` moves this part of the data. QEMU has it at full speed, where a packet has 64 bytes, and its host controller moves two or three
/// of them in a millisecond: the whole would take most of an hour.
const USB_NET_PART: usize = 64;
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

/// Runs the command.
pub(super) fn run(args: &Args, project: &Project) -> Result<ExitCode> {
    let size = args.size;
    ensure!(
        (1..=MOST).contains(&size.0),
        "--size {size}: at most {} fit into the board's memory",
        ByteSize(MOST)
    );
    let (scenario, board) = project.one(SCENARIO, args.board.as_deref())?;
    let bench = Bench {
        project,
        scenario,
        board,
        parts: args.parts.kit(project.defaults())?.parts(board)?,
        data: vec![b'x'; usize::try_from(size.0)?].into(),
        times: args.runs,
    };
    let observation = Observation::begin()?;
    let rates = on_own_core(async |_| {
        tokio::select! {
            rates = bench.measure() => rates,
            Ok(()) = tokio::signal::ctrl_c() => bail!("stopped by the user"),
        }
    })??;
    let (ratios, host) = (Ratios::new(&rates), observation.end()?);
    outln!("\n{}{host}", table(&rates, &ratios));
    if let Some(path) = &args.json {
        let measured = Measured {
            bench: "net".into(),
            subject: format!("{} on {}", args.size, board.name),
            figures: figures(&rates, &ratios),
            host,
            details: serde_json::to_value(&rates)?,
        };
        measured.write(path)?;
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
        rates.extend(self.linux(Setup::Linux, self.data.clone()).await?);
        let part = self.data.len().div_ceil(USB_NET_PART);
        let data = self.data.slice(..part);
        rates.extend(self.linux(Setup::LinuxUsbNet, data).await?);
        Ok(rates)
    }

    /// iPXE by way of U-Boot.
    async fn ipxe(&self) -> Result<Vec<Rates>> {
        let mut scenario = self.scenario.clone();
        let (http, https) = (format!("http://{SERVER}"), format!("/files/{FILE}"));
        scenario.boot.script = guest::ipxe_script(&http, &https, self.times);
        let mut parts = self.parts.clone();
        let blob = Blob::from(self.data.clone());
        parts.files.push((FILE.into(), blob));
        let job = self.job(&scenario, &parts, Start::Card);
        self.boot(Setup::Ipxe, &job, self.data.clone(), None).await
    }

    /// Linux, started directly.
    async fn linux(&self, setup: Setup, data: Bytes) -> Result<Vec<Rates>> {
        let (nic, loopback, server) = if setup == Setup::LinuxUsbNet {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
            let listener = listener.context("cannot listen on loopback")?;
            let server = format!("http://{HOST}:{}", listener.local_addr()?.port());
            (Nic::Emulator, Some(listener), server)
        } else {
            (Nic::Board, None, format!("http://{SERVER}"))
        };
        let given = &self.parts.initramfs;
        let mut initramfs = std::fs::read(given)
            .with_context(|| format!("cannot read the initramfs {}", given.display()))?;
        // The kernel unpacks archives that follow each other one after the other.
        initramfs.extend(guest::linux_archive(&server, data.len(), self.times)?);
        let folder = tempfile::tempdir()?;
        let mut parts = self.parts.clone();
        parts.initramfs = folder.path().join("initramfs");
        std::fs::write(&parts.initramfs, initramfs)?;
        let console = self.board.uarts.first().context("the board has no UART")?;
        let append = guest::linux_command_line(&console.linux);
        let job = self.job(self.scenario, &parts, Start::Direct { append, nic });
        self.boot(setup, &job, data, loopback).await
    }

    fn job<'j>(&'j self, scenario: &'j Scenario, parts: &'j Parts, start: Start) -> Job<'j> {
        Job {
            board: self.board,
            scenario,
            parts,
            others: &[],
            start,
            folder: self.project.run_folder(scenario, self.board),
            keep: false,
            checkpoints: None,
            extras: Extras::default(),
            reproduce: "cargo xtask bench net".into(),
        }
    }

    /// Boots once and lets the guest transfer `data`, from and to `loopback` or else a server on the LAN.
    async fn boot(
        &self,
        setup: Setup,
        job: &Job<'_>,
        data: Bytes,
        loopback: Option<TcpListener>,
    ) -> Result<Vec<Rates>> {
        let (name, bytes) = (setup.name(), data.len() as u64);
        outln!("{name}: booting, record in {}", job.folder.display());
        let timeline = Timeline::start();
        let (live, _expectations) = Live::start(job, &timeline).await?;
        let journal = Journal::new(SERVICE, timeline.clone());
        let _server = match loopback {
            Some(listener) => serve(listener, target::routes(data), journal),
            None => serve(
                live.lan().listen(SERVER, 80)?,
                target::routes(data),
                journal,
            ),
        };
        live.machine().power_on().await?;
        let report = |transfer: &Transfer| {
            let rate = rate(bytes, transfer);
            outln!("{name}: {}: {rate:.2} MB/s", transfer.kind.name());
        };
        let transfers = tokio::select! {
            transfers = self.transfers(&timeline, report) => transfers,
            words = live.machine().ended() => Err(anyhow!("QEMU has ended; its last output: {words:?}")),
        };
        // What the guest may have left is nothing to a measurement.
        let _ = live.shut_down().await;
        let transfers = transfers.with_context(|| {
            let last = Failure::new(Class::Board, String::new(), &timeline.snapshot());
            let lines = last.last_serial.join("\n");
            format!(
                "{name}: not everything was transferred; the last serial lines:\n{lines}\nthe cause"
            )
        })?;
        Ok(Rates::of_boot(setup, bytes, &transfers))
    }

    /// The transfers of a boot, as soon as the last has been made.
    async fn transfers(
        &self,
        timeline: &Timeline,
        report: impl Fn(&Transfer),
    ) -> Result<Vec<Transfer>> {
        let bound = self.board.limits.whole.mul_f64(host_scale());
        let (mut cursor, mut course) = (Cursor::default(), Course::default());
        let mut watch = AlarmWatch::new(&self.board.alarms);
        let mut until = Instant::now() + bound;
        let mut transfers = Vec::new();
        // Each guest makes transfers of two kinds.
        while transfers.len() < 2 * self.times as usize {
            let next = timeline.wait_for(&mut cursor, is_news);
            let Ok(record) = timeout_at(until, next).await else {
                bail!("no transfer has ended for {:.0} s", bound.as_secs_f64());
            };
            match &record.event {
                Event::Request(request) => {
                    let transfer = course.follow(record.at, request)?;
                    transfers.extend(transfer.inspect(&report));
                    until = Instant::now() + bound;
                }
                Event::Serial { .. } => {
                    let raised = watch.observe(&record, Progress::default());
                    let is_fatal = |r: &&Raised| matches!(r.alarm.kind, AlarmKind::Fatal(_));
                    if let Some(Raised { alarm, line, .. }) = raised.iter().find(is_fatal) {
                        bail!("{} on the console: {line}", alarm.name);
                    }
                }
                _ => bail!("the board has gone off or has reset itself"),
            }
        }
        Ok(transfers)
    }
}

/// A request of a transfer has been answered, or none will be any more.
fn is_news(record: &Record) -> bool {
    match &record.event {
        Event::Request(r) => r.service == SERVICE || r.target.ends_with(FILE),
        Event::Serial { .. } => true,
        Event::Power { action } => !matches!(action, Power::On),
        _ => false,
    }
}
