//! `cargo xtask serve`: the servers of a scenario on ports of this machine, for curl, openssl, skopeo and other real clients.

mod usage;

use std::fs::{self, File};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use shakedown_harness::scenario::Scenario;
use shakedown_harness::services::{DataRoot, Identity, access_line};
use shakedown_harness::timeline::{Cursor, Event, Timeline};
use shakedown_harness::untrusted;
use shakedown_harness::world::{ServedBoard, ServerConfig, Servers, Trust};
use tokio::net::TcpListener;

use crate::globals::Globals;
use shakedown_common::{PartsArgs, errln, outln};
use usage::Usage;

/// How long requests may go on after Ctrl-C.
const PATIENCE: Duration = Duration::from_secs(30);
/// The hardware address of the client that the plain-HTTP boot server knows.
const CLIENT: &str = "b8:27:eb:00:00:01";

/// The file by which a folder is known as one that this command fills and empties.
const OWNER: &str = ".shakedown-serve";
/// Folder of the scratch space's objects.
const SCRATCH: &str = "scratch";
/// Folder of what is pushed to the registry.
const PUSHED: &str = "pushed";
/// Where a login is kept.
const LOGIN: &str = "auth.json";
/// What tells skopeo and podman that Docker Hub is here.
const REGISTRIES_CONF: &str = "registries.conf";

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
    /// Where the registry's mirror listens, if the scenario has one; by default the port after the scratch space's.
    #[arg(long, value_name = "ADDRESS:PORT")]
    mirror_listen: Option<SocketAddr>,
    /// Listen on other addresses than loopback ones, where others can reach the servers.
    #[arg(long)]
    allow_remote: bool,
    /// A data root on disk: a folder for each client, named by the fingerprint of its certificate. The scenario's client comes on top.
    #[arg(long, value_name = "FOLDER")]
    data_root: Option<PathBuf>,
    /// Let `/update-cfg` bring the data root, a git checkout, to its upstream: commits that the upstream does not have are lost. Any client that
    /// reaches the boot server may ask for it.
    #[arg(long, requires = "data_root")]
    allow_update: bool,
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
pub(crate) fn run(args: &Args, globals: &Globals) -> Result<ExitCode> {
    let project = globals.project()?;
    let (scenario, board) = project.chosen(&args.scenario, args.board.as_deref())?;
    let asked = Each::asked(args, scenario)?;
    let folder = match &args.folder {
        Some(folder) => folder.clone(),
        None => project.serve_folder(scenario),
    };
    let parts = args
        .parts
        .kit(project.defaults())?
        .parts_for(scenario, board)?;
    let mut trust = Trust::generate(scenario, &["localhost", "127.0.0.1", "::1"])?;
    if let Some(file) = &args.client_ca {
        let pem = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        trust
            .take_clients_of(&pem)
            .with_context(|| format!("{} holds no certificate", file.display()))?;
    }
    claim(&folder)?;
    fill(&folder, &trust).with_context(|| format!("cannot write into {}", folder.display()))?;
    let setting = |addresses: &Each<SocketAddr>| -> Result<ServerConfig<'_>> {
        Ok(ServerConfig {
            boards: vec![ServedBoard::new(None, board, CLIENT.parse()?, &parts)],
            scratch_endpoint: format!("http://{}", addresses.scratch),
            token_realm: format!("https://{}/token", addresses.registry),
            secrets: None,
            folder: folder.clone(),
            pushed: Some(folder.join(PUSHED)),
            // The page shows a key, which stays good.
            renews_keys: false,
            data: match &args.data_root {
                Some(root) if args.allow_update => DataRoot::on_disk(root)?.follow_upstream(),
                Some(root) => DataRoot::on_disk(root)?,
                None => DataRoot::default(),
            },
        })
    };
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(async {
        let timeline = Timeline::start();
        let listeners = asked.bind().await?;
        let addresses = listeners.addresses()?;
        let setting = setting(&addresses)?;
        let servers = Servers::prepare(scenario, &trust, setting, &timeline)?;
        write_registries_conf(&folder, scenario, &addresses)?;
        let usage = Usage {
            scenario,
            folder: &folder,
            addresses,
            servers: &servers,
            has_identity: trust.client(0).is_some(),
        };
        outln!("{usage}");
        serve(&servers, listeners, &timeline).await
    })?;
    outln!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Serves until Ctrl-C, and lets the requests in progress come to their end until another.
async fn serve(
    servers: &Servers<'_>,
    listeners: Each<TcpListener>,
    timeline: &Timeline,
) -> Result<()> {
    let mut running = vec![
        servers.boot(listeners.boot)?,
        servers.registry(listeners.registry)?,
        servers.scratch(listeners.scratch),
    ];
    if let Some(listener) = listeners.mirror {
        running.extend(servers.mirror(listener)?);
    }
    tokio::select! {
        () = show(timeline) => {}
        stop = tokio::signal::ctrl_c() => stop.context("cannot wait for Ctrl-C")?,
    }
    errln!("stopping when the requests in progress have ended; Ctrl-C again breaks them off");
    let stopped =
        futures_util::future::join_all(running.into_iter().map(|s| s.shut_down(PATIENCE)));
    tokio::select! {
        _ = stopped => {}
        stop = tokio::signal::ctrl_c() => stop.context("cannot wait for Ctrl-C")?,
    }
    Ok(())
}

