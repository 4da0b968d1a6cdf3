//! The clients, in a process of their own: each fetches the file once, all at a time.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use shakedown_common::outln;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::process::Tree;
use super::{again, raise_file_limit};

/// Bytes that a client takes at a time.
const PIECE: usize = 64 * 1024;
/// Longest head of an answer in bytes.
const HEAD: usize = 4096;

/// Arguments of the clients' process.
#[derive(clap::Args)]
pub(crate) struct ClientsArgs {
    /// The server, for example `127.0.0.1:8080`.
    address: String,
    /// The file's path.
    path: String,
    /// How many clients.
    clients: u32,
    /// The file's length in bytes.
    bytes: u64,
}

/// What all clients together have fetched.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Fetched {
    pub(super) bytes: u64,
    /// From the first request to the last byte.
    pub(super) seconds: f64,
}

/// Starts the process and waits for its end.
pub(super) fn start(address: &str, path: &str, clients: u32, bytes: u64) -> Result<Fetched> {
    let numbers = [clients.to_string(), bytes.to_string()];
    let mut process = Tree::start(&mut again(&[
        "fetch",
        address,
        path,
        &numbers[0],
        &numbers[1],
    ])?)?;
    let output = process
        .child()
        .stdout
        .take()
        .context("the clients have no output")?;
    let fetched: Fetched =
        serde_json::from_reader(output).context("not every client got the file")?;
    ensure!(
        fetched.bytes == bytes * u64::from(clients),
        "not every client got the whole file"
    );
    Ok(fetched)
}

/// The process.
pub(crate) fn run(args: &ClientsArgs) -> Result<ExitCode> {
    raise_file_limit(u64::from(args.clients) + 64)?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let fetched = runtime.block_on(fetch_all(args))?;
    outln!("{}", serde_json::to_string(&fetched)?);
    Ok(ExitCode::SUCCESS)
}

async fn fetch_all(args: &ClientsArgs) -> Result<Fetched> {
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\n\r\n",
        args.path, args.address
    );
    let request: Arc<str> = request.into();
    // All are connected before the first asks.
    let start = Arc::new(Barrier::new(args.clients as usize + 1));
    let mut clients = JoinSet::new();
    for _ in 0..args.clients {
        let stream = TcpStream::connect(&args.address)
            .await
            .context("cannot connect")?;
        clients.spawn(fetch(
            stream,
            Arc::clone(&request),
            args.bytes,
            Arc::clone(&start),
        ));
    }
    start.wait().await;
    let began = Instant::now();
    let mut bytes = 0;
    while let Some(fetched) = clients.join_next().await {
        bytes += fetched??;
    }
    Ok(Fetched {
        bytes,
        seconds: began.elapsed().as_secs_f64(),
    })
}

/// Fetches the file of `length` bytes; returns how many bytes of it came.
async fn fetch(
    mut stream: TcpStream,
    request: Arc<str>,
    length: u64,
    start: Arc<Barrier>,
) -> Result<u64> {
    start.wait().await;
    stream.write_all(request.as_bytes()).await?;
    let mut piece = vec![0; PIECE];
    let mut read = 0;
    let body = loop {
        let more = stream
            .read(piece.get_mut(read..).unwrap_or_default())
            .await?;
        ensure!(more > 0 && read < HEAD, "the answer has no end of its head");
        read += more;
        let head = piece.get(..read).unwrap_or_default();
        if let Some(end) = head.windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
    };
    ensure!(piece.starts_with(b"HTTP/1.1 200"), "the answer is not 200");
    let mut received = (read - body) as u64;
    while received < length {
        let more = stream.read(&mut piece).await?;
        ensure!(more > 0, "the connection broke off after {received} bytes");
        received += more as u64;
    }
    Ok(received)
}
