//! What all checks share: the unpacked image, the network outside, the permanent folder.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use shakedown_services::OciImage;

use crate::namespace::run;
use crate::rootfs;
use crate::wire::{self, Answer, Client};
use crate::world::{Cards, Container, GATEWAY_PUBLIC, Machine, OUTSIDE, Outside, Start};

/// How long a gateway may take until it answers. Measured: 5 s on a quiet machine of two cores.
const UP: Duration = Duration::from_secs(120);
/// The board behind the gateway.
pub(super) const BOARD: [u8; 6] = [0x52, 0x54, 0x00, 0x42, 0x00, 0x01];
/// Port that the board's plug is on, as the gateway names it.
pub(super) const PORT: &str = "1";

const MARS_DB: &str = "\
pdus:
  harness:
    driver: vpdu
    config: {hostname: \"192.0.2.1:9191\"}
";

/// What boards boot when a job says nothing else: as the gateway's own file has it, but from the network outside, as there is no Internet.
const BOOTS_DB: &str = r##"#!jinja2
dhcp:
  iPXE-of-the-harness:
    match: {user_class: iPXE}
    defaults:
      dhcp:
        options:
          bootfile: {{ job.http.url }}/boot/boot.ipxe
          hostname: "{{ dut.hostname }}"
      storage:
        http:
          50-bootloader:
            - path: /boot/boot.ipxe
              data: |
                #!ipxe
                set cmdline initrd=initrd {{ job.deployment.kernel.cmdline }}
                kernel {{ job.http.path_to("kernel") }} ${cmdline}
                initrd --name initrd {{ job.http.path_to("initramfs") }}
                boot
      kernel:
        url: "http://192.0.2.1:8080/kernel"
      initramfs:
        url: "http://192.0.2.1:8080/initrd"
"##;

/// What all checks share.
pub(super) struct Setup<'a> {
    root: tempfile::TempDir,
    permanent: tempfile::TempDir,
    entry: Vec<String>,
    env: Vec<(String, String)>,
    /// The network outside.
    pub(super) outside: Outside,
    say: &'a dyn Fn(&str),
}

impl<'a> Setup<'a> {
    /// Unpacks the image and starts the network outside.
    pub(super) fn new(image: &OciImage, say: &'a dyn Fn(&str)) -> Result<Self> {
        say("unpacking the image");
        let root = tempfile::tempdir()?;
        rootfs::unpack(image, root.path())?;
        run("ip", "link set lo up")?;
        // The servers outside listen whether a cable is there or not.
        run("ip", &format!("address add {OUTSIDE}/32 dev lo"))?;
        let Execution { entry, mut env } = execution(image)?;
        let own = [
            ("GATEWAY_UPSTREAM", format!("http://{OUTSIDE}:5000")),
            // Training is two boots, so that it can be watched.
            ("SERGENT_HARTMAN_BOOT_COUNT", "2".into()),
            ("SERGENT_HARTMAN_QUALIFYING_BOOT_COUNT", "2".into()),
        ];
        env.extend(own.map(|(name, value)| (name.to_owned(), value)));
        let setup = Self {
            root,
            permanent: tempfile::tempdir()?,
            entry,
            env,
            outside: Outside::start()?,
            say,
        };
        setup.restore()?;
        Ok(setup)
    }

    /// The permanent folder as a farm's operator has filled it.
    pub(super) fn restore(&self) -> Result<()> {
        self.write("mars_db.yaml", MARS_DB)?;
        self.write("boots_db.yml.j2", BOOTS_DB)
    }

