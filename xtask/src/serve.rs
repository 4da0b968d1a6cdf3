//! `cargo xtask serve`: the servers of a scenario on ports of this machine, for curl, openssl, skopeo and other real clients.

use std::fmt;
use std::fs::{self, File};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use shakedown_harness::run::{Servers, Setting, Trust};
use shakedown_harness::scenario::{Scenario, Transport};
use shakedown_harness::services::{Credentials, DataRoot, Identity, access_line};
use shakedown_harness::timeline::{Cursor, Event, Timeline};
use tokio::net::TcpListener;

use crate::project::{PartsArgs, Project};

/// How long requests may go on after Ctrl-C.
const PATIENCE: Duration = Duration::from_secs(30);
/// The hardware address of the client that the plain-HTTP boot server knows.
const CLIENT: &str = "b8:27:eb:00:00:01";

/// Folder of the scratch space's objects.
const SCRATCH: &str = "scratch";

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
    let registry = args.registry_listen.unwrap_or(next(args.listen)?);
    let asked = Addresses {
        boot: args.listen,
        registry,
        scratch: args.scratch_listen.unwrap_or(next(registry)?),
    };
    for address in [asked.boot, asked.registry, asked.scratch] {
        if !address.ip().is_loopback() && !args.allow_remote {
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
    fill(&folder, &trust).with_context(|| format!("cannot write into {}", folder.display()))?;
    let setting = |addresses: &Addresses| -> Result<Setting> {
        Ok(Setting {
            mac: CLIENT.parse()?,
            scratch_endpoint: format!("http://{}", addresses.scratch),
            token_realm: format!("https://{}/token", addresses.registry),
            secrets: None,
            folder: folder.clone(),
            data: match &args.data_root {
                Some(root) => DataRoot::on_disk(root)?,
                None => DataRoot::default(),
            },
        })
    };
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(async {
        let timeline = Timeline::start();
        let listeners = asked.bind().await?;
        let addresses = Addresses::of(&listeners)?;
        let setting = setting(&addresses)?;
        let servers = Servers::prepare(scenario, &parts, &trust, setting, &timeline)?;
        let usage = Usage {
            scenario,
            folder: &folder,
            addresses,
            credentials: servers.credentials(),
            has_identity: trust.client.is_some(),
        };
        println!("{usage}");
        serve(&servers, listeners, &timeline).await
    })?;
    println!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Serves until Ctrl-C, and lets the requests in progress come to their end until another.
async fn serve(
    servers: &Servers<'_>,
    [boot, registry, scratch]: [TcpListener; 3],
    timeline: &Timeline,
) -> Result<()> {
    let running = [
        servers.boot(boot)?,
        servers.registry(registry)?,
        servers.scratch(scratch),
    ];
    tokio::select! {
        () = show(timeline) => {}
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

impl Addresses {
    fn of([boot, registry, scratch]: &[TcpListener; 3]) -> std::io::Result<Self> {
        Ok(Self {
            boot: boot.local_addr()?,
            registry: registry.local_addr()?,
            scratch: scratch.local_addr()?,
        })
    }

    async fn bind(&self) -> Result<[TcpListener; 3]> {
        let bind = async |address: SocketAddr| {
            let listener = TcpListener::bind(address).await;
            listener.with_context(|| format!("cannot listen on {address}"))
        };
        Ok([
            bind(self.boot).await?,
            bind(self.registry).await?,
            bind(self.scratch).await?,
        ])
    }
}

/// The port after another; where any free one was asked for, any free one.
fn next(mut address: SocketAddr) -> Result<SocketAddr> {
    if address.port() != 0 {
        let port = address.port().checked_add(1);
        address.set_port(port.context("there is no port after 65535")?);
    }
    Ok(address)
}

/// Fills the folder with what clients need, under the names that skopeo's and podman's `--cert-dir` want, and removes what an
/// earlier call has left.
fn fill(folder: &Path, trust: &Trust) -> std::io::Result<()> {
    let mut private = fs::DirBuilder::new();
    private.recursive(true).mode(0o700).create(folder)?;
    let scratch = folder.join(SCRATCH);
    if scratch.exists() {
        fs::remove_dir_all(scratch)?;
    }
    let client = trust.client.as_ref();
    for (name, text) in [
        ("ca.crt", Some(trust.authority.certificate_pem())),
        ("client.cert", client.map(Identity::certificate_pem)),
        ("client.key", client.map(Identity::key_pem)),
    ] {
        let path = folder.join(name);
        if path.exists() {
            fs::remove_file(&path)?;
        }
        if let Some(text) = text {
            let mut private = File::options();
            private.write(true).create_new(true).mode(0o600);
            private.open(path)?.write_all(text.as_bytes())?;
        }
    }
    Ok(())
}

/// What a person types to use the servers.
struct Usage<'a> {
    scenario: &'a Scenario,
    folder: &'a Path,
    addresses: Addresses,
    credentials: &'a Credentials,
    has_identity: bool,
}

impl fmt::Display for Usage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Addresses {
            boot,
            registry,
            scratch,
        } = self.addresses;
        let scenario = self.scenario;
        writeln!(f, "Serving {}: {}", scenario.name, scenario.title)?;
        writeln!(f, "Certificates and keys are in a folder; go there first:")?;
        writeln!(f, "  cd {}", self.folder.display())?;
        match scenario.boot.transport {
            Transport::Https => {
                let (curl, openssl) = if self.has_identity {
                    (
                        " --cert client.cert --key client.key",
                        " -cert client.cert -key client.key",
                    )
                } else {
                    ("", "")
                };
                let curl = format!("curl --cacert ca.crt{curl} https://{boot}");
                let host = &scenario.boot.server;
                writeln!(f, "Boot server, at https://{boot} and as {host}:")?;
                writeln!(f, "  {curl}/boot/ipxe")?;
                writeln!(f, "  {curl}/files/kernel -o kernel")?;
                writeln!(
                    f,
                    "  openssl s_client -connect {boot} -servername {host} -CAfile ca.crt{openssl}"
                )?;
            }
            Transport::Http => {
                writeln!(f, "Boot server, at http://{boot}:")?;
                writeln!(f, "  curl http://{boot}/boot/{CLIENT}/boot.ipxe")?;
                writeln!(f, "  curl http://{boot}/files/kernel -o kernel")?;
            }
        }
        let image = &scenario.boot.container;
        let image = image
            .split_once('/')
            .map_or(image.as_str(), |(_, path)| path);
        let Credentials {
            access_key_id,
            access_key,
            bucket,
        } = self.credentials;
        writeln!(f, "Registry, at https://{registry}:")?;
        writeln!(
            f,
            "  skopeo inspect --cert-dir . docker://{registry}/{image}"
        )?;
        writeln!(f, "  podman pull --cert-dir . {registry}/{image}")?;
        writeln!(f, "Scratch space, at http://{scratch}:")?;
        writeln!(
            f,
            "  s3cmd --no-ssl --host {scratch} --host-bucket {scratch} \\\n    \
             --access_key {access_key_id} --secret_key {access_key} ls s3://{bucket}"
        )?;
        writeln!(f, "Ctrl-C stops.")
    }
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
