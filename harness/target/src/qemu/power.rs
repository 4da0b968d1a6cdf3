//! One power cycle of the board: plug on, run, plug off.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::growth::{OverlayGrowth, end_of_write};
use super::memory::load_memory;
use super::process::{Process, Timers};
use super::{MachineError, Monitor, QemuProgram, QmpEvent};
use shakedown_base::scratch::{self, Scratch};
use shakedown_base::timeline::{Event, Power, Timeline};

/// How long QEMU may take to load and to connect its sockets, on a starved host too.
const CONNECT: Duration = Duration::from_secs(60);
/// How long QEMU may take to stop the machine, and to write down where in the overlay its data is.
const STOP: Duration = Duration::from_secs(10);
/// How the folders of sockets are called.
const PREFIX: &str = "shakedown-";
const USER_MONITOR: &str = "qmp-user";
const GDB: &str = "gdb";

/// The sockets that QEMU will connect to; they listen before it starts.
///
/// They live in a folder with a short name, since a socket's path may have at most 107 bytes.
#[derive(Debug)]
pub struct Sockets {
    folder: Scratch,
    monitor: Socket,
    uarts: Vec<Socket>,
    nics: Vec<Socket>,
    disk: Option<Socket>,
}

#[derive(Debug)]
struct Socket {
    path: PathBuf,
    listener: UnixListener,
}

/// A board with its power on (or about to be). Dropping it pulls the plug.
#[derive(Debug)]
pub struct Machine {
    process: Process,
    monitor: Monitor,
    timeline: Timeline,
    sockets: Scratch,
    /// Where the write to the disk's overlay ended that QEMU told of last.
    written: watch::Receiver<u64>,
}

/// The board's connectors.
#[derive(Debug)]
pub struct Connectors {
    /// Serial ports in the board's order.
    pub uarts: Vec<UnixStream>,
    /// The network interfaces: a USB port that speaks usbredir, or streams of frames.
    pub nics: Vec<UnixStream>,
}

impl Sockets {
    /// Binds sockets for `uarts` serial ports, the monitor, `nics` network interfaces, and for a disk that the harness answers for. Needs a tokio
    /// runtime.
    ///
    /// # Errors
    /// The folder for temporary files cannot be written to.
    pub fn bind(uarts: usize, nics: usize, disk: bool) -> Result<Self, MachineError> {
        let temporary = std::env::temp_dir();
        let is_ours = |p: &PathBuf| {
            let name = p.file_name().map(|n| n.to_string_lossy().into_owned());
            name.is_some_and(|n| n.starts_with(PREFIX))
        };
        scratch::sweep(scratch::entries(&temporary).filter(is_ours));
        let folder = Scratch::temporary(PREFIX)
            .map_err(MachineError::io("create a folder in", &temporary))?;
        let bind = |name: &str| {
            let path = folder.path().join(name);
            UnixListener::bind(&path)
                .map(|listener| Socket {
                    path: path.clone(),
                    listener,
                })
                .map_err(MachineError::io("listen on", &path))
        };
        Ok(Self {
            monitor: bind("qmp")?,
            uarts: (0..uarts)
                .map(|i| bind(&format!("uart{i}")))
                .collect::<Result<_, _>>()?,
            nics: (0..nics)
                .map(|i| bind(&format!("nic{i}")))
                .collect::<Result<_, _>>()?,
            disk: disk.then(|| bind("disk")).transpose()?,
            folder,
        })
    }

    /// The disk's socket, if there is one.
    #[must_use]
    pub fn disk(&self) -> Option<&Path> {
        self.disk.as_ref().map(|socket| socket.path.as_path())
    }

    /// Takes the disk's socket out, for who answers on it. QEMU reads its disk before it connects anything else.
    pub fn take_disk(&mut self) -> Option<UnixListener> {
        self.disk.take().map(|socket| socket.listener)
    }

    /// The monitor's socket.
    #[must_use]
    pub fn monitor(&self) -> &Path {
        &self.monitor.path
    }

    /// Where QEMU listens with a second monitor, for the user.
    #[must_use]
    pub fn user_monitor(&self) -> PathBuf {
        self.folder.path().join(USER_MONITOR)
    }

    /// Where QEMU listens for a debugger, if it is told to.
    #[must_use]
    pub fn gdb(&self) -> PathBuf {
        self.folder.path().join(GDB)
    }

