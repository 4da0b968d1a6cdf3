//! `cargo xtask bench serve`: many clients at a time fetch a file from our registry and, by turns, from nginx.
//!
//! Server and clients are processes of their own, so that CPU time and memory are the server's alone. Ours sends the file as a blob, through
//! everything that a guest's request goes through, the journal included; nginx sends the same file with its access log on.

mod clients;
mod nginx;
mod ours;
mod process;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use shakedown_common::{errln, outln};
use shakedown_harness::input::ByteSize;
use shakedown_harness::services::{Blob, Layer};

pub(super) use clients::{ClientsArgs, run as run_clients};
pub(super) use ours::{ServerArgs, run as run_server};

use super::figures::{Better, Figure, Measured, median};
use super::host::Observation;
use clients::Fetched;
use process::Tree;

/// Arguments of `bench serve`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Clients at a time; each fetches the file once.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    clients: u32,
    /// Bytes of the file.
    #[arg(long, default_value = "10MB")]
    size: ByteSize,
    /// Rounds of each server.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Write the figures to this file too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// A server that is running, and where it has the file.
struct Server {
    name: &'static str,
    tree: Tree,
    address: String,
    path: String,
}

/// What a server did in a round.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Round {
    /// 10^6 bytes a second.
    rate: f64,
    cpu_seconds: f64,
}

/// What a server did.
#[derive(Debug, PartialEq, Serialize)]
struct Served {
    name: &'static str,
    rounds: Vec<Round>,
    /// Most memory in bytes that was resident at a time, all processes of the server together.
    peak_memory: u64,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("blob");
    let bytes = write_layer(&file, args.size)?;
    let mut servers = vec![ours::start(&file)?];
    match nginx::start(folder.path(), &file)? {
        Some(nginx) => servers.push(nginx),
        None => {
            errln!("note: there is no nginx here to compare with: apt-get install nginx-light")
        }
    }
    let observation = Observation::begin()?;
    let mut rounds = vec![Vec::new(); servers.len()];
    for _ in 0..args.rounds {
        for (server, rounds) in servers.iter().zip(&mut rounds) {
            let round = server.round(args.clients, bytes)?;
            outln!("{}: {:.0} MB/s", server.name, round.rate);
            rounds.push(round);
        }
    }
    let host = observation.end()?;
    let served = servers.iter().zip(rounds).map(|(server, rounds)| {
        Ok(Served {
            name: server.name,
            rounds,
            peak_memory: server.tree.peak_memory()?,
        })
    });
    let served: Vec<_> = served.collect::<Result<_>>()?;
    outln!("\n{}{host}", table(&served));
    if let Some(path) = &args.json {
        let measured = Measured {
            bench: "serve".into(),
            subject: format!("{} clients, {}", args.clients, args.size),
            figures: figures(&served),
            host,
            details: serde_json::to_value(&served)?,
        };
        measured.write(path)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a layer of about this size; returns its exact size in bytes.
fn write_layer(path: &Path, size: ByteSize) -> Result<u64> {
    use std::io::{Read, copy};
    let mut file = std::fs::File::create(path).context("cannot write the file to serve")?;
    let random = std::fs::File::open("/dev/urandom").context("cannot read random bytes")?;
    let mut packer = flate2::write::GzEncoder::new(&mut file, flate2::Compression::none());
    copy(&mut random.take(size.0), &mut packer)?;
    packer.finish()?;
    Ok(file.metadata()?.len())
}

impl Server {
    /// Has `clients` fetch the file of `bytes` bytes, all at a time.
    fn round(&self, clients: u32, bytes: u64) -> Result<Round> {
        let before = self.tree.cpu_seconds();
        let Fetched { bytes, seconds } = clients::start(&self.address, &self.path, clients, bytes)?;
        Ok(Round {
            rate: bytes as f64 / seconds / 1e6,
            cpu_seconds: self.tree.cpu_seconds() - before,
        })
    }
}

/// This program again, with other arguments and its output in our hands. It ends with us, since its standard input does.
fn again(arguments: &[&str]) -> Result<Command> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let mut command = Command::new(program);
    command.arg("bench").args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    Ok(command)
}

/// Lets this process have as many files open as it may, which must be at least `wanted`.
fn raise_file_limit(wanted: u64) -> Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_some_and(|most| most < wanted) {
        bail!("{wanted} open files are needed and the hard limit is less: raise `ulimit -Hn`");
    }
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).context("cannot raise the limit of open files")
}

/// The layer that a file is.
fn layer(file: &Path) -> Result<Layer> {
    Ok(Layer::from_tar_gz("bench", Blob::file(file)?)?)
}

/// The figures that count.
fn figures(servers: &[Served]) -> Vec<Figure> {
    let mut figures = Vec::new();
    if let [ours, other] = servers {
        let ratio = |figure| of(ours, figure) / of(other, figure);
        let name = |what| format!("{} / {}, {what}", ours.name, other.name);
        figures.extend([
            Figure::new(name("rate"), "", ratio(|r| r.rate), Better::More),
            Figure::new(name("CPU"), "", ratio(|r| r.cpu_seconds), Better::Less),
        ]);
    }
    for served in servers {
        let peak = served.peak_memory as f64 / 1e6;
        let (rate, cpu) = (of(served, |r| r.rate), of(served, |r| r.cpu_seconds));
        figures.extend([
            Figure::new(served.name, "MB/s", rate, Better::More),
            Figure::new(served.name, "CPU s", cpu, Better::Less),
            Figure::new(
                format!("{}, peak memory", served.name),
                "MB",
                peak,
                Better::Less,
            ),
        ]);
    }
    figures
}

/// The median of a figure over a server's rounds.
fn of(served: &Served, figure: fn(&Round) -> f64) -> f64 {
    median(served.rounds.iter().map(figure))
}

/// Medians, a row for each server, and the ratios.
fn table(servers: &[Served]) -> String {
    let mut out = format!(
        "{:8}  {:>6}  {:>6}  {:>16}  each, MB/s\n",
        "", "MB/s", "CPU s", "peak memory, MB"
    );
    // Writing to a string cannot fail.
    for served in servers {
        let each: Vec<_> = served
            .rounds
            .iter()
            .map(|r| format!("{:.0}", r.rate))
            .collect();
        let _ = writeln!(
            out,
            "{:8}  {:6.0}  {:6.2}  {:16.1}  {}",
            served.name,
            of(served, |r| r.rate),
            of(served, |r| r.cpu_seconds),
            served.peak_memory as f64 / 1e6,
            each.join(" ")
        );
    }
    if let [ours, other] = servers {
        let ratio = |figure| of(ours, figure) / of(other, figure);
        let _ = writeln!(
            out,
            "{} / {}: rate {:.2}, CPU {:.2}",
            ours.name,
            other.name,
            ratio(|r| r.rate),
            ratio(|r| r.cpu_seconds)
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_medians() {
        let served = |name, rates: [f64; 3], cpu_seconds, peak_memory| Served {
            name,
            rounds: rates.map(|rate| Round { rate, cpu_seconds }).to_vec(),
            peak_memory,
        };
        let servers = [
            served("ours", [900.0, 10.0, 1000.0], 8.0, 64_500_000),
            served("nginx", [2000.0, 1800.0, 100.0], 4.0, 12_000_000),
        ];
        insta::assert_snapshot!(table(&servers), @r"
                    MB/s   CPU s   peak memory, MB  each, MB/s
        ours         900    8.00              64.5  900 10 1000
        nginx       1800    4.00              12.0  2000 1800 100
        ours / nginx: rate 0.50, CPU 2.00
        ");
    }
}
