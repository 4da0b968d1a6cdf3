//! The page *Your own servers* of the book, typed as it stands: an image that its commands have provisioned boots from nginx, which asks for
//! client certificates, and pulls its container from docker-registry.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::{Arguments, Failed};
use serde_json::{Value, json};
use shakedown_fixtures::{Kit, KitOptions};
use shakedown_harness::board::Board;
use shakedown_harness::services::{Nonce, OciImage};
use shakedown_tests::{Tool, project_root, trial_with};

const TOOLS: &[Tool] = &[
    Tool {
        program: "nginx",
        package: "nginx-light",
    },
    Tool {
        program: "docker-registry",
        package: "docker-registry",
    },
    Tool {
        program: "skopeo",
        package: "skopeo",
    },
    Tool {
        program: "openssl",
        package: "openssl",
    },
    Tool {
        program: "cpio",
        package: "cpio",
    },
];

/// Longest time until a server accepts connections.
const PATIENCE: Duration = Duration::from_secs(20);
/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(20);

fn main() -> ExitCode {
    let trials = vec![trial_with(
        TOOLS,
        "an_image_boots_from_nginx_and_docker_registry",
        || page().map_err(|error| Failed::from(format!("{error:#}"))),
    )];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// A server's process, ended with this.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // nginx ends its workers when it is asked, and not when it is killed.
        if let Some(id) = rustix::process::Pid::from_raw(self.0.id().cast_signed()) {
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
        let _ = self.0.wait();
    }
}

fn page() -> Result<()> {
    let root = project_root();
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let (boot, registry) = (free_port()?, free_port()?);
    let page = fs::read_to_string(root.join("docs/book/src/real-servers.md"))?;
    let page = page.replace("8443", &boot).replace("5000", &registry);
    let blocks = blocks(&page);
    let [certificates, image, boot_server, registry_conf, push, run] = &blocks[..] else {
        bail!("the page has {} blocks of commands", blocks.len());
    };

    let board = Board::read(&root.join("boards"), "raspi3b")?;
    let parts = Kit::open(KitOptions::default())?.parts(&board)?;
    fs::copy(&parts.kernel, folder.join("kernel"))?;
    fs::copy(&parts.initramfs, folder.join("initramfs"))?;
    let nonce = Nonce::random();
    fs::write(folder.join("nonce"), nonce.as_str())?;
    let with_nonce = [(Nonce::VARIABLE.to_owned(), nonce.as_str().to_owned())];
    let container = parts.container.image.with_env(&with_nonce)?;
    write_layout(&container, &folder.join("image"))?;

    for block in [certificates, image, boot_server, registry_conf] {
        typed(block, folder)?;
    }
    let before = fs::read(folder.join("gateway.img"))?;
    // Its workers give up root's rights, and could not read a folder that is only ours.
    let user = match rustix::process::geteuid().is_root() {
        true => "daemon off; user root;",
        false => "daemon off;",
    };
    let prefix = folder.to_str().context("the folder has no plain name")?;
    let nginx = [
        "-p",
        prefix,
        "-c",
        "nginx.conf",
        "-e",
        "error.log",
        "-g",
        user,
    ];
    let _nginx = start("nginx", &nginx, folder, &boot)?;
    let _registry = start(
        "docker-registry",
        &["serve", "registry.yml"],
        folder,
        &registry,
    )?;
    typed(push, folder)?;
    let said = typed(run, folder)?;
    println!("{said}");

    ensure!(
        fs::read(folder.join("gateway.img"))? == before,
        "the run has changed the image"
    );
    // The servers saw it themselves.
    let access = fs::read_to_string(folder.join("access.log"))?;
    for line in [
        "GET /boot/ipxe",
        "GET /files/kernel",
        "GET /files/initramfs",
    ] {
        ensure!(access.contains(line), "nginx has not seen {line}: {access}");
    }
    let report = report(folder)?;
    ensure!(report["verdict"] == "passed", "{report}");
    ensure!(report["nonce"] == nonce.as_str(), "{report}");
    let stages: Vec<_> = report["stages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|stage| stage["name"].as_str())
        .collect();
    for stage in [
        "TLS",
        "boot script",
        "kernel fetched",
        "image pulled",
        "nonce said",
    ] {
        ensure!(stages.contains(&stage), "no stage {stage}: {stages:?}");
    }
    Ok(())
}

/// The blocks of commands of a page.
fn blocks(page: &str) -> Vec<&str> {
    let rest = page.split("```sh\n").skip(1);
    rest.filter_map(|rest| Some(rest.split_once("\n```")?.0))
        .collect()
}

/// Types commands into a shell; what they print.
fn typed(commands: &str, folder: &Path) -> Result<String> {
    let ours = Path::new(env!("CARGO_BIN_EXE_shakedown"));
    let ours = ours.parent().context("the program is in no folder")?;
    let path = std::env::var("PATH").unwrap_or_default();
    let done = Command::new("sh")
        .args(["-euc", commands])
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", ours.display()))
        .stdin(Stdio::null())
        .output()?;
    let (out, err) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    ensure!(done.status.success(), "{commands}\n{out}\n{err}");
    Ok(out.into_owned())
}

/// Starts a server, and waits until it listens.
fn start(program: &str, arguments: &[&str], folder: &Path, port: &str) -> Result<Server> {
    let path = std::env::var("PATH").unwrap_or_default();
    let log = fs::File::create(folder.join(format!("{program}.log")))?;
    let child = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env("PATH", format!("{path}:/usr/sbin"))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn();
    let mut server = Server(child.with_context(|| format!("cannot start {program}"))?);
    let address = format!("127.0.0.1:{port}");
    let began = Instant::now();
    while TcpStream::connect(&address).is_err() {
        let said = || fs::read_to_string(folder.join(format!("{program}.log")));
        if let Some(status) = server.0.try_wait()? {
            bail!("{program} has ended with {status}: {}", said()?);
        }
        ensure!(
            began.elapsed() < PATIENCE,
            "{program} does not listen after {PATIENCE:?}: {}",
            said()?
        );
        thread::sleep(PAUSE);
    }
    Ok(server)
}

fn free_port() -> Result<String> {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(free.local_addr()?.port().to_string())
}

/// Writes an image in OCI's layout, as `latest`.
fn write_layout(image: &OciImage, folder: &Path) -> Result<()> {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    for document in [image.manifest(), image.config()] {
        fs::write(blobs.join(document.digest.hex()), &document.bytes)?;
    }
    for layer in image.layers() {
        let mut from = layer.blob().reader()?;
        let mut to = fs::File::create(blobs.join(layer.digest().hex()))?;
        std::io::copy(&mut from, &mut to)?;
    }
    let manifest = image.manifest();
    let index = json!({
        "schemaVersion": 2,
        "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": manifest.digest.to_string(),
            "size": manifest.bytes.len(),
            "annotations": { "org.opencontainers.image.ref.name": "latest" },
        }],
    });
    fs::write(folder.join("index.json"), index.to_string())?;
    fs::write(
        folder.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )?;
    Ok(())
}

/// The report of the one run below a folder.
fn report(folder: &Path) -> Result<Value> {
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let report = next.join("report.json");
        if report.is_file() {
            return Ok(serde_json::from_slice(&fs::read(report)?)?);
        }
        let entries = fs::read_dir(&next)?.collect::<Result<Vec<_>, _>>()?;
        let paths = entries.iter().map(fs::DirEntry::path);
        folders.extend(paths.filter(|path: &PathBuf| path.is_dir() && !path.is_symlink()));
    }
    bail!("the run has left no report")
}
