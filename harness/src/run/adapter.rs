//! The board's network interface in the machine: a chip that the harness plays behind usbredir, or one of QEMU's behind a stream of frames.

use tokio::net::UnixStream;
use tokio_util::task::AbortOnDropHandle;

use crate::board::{NicAddress, NicModel};
use crate::mac::Mac;
use crate::machine::{MachineError, Monitor, NETDEV, kernel_takes_over};
use crate::stream::{self, Counters};
use crate::timeline::{Event, LinkState, Power, Record, Timeline};
use crate::usb::device::Nic as UsbNic;
use crate::usb::lan7515::{Lan7800, StoredAddress};
use crate::usb::{self, lan9514::Lan9514};
use crate::wire::WireEnd;
use crate::world::Wires;

/// What is wanted of it.
#[derive(Debug, Clone)]
pub(super) struct Wanted<'a> {
    pub(super) model: NicModel,
    pub(super) address: NicAddress,
    pub(super) mac: Mac,
    /// A kernel that takes the board over finds it anew.
    pub(super) replug_on_takeover: bool,
    /// QEMU goes on from a checkpoint.
    pub(super) takes_over: bool,
    pub(super) monitor: &'a Monitor,
    pub(super) timeline: &'a Timeline,
}

/// A handle on the board's network interface.
#[derive(Debug, Clone)]
pub(super) enum Adapter {
    Usb(usb::Control),
    Stream(Counters, Monitor),
}

/// What has passed through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Passed {
    /// Frames, both ways.
    pub(super) frames: u64,
    /// Bytes of those that the guest sent.
    pub(super) bytes_from_guest: u64,
}

/// The tasks that are the interface. Dropping them pulls it out.
pub(super) type Tasks = Vec<AbortOnDropHandle<()>>;

impl Adapter {
    /// Plugs it in, and the board's second one: `qemu` are QEMU's ends, `wires` the network's. Without QEMU's end it is never seen. Needs a tokio
    /// runtime.
    pub(super) fn connect(
        wanted: &Wanted<'_>,
        qemu: Vec<UnixStream>,
        wires: Wires,
    ) -> (Self, Tasks) {
        let mac = wanted.mac;
        match (wanted.model, wanted.address) {
            (NicModel::Lan9514, _) => usb(wanted, Lan9514::new(mac), qemu, wires.first),
            (NicModel::Lan7800, NicAddress::Eeprom) => {
                let device = Lan7800::new(StoredAddress::Eeprom(mac));
                usb(wanted, device, qemu, wires.first)
            }
            (NicModel::Lan7800, NicAddress::DeviceTree) => {
                usb(wanted, Lan7800::new(StoredAddress::None), qemu, wires.first)
            }
            (NicModel::Stream, _) => frames(wanted, qemu, wires),
        }
    }

    /// What has passed through it by now.
    pub(super) fn passed(&self) -> Passed {
        match self {
            Self::Usb(control) => {
                let statistics = control.statistics();
                Passed {
                    frames: statistics.frames_from_guest + statistics.frames_to_guest,
                    bytes_from_guest: statistics.bytes_from_guest,
                }
            }
            Self::Stream(counters, _) => Passed {
                frames: counters.frames_from_guest() + counters.frames_to_guest(),
                bytes_from_guest: counters.bytes_from_guest(),
            },
        }
    }

    /// The chip has lost its power for a moment. One of QEMU's own starts again with the machine.
    pub(super) fn starts_again(&self) {
        match self {
            Self::Usb(control) => control.replug(),
            Self::Stream(..) => {}
        }
    }

    /// Changes how the board is connected. An interface that is no USB adapter stays in the board.
    ///
    /// # Errors
    /// QEMU refuses.
    pub(super) async fn set_link(&self, state: LinkState) -> Result<(), MachineError> {
        match (self, state) {
            (Self::Usb(control), LinkState::Down) => control.set_link(false),
            (Self::Usb(control), LinkState::Up) => control.set_link(true),
            (Self::Usb(control), LinkState::Unplugged) => control.unplug(),
            (Self::Usb(control), LinkState::Plugged) => control.plug(),
            (Self::Stream(_, monitor), LinkState::Down | LinkState::Up) => {
                let up = state == LinkState::Up;
                let arguments = serde_json::json!({ "name": NETDEV, "up": up });
                monitor.execute("set_link", arguments).await?;
            }
            (Self::Stream(..), LinkState::Unplugged | LinkState::Plugged) => {}
        }
        Ok(())
    }
}

fn usb<D: UsbNic + Send + 'static>(
    wanted: &Wanted<'_>,
    device: D,
    qemu: Vec<UnixStream>,
    wire: WireEnd,
) -> (Adapter, Tasks) {
    let timeline = wanted.timeline;
    let mut session = usb::Session::new(device, wire, timeline.clone());
    if wanted.takes_over {
        session = session.taking_over();
    }
    let nic = session.control();
    let mut tasks = Tasks::new();
    if let Some(stream) = qemu.into_iter().next() {
        let log = timeline.clone();
        tasks.push(spawn(async move {
            if let Err(e) = session.run(stream).await {
                log.note("usb", format!("the USB session has failed: {e}"));
            }
        }));
        if wanted.replug_on_takeover {
            let monitor = wanted.monitor.clone();
            tasks.push(spawn(hand_over(monitor, nic.clone(), timeline.clone())));
        }
    }
    (Adapter::Usb(nic), tasks)
}

/// What passes through a second one is counted with the first one's.
fn frames(wanted: &Wanted<'_>, qemu: Vec<UnixStream>, wires: Wires) -> (Adapter, Tasks) {
    let counters = Counters::default();
    let mut tasks = Tasks::new();
    let wires = std::iter::once(wires.first).chain(wires.second);
    for (qemu, wire) in qemu.into_iter().zip(wires) {
        let (log, counters) = (wanted.timeline.clone(), counters.clone());
        tasks.push(spawn(async move {
            if let Err(e) = stream::run(qemu, wire, counters).await {
                log.note("network", e.to_string());
            }
        }));
    }
    (Adapter::Stream(counters, wanted.monitor.clone()), tasks)
}

fn spawn(task: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(task))
}

/// Plugs the NIC in again whenever a kernel takes the board over from its boot loader: the quirk `replug-on-takeover`.
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
