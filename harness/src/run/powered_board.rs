//! One power-on of the board inside a run: sockets, emulator, console, NIC.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::UnixListener;
use tokio_util::task::AbortOnDropHandle;

use super::adapter::{Adapter, Tasks, Wanted};
use super::thresholds::Written;
use crate::board::Board;
use crate::checkpoint::Checkpoint;
use crate::console::{Console, Expectations};
use crate::error::RunError;
use crate::firmware::Handover;
use crate::folder::RunFolder;
use crate::mac::Mac;
use crate::machine::{
    Accelerator, CommandLine, Disk, DiskContents, Flash, Machine, Monitor, Network, QemuProgram,
    SecondNic, Sockets, Timers, VcpuThreads, falls_asleep,
};
use crate::plan::{Nic, Start};
use crate::shell;
use crate::timeline::{Event, Timeline};
use crate::world::{FaultyCard, Wires};
use shakedown_target::disk;

/// What the board starts with.
pub(super) struct Boot<'a> {
    /// What its firmware makes it start.
    pub(super) starts: &'a Handover,
    pub(super) start: &'a Start,
    pub(super) card: &'a Path,
    /// What the card's overlay is over.
    pub(super) card_base: &'a Path,
    /// What answers for the card in place of the emulator.
    pub(super) faulty: Option<FaultyDisk>,
    /// Listen for a debugger.
    pub(super) gdb: bool,
    /// Where the board goes on from, if it does not boot.
    pub(super) checkpoint: Option<&'a Checkpoint>,
}

/// A card with faults, in one boot.
pub(super) struct FaultyDisk {
    pub(super) disk: Arc<Mutex<FaultyCard>>,
    pub(super) read_only: bool,
}

/// A board with everything plugged in. Dropping it pulls the plug.
pub(super) struct PoweredBoard {
    pub(super) machine: Machine,
    pub(super) console: Console,
    pub(super) nic: Adapter,
    pub(super) written: Written,
    /// Says when the board has fallen asleep for good.
    _asleep: AbortOnDropHandle<()>,
    /// The tasks of our NIC.
    _plugged_in: Tasks,
    /// Answers for a card with faults.
    _card: Option<AbortOnDropHandle<()>>,
}

impl PoweredBoard {
    /// Starts the emulator and connects console and NIC. The board does not run yet.
    pub(super) async fn connect(
        board: &Board,
        qemu: &QemuProgram,
        boot: &Boot<'_>,
        mac: Mac,
        wires: Wires,
        folder: &Path,
        timeline: &Timeline,
    ) -> Result<(Self, Expectations), RunError> {
        let nic = match boot.start {
            Start::Card => Nic::Board,
            Start::Direct { nic, .. } => *nic,
        };
        let nics = match nic {
            Nic::Board => 1 + usize::from(wires.second.is_some()),
            Nic::Emulator => 0,
        };
        let mut sockets = Sockets::bind(board.uarts.len(), nics, boot.faulty.is_some())?;
        let arguments = arguments(board, qemu, boot, mac, &sockets, wires.second_comes_first);
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
        // QEMU's own network card is a yardstick, which must be as fast as it can; it needs a timer for each of its small packets.
        let timers = match board.quirks.coalesce_timers {
            Some(_) if nic == Nic::Board => Timers::Coalesced,
            _ => Timers::Precise,
        };
        let card = sockets.take_disk().zip(boot.faulty.as_ref());
        let card = card.map(|(listener, faulty)| {
            let answering = answer_for_card(listener, Arc::clone(&faulty.disk), timeline.clone());
            AbortOnDropHandle::new(tokio::spawn(answering))
        });
        let log = timeline.clone();
        let started = Machine::start(qemu, &arguments, sockets, timers, &stderr, log);
        let (machine, connectors) = started.await?;
        let (console, expectations) =
            Console::start(connectors.uarts, folder, timeline).map_err(in_folder)?;
        if let Some(checkpoint) = boot.checkpoint {
            checkpoint.load(&machine).await?;
        }
        let wanted = Wanted {
            model: board.nic.model,
            address: board.nic.address,
            mac,
            replug_on_takeover: board.quirks.replug_on_takeover.is_some(),
            takes_over: boot.checkpoint.is_some(),
            monitor: machine.monitor(),
            timeline,
        };
        let (nic, plugged_in) = Adapter::connect(&wanted, connectors.nics, wires);
        let written = match &boot.faulty {
            Some(faulty) => {
                let card = faulty.disk.lock().unwrap_or_else(PoisonError::into_inner);
                Written::Harness(card.written())
            }
            None => Written::Emulator(machine.growth(boot.card)),
        };
        let asleep = report_sleep(machine.monitor().clone(), timeline.clone());
        let on = Self {
            _asleep: AbortOnDropHandle::new(tokio::spawn(asleep)),
            machine,
            console,
            nic,
            written,
            _plugged_in: plugged_in,
            _card: card,
        };
        Ok((on, expectations))
    }
}

