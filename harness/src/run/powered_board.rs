//! One power-on of the board inside a run: sockets, emulator, console, NIC.

use std::path::Path;

use tokio::net::UnixStream;
use tokio_util::task::AbortOnDropHandle;

use crate::board::{Board, NicAddress, NicModel};
use crate::checkpoint::Checkpoint;
use crate::console::{Console, Expectations};
use crate::error::RunError;
use crate::folder::RunFolder;
use crate::mac::Mac;
use crate::machine::{
    CommandLine, Machine, Monitor, Network, QemuProgram, Sockets, VcpuThreads, falls_asleep,
    kernel_takes_over,
};
use crate::plan::{Nic, Start};
use crate::shell;
use crate::timeline::{Event, Power, Record, Timeline};
use crate::usb::device::Nic as Adapter;
use crate::usb::lan7515::{Lan7800, StoredAddress};
use crate::usb::{self, lan9514::Lan9514};
use crate::wire::WireEnd;

/// What the board starts with.
pub(super) struct Boot<'a> {
    pub(super) kernel: &'a Path,
    pub(super) device_tree: &'a Path,
    pub(super) start: &'a Start,
    pub(super) card: &'a Path,
    /// What the card's overlay is over.
    pub(super) card_base: &'a Path,
    /// Initial RAM file systems, joined, if there are any.
    pub(super) initrd: Option<&'a Path>,
    /// Listen for a debugger.
    pub(super) gdb: bool,
    /// Where the board goes on from, if it does not boot.
    pub(super) checkpoint: Option<&'a Checkpoint>,
}

/// A board with everything plugged in. Dropping it pulls the plug.
pub(super) struct PoweredBoard {
    pub(super) machine: Machine,
    pub(super) console: Console,
    pub(super) nic: usb::Control,
    /// Says when the board has fallen asleep for good.
    _asleep: AbortOnDropHandle<()>,
    /// The tasks of our NIC.
    _plugged_in: Option<[AbortOnDropHandle<()>; 2]>,
}

impl PoweredBoard {
    /// Starts the emulator and connects console and NIC. The board does not run yet.
    pub(super) async fn connect(
        board: &Board,
        qemu: &QemuProgram,
        boot: &Boot<'_>,
        mac: Mac,
        wire: WireEnd,
        folder: &Path,
        timeline: &Timeline,
    ) -> Result<(Self, Expectations), RunError> {
        let (append, nic) = match boot.start {
            Start::Card => (None, Nic::Board),
            Start::Direct { append, nic } => (Some(append.as_str()), *nic),
        };
        let sockets = Sockets::bind(board.uarts.len(), nic == Nic::Board)?;
        let (user_monitor, gdb) = (sockets.user_monitor(), sockets.gdb());
        let port = board.nic.port;
        let globals = vec![(
            board.machine.enabled_cores_property.clone(),
            board.machine.enabled_cores.to_string(),
        )];
        let arguments = CommandLine {
            machine: &board.machine.kind,
            cores: board.machine.cores,
            threads: match board.machine.enabled_cores {
                1 => VcpuThreads::Single,
                _ => VcpuThreads::Multi,
            },
            globals,
            kernel: boot.kernel,
            device_tree: boot.device_tree,
            initrd: boot.initrd,
            append,
            card: Some(boot.card),
            card_base: boot.checkpoint.map(|_| boot.card_base),
            network: match sockets.nic() {
                Some(socket) => Network::Redirected { socket, port },
                None => Network::UsbNet { port },
            },
            uarts: sockets.uarts(),
            monitor: sockets.monitor(),
            user_monitor: Some(&user_monitor),
            gdb: boot.gdb.then_some(gdb.as_path()),
            incoming: boot.checkpoint.is_some(),
            sandbox: qemu.sandbox,
        }
        .arguments();
        let in_folder = |source| RunError::Folder {
            path: folder.into(),
            source,
        };
        std::fs::write(
            folder.join(RunFolder::QEMU_COMMAND),
            shell_line(qemu, &arguments),
        )
        .map_err(in_folder)?;
        let stderr = folder.join(RunFolder::QEMU_STDERR);
        let (machine, connectors) =
            Machine::start(qemu, &arguments, sockets, &stderr, timeline.clone()).await?;
        let (console, expectations) =
            Console::start(connectors.uarts, folder, timeline).map_err(in_folder)?;
        if let Some(checkpoint) = boot.checkpoint {
            checkpoint.load(&machine).await?;
        }
        let plug = Plug {
            machine: &machine,
            stream: connectors.nic,
            wire,
            takes_over: boot.checkpoint.is_some(),
            timeline,
        };
        let (nic, plugged_in) = match (board.nic.model, board.nic.address) {
            (NicModel::Lan9514, _) => plug.device(Lan9514::new(mac)),
            (NicModel::Lan7800, NicAddress::Eeprom) => {
                plug.device(Lan7800::new(StoredAddress::Eeprom(mac)))
            }
            (NicModel::Lan7800, NicAddress::DeviceTree) => {
                plug.device(Lan7800::new(StoredAddress::None))
            }
        };
        let asleep = report_sleep(machine.monitor().clone(), timeline.clone());
        let on = Self {
            _asleep: AbortOnDropHandle::new(tokio::spawn(asleep)),
            machine,
            console,
            nic,
            _plugged_in: plugged_in,
        };
        Ok((on, expectations))
    }
}