    /// The serial ports' sockets.
    #[must_use]
    pub fn uarts(&self) -> Vec<&Path> {
        self.uarts.iter().map(|s| s.path.as_path()).collect()
    }

    /// The network interfaces' sockets.
    #[must_use]
    pub fn nics(&self) -> Vec<&Path> {
        self.nics.iter().map(|s| s.path.as_path()).collect()
    }
}

impl Machine {
    /// Starts QEMU with `arguments`, which must name the sockets, and takes its connections. The board does not run yet.
    ///
    /// # Errors
    /// QEMU cannot be started, ends at once, or does not connect.
    pub async fn start(
        qemu: &QemuProgram,
        arguments: &[OsString],
        sockets: Sockets,
        timers: Timers,
        stderr: &Path,
        timeline: Timeline,
    ) -> Result<(Self, Connectors), MachineError> {
        let process = Process::spawn(qemu, arguments, stderr, timers)?;
        let mut uarts = Vec::new();
        let monitor = accept(&process, &sockets.monitor).await?;
        for socket in &sockets.uarts {
            uarts.push(accept(&process, socket).await?);
        }
        let mut nics = Vec::new();
        for socket in &sockets.nics {
            nics.push(accept(&process, socket).await?);
        }
        let (monitor, events) = Monitor::connect(monitor).await?;
        let (write, written) = watch::channel(0);
        tokio::spawn(watch_events(events, timeline.clone(), write));
        let machine = Self {
            process,
            monitor,
            timeline,
            sockets: sockets.folder,
            written,
        };
        Ok((machine, Connectors { uarts, nics }))
    }

    /// Switches the plug on: the first instruction runs.
    ///
    /// # Errors
    /// QEMU refuses.
    pub async fn power_on(&self) -> Result<(), MachineError> {
        self.power_on_for_debugger();
        self.resume().await
    }

    /// Switches the plug on and leaves the first instruction to a debugger's `continue`.
    pub fn power_on_for_debugger(&self) {
        self.timeline.emit(Event::Power { action: Power::On });
    }

    /// Brings a board that QEMU was told to wait for, and that does not run yet, to where it stood when `memory` was written.
    ///
    /// # Errors
    /// QEMU cannot read the file, or has another machine.
    pub async fn load_memory(&self, memory: &Path) -> Result<(), MachineError> {
        match load_memory(&self.monitor, memory).await {
            // It says why on standard error, and ends.
            Err(MachineError::Monitor(_)) => Err(MachineError::Ended {
                status: self.process.ended().await.to_string(),
                stderr: self.process.last_output(),
            }),
            loaded => loaded,
        }
    }

    /// Presses the reset button.
    ///
    /// # Errors
    /// QEMU refuses.
    pub async fn reset(&self) -> Result<(), MachineError> {
        self.monitor.execute("system_reset", json!({})).await?;
        Ok(())
    }

    /// Switches the plug off: the board stops at once, whatever it was doing. Returns when the process is gone.
    ///
    /// What the board has written is on its card. QEMU keeps the table that says where in the overlay it is; it writes the table down when the
    /// machine is stopped, and not when it is killed.
    pub async fn power_off(self) {
        if self.process.is_running() {
            self.timeline.emit(Event::Power { action: Power::Off });
            // A QEMU that does not answer is killed all the same.
            let _ = timeout(STOP, self.monitor.pause()).await;
        }
        self.process.kill();
        self.process.ended().await;
    }

    /// The folder of the machine's sockets.
    #[must_use]
    pub fn sockets(&self) -> &Path {
        self.sockets.path()
    }

    /// The socket of a second monitor, for the user.
    #[must_use]
    pub fn user_monitor(&self) -> PathBuf {
        self.sockets().join(USER_MONITOR)
    }

    /// The socket where a debugger may come, if QEMU was told to let one in.
    #[must_use]
    pub fn gdb(&self) -> PathBuf {
        self.sockets().join(GDB)
    }

    /// Makes the board stand still: its clock stops too.
    ///
    /// # Errors
    /// QEMU refuses.
    pub async fn pause(&self) -> Result<(), MachineError> {
        self.monitor.pause().await
    }

    /// Lets the board go on after [`pause`](Self::pause).
    ///
    /// # Errors
    /// QEMU refuses.
    pub async fn resume(&self) -> Result<(), MachineError> {
        self.monitor.resume().await
    }

    /// QEMU's monitor, for commands that have no method here.
    #[must_use]
    pub fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    /// How the file of the disk's overlay grows.
    #[must_use]
    pub fn growth(&self, overlay: &Path) -> OverlayGrowth {
        OverlayGrowth::new(self.monitor.clone(), overlay.into(), self.written.clone())
    }

