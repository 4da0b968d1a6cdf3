//! A board's stand-in behind the gateway: while its plug has power it boots as iPXE and a kernel would, and its console says what the job asks for by
//! `test.do=…` on the kernel command line. It runs nothing.
//!
//! | `test.do=` | the console |
//! | --- | --- |
//! | `pass`, `fail`, `warn` | that result, then the end |
//! | `hang` | one line, then nothing |
//! | `silent` | nothing at all |
//! | `hang-once`, `reboot-once` | that in the first boot of the job, `pass` in the second |
//! | `wait` | a line each second |

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use socket2::{Domain, Socket, Type};
use tokio::sync::watch;

use super::network::{GATEWAY_PRIVATE, PRIVATE_CARD, give_address};
use crate::wire::{self, Client, Kind};

/// How often the plug and the end are looked at.
const TICK: Duration = Duration::from_millis(50);
/// Where the serial multiplexer takes consoles by TCP: its own default.
pub(crate) const CONSOLES: u16 = 8006;

/// What the board does with its power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It boots.
    Boots,
    /// Its firmware does not come up.
    Dead,
}

/// What a boot has seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Boot {
    /// The address it got.
    pub(crate) address: Option<Ipv4Addr>,
    /// Its boot script.
    pub(crate) script: String,
    /// Lengths of what the script names as kernel and initrd.
    pub(crate) lengths: Vec<u64>,
    /// The kernel command line.
    pub(crate) command_line: String,
    /// What went wrong.
    pub(crate) error: Option<String>,
}

/// A board.
pub(crate) struct Machine {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    mac: [u8; 6],
    plug: watch::Receiver<bool>,
    mode: Mutex<Mode>,
    boots: Mutex<Vec<Boot>>,
    ended: AtomicBool,
}

impl Machine {
    /// A board with this hardware address, on this plug.
    pub(crate) fn start(mac: [u8; 6], plug: watch::Receiver<bool>) -> Self {
        let shared = Arc::new(Shared {
            mac,
            plug,
            mode: Mutex::new(Mode::Boots),
            boots: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let own = shared.clone();
        let thread = std::thread::spawn(move || own.run());
        Self {
            shared,
            thread: Some(thread),
        }
    }

    /// Its hardware address as the gateway writes it, which is also its name there.
    pub(crate) fn id(&self) -> String {
        id(self.shared.mac)
    }

    /// What it will do with its power from the next time that it gets it.
    pub(crate) fn set_mode(&self, mode: Mode) {
        *lock(&self.shared.mode) = mode;
    }

    /// All boots so far.
    pub(crate) fn boots(&self) -> Vec<Boot> {
        lock(&self.shared.boots).clone()
    }

    /// As whom it asks for an address.
    pub(crate) fn client(&self) -> Client {
        self.shared.client()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of the board was told when it happened.
            let _ = thread.join();
        }
    }
}

/// A hardware address as the gateway writes it.
pub(crate) fn id(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn run(&self) {
        while !self.ended() {
            if !self.has_power() {
                std::thread::sleep(TICK);
                continue;
            }
            if *lock(&self.mode) == Mode::Boots {
                lock(&self.boots).push(Boot::default());
                if let Err(error) = self.boot() {
                    self.seen(|boot| boot.error = Some(format!("{error:#}")));
                }
            }
            while self.has_power() && !self.ended() {
                std::thread::sleep(TICK);
            }
        }
    }

    fn ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    fn has_power(&self) -> bool {
        *self.plug.borrow() && !self.ended()
    }

    fn seen(&self, note: impl FnOnce(&mut Boot)) {
        if let Some(boot) = lock(&self.boots).last_mut() {
            note(boot);
        }
    }

    fn client(&self) -> Client {
        // A netboot request of iPXE on 64-bit Arm UEFI.
        Client {
            mac: self.mac,
            architecture: Some(0x0b),
            user_class: Some("iPXE"),
        }
    }

    /// One boot, until the console has said what it has to say or the power is gone.
    fn boot(&self) -> Result<()> {
        let ask = |kind| {
            wire::exchange(
                PRIVATE_CARD,
                &self.client(),
                kind,
                Some(Duration::from_secs(5)),
            )
        };
        let url = loop {
            if !self.has_power() {
                return Ok(());
            }
            // Without a job the gateway names no boot file: a board asks again and again.
            let Some(offer) = ask(Kind::Discover)? else {
                continue;
            };
            if offer.options.contains_key(&67)
                && let Some(lease) = ask(Kind::Request)?
                && let Some(url) = lease.options.get(&67)
            {
                give_address(lease.address)?;
                self.seen(|boot| boot.address = Some(lease.address));
                break String::from_utf8_lossy(url).into_owned();
            }
            self.rest(Duration::from_millis(500));
        };
        let script = String::from_utf8_lossy(&self.get(&url)?).into_owned();
        self.seen(|boot| boot.script.clone_from(&script));
        let plan = Plan::of(&script)?;
        for url in [&plan.kernel, &plan.initrd] {
            let length = self.get(url)?.len() as u64;
            self.seen(|boot| boot.lengths.push(length));
        }
        self.seen(|boot| boot.command_line.clone_from(&plan.command_line));
        let extra = match plan.value("b2c.extra_args_url") {
            Some(url) => String::from_utf8_lossy(&self.get(url)?).into_owned(),
            None => String::new(),
        };
        let mut console = self.console()?;
        if plan.value("test.do").is_none() && extra.contains(" register") {
            // The registration's container writes to the serial device itself: no carriage return.
            let machine = id(self.mac);
            let lines = format!("SALAD.machine_id={machine}\nMaRS: Registration complete\n");
            console.write_all(lines.as_bytes())?;
            self.wait_for_end();
            return Ok(());
        }
        let mut say = |line: &str| console.write_all(format!("{line}\r\n").as_bytes());
        match plan.value("test.do") {
            // The training's check, by the container that its job asks for.
            None => {
                say(&format!("SALAD.machine_id={}", id(self.mac)))?;
                say("Execution is over, pipeline status: 0")?;
                say("It's now safe to turn off your computer")?;
            }
            Some("silent") => {}
            Some(what) => {
                // As Linux begins: the line that tells the multiplexer whose console this is.
                say(&format!(
                    "[    0.000000] Kernel command line: {}",
                    plan.command_line
                ))?;
                self.act(what, &mut say)?;
            }
        }
        // The console stays open for as long as there is power.
        self.wait_for_end();
        Ok(())
    }

    fn wait_for_end(&self) {
        while self.has_power() {
            std::thread::sleep(TICK);
        }
    }

    fn act(&self, what: &str, say: &mut dyn FnMut(&str) -> std::io::Result<()>) -> Result<()> {
        let is_first = {
            let boots = lock(&self.boots);
            let of_this_job =
                |boot: &&Boot| Some(&boot.command_line) == boots.last().map(|b| &b.command_line);
            boots.iter().rev().take_while(of_this_job).count() == 1
        };
        let what = match what {
            "hang-once" if is_first => "hang",
            "reboot-once" if is_first => "reboot",
            "hang-once" | "reboot-once" => "pass",
            other => other,
        };
        say("the test begins")?;
        match what {
            "hang" => {}
            "reboot" => say("PLEASE REBOOT")?,
            "wait" => {
                while self.has_power() {
                    self.rest(Duration::from_secs(1));
                    if say("still running").is_err() {
                        // The gateway is gone; a serial line would not notice.
                        break;
                    }
                }
            }
            _ => {
                if what == "warn" {
                    say("A WARNING")?;
                }
                say(if what == "fail" {
                    "RESULT 1"
                } else {
                    "RESULT 0"
                })?;
                say("END OF TEST")?;
            }
        }
        Ok(())
    }

    /// Waits, but not longer than there is power.
    fn rest(&self, time: Duration) {
        let end = std::time::Instant::now() + time;
        while std::time::Instant::now() < end && self.has_power() {
            std::thread::sleep(TICK);
        }
    }

    fn address(&self) -> Result<Ipv4Addr> {
        let boots = lock(&self.boots);
        boots
            .last()
            .and_then(|boot| boot.address)
            .context("no address")
    }

    /// The file at a URL of the gateway's.
    fn get(&self, url: &str) -> Result<Vec<u8>> {
        let (to, path) = place(url)?;
        let answer = wire::request(self.address()?, to, "GET", path, None)?;
        match answer.status {
            200 => Ok(answer.body),
            status => bail!("{url}: status {status}"),
        }
    }

    fn console(&self) -> Result<TcpStream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddrV4::new(self.address()?, 0).into())?;
        let to = SocketAddrV4::new(GATEWAY_PRIVATE, CONSOLES);
        socket
            .connect_timeout(&to.into(), Duration::from_secs(10))
            .context("the console")?;
        Ok(socket.into())
    }
}

