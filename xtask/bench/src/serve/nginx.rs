//! nginx, for comparison.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::Server;
use super::process::Tree;

/// Longest time until it accepts connections.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Starts nginx for `file`, with its own files in `folder`; `None` where there is none.
pub(super) fn start(folder: &Path, file: &Path) -> Result<Option<Server>> {
    let Some(program) = program() else {
        return Ok(None);
    };
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot find a free port")?;
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, free.local_addr()?.port());
    drop(free);
    let name = file.file_name().and_then(|name| name.to_str());
    let path = format!("/{}", name.context("the file has no name")?);
    let configuration = folder.join("nginx.conf");
    let root = file.parent().unwrap_or(folder);
    let is_root = rustix::process::geteuid().is_root();
    std::fs::write(&configuration, text(address, folder, root, is_root))?;
    let log = folder.join("error.log");
    let mut tree = Tree::start(
        Command::new(program)
            .arg("-p")
            .arg(folder)
            .arg("-e")
            .arg(&log)
            .arg("-c")
            .arg(&configuration)
            .stdin(Stdio::null()),
    )?;
    let began = Instant::now();
    while TcpStream::connect(address).is_err() {
        if let Some(status) = tree.child().try_wait()? {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            bail!("nginx has ended with {status}: {said}");
        }
        if began.elapsed() > PATIENCE {
            bail!("nginx does not listen after {} s", PATIENCE.as_secs());
        }
        thread::sleep(PAUSE);
    }
    Ok(Some(Server {
        name: "nginx",
        tree,
        address: address.to_string(),
        path,
    }))
}

/// The program. An ordinary user's `PATH` does not lead to where Debian has it.
fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    folders
        .map(|folder| folder.join("nginx"))
        .find(|program| program.is_file())
}

/// As Debian configures it, with room for the clients and everything below `folder`.
fn text(address: SocketAddrV4, folder: &Path, root: &Path, is_root: bool) -> String {
    let (folder, root) = (folder.display(), root.display());
    // Its workers give up root's rights, and could not read a folder that is only ours.
    let user = if is_root { "user root;\n" } else { "" };
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let paths = paths
        .map(|kind| format!("    {kind}_temp_path {folder}/{kind};\n"))
        .concat();
    format!(
        "{user}daemon off;
worker_processes auto;
worker_rlimit_nofile 16384;
pid {folder}/nginx.pid;
events {{
    worker_connections 8192;
}}
http {{
    sendfile on;
    tcp_nopush on;
    access_log {folder}/access.log;
{paths}    server {{
        listen {address} backlog=4096;
        root {root};
    }}
}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_of_nginx_stays_in_its_folder() {
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 4711);
        let text = text(
            address,
            Path::new("/tmp/bench"),
            Path::new("/tmp/files"),
            true,
        );
        insta::assert_snapshot!(text, @"
        user root;
        daemon off;
        worker_processes auto;
        worker_rlimit_nofile 16384;
        pid /tmp/bench/nginx.pid;
        events {
            worker_connections 8192;
        }
        http {
            sendfile on;
            tcp_nopush on;
            access_log /tmp/bench/access.log;
            client_body_temp_path /tmp/bench/client_body;
            proxy_temp_path /tmp/bench/proxy;
            fastcgi_temp_path /tmp/bench/fastcgi;
            uwsgi_temp_path /tmp/bench/uwsgi;
            scgi_temp_path /tmp/bench/scgi;
            server {
                listen 127.0.0.1:4711 backlog=4096;
                root /tmp/files;
            }
        }
        ");
    }
}
