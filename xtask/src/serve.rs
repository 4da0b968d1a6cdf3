//! `cargo xtask serve`: the servers of a scenario on ports of this machine, for curl, openssl, skopeo and other real clients.

use std::fs::{self, File};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use shakedown_harness::run::{Parts, Servers, Setting, Trust};
use shakedown_harness::scenario::{Scenario, Transport};
use shakedown_harness::services::{Credentials, DataRoot, access_line};
use shakedown_harness::timeline::{Cursor, Event, Timeline};
use tokio::net::TcpListener;

use crate::project::{PartsArgs, Project};

/// How long requests may go on after Ctrl-C.
const PATIENCE: Duration = Duration::from_secs(30);
/// The hardware address of the client that the plain-HTTP boot server knows.
const CLIENT: &str = "b8:27:eb:00:00:01";

/// Arguments of `serve`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The scenario.
    #[arg(default_value = "alpine-https")]
    scenario: String,
    /// Where the boot server listens; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// Where the registry listens; by default the port after the boot server's.
    #[arg(long, value_name = "ADDRESS:PORT")]
    registry_listen: Option<SocketAddr>,
    /// Where the S3-compatible scratch space listens; by default the port after the registry's.
    #[arg(long, value_name = "ADDRESS:PORT")]
    scratch_listen: Option<SocketAddr>,
    /// Listen on other addresses than loopback ones, where others can reach the servers.
    #[arg(long)]
    allow_remote: bool,
    /// A data root on disk: a folder for each client, named by the fingerprint of its certificate. The scenario's client comes on top.
    #[arg(long, value_name = "FOLDER")]
    data_root: Option<PathBuf>,
    /// An authority whose client certificates the boot server takes in place of ours, in PEM.
    #[arg(long, value_name = "FILE")]
    client_ca: Option<PathBuf>,
    /// Where certificates and keys are written to; by default below `target/shakedown/serve`.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// The board whose parts are served.
    #[arg(long)]
    board: Option<String>,
    #[command(flatten)]
    parts: PartsArgs,
}

/// Runs the command until Ctrl-C.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let project = Project::read()?;
    let (scenario, board) = project.one(&args.scenario, args.board.as_deref())?;
    for address in [Some(args.listen), args.registry_listen, args.scratch_listen] {
        if let Some(address) = address.filter(|a| !a.ip().is_loopback() && !args.allow_remote) {
            bail!("{address} can be reached by others: say --allow-remote if that is meant");
        }
    }
    let folder = match &args.folder {
        Some(folder) => folder.clone(),
        None => project.serve_folder(scenario),
    };
    let parts = args.parts.kit()?.parts(board)?;
    let mut trust = Trust::generate(scenario, &["localhost", "127.0.0.1", "::1"])?;
    if let Some(file) = &args.client_ca {
        let pem = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        trust
            .take_clients_of(&pem)
            .with_context(|| format!("{} holds no certificate", file.display()))?;
    }
    write_identities(&trust, &folder)
        .with_context(|| format!("cannot write into {}", folder.display()))?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(serve(args, scenario, &parts, &trust, &folder))?;
    println!("stopped");
    Ok(ExitCode::SUCCESS)
}

async fn serve(
    args: &Args,
    scenario: &Scenario,
    parts: &Parts,
    trust: &Trust,
    folder: &Path,
) -> Result<()> {
    let boot = bind(args.listen).await?;
    let registry = bind(or_next(args.registry_listen, &boot)?).await?;
    let scratch = bind(or_next(args.scratch_listen, &registry)?).await?;
    let addresses = Addresses {
        boot: boot.local_addr()?,
        registry: registry.local_addr()?,
        scratch: scratch.local_addr()?,
    };
    let timeline = Timeline::start();
    let setting = Setting {
        mac: CLIENT.parse()?,
        scratch_endpoint: format!("http://{}", addresses.scratch),
        scratch_folder: folder.join("scratch"),
        data: match &args.data_root {
            Some(root) => DataRoot::on_disk(root)?,
            None => DataRoot::default(),
        },
    };
    let servers = Servers::prepare(scenario, parts, trust, setting, &timeline)?;
    let running = [
        servers.boot(boot)?,
        servers.registry(registry)?,
        servers.scratch(scratch),
    ];
    println!(
        "{}",
        usage(scenario, &addresses, servers.credentials(), folder)
    );
    tokio::select! {
        () = show(&timeline) => {}
        stop = tokio::signal::ctrl_c() => stop.context("cannot wait for Ctrl-C")?,
    }
    eprintln!("stopping when the requests in progress have ended; Ctrl-C again breaks them off");
    let stopped = futures_util::future::join_all(running.map(|s| s.shut_down(PATIENCE)));
    tokio::select! {
        _ = stopped => {}
        stop = tokio::signal::ctrl_c() => stop.context("cannot wait for Ctrl-C")?,
    }
    Ok(())
}

