//! A board with everything around it, set up for one run and torn down with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::broadcast::error::RecvError;
use tokio_util::task::AbortOnDropHandle;

use super::powered_board::{Boot, PoweredBoard};
use crate::cable::impaired;
use crate::checkpoint::{Checkpoint, Restored, Slot, Writer};
use crate::console::{Console, Expectations};
use crate::error::RunError;
use crate::evidence::keep_bucket;
use crate::fault::Faults;
use crate::folder::RunFolder;
use crate::image::boot::device_tree::{self, DeviceTreeEdits};
use crate::image::boot::{self as firmware, HeaderUart};
use crate::image::config_txt::Hardware;
use crate::image::provision;
use crate::image::script::{BootSource, Identity};
use crate::image::source;
use crate::lan::Lan;
use crate::mac::Mac;
use crate::machine::{Machine, MachineError, create_overlay};
use crate::plan::{Job, ProvisionedImage, Start};
use crate::scenario::{ClientCertificate, Scenario, Transport};
use crate::scratch::{self, Scratch};
use crate::script::Activity;
use crate::services::Secrets;
use crate::timeline::{Event, Timeline};
use crate::usb;
use crate::world::{Network, SCRATCH, Trust, damage_card};

/// The card, which holds a private key, and other working files of a run, in the run's folder.
const WORK: &str = RunFolder::WORK;

/// A board that is ready to be switched on, with its network. Dropping it pulls the plug and removes the working files.
pub struct Live {
    on: PoweredBoard,
    network: Network,
    mac: Mac,
    work: Scratch,
    restored: Option<Restored>,
    files: BootFiles,
    _keeper: Option<AbortOnDropHandle<()>>,
}

/// What a board starts with, each time that it is switched on.
struct BootFiles {
    kernel: PathBuf,
    device_tree: PathBuf,
    initrd: Option<PathBuf>,
    /// The card as it was provisioned, and what the board has written to it since.
    card: PathBuf,
    overlay: PathBuf,
    /// What the firmware stage says of itself.
    firmware: Event,
}

impl BootFiles {
    /// Starts the emulator with them, and connects console and NIC.
    async fn connect(
        &self,
        job: &Job<'_>,
        mac: Mac,
        lan: &Lan,
        faults: &Faults,
        checkpoint: Option<&Checkpoint>,
        timeline: &Timeline,
    ) -> Result<(PoweredBoard, Expectations), RunError> {
        let wire = match faults.has_cable() {
            true => impaired(lan.attach(), faults.clone()),
            false => lan.attach(),
        };
        if checkpoint.is_none() {
            timeline.emit(self.firmware.clone());
        }
        let boot = Boot {
            kernel: &self.kernel,
            device_tree: &self.device_tree,
            start: &job.start,
            card: &self.overlay,
            card_base: &self.card,
            initrd: self.initrd.as_deref(),
            gdb: job.extras.gdb,
            checkpoint,
        };
        let (board, qemu) = (job.board, &job.parts.qemu);
        PoweredBoard::connect(board, qemu, &boot, mac, wire, &job.folder, timeline).await
    }
}

/// A board that was switched off, with everything around it.
pub(super) struct Off {
    network: Network,
    mac: Mac,
    work: Scratch,
    files: BootFiles,
}

impl Off {
    /// Connects the board again: its next boot. It does not run yet.
    ///
    /// # Errors
    /// The emulator cannot be started.
    pub(super) async fn connect(
        self,
        job: &Job<'_>,
        timeline: &Timeline,
    ) -> Result<(Live, Expectations), RunError> {
        timeline.begin_next_boot();
        self.network.boots.next();
        let connected = self.files.connect(
            job,
            self.mac,
            &self.network.lan,
            self.network.faults(),
            None,
            timeline,
        );
        let (on, expectations) = connected.await?;
        let live = Live {
            on,
            network: self.network,
            mac: self.mac,
            work: self.work,
            restored: None,
            files: self.files,
            _keeper: None,
        };
        Ok((live, expectations))
    }
}

