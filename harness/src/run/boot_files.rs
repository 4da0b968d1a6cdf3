//! What a board starts with, each time that it is switched on: its card, and what the firmware stage made of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::powered_board::{Boot, FaultyDisk, PoweredBoard};
use crate::board::{Board, Capability};
use crate::cable::impaired;
use crate::checkpoint::Checkpoint;
use crate::console::Expectations;
use crate::error::RunError;
use crate::fault::Faults;
use crate::firmware::{self, Handover};
use crate::folder::RunFolder;
use crate::image::boot::HeaderUart;
use crate::image::provision;
use crate::image::script::{BootSource, Identity};
use crate::image::source;
use crate::mac::Mac;
use crate::machine::{QemuProgram, create_overlay};
use crate::plan::{Job, Parts, ProvisionedImage, Start};
use crate::scenario::{Scenario, Transport};
use crate::timeline::{Event, Timeline};
use crate::world::{FaultPlaces, FaultyCard, Network, Trust, damage_card};
use shakedown_target::disk::Disk as _;

/// What a board starts with.
pub(super) struct BootFiles {
    qemu: QemuProgram,
    starts: Handover,
    /// The card as it was provisioned, and what the board has written to it since.
    card: PathBuf,
    overlay: PathBuf,
    /// Where on the card the scenario's faults are.
    places: FaultPlaces,
    /// What answers for the card, if it has faults, from its first boot on, in whichever board it is.
    faulty: Arc<OnceLock<Arc<Mutex<FaultyCard>>>>,
}

/// What a board's files are made of.
pub(super) struct Source<'a> {
    pub(super) board: &'a Board,
    pub(super) parts: &'a Parts,
    pub(super) start: &'a Start,
    pub(super) scenario: &'a Scenario,
    pub(super) trust: &'a Trust,
    /// Its place among the scenario's boards.
    pub(super) place: usize,
    /// It is behind another board.
    pub(super) is_behind: bool,
    /// The files of the board whose card it boots from, if it has none of its own.
    pub(super) shares: Option<&'a BootFiles>,
    pub(super) mac: Mac,
}

impl BootFiles {
    /// Provisions the card of a board, and lets the firmware stage read it. The files go to `work`.
    pub(super) fn prepare(
        source: &Source<'_>,
        checkpoint: Option<&Checkpoint>,
        work: &Path,
        timeline: &Timeline,
    ) -> Result<Self, RunError> {
        let Source {
            board,
            parts,
            start,
            scenario,
            trust,
            mac,
            shares,
            ..
        } = *source;
        let in_folder = |source| RunError::Folder {
            path: work.into(),
            source,
        };
        let image = parts.provisioned.as_ref();
        let (card, overlay, places) = match shares {
            Some(owner) => (
                owner.card.clone(),
                owner.overlay.clone(),
                owner.places.clone(),
            ),
            None => {
                let (card, overlay) = (work.join("card.img"), work.join("card.qcow2"));
                provision_card(source, &card)?;
                damage_card(&card, scenario, timeline)?;
                match checkpoint {
                    Some(checkpoint) => checkpoint.copy_card(&overlay)?,
                    None => create_overlay(&card, &overlay)?,
                }
                let places = FaultPlaces::find(&card, scenario, timeline.board().as_ref())?;
                (card, overlay, places)
            }
        };
        let faulty = shares.map(|owner| Arc::clone(&owner.faulty));
        let handover = firmware::start(&firmware::Input {
            board,
            scenario,
            parts,
            disk: &card,
            mac,
            folder: work,
        })?;
        if checkpoint.is_none() {
            for note in &handover.notes {
                timeline.note("firmware", note);
            }
        }
        // With a boot server of the user's own, all of this is tested.
        let untested = image.filter(|_| scenario.services.boot.is_played());
        for untested in untested.map(ProvisionedImage::untested).unwrap_or_default() {
            timeline.note("image", format!("not tested: {untested}"));
        }
        let initrd = work.join("initrd");
        if let Start::Direct { .. } = start {
            let mut bytes = fs::read(&parts.initramfs).map_err(in_folder)?;
            bytes.extend_from_slice(&trust.archive(&scenario.registry)?);
            fs::write(&initrd, bytes).map_err(in_folder)?;
        }
        let starts = match start {
            Start::Card => handover,
            Start::Direct { .. } => Handover {
                kernel: Some(parts.kernel.clone()),
                initrd: Some(initrd),
                // Kernels bring no firmware, and firmware would start the disk.
                flash: None,
                rom: None,
                ..handover
            },
        };
        Ok(Self {
            qemu: parts.qemu.clone(),
            starts,
            card,
            overlay,
            places,
            faulty: faulty.unwrap_or_default(),
        })
    }

    /// The card as it was provisioned.
    pub(super) fn card(&self) -> &Path {
        &self.card
    }

    /// What the board has written to its card since, over the card.
    pub(super) fn overlay(&self) -> &Path {
        &self.overlay
    }