/// Where the servers are.
struct Addresses {
    boot: SocketAddr,
    registry: SocketAddr,
    scratch: SocketAddr,
}

async fn bind(address: SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| format!("cannot listen on {address}"))
}

/// The address that was asked for, or the port after another listener's; a free port where that has one.
fn or_next(asked: Option<SocketAddr>, before: &TcpListener) -> Result<SocketAddr> {
    let mut next = before.local_addr()?;
    next.set_port(
        next.port()
            .checked_add(1)
            .context("there is no port after 65535")?,
    );
    Ok(asked.unwrap_or(next))
}

/// Writes what clients need under the names that skopeo's and podman's `--cert-dir` want.
fn write_identities(trust: &Trust, folder: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        if path.exists() {
            fs::remove_file(&path)?;
        }
        let file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path);
        file?.write_all(text.as_bytes())
    };
    write("ca.crt", trust.authority.certificate_pem())?;
    if let Some(client) = &trust.client {
        write("client.cert", client.certificate_pem())?;
        write("client.key", client.key_pem())?;
    }
    Ok(())
}

/// What a person types to use the servers.
fn usage(
    scenario: &Scenario,
    addresses: &Addresses,
    credentials: &Credentials,
    folder: &Path,
) -> String {
    let Addresses {
        boot,
        registry,
        scratch,
    } = addresses;
    let (host, folder) = (&scenario.boot.server, folder.display());
    let image = scenario.boot.container.split_once('/');
    let image = image.map_or(scenario.boot.container.as_str(), |(_, image)| image);
    let identity =
        format!("--cacert {folder}/ca.crt --cert {folder}/client.cert --key {folder}/client.key");
    let boot_server = match scenario.boot.transport {
        Transport::Https => format!(
            "  boot server    https://{boot}, as {host}\n\
             \x20   curl {identity} https://{boot}/boot/ipxe\n\
             \x20   curl {identity} https://{boot}/files/kernel -o kernel\n\
             \x20   openssl s_client -connect {boot} -servername {host} -CAfile {folder}/ca.crt -cert {folder}/client.cert -key {folder}/client.key\n"
        ),
        Transport::Http => format!(
            "  boot server    http://{boot}\n\
             \x20   curl http://{boot}/boot/{CLIENT}/boot.ipxe\n\
             \x20   curl http://{boot}/files/kernel -o kernel\n"
        ),
    };
    let Credentials {
        access_key_id,
        access_key,
        bucket,
    } = credentials;
    format!(
        "Serving {}: {}\n{boot_server}\
         \x20 registry       https://{registry}\n\
         \x20   skopeo inspect --cert-dir {folder} docker://{registry}/{image}\n\
         \x20   podman pull --cert-dir {folder} {registry}/{image}\n\
         \x20 scratch space  http://{scratch}\n\
         \x20   s3cmd --no-ssl --host {scratch} --host-bucket {scratch} --access_key {access_key_id} --secret_key {access_key} ls s3://{bucket}\n\
         Ctrl-C stops.\n",
        scenario.name, scenario.title
    )
}

/// Shows requests and failed handshakes as they come, for ever.
async fn show(timeline: &Timeline) {
    let started = SystemTime::now() - timeline.elapsed();
    let mut cursor = Cursor::default();
    loop {
        let record = timeline.wait_for(&mut cursor, |_| true).await;
        match &record.event {
            Event::Request(request) => {
                let line = access_line(request, started + record.at);
                println!("{:9} {line}", request.service);
            }
            Event::Tls(tls) => {
                if let Some(error) = &tls.error {
                    println!("{:9} TLS handshake failed: {error}", tls.service);
                }
            }
            Event::Note { room, text } => println!("{room:9} {text}"),
            _ => {}
        }
    }
}