    /// QEMU's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Waits until QEMU has ended by itself; returns the end of what it said on standard error. The wait does not keep it running.
    pub fn ended(&self) -> impl Future<Output = String> + Send + use<> {
        self.process.end()
    }
}

/// Takes QEMU's connection to a socket, unless it ends first.
async fn accept(process: &Process, socket: &Socket) -> Result<UnixStream, MachineError> {
    let accepted = tokio::select! {
        accepted = timeout(CONNECT, socket.listener.accept()) => accepted,
        status = process.ended() => {
            return Err(MachineError::Ended { status: status.to_string(), stderr: process.last_output() });
        }
    };
    match accepted {
        Ok(Ok((stream, _))) => Ok(stream),
        Ok(Err(source)) => Err(MachineError::io("accept on", &socket.path)(source)),
        Err(_) => Err(MachineError::NotConnected {
            socket: socket
                .path
                .file_name()
                .map_or_else(String::new, |n| n.to_string_lossy().into_owned()),
            within: CONNECT,
            stderr: process.last_output(),
        }),
    }
}

/// Puts what the monitor says of the board's power onto the timeline, and passes on what it says of writes to the disk's overlay.
async fn watch_events(
    mut events: mpsc::UnboundedReceiver<QmpEvent>,
    timeline: Timeline,
    written: watch::Sender<u64>,
) {
    while let Some(event) = events.recv().await {
        if let Some(end) = end_of_write(&event) {
            written.send_replace(end);
        }
        let by_guest = event.data["guest"] == json!(true);
        let action = match event.name.as_str() {
            "SHUTDOWN" if by_guest => Power::GuestShutdown,
            "RESET" if by_guest => Power::GuestReset,
            "SHUTDOWN" => Power::Exited,
            _ => continue,
        };
        timeline.emit(Event::Power { action });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};

    use super::*;

    /// A QEMU that answers all commands but this one, and tells what it was asked.
    async fn qemu(stream: DuplexStream, mute: &str, asked: mpsc::UnboundedSender<String>) {
        let (reader, mut writer) = tokio::io::split(stream);
        writer.write_all(b"{\"QMP\": {}}\n").await.unwrap();
        let mut lines = BufReader::new(reader).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let request: Value = serde_json::from_str(&line).unwrap();
            let name = request["execute"].as_str().unwrap().to_owned();
            if name != mute {
                let answer = json!({ "return": {}, "id": request["id"] });
                let _ = writer.write_all(format!("{answer}\n").as_bytes()).await;
            }
            let _ = asked.send(name);
        }
    }

    async fn machine(mute: &'static str) -> (Machine, Timeline, mpsc::UnboundedReceiver<String>) {
        let (ours, theirs) = tokio::io::duplex(4096);
        let (asked, told) = mpsc::unbounded_channel();
        tokio::spawn(qemu(theirs, mute, asked));
        let (monitor, _) = Monitor::connect(ours).await.unwrap();
        let timeline = Timeline::start();
        let sockets = Scratch::temporary(PREFIX).unwrap();
        let sleep = QemuProgram {
            program: "/bin/sleep".into(),
            ..QemuProgram::default()
        };
        let stderr = sockets.path().join("stderr");
        let machine = Machine {
            process: Process::spawn(&sleep, &["1000".into()], &stderr, Timers::Coalesced).unwrap(),
            monitor,
            timeline: timeline.clone(),
            sockets,
            written: watch::channel(0).1,
        };
        (machine, timeline, told)
    }

    #[tokio::test]
    async fn a_board_is_stopped_before_its_emulator_is_killed() {
        let (machine, timeline, mut told) = machine("nothing").await;
        let ended = machine.process.end();
        machine.power_off().await;
        ended.await;
        let mut asked = Vec::new();
        while let Ok(name) = told.try_recv() {
            asked.push(name);
        }
        assert_eq!(asked, ["qmp_capabilities", "stop"]);
        let off = Event::Power { action: Power::Off };
        assert_eq!(timeline.snapshot()[0].event, off);
    }

    #[tokio::test]
    async fn an_emulator_that_does_not_answer_is_killed() {
        let (machine, _, _told) = machine("stop").await;
        let ended = machine.process.end();
        tokio::time::pause();
        machine.power_off().await;
        ended.await;
    }
}