/// Something for each of the servers; a mirror is for scenarios that have one.
struct Each<T> {
    boot: T,
    registry: T,
    scratch: T,
    mirror: Option<T>,
}

impl Each<SocketAddr> {
    /// The addresses that were asked for, on ports one after the other where nothing was said.
    fn asked(args: &Args, scenario: &Scenario) -> Result<Self> {
        let boot = args.listen;
        let registry = args.registry_listen.map_or_else(|| next(boot), Ok)?;
        let scratch = args.scratch_listen.map_or_else(|| next(registry), Ok)?;
        let mirror = match scenario.registry.mirror {
            Some(_) => Some(args.mirror_listen.map_or_else(|| next(scratch), Ok)?),
            None => None,
        };
        let asked = Self {
            boot,
            registry,
            scratch,
            mirror,
        };
        for address in [boot, registry, scratch].iter().chain(&asked.mirror) {
            if !address.ip().is_loopback() && !args.allow_remote {
                bail!("{address} can be reached by others: say --allow-remote if that is meant");
            }
        }
        Ok(asked)
    }

    async fn bind(&self) -> Result<Each<TcpListener>> {
        let bind = async |address: SocketAddr| {
            let listener = TcpListener::bind(address).await;
            listener.with_context(|| format!("cannot listen on {address}"))
        };
        Ok(Each {
            boot: bind(self.boot).await?,
            registry: bind(self.registry).await?,
            scratch: bind(self.scratch).await?,
            mirror: match self.mirror {
                Some(address) => Some(bind(address).await?),
                None => None,
            },
        })
    }
}

impl Each<TcpListener> {
    fn addresses(&self) -> std::io::Result<Each<SocketAddr>> {
        let mirror = self.mirror.as_ref().map(TcpListener::local_addr);
        Ok(Each {
            boot: self.boot.local_addr()?,
            registry: self.registry.local_addr()?,
            scratch: self.scratch.local_addr()?,
            mirror: mirror.transpose()?,
        })
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

/// Takes a folder that is not there yet, is empty, or was filled by this command before; in any other, files of somebody would be lost.
fn claim(folder: &Path) -> Result<()> {
    let mut private = fs::DirBuilder::new();
    let failed = || format!("cannot use {}", folder.display());
    private
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(failed)?;
    let owner = folder.join(OWNER);
    if owner.is_file() {
        return Ok(());
    }
    if fs::read_dir(folder).with_context(failed)?.next().is_some() {
        bail!(
            "{} has files in it that this command has not made, and it would remove some: name a new or empty folder by --folder",
            folder.display()
        );
    }
    fs::write(
        owner,
        "This folder belongs to `cargo xtask serve`, which removes what is in it.\n",
    )
    .with_context(failed)
}

/// Fills the folder with what clients need, under the names that skopeo's and podman's `--cert-dir` want, and removes what an
/// earlier call has left.
fn fill(folder: &Path, trust: &Trust) -> std::io::Result<()> {
    for name in [SCRATCH, PUSHED] {
        let old = folder.join(name);
        if old.exists() {
            fs::remove_dir_all(&old)?;
        }
        fs::create_dir(old)?;
    }
    let client = trust.client(0);
    for (name, text) in [
        (LOGIN, None),
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

/// Says that Docker Hub is at the registry's address, and what its mirror is (containers-registries.conf(5)).
fn write_registries_conf(
    folder: &Path,
    scenario: &Scenario,
    addresses: &Each<SocketAddr>,
) -> Result<()> {
    let hub = scenario
        .boot
        .container
        .split('/')
        .next()
        .unwrap_or_default();
    let mut text = format!(
        "[[registry]]\nprefix = \"{hub}\"\nlocation = \"{}\"\n",
        addresses.registry
    );
    if let Some(mirror) = addresses.mirror {
        text += &format!("\n[[registry.mirror]]\nlocation = \"{mirror}\"\n");
    }
    let path = folder.join(REGISTRIES_CONF);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
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
                outln!("{:9} {}", request.service, untrusted(&line));
            }
            Event::Tls(tls) => {
                if let Some(error) = &tls.error {
                    let error = untrusted(error);
                    outln!("{:9} TLS handshake failed: {error}", tls.service);
                }
            }
            Event::Note { room, text } => outln!("{room:9} {}", untrusted(text)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_somebodys_files_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (new, theirs) = (folder.path().join("new"), folder.path().join("theirs"));
        claim(&new).unwrap();
        fs::write(new.join("client.key"), "ours").unwrap();
        claim(&new).unwrap();
        fs::create_dir_all(theirs.join(SCRATCH)).unwrap();
        let error = claim(&theirs).unwrap_err().to_string();
        assert!(error.contains("has files in it"), "{error}");
        assert_eq!(fs::read_dir(&theirs).unwrap().count(), 1);
    }
}
