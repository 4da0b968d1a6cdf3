//! What lasts for the whole run: the network, the boards with their cards, and the working files. Boards are switched on and off in it.

use std::fs;
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use super::boot_files::{BootFiles, Source};
use super::in_run::BoardInRun;
use crate::board::Board;
use crate::checkpoint::{Checkpoint, Restored, Slot, Writer};
use crate::console::Expectations;
use crate::error::RunError;
use crate::evidence::keep_bucket;
use crate::folder::RunFolder;
use crate::input::DeploymentName;
use crate::mac::Mac;
use crate::plan::{Job, ProvisionedImage};
use crate::scenario::{ClientCertificate, Scenario};
use crate::scratch::{self, Scratch};
use crate::timeline::{BoardId, Event, Timeline};
use crate::world::{HostPorts, HostTarget, Network, SCRATCH, ServedBoard, Trust, read_card};

/// The card, which holds a private key, and other working files of a run, in the run's folder.
const WORK: &str = RunFolder::WORK;

/// Everything around the boards of a run, and the boards. Dropping it pulls all plugs and removes the working files.
pub(super) struct Around {
    pub(super) network: Network,
    pub(super) boards: Vec<BoardInRun>,
    /// Ports of this machine that lead to the first board on the LAN.
    _host_ports: HostPorts,
    restored: Option<Restored>,
    /// What the first boot of the first board goes on from.
    checkpoint: Option<Checkpoint>,
    /// Where the first board is kept for other runs, and the key of the run's authority.
    writes: Option<(Slot, String)>,
    writer: Option<AbortOnDropHandle<()>>,
    work: Scratch,
}

impl Around {
    /// Provisions the cards and starts the network, in a run's folder that has begun. The boards are off.
    ///
    /// # Errors
    /// The run cannot take place; nothing is left running.
    pub(super) fn start(job: &Job<'_>, timeline: &Timeline) -> Result<Self, RunError> {
        let in_folder = |source| RunError::Folder {
            path: job.folder.clone(),
            source,
        };
        if let Some(runs) = job.folder.parent() {
            scratch::sweep(scratch::entries(runs).map(|run| run.join(WORK)));
        }
        let scratch = Scratch::create(job.folder.join(WORK), job.keep).map_err(in_folder)?;
        let work = scratch.path();

        let image = job.parts.provisioned.as_ref();
        let members = job.members()?;
        if let ([_, _, ..], Some(_)) = (&*members, image) {
            return Err(job.several_boards("of the given image"));
        }
        let scenario = &scenario_of(job)?;
        let slot = Slot::of(job);
        let checkpoint = slot.as_ref().map(Slot::find).transpose()?.flatten();
        let (mac, trust) = match &checkpoint {
            Some(checkpoint) => {
                checkpoint.begin(timeline);
                let trust = Trust::of_authority(checkpoint.authority_key(), scenario)?;
                (Some(checkpoint.mac()), trust)
            }
            None => (job.extras.mac, Trust::generate(scenario, &[])?),
        };
        let trust = trust.with_client_certificate_of(image);
        // Those with a card of their own first: others boot from it in turn.
        let mut in_order: Vec<_> = members.iter().enumerate().collect();
        in_order.sort_by_key(|(_, member)| scenario.card_of(member.id.as_ref()).is_some());
        let mut made: Vec<(usize, BoardInRun, ServedBoard)> = Vec::new();
        for (place, member) in in_order {
            let (timeline, work) = match &member.id {
                None => (timeline.clone(), work.to_owned()),
                Some(id) => {
                    let own = work.join(id.to_string());
                    fs::create_dir(&own).map_err(in_folder)?;
                    (timeline.for_board(id.clone()), own)
                }
            };
            let mac = match mac {
                Some(mac) if place == 0 => mac,
                _ => random_mac(member.board)?,
            };
            let source = Source {
                board: member.board,
                parts: member.parts,
                start: &job.start,
                scenario,
                trust: &trust,
                place,
                is_behind: scenario.behind(member.id.as_ref()).is_some(),
                shares: scenario.card_of(member.id.as_ref()).and_then(|owner| {
                    let mut boards = made.iter().map(|(_, board, _)| board);
                    let owner = boards.find(|board| board.id().as_ref() == Some(owner))?;
                    Some(&owner.files)
                }),
                mac,
            };
            let files = BootFiles::prepare(&source, checkpoint.as_ref(), &work, &timeline)?;
            let of_scripts = match files.header_uart() {
                Some(uart) => member.board.with_header(uart),
                None => member.board.clone(),
            };
            let id = member.id.clone();
            let board = BoardInRun::new(member.board.clone(), timeline, mac, files);
            let served = ServedBoard::new(id, &of_scripts, mac, member.parts);
            made.push((place, board, served));
        }
        made.sort_by_key(|(place, ..)| *place);
        let made = made.into_iter().map(|(_, board, served)| (board, served));
        let (boards, served): (Vec<_>, Vec<_>) = made.unzip();
        for (assertion, _) in scenario.assertions().filter(|(_, can_be)| !can_be) {
            let of = assertion.service();
            let text = format!(
                "not checked, since nobody sees the requests of a forwarded {of} server: {}",
                assertion.name
            );
            timeline.note("journal", text);
        }
        let network = Network::start(scenario, served, image, &trust, work, timeline)?;
        let is_on_lan = |board: &&BoardInRun| scenario.behind(board.id().as_ref()).is_none();
        let first = boards.iter().find(is_on_lan).ok_or(RunError::Plug)?;
        let target = HostTarget {
            dialler: network.lan.dialler(),
            mac: first.mac,
            timeline: first.timeline.clone(),
        };
        let host_ports = HostPorts::open(&job.extras.forwards, &target)?;
        Ok(Self {
            network,
            boards,
            _host_ports: host_ports,
            restored: checkpoint.as_ref().map(Checkpoint::restored),
            writes: slot
                .filter(|_| checkpoint.is_none())
                .map(|slot| (slot, trust.authority.key_pem())),
            checkpoint,
            writer: None,
            work: scratch,
        })
    }