impl Live {
    /// Makes the run's folder, provisions the card, starts network and emulator. The board does not run yet.
    ///
    /// # Errors
    /// The run cannot take slot; nothing is left running.
    pub async fn start(
        job: &Job<'_>,
        timeline: &Timeline,
    ) -> Result<(Self, Expectations), RunError> {
        let in_folder = |source| RunError::Folder {
            path: job.folder.clone(),
            source,
        };
        RunFolder::create(&job.folder).map_err(in_folder)?;
        if let Some(runs) = job.folder.parent() {
            scratch::sweep(scratch::entries(runs).map(|run| run.join(WORK)));
        }
        let scratch = Scratch::create(job.folder.join(WORK), job.keep).map_err(in_folder)?;
        let work = scratch.path();
        let identity = format!("scenario {}\nboard {}\n", job.scenario.name, job.board.name);
        fs::write(job.folder.join(RunFolder::IDENTITY), identity).map_err(in_folder)?;

        let image = job.parts.provisioned.as_ref();
        let scenario = &scenario_of(job)?;
        let slot = Slot::of(job);
        let checkpoint = slot.as_ref().map(Slot::find).transpose()?.flatten();
        let (mac, trust) = match &checkpoint {
            Some(checkpoint) => {
                checkpoint.begin(timeline);
                let trust = Trust::of_authority(checkpoint.authority_key(), scenario)?;
                (checkpoint.mac(), trust)
            }
            None => {
                let mac = job.extras.mac.map_or_else(|| random_mac(job), Ok)?;
                (mac, Trust::generate(scenario, &[])?)
            }
        };
        let trust = trust.with_client_certificate_of(image);
        let card = work.join("card.img");
        provision_card(job, &trust, &card)?;
        damage_card(&card, scenario, timeline)?;
        let overlay = work.join("card.qcow2");
        match &checkpoint {
            Some(checkpoint) => checkpoint.copy_card(&overlay)?,
            None => create_overlay(&card, &overlay)?,
        }

        let hardware = Hardware {
            model: job.board.firmware.model,
            serial: u32::from_be_bytes([0, mac.0[3], mac.0[4], mac.0[5]]),
        };
        let handover = firmware::start(&card, &hardware, work)?;
        if checkpoint.is_none() {
            for note in &handover.notes {
                timeline.note("firmware", note);
            }
        }
        if checkpoint.is_none() && handover.uart == HeaderUart::Pl011 {
            let text = "the overlay puts the PL011 on the header: Linux gets ttyAMA0, and what the mini UART says cannot be seen on a board";
            timeline.note("firmware", text);
        }
        // With a boot server of the user's own, all of this is tested.
        let untested = image.filter(|_| scenario.services.boot.is_played());
        for untested in untested.map(ProvisionedImage::untested).unwrap_or_default() {
            timeline.note("image", format!("not tested: {untested}"));
        }
        for (assertion, _) in scenario.assertions().filter(|(_, can_be)| !can_be) {
            let of = assertion.service();
            let text = format!(
                "not checked, since nobody sees the requests of a forwarded {of} server: {}",
                assertion.says
            );
            timeline.note("journal", text);
        }
        let device_tree = work.join("board.dtb");
        let tree = fs::read(&handover.device_tree).map_err(in_folder)?;
        let edits = DeviceTreeEdits {
            cores: Some(job.board.machine.enabled_cores as usize),
            bootargs: handover.cmdline.clone(),
            mac: (!scenario.firmware.leaves_address_out).then_some(mac.0),
            revision: job.board.firmware.revision,
            ..DeviceTreeEdits::default()
        };
        let tree = device_tree::edit(&tree, &edits)?;
        fs::write(&device_tree, tree).map_err(in_folder)?;
        let initrd = work.join("initrd");
        if let Start::Direct { .. } = job.start {
            let mut bytes = fs::read(&job.parts.initramfs).map_err(in_folder)?;
            bytes.extend_from_slice(&trust.archive(&scenario.registry)?);
            fs::write(&initrd, bytes).map_err(in_folder)?;
        }

        let of_scripts = job.board.with_header(handover.uart);
        let network = Network::start(
            scenario,
            &of_scripts,
            job.parts,
            &trust,
            mac,
            work,
            timeline,
        )?;
        let files = BootFiles {
            kernel: match job.start {
                Start::Card => handover.kernel.clone(),
                Start::Direct { .. } => job.parts.kernel.clone(),
            },
            device_tree,
            initrd: match job.start {
                Start::Card => handover.initramfs.clone(),
                Start::Direct { .. } => Some(initrd),
            },
            card,
            overlay,
            firmware: Event::Firmware {
                kernel: handover.kernel_name.clone(),
                device_tree: handover.device_tree_name.clone(),
            },
        };
        let connected = files.connect(
            job,
            mac,
            &network.lan,
            network.faults(),
            checkpoint.as_ref(),
            timeline,
        );
        let (on, expectations) = connected.await?;
        let writer = slot.filter(|_| checkpoint.is_none()).map(|slot| {
            let writer = Writer {
                slot,
                monitor: on.machine.monitor().clone(),
                timeline: timeline.clone(),
                mac,
                authority_key: trust.authority.key_pem(),
                card: files.overlay.clone(),
                run: job.folder.clone(),
            };
            writer.start()
        });
        let live = Self {
            on,
            network,
            mac,
            work: scratch,
            restored: checkpoint.map(Checkpoint::restored),
            files,
            _keeper: writer,
        };
        Ok((live, expectations))
    }

    /// Switches the board on, or lets it go on from where it stood.
    ///
    /// # Errors
    /// QEMU refuses.
    pub(super) async fn switch_on(&self) -> Result<(), MachineError> {
        match self.restored {
            Some(_) => self.machine().resume().await,
            None => self.machine().power_on().await,
        }
    }

    /// What another run went through in slot of this one, if one did.
    pub(super) fn restored(&self) -> Option<&Restored> {
        self.restored.as_ref()
    }