    /// What the firmware has put on the header.
    pub(super) fn header_uart(&self) -> Option<HeaderUart> {
        self.starts.header
    }

    /// What the firmware stage says of itself.
    pub(super) fn firmware(&self) -> Event {
        self.starts.started.event()
    }

    /// The card has faults.
    pub(super) fn has_faulty_card(&self) -> bool {
        self.faulty.get().is_some()
    }

    /// The power is about to go away.
    pub(super) fn power_fails(&self) {
        self.with_faulty_card(FaultyCard::power_fails);
    }

    /// The power has gone away in the middle of what the board did.
    pub(super) fn lose_power(&self) {
        self.with_faulty_card(FaultyCard::loses_power);
    }

    fn with_faulty_card(&self, act: impl FnOnce(&mut FaultyCard)) {
        if let Some(card) = self.faulty.get() {
            act(&mut card.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// What answers for the card in the boot that begins; nothing if it has no faults.
    fn faulty_card(&self, faults: &Faults) -> Result<Option<FaultyDisk>, RunError> {
        if self.places.is_empty() {
            return Ok(None);
        }
        let disk = match self.faulty.get() {
            Some(disk) => Arc::clone(disk),
            None => {
                let (places, faults) = (self.places.clone(), faults.clone());
                let card = FaultyCard::new(&self.card, &self.overlay, places, faults)?;
                Arc::new(Mutex::new(card))
            }
        };
        let disk = Arc::clone(self.faulty.get_or_init(|| disk));
        let mut card = disk.lock().unwrap_or_else(PoisonError::into_inner);
        card.begin_boot(faults.clone());
        let read_only = card.is_read_only();
        drop(card);
        Ok(Some(FaultyDisk { disk, read_only }))
    }

    /// Starts the emulator with them, and connects console and NIC.
    pub(super) async fn connect(
        &self,
        job: &Job<'_>,
        board: &Board,
        mac: Mac,
        network: &Network,
        checkpoint: Option<&Checkpoint>,
        timeline: &Timeline,
    ) -> Result<(PoweredBoard, Expectations), RunError> {
        let faults = network.faults().of(timeline.clone());
        let id = timeline.board();
        let mut wires = network.plug_in(id.as_ref(), &board.called(id.as_ref()));
        let window = board
            .quirks
            .tcp_window
            .as_ref()
            .map(|quirk| quirk.bytes.get());
        wires.first = impaired(wires.first, faults.clone(), window);
        if checkpoint.is_none() {
            timeline.emit(self.firmware());
        }
        let faulty = self.faulty_card(&faults)?;
        let boot = Boot {
            starts: &self.starts,
            start: &job.start,
            card: &self.overlay,
            card_base: &self.card,
            gdb: job.extras.gdb,
            faulty,
            checkpoint,
        };
        let folder = RunFolder::of_board(&job.folder, id.as_ref());
        fs::create_dir_all(&folder).map_err(|source| RunError::Folder {
            path: folder.clone(),
            source,
        })?;
        PoweredBoard::connect(board, &self.qemu, &boot, mac, wires, &folder, timeline).await
    }
}

/// Makes the run's card: a prebuilt image gets an identity of its own, or none where DHCP says what to boot; one that was
/// provisioned already is left as it is, but trusts the run's CA in place of its own, unless its boot server is one outside of the run.
fn provision_card(source: &Source<'_>, card: &Path) -> Result<(), RunError> {
    let Source {
        board,
        parts,
        scenario,
        trust,
        place,
        is_behind,
        ..
    } = *source;
    let image = source::open(&parts.image)?;
    if board.lacks.contains_key(&Capability::Ipxe) {
        // Nothing on the disk has an identity.
        return Ok(image.save(card, 0o600)?);
    }
    if is_behind {
        // The board in front of it says what it boots.
        return Ok(provision::provision(&image, &BootSource::Dhcp, None, card)?);
    }
    let authority = trust.authority.certificate_der();
    if scenario.services.boot.forward().is_some() && scenario.boot.transport == Transport::Https {
        // Its own trust decides.
        return match &parts.provisioned {
            Some(_) => Ok(image.save(card, 0o600)?),
            None => Err(RunError::NotProvisioned),
        };
    }
    let boot = match (&parts.provisioned, scenario.boot.transport) {
        (Some(ProvisionedImage::Https { .. }), _) => {
            return Ok(provision::replace_trust(&image, authority, card)?);
        }
        (Some(ProvisionedImage::Dhcp), _) => return Ok(image.save(card, 0o600)?),
        (None, Transport::Https) => BootSource::Https {
            server: format!("https://{}", scenario.boot.server).parse()?,
            identity: trust.client(place).map(|client| Identity {
                certificate: client.certificate_der().to_vec(),
                private_key: client.key_pkcs8_der().secret_pkcs8_der().to_vec(),
            }),
            trusted_ca: authority.to_vec(),
        },
        (None, Transport::Http | Transport::Tftp) => BootSource::Dhcp,
    };
    Ok(provision::provision(&image, &boot, None, card)?)
}