    /// What another run went through in place of this one, if one did.
    pub(super) fn restored(&self) -> Option<&Restored> {
        self.restored.as_ref()
    }

    /// The place of a board.
    ///
    /// # Errors
    /// The run has no such board.
    pub(super) fn place(&self, board: Option<&BoardId>) -> Result<usize, RunError> {
        let place = self.boards.iter().position(|b| b.id().as_ref() == board);
        place.ok_or(RunError::Plug)
    }

    /// The port of the power distribution unit that a board hangs on.
    ///
    /// # Errors
    /// The run has no such board.
    pub(super) fn port(&self, board: Option<&BoardId>) -> Result<u16, RunError> {
        u16::try_from(self.place(board)?).map_err(|_| RunError::Plug)
    }

    /// Starts the emulator of a board's next boot. It does not run yet.
    ///
    /// # Errors
    /// The emulator cannot be started.
    pub(super) async fn connect(
        &mut self,
        place: usize,
        job: &Job<'_>,
    ) -> Result<Expectations, RunError> {
        let board = self.boards.get_mut(place).ok_or(RunError::Plug)?;
        let checkpoint = self.checkpoint.take();
        let expectations = board
            .connect(job, &self.network, checkpoint.as_ref())
            .await?;
        if let (Some((slot, authority_key)), Some(on)) = (self.writes.take(), &board.on) {
            let writer = Writer {
                slot,
                monitor: on.machine.monitor().clone(),
                timeline: board.timeline.clone(),
                mac: board.mac,
                authority_key,
                card: board.files.overlay().to_owned(),
                run: job.folder.clone(),
            };
            self.writer = Some(writer.start());
        }
        Ok(expectations)
    }

    /// Switches what the boot server hands out to a board, from the next request on.
    ///
    /// # Errors
    /// The run has no such board.
    pub(super) fn deploy(&self, place: usize, name: &DeploymentName) -> Result<(), RunError> {
        let board = self.boards.get(place).ok_or(RunError::Plug)?;
        let handed_out = self.network.deployments.get(place);
        handed_out
            .ok_or(RunError::Plug)?
            .deploy(name, &board.timeline);
        Ok(())
    }

