//! The gateway's container: its image in namespaces of its own, with cards that are ends of our cables.
//!
//! What boot2container does around it is played here: the public card has its address before the container starts, `/mnt/permanent` is a folder that
//! outlives the container, `/mnt/tmp` is not. The container is privileged within its namespaces.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::Log;
use super::network::{GATEWAY_PUBLIC, OUTSIDE, PRIVATE_CARD, PUBLIC_CARD};
use crate::namespace::run;

/// How long an orderly end may take: podman's own limit, after which it kills.
pub(crate) const STOP: Duration = Duration::from_secs(10);

/// Sets the inside up and becomes the image's first process. Arguments: root folder, folder for the overlay, permanent folder, size of /mnt/tmp, entry.
const ENTER: &str = r#"
set -e
read -r pid rest < /proc/self/stat
echo "pid $pid"
read -r go
root=$1 work=$2 permanent=$3 size=$4
shift 4
ip link set lo up
hostname farm-gateway
mount -t tmpfs none "$work"
mkdir "$work/upper" "$work/work" "$work/root"
if mount -t overlay none -o "lowerdir=$root,upperdir=$work/upper,workdir=$work/work" "$work/root" 2>/dev/null; then root=$work/root
elif mount -t overlay none -o "userxattr,lowerdir=$root,upperdir=$work/upper,workdir=$work/work" "$work/root" 2>/dev/null; then root=$work/root
fi
cd "$root"
mount -t proc none proc
mount -t sysfs none sys
mount -t tmpfs none dev
for node in null zero full random urandom tty; do
    : > "dev/$node"
    mount --bind "/dev/$node" "dev/$node"
done
ln -s /proc/self/fd dev/fd
mkdir -p dev/shm
mount -t tmpfs none dev/shm
mount -t tmpfs none run
mount -t tmpfs none tmp
mkdir -p mnt/permanent mnt/tmp
mount --bind "$permanent" mnt/permanent
mount -t tmpfs none -o "size=$size" mnt/tmp
: > etc/resolv.conf
exec chroot . "$@"
"#;

/// Which cards the gateway gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cards {
    /// `eth0` with an address, `eth1` without.
    Two,
    /// `eth0` without an address, `eth1` with one.
    TwoSwapped,
    /// `eth0` with an address alone.
    One,
    /// `eth0` with an address, `eth1` and `eth2` without.
    Three,
    /// `eth0` and `eth1`, neither with an address.
    NoAddress,
    /// `eth0` with an address; `eth1` comes three seconds later.
    Late,
}

/// How a gateway is started.
pub(crate) struct Start<'a> {
    /// The unpacked image.
    pub(crate) root: &'a Path,
    /// What the image's first process is.
    pub(crate) entry: &'a [String],
    /// Environment of the container.
    pub(crate) env: &'a [(String, String)],
    /// What stays from start to start.
    pub(crate) permanent: &'a Path,
    /// Size of `/mnt/tmp` as mount(8) writes it.
    pub(crate) tmp_size: &'a str,
    /// Which cards it gets.
    pub(crate) cards: Cards,
}

/// A gateway that runs. Dropping it takes its power away.
pub(crate) struct Container {
    unshare: Child,
    /// Its first process.
    pid: Pid,
    log: Log,
    _work: tempfile::TempDir,
}