    /// Writes a file of the permanent folder.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.permanent.path().join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Reads a file of the permanent folder.
    pub(super) fn read(&self, name: &str) -> Result<String> {
        let path = self.permanent.path().join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// The unpacked image.
    pub(super) fn root(&self) -> &Path {
        self.root.path()
    }

    /// Tells what is being done.
    pub(super) fn say(&self, what: &str) {
        (self.say)(what);
    }

    /// Starts a gateway with these cards and this much room in `/mnt/tmp`.
    pub(super) fn start(&self, cards: Cards, tmp_size: &str) -> Result<Container> {
        Container::start(&Start {
            root: self.root.path(),
            entry: &self.entry,
            env: &self.env,
            permanent: self.permanent.path(),
            tmp_size,
            cards,
        })
    }

    /// Starts the gateway as it should be, and waits until it answers; with how many seconds that took.
    pub(super) fn start_and_wait(&self) -> Result<(Container, f64)> {
        let started = Instant::now();
        let gateway = self.start(Cards::Two, "512m")?;
        self.wait_until_up()
            .with_context(|| last_lines(&gateway.log().text()))?;
        Ok((gateway, started.elapsed().as_secs_f64()))
    }

    /// Waits until the REST interface answers and the power distribution unit is known.
    pub(super) fn wait_until_up(&self) -> Result<()> {
        self.wait(
            UP,
            "the power distribution unit is known to the gateway",
            || {
                let state = self.get("/api/v1/full-state").ok()?.json().ok()?;
                (state["pdus"]["harness"]["state"] == "OK").then_some(())
            },
        )
    }

    /// Tries until there is something.
    pub(super) fn wait<T>(
        &self,
        patience: Duration,
        what: &str,
        found: impl Fn() -> Option<T>,
    ) -> Result<T> {
        let end = Instant::now() + patience;
        loop {
            if let Some(found) = found() {
                return Ok(found);
            }
            ensure!(
                Instant::now() < end,
                "not within {} s: {what}",
                patience.as_secs()
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// A request to the REST interface, from outside.
    pub(super) fn get(&self, path: &str) -> Result<Answer> {
        self.rest("GET", path, None)
    }

    /// A request with JSON to the REST interface, from outside.
    pub(super) fn rest(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer> {
        let text = body.map(Value::to_string);
        let body = text
            .as_ref()
            .map(|text| ("application/json", text.as_bytes()));
        let to = SocketAddrV4::new(GATEWAY_PUBLIC, 80);
        wire::request(OUTSIDE, to, method, path, body)
    }

    /// A machine's state, or what was answered instead.
    pub(super) fn state(&self, id: &str) -> Result<String> {
        let answer = self.get(&format!("/api/v1/dut/{id}"))?;
        let json = answer.json()?;
        let state = json["state"].as_str().map(str::to_owned);
        state.with_context(|| answer.text())
    }

    /// Waits until a machine is in a state.
    pub(super) fn wait_for_state(&self, id: &str, state: &str, patience: Duration) -> Result<()> {
        let what = format!("{id} is {state}");
        let is = || self.state(id).is_ok_and(|is| is == state).then_some(());
        let waited = self.wait(patience, &what, is);
        waited.with_context(|| self.state(id).unwrap_or_else(|error| format!("{error:#}")))
    }

    /// The board on its plug.
    pub(super) fn machine(&self) -> Machine {
        Machine::start(BOARD, self.outside.plug())
    }
}

/// A board that boots from the network.
pub(super) fn netboot(mac: [u8; 6], architecture: u16, user_class: Option<&'static str>) -> Client {
    Client {
        mac,
        architecture: Some(architecture),
        user_class,
    }
}

/// An option of four bytes as an address.
pub(super) fn address(bytes: Option<&Vec<u8>>) -> Option<Ipv4Addr> {
    <[u8; 4]>::try_from(bytes?.as_slice())
        .ok()
        .map(Ipv4Addr::from)
}

/// The end of a log, for errors.
pub(super) fn last_lines(log: &str) -> String {
    let lines: Vec<_> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    lines
        .get(lines.len().saturating_sub(3)..)
        .unwrap_or_default()
        .join(" / ")
}

/// The last exception of Python in a log, for errors.
pub(super) fn last_exception(log: &str) -> String {
    let is_exception = |line: &&str| {
        let name = line.split([':', ' ']).next().unwrap_or_default();
        name.ends_with("Error") || name.ends_with("Exception")
    };
    let found = log.lines().map(str::trim).rfind(is_exception);
    found.map_or_else(
        || "no exception in the gateway's log".into(),
        |line| format!("in the gateway's log: {line}"),
    )
}

/// What the image's first process is, and its environment.
struct Execution {
    entry: Vec<String>,
    env: Vec<(String, String)>,
}

fn execution(image: &OciImage) -> Result<Execution> {
    let config: Value = serde_json::from_slice(&image.config().bytes)?;
    let list = |name: &str| -> Vec<String> {
        let list = config["config"][name].as_array();
        list.into_iter()
            .flatten()
            .filter_map(|word| word.as_str().map(str::to_owned))
            .collect()
    };
    let entry = [list("Entrypoint"), list("Cmd")].concat();
    ensure!(!entry.is_empty(), "the image names no program to start");
    let pair = |text: &String| {
        text.split_once('=')
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let env = list("Env").iter().filter_map(pair).collect();
    Ok(Execution { entry, env })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_exception_of_a_log_is_found() {
        let log = "Traceback:\n  File \"a.py\"\nValueError: one\nTypeError: two\n10.0.0.1 - POST / 500\nan Error in a sentence\n";
        assert_eq!(last_exception(log), "in the gateway's log: TypeError: two");
        assert_eq!(
            last_exception("all is well"),
            "no exception in the gateway's log"
        );
    }
}