    /// Switches a board on whose emulator has been started, or lets it go on from where it stood.
    ///
    /// # Errors
    /// QEMU refuses.
    pub(super) async fn switch_on(&self, place: usize) -> Result<(), RunError> {
        let board = self.boards.get(place).ok_or(RunError::Plug)?;
        Ok(board.switch_on().await?)
    }

    /// A board starts again without its power having been away. `button`: the reset button is pressed.
    ///
    /// # Errors
    /// QEMU refuses.
    pub(super) async fn start_again(&mut self, place: usize, button: bool) -> Result<(), RunError> {
        let board = self.boards.get_mut(place).ok_or(RunError::Plug)?;
        Ok(board.start_again(button).await?)
    }

    /// A board's power is away for a moment.
    ///
    /// # Errors
    /// QEMU refuses.
    pub(super) async fn brown_cycle(
        &mut self,
        place: usize,
        off: Duration,
    ) -> Result<(), RunError> {
        let board = self.boards.get_mut(place).ok_or(RunError::Plug)?;
        Ok(board.brown_cycle(off).await?)
    }

    /// Takes a board's power away; everything around it stays. `mains`: without the power distribution unit.
    pub(super) async fn cut(&mut self, place: usize, mains: bool) {
        self.writer = None;
        if let Some(board) = self.boards.get_mut(place) {
            board.cut(mains).await;
        }
    }

    /// Reads the card of a board that is off, and puts what it holds onto the timeline.
    ///
    /// # Errors
    /// The run has no such board.
    pub(super) async fn read_card(
        &self,
        place: usize,
        scenario: &Scenario,
    ) -> Result<(), RunError> {
        let board = self.boards.get(place).ok_or(RunError::Plug)?;
        let Some(rules) = scenario.card.clone() else {
            return Ok(());
        };
        let base = board.files.card().to_owned();
        let overlay = board.files.overlay().to_owned();
        let read = tokio::task::spawn_blocking(move || read_card(&base, &overlay, &rules));
        // It does not panic, and is not aborted while the runtime lives.
        let card = read.await.map_err(|_| RunError::Plug)?;
        board.timeline.emit(Event::Card(card));
        Ok(())
    }

    /// Pulls all plugs, stops the network, and removes the working files unless they are kept. What the guests put into their bucket
    /// stays in the run's folder.
    ///
    /// # Errors
    /// The guests' files cannot be kept; everything is down all the same.
    pub(super) async fn shut_down(mut self) -> std::io::Result<()> {
        self.writer = None;
        for board in &mut self.boards {
            board.cut(false).await;
        }
        drop(self.network);
        let scratch = self.work.path().join(SCRATCH);
        let run = self.work.path().parent();
        let kept = run.map_or(Ok(()), |run| keep_bucket(&scratch, run));
        drop(self.work);
        kept
    }
}

/// A hardware address with the board's vendor prefix.
fn random_mac(board: &Board) -> Result<Mac, RunError> {
    let [a, b, c]: [u8; 3] = rand::random();
    let text = format!("{}:{a:02x}:{b:02x}:{c:02x}", board.nic.oui);
    text.parse().map_err(|_| RunError::Oui {
        board: board.name.to_string(),
        oui: board.nic.oui.clone(),
    })
}

/// The scenario, with the boot server that an image names.
fn scenario_of(job: &Job<'_>) -> Result<Scenario, RunError> {
    let mut scenario = job.scenario.clone();
    if let Some(image) = &job.parts.provisioned {
        if image.transport() != scenario.boot.transport {
            return Err(RunError::Transport {
                scenario: scenario.name.to_string(),
            });
        }
        if let ProvisionedImage::Https { server, .. } = image {
            if scenario.tls.client != ClientCertificate::Valid {
                return Err(RunError::ClientCertificate {
                    scenario: scenario.name.to_string(),
                });
            }
            scenario.boot.server = server.host().into();
        }
    }
    Ok(scenario)
}