/// QEMU's arguments; guests may find the second network card first.
fn arguments(
    board: &Board,
    qemu: &QemuProgram,
    boot: &Boot<'_>,
    mac: Mac,
    sockets: &Sockets,
    second_comes_first: bool,
) -> Vec<std::ffi::OsString> {
    let (user_monitor, gdb) = (sockets.user_monitor(), sockets.gdb());
    let parked = board.quirks.park_secondaries.as_ref();
    let globals = parked.map(|quirk| (quirk.property.clone(), quirk.enabled.to_string()));
    let cores = parked.map_or(board.machine.cores, |quirk| quirk.enabled);
    let (port, device) = (board.nic.port, board.nic.device.as_ref());
    let is_usb = board.nic.model.is_usb();
    let mut nics = sockets.nics().into_iter();
    CommandLine {
        machine: &board.machine.kind,
        cpu: board.machine.cpu.as_ref(),
        memory: board.machine.memory,
        cores: board.machine.cores,
        accelerator: match cores {
            _ if qemu.kvm => Accelerator::Kvm,
            1 => Accelerator::Tcg(VcpuThreads::Single),
            _ => Accelerator::Tcg(VcpuThreads::Multi),
        },
        globals: globals.into_iter().collect(),
        devices: &board.machine.devices,
        flash: boot
            .starts
            .flash
            .as_ref()
            .map(|(code, variables)| Flash { code, variables }),
        rom: boot.starts.rom.as_deref(),
        kernel: boot.starts.kernel.as_deref(),
        device_tree: boot.starts.device_tree.as_deref(),
        initrd: boot.starts.initrd.as_deref(),
        append: match boot.start {
            Start::Card => None,
            Start::Direct { append, .. } => Some(append),
        },
        disk: Some(Disk {
            kind: board.disk.kind,
            contents: match (sockets.disk(), &boot.faulty) {
                (Some(socket), Some(faulty)) => DiskContents::Socket {
                    socket,
                    read_only: faulty.read_only,
                },
                _ => DiskContents::Overlay {
                    overlay: boot.card,
                    base: boot.checkpoint.map(|_| boot.card_base),
                },
            },
        }),
        network: match nics.next() {
            Some(socket) if is_usb => Network::Redirected { socket, port },
            Some(socket) => Network::Stream {
                socket,
                device,
                mac,
            },
            None if is_usb => Network::UsbNet { port },
            None => Network::User { device, mac },
        },
        // A scenario whose board has no `device` for it is not read.
        second_nic: nics.next().zip(device).map(|(socket, device)| SecondNic {
            socket,
            device,
            mac: mac.next(),
            comes_first: second_comes_first,
        }),
        uarts: sockets.uarts(),
        monitor: sockets.monitor(),
        user_monitor: Some(&user_monitor),
        gdb: boot.gdb.then_some(gdb.as_path()),
        incoming: boot.checkpoint.is_some(),
        sandbox: qemu.sandbox,
    }
    .arguments()
}

/// Answers what the emulator reads from the card and writes to it.
async fn answer_for_card(listener: UnixListener, card: Arc<Mutex<FaultyCard>>, timeline: Timeline) {
    let served = match listener.accept().await {
        Ok((stream, _)) => disk::serve(stream, card).await,
        Err(error) => Err(error.into()),
    };
    if let Err(error) = served {
        timeline.note("card", error.to_string());
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