/// Host and path of a URL of the gateway's.
pub(crate) fn place(url: &str) -> Result<(SocketAddrV4, &str)> {
    let rest = url
        .strip_prefix("http://")
        .with_context(|| format!("no http: {url}"))?;
    let (host, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let (name, port) = host.split_once(':').unwrap_or((host, "80"));
    let address = if name == "ci-gateway" {
        GATEWAY_PRIVATE
    } else {
        name.parse()?
    };
    Ok((SocketAddrV4::new(address, port.parse()?), path))
}

/// What a boot script of the gateway's says.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    kernel: String,
    initrd: String,
    command_line: String,
}

impl Plan {
    fn of(script: &str) -> Result<Self> {
        let line = |command: &str| {
            script
                .lines()
                .find_map(|line| line.trim().strip_prefix(command))
        };
        let word = |line: &str| {
            line.split_whitespace()
                .find(|word| word.contains("://"))
                .map(str::to_owned)
        };
        Ok(Self {
            kernel: line("kernel ")
                .and_then(word)
                .context("no kernel in the boot script")?,
            initrd: line("initrd ")
                .and_then(word)
                .context("no initrd in the boot script")?,
            command_line: line("set cmdline ").unwrap_or_default().trim().to_owned(),
        })
    }

    fn value(&self, option: &str) -> Option<&str> {
        let words = self.command_line.split_whitespace();
        words
            .filter_map(|word| word.strip_prefix(option)?.strip_prefix('='))
            .next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_script_names_what_is_booted() {
        let plan = Plan::of("#!ipxe\nset cmdline initrd=initrd test.do=pass x=http://a/b\necho kernel\nkernel http://10.42.0.1:9/_/k ${cmdline}\ninitrd --name initrd http://10.42.0.1:9/_/i\nboot\n").unwrap();
        assert_eq!(plan.kernel, "http://10.42.0.1:9/_/k");
        assert_eq!(plan.initrd, "http://10.42.0.1:9/_/i");
        assert_eq!(
            (plan.value("test.do"), plan.value("test")),
            (Some("pass"), None)
        );
        assert!(Plan::of("#!ipxe\nshell\n").is_err());
    }

    #[test]
    fn the_gateways_name_is_its_private_address() {
        let (to, path) = place("http://ci-gateway:8002/v2/").unwrap();
        assert_eq!(
            (to, path),
            (SocketAddrV4::new(GATEWAY_PRIVATE, 8002), "/v2/")
        );
        assert_eq!(place("http://10.42.0.1").unwrap().1, "/");
        assert!(place("https://10.42.0.1/").is_err());
    }
}
