//! Our server in a process of its own.

use std::io::{BufRead, BufReader, Read, stdin};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use shakedown_common::outln;
use shakedown_harness::services::{ConfigSpec, Journal, OciImage, Platform, Registry, serve};
use shakedown_harness::timeline::{ServiceId, Timeline};
use tokio::net::TcpListener;

use super::process::Tree;
use super::{Server, again, layer, raise_file_limit};

const REPOSITORY: &str = "bench";

/// Arguments of the server's process.
#[derive(clap::Args)]
pub(crate) struct ServerArgs {
    /// The layer to serve.
    file: PathBuf,
}

/// Starts the process.
pub(super) fn start(file: &Path) -> Result<Server> {
    let file_name = file
        .to_str()
        .context("the temporary folder's name is not text")?;
    let mut tree = Tree::start(&mut again(&["serve-file", file_name])?)?;
    let output = tree
        .child()
        .stdout
        .take()
        .context("the server has no output")?;
    let mut address = String::new();
    BufReader::new(output).read_line(&mut address)?;
    Ok(Server {
        name: "ours",
        tree,
        address: address.trim().to_owned(),
        path: format!("/v2/{REPOSITORY}/blobs/{}", layer(file)?.digest()),
    })
}

/// The process: says its address and serves until its standard input ends.
pub(crate) fn run(args: &ServerArgs) -> Result<ExitCode> {
    raise_file_limit(64)?;
    let spec = ConfigSpec::new(Platform::linux_arm64());
    let image = OciImage::new(vec![layer(&args.file)?], &spec)?;
    let mut registry = Registry::new();
    registry.add(REPOSITORY, "latest", &image)?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let _server = runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        outln!("{}", listener.local_addr()?);
        let journal = Journal::new(ServiceId::Bench, Timeline::start());
        anyhow::Ok(serve(listener, registry.router(), journal))
    })?;
    stdin().read_to_end(&mut Vec::new())?;
    Ok(ExitCode::SUCCESS)
}