/// Where a NIC is plugged in.
struct Plug<'a> {
    machine: &'a Machine,
    /// QEMU's end, unless the board has another NIC.
    stream: Option<UnixStream>,
    wire: WireEnd,
    /// QEMU goes on from a checkpoint.
    takes_over: bool,
    timeline: &'a Timeline,
}

impl Plug<'_> {
    /// Plugs a device in: the hand on it, and its tasks.
    fn device<D: Adapter + Send + 'static>(
        self,
        device: D,
    ) -> (usb::Control, Option<[AbortOnDropHandle<()>; 2]>) {
        let mut session = usb::Session::new(device, self.wire, self.timeline.clone());
        if self.takes_over {
            session = session.taking_over();
        }
        let nic = session.control();
        let plugged_in = self.stream.map(|stream| {
            let log = self.timeline.clone();
            let session = async move {
                if let Err(e) = session.run(stream).await {
                    log.note("usb", format!("the USB session has failed: {e}"));
                }
            };
            let monitor = self.machine.monitor().clone();
            let hand_over = hand_over(monitor, nic.clone(), self.timeline.clone());
            [tokio::spawn(session), tokio::spawn(hand_over)].map(AbortOnDropHandle::new)
        });
        (nic, plugged_in)
    }
}

/// Plugs the NIC in again whenever a kernel takes the board over from its boot loader.
///
/// QEMU's DWC2 has no core soft reset, so a kernel never sees a connect event for a device that the boot loader has used. A real
/// controller is reset by the kernel's driver, which then finds the device anew.
async fn hand_over(monitor: Monitor, nic: usb::Control, timeline: Timeline) {
    let board = timeline.board();
    let is_reset = |r: &Record| {
        let is_reset = matches!(
            r.event,
            Event::Power {
                action: Power::GuestReset | Power::Reset
            }
        );
        is_reset && r.board == board
    };
    while kernel_takes_over(&monitor).await.is_ok() {
        timeline.note("run", "a kernel runs: plugging the NIC in anew");
        nic.replug();
        let mut cursor = timeline.end();
        timeline.wait_for(&mut cursor, is_reset).await;
    }
}

/// Says once that the board sleeps in its boot loader and will not wake.
async fn report_sleep(monitor: Monitor, timeline: Timeline) {
    if let Ok(pc) = falls_asleep(&monitor).await {
        timeline.emit(Event::Asleep { pc });
    }
}

/// The command line as a person can paste it.
fn shell_line(qemu: &QemuProgram, arguments: &[std::ffi::OsString]) -> String {
    let env = qemu.env.iter().map(|(k, v)| {
        let (k, v) = (k.to_string_lossy(), v.to_string_lossy());
        format!("{k}={}", shell::word(&v))
    });
    let words = std::iter::once(qemu.program.as_os_str())
        .chain(qemu.leading_args.iter().map(AsRef::as_ref))
        .chain(arguments.iter().map(AsRef::as_ref))
        .map(|w| shell::word(&w.to_string_lossy()));
    env.chain(words).collect::<Vec<_>>().join(" ") + "\n"
}