impl Container {
    /// Starts a gateway.
    pub(crate) fn start(start: &Start<'_>) -> Result<Self> {
        let work = tempfile::tempdir()?;
        let mut command = Command::new("unshare");
        command.args([
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--uts",
            "--ipc",
            "--kill-child",
            "--",
        ]);
        command.args(["sh", "-c", ENTER, "sh"]);
        command
            .arg(start.root)
            .arg(work.path())
            .arg(start.permanent)
            .arg(start.tmp_size)
            .args(start.entry);
        command.env_clear();
        command.env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        );
        command.envs(start.env.iter().map(|(name, value)| (name, value)));
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut unshare = command.spawn().context("unshare cannot be started")?;
        let log = Log::default();
        if let Some(errors) = unshare.stderr.take() {
            log.follow(errors);
        }
        let mut output = BufReader::new(unshare.stdout.take().context("no output")?);
        let mut first = String::new();
        output.read_line(&mut first)?;
        let pid = first
            .trim()
            .strip_prefix("pid ")
            .and_then(|pid| pid.parse().ok());
        let pid = pid.and_then(Pid::from_raw);
        let pid = pid.with_context(|| format!("no namespaces: {}", log.text().trim()))?;
        log.follow(output);
        let mut container = Self {
            unshare,
            pid,
            log,
            _work: work,
        };
        container.plug(start.cards)?;
        container.go()?;
        if start.cards == Cards::Late {
            std::thread::sleep(Duration::from_secs(3));
            container.cable(PRIVATE_CARD, "eth1")?;
        }
        Ok(container)
    }

    /// What it has said.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Takes its power away: nothing in it can do anything more.
    pub(crate) fn cut(mut self) -> Result<()> {
        self.kill()
    }

    /// Asks it to stop, as a container engine does; how long that took. It is an error if it has not by then.
    pub(crate) fn stop(mut self) -> Result<Duration> {
        let started = Instant::now();
        kill_process(self.pid, Signal::TERM)?;
        let ended = self.wait_for_end(STOP)?;
        ensure!(ended, "it did not stop in {} s", STOP.as_secs());
        Ok(started.elapsed())
    }

    /// Whether it ends by itself within `patience`.
    pub(crate) fn wait_for_end(&mut self, patience: Duration) -> Result<bool> {
        let end = Instant::now() + patience;
        while self.unshare.try_wait()?.is_none() {
            if Instant::now() > end {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(true)
    }

    /// Bytes of memory of all its processes, each page counted once for those who share it (proportional set size), by process.
    pub(crate) fn memory(&self) -> Result<Vec<(String, u64)>> {
        let mut all = Vec::new();
        let own = std::fs::read_link(format!("/proc/{}/ns/pid", self.pid.as_raw_nonzero()))?;
        for entry in std::fs::read_dir("/proc")? {
            let path = entry?.path();
            if std::fs::read_link(path.join("ns/pid")).ok().as_ref() != Some(&own) {
                continue;
            }
            let (Ok(rollup), Ok(line)) = (
                std::fs::read_to_string(path.join("smaps_rollup")),
                std::fs::read(path.join("cmdline")),
            ) else {
                continue;
            };
            let kilobytes = rollup.lines().find_map(|line| {
                let rest = line.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?;
                rest.trim().parse::<u64>().ok()
            });
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            all.push((line.trim().to_owned(), kilobytes.unwrap_or(0) * 1024));
        }
        Ok(all)
    }

    fn plug(&self, cards: Cards) -> Result<()> {
        self.cable(
            PUBLIC_CARD,
            if cards == Cards::TwoSwapped {
                "eth1"
            } else {
                "eth0"
            },
        )?;
        run(
            "ip",
            &format!("address replace {OUTSIDE}/24 dev {PUBLIC_CARD}"),
        )?;
        match cards {
            Cards::Two | Cards::NoAddress => self.cable(PRIVATE_CARD, "eth1")?,
            Cards::TwoSwapped => self.cable(PRIVATE_CARD, "eth0")?,
            Cards::Three => {
                self.cable(PRIVATE_CARD, "eth1")?;
                self.cable("third0", "eth2")?;
            }
            Cards::One | Cards::Late => {}
        }
        let public = match cards {
            Cards::NoAddress => return Ok(()),
            Cards::TwoSwapped => "eth1",
            _ => "eth0",
        };
        self.inside(&format!("ip address add {GATEWAY_PUBLIC}/24 dev {public}"))?;
        self.inside(&format!("ip link set {public} up"))
    }

    /// A cable from our card `ours` to the gateway's card `theirs`.
    fn cable(&self, ours: &str, theirs: &str) -> Result<()> {
        let pid = self.pid.as_raw_nonzero();
        // What is left of a cable to an earlier gateway, whose network ends a moment after its last process.
        run("ip", &format!("link delete {ours}")).ok();
        run(
            "ip",
            &format!("link add {ours} type veth peer name {theirs} netns {pid}"),
        )?;
        run("ip", &format!("link set {ours} up"))
    }

    fn inside(&self, command: &str) -> Result<()> {
        let pid = self.pid.as_raw_nonzero();
        run("nsenter", &format!("--target {pid} --net {command}"))
    }

    /// Lets the script go on that waits for its cards.
    fn go(&mut self) -> Result<()> {
        let input = self.unshare.stdin.as_mut().context("no input")?;
        Ok(input.write_all(b"go\n")?)
    }

    fn kill(&mut self) -> Result<()> {
        if self.unshare.try_wait()?.is_none() {
            // The first process of the namespace takes all others with it; unshare ends with it.
            if test_kill_process(self.pid).is_ok() {
                kill_process(self.pid, Signal::KILL)?;
            }
            self.unshare.wait()?;
        }
        Ok(())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // An error here has nobody left to hear it.
        let _ = self.kill();
    }
}