    /// The emulated machine.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.on.machine
    }

    /// The serial ports.
    #[must_use]
    pub fn console(&self) -> &Console {
        &self.on.console
    }

    /// The network that the board is on, for more servers than a scenario has.
    #[must_use]
    pub fn lan(&self) -> &Lan {
        &self.network.lan
    }

    /// The NIC's controls.
    #[must_use]
    pub fn nic(&self) -> usb::Control {
        self.on.nic.clone()
    }

    /// Reads the guest's signs of life: nothing that the harness does makes them grow. Needs a tokio runtime.
    pub(super) fn activity(&self) -> Box<dyn FnMut() -> Activity + Send> {
        let console = Arc::new(AtomicU64::new(0));
        let (count, mut from_board) = (Arc::clone(&console), self.console().subscribe());
        tokio::spawn(async move {
            loop {
                match from_board.recv().await {
                    Ok(chunk) => count.fetch_add(chunk.bytes.len() as u64, Ordering::Relaxed),
                    Err(RecvError::Lagged(chunks)) => count.fetch_add(chunks, Ordering::Relaxed),
                    Err(RecvError::Closed) => return,
                };
            }
        });
        let nic = self.nic();
        Box::new(move || {
            let statistics = nic.statistics();
            Activity {
                console: console.load(Ordering::Relaxed),
                frames: statistics.frames_from_guest + statistics.frames_to_guest,
                sent: statistics.bytes_from_guest,
                lines: 0,
                served: 0,
            }
        })
    }

    /// The board's hardware address.
    #[must_use]
    pub fn mac(&self) -> Mac {
        self.mac
    }

    /// What the container says if it is the registry's.
    #[must_use]
    pub fn nonce(&self) -> &str {
        &self.network.nonce
    }

    /// Digests of the container image's layers.
    #[must_use]
    pub fn layers(&self) -> &[String] {
        &self.network.layers
    }

    /// What decrypts the connections to the servers.
    #[must_use]
    pub fn secrets(&self) -> Secrets {
        self.network.secrets.clone()
    }

    /// Takes the board's power away; everything around it stays.
    pub(super) async fn cut(self) -> Off {
        let PoweredBoard {
            machine,
            console,
            nic,
            ..
        } = self.on;
        machine.power_off().await;
        // The NIC's port of the switch goes with them.
        drop((console, nic));
        Off {
            network: self.network,
            mac: self.mac,
            work: self.work,
            files: self.files,
        }
    }

    /// Pulls the plug, stops the network, and removes the working files unless they are to be kept. What the guest put into its bucket stays in the
    /// run's folder.
    ///
    /// # Errors
    /// The guest's files cannot be kept; everything is down all the same.
    pub async fn shut_down(self) -> std::io::Result<()> {
        self.on.machine.power_off().await;
        // What is still in the sockets belongs to the record.
        self.on.console.finish().await;
        drop(self.network);
        let scratch = self.work.path().join(SCRATCH);
        let run = self.work.path().parent();
        let kept = run.map_or(Ok(()), |run| keep_bucket(&scratch, run));
        drop(self.work);
        kept
    }
}

/// A hardware address with the board's vendor prefix.
fn random_mac(job: &Job<'_>) -> Result<Mac, RunError> {
    let [a, b, c]: [u8; 3] = rand::random();
    let text = format!("{}:{a:02x}:{b:02x}:{c:02x}", job.board.nic.oui);
    text.parse().map_err(|_| RunError::Oui {
        board: job.board.name.to_string(),
        oui: job.board.nic.oui.clone(),
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

/// Makes the run's card: a prebuilt image gets an identity of its own, or none where DHCP says what to boot; one that was
/// provisioned already is left as it is, but trusts the run's CA in place of its own, unless its boot server is one outside of the run.
fn provision_card(job: &Job<'_>, trust: &Trust, card: &Path) -> Result<(), RunError> {
    let image = source::open(&job.parts.image)?;
    let authority = trust.authority.certificate_der();
    let services = &job.scenario.services;
    if services.boot.forward().is_some() && job.scenario.boot.transport == Transport::Https {
        // Its own trust decides.
        return match &job.parts.provisioned {
            Some(_) => Ok(image.save(card, 0o600)?),
            None => Err(RunError::NotProvisioned),
        };
    }
    let boot = match (&job.parts.provisioned, job.scenario.boot.transport) {
        (Some(ProvisionedImage::Https { .. }), _) => {
            return Ok(provision::replace_trust(&image, authority, card)?);
        }
        (Some(ProvisionedImage::Dhcp), _) => return Ok(image.save(card, 0o600)?),
        (None, Transport::Https) => BootSource::Https {
            server: format!("https://{}", job.scenario.boot.server).parse()?,
            identity: trust.client.as_ref().map(|client| Identity {
                certificate: client.certificate_der().to_vec(),
                private_key: client.key_pkcs8_der().secret_pkcs8_der().to_vec(),
            }),
            trusted_ca: authority.to_vec(),
        },
        (None, Transport::Http | Transport::Tftp) => BootSource::Dhcp,
    };
    Ok(provision::provision(&image, &boot, None, card)?)
}
