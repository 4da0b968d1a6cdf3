//! Makes checkpoints.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tokio_util::task::AbortOnDropHandle;

use super::{BOARD, CARD, MEMORY, Saved, Slot};
use crate::mac::Mac;
use crate::machine::{MachineError, Monitor, freeze, save_memory};
use crate::report::StageTime;
use crate::scratch;
use crate::timeline::{Cursor, Event, LinkEvent, Record, Timeline};

/// So many checkpoints are kept, of 250 MB each: those that were used last.
const KEPT: usize = 8;

/// Makes a checkpoint when its stage is reached.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) slot: Slot,
    pub(crate) monitor: Monitor,
    pub(crate) timeline: Timeline,
    pub(crate) mac: Mac,
    pub(crate) authority_key: String,
    /// The card's overlay.
    pub(crate) card: PathBuf,
    /// The folder of the run.
    pub(crate) run: PathBuf,
}

impl Writer {
    /// Waits for the stage. The board stands still while it is written, which its clock does not notice. Needs a tokio runtime.
    pub(crate) fn start(self) -> AbortOnDropHandle<()> {
        AbortOnDropHandle::new(tokio::spawn(async move {
            let mut cursor = Cursor::default();
            let is_reached = |r: &Record| matches!(&r.event, Event::Stage { name, .. } if *name == self.slot.stage);
            self.timeline.wait_for(&mut cursor, is_reached).await;
            let text = match self.keep().await {
                Ok(()) => "a checkpoint of the board is kept for other runs".into(),
                Err(why) => format!("there is no checkpoint of the board: {why}"),
            };
            self.timeline.note("run", text);
        }))
    }

    async fn keep(&self) -> Result<(), NotKept> {
        freeze(&self.monitor, &self.slot.registers).await?;
        let kept = self.write().await;
        self.monitor.resume().await?;
        kept
    }

    async fn write(&self) -> Result<(), NotKept> {
        let root = self.slot.folder.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(root)?;
        // For nobody else to read: there is a private key in it.
        let folder = tempfile::Builder::new().prefix(".new-").tempdir_in(root)?;
        let path = |name| folder.path().join(name);
        let at = self.timeline.elapsed();
        save_memory(&self.monitor, &path(MEMORY)).await?;
        fs::copy(&self.card, path(CARD))?;
        // By now everything is here that the guest had sent before it stood still.
        let records = self.timeline.snapshot();
        if !is_nic_untouched(&records) {
            return Err(NotKept::Touched);
        }
        let run = self.run.file_name().unwrap_or_default();
        let saved = Saved {
            run: run.to_string_lossy().into_owned(),
            mac: self.mac,
            authority_key: self.authority_key.clone(),
            at,
            stages: stages(&records),
            records: records.into_iter().filter(is_of_the_board).collect(),
        };
        fs::write(
            path(BOARD),
            serde_json::to_vec(&saved).map_err(io::Error::other)?,
        )?;
        match fs::rename(folder.path(), &self.slot.folder) {
            // Another run was quicker.
            Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => return Ok(()),
            renamed => renamed?,
        }
        let _ = folder.keep();
        Ok(remove_the_oldest(root, KEPT)?)
    }
}

/// Why there is no checkpoint, which is no reason for a run to fail.
#[derive(Debug, thiserror::Error)]
enum NotKept {
    #[error(transparent)]
    Machine(#[from] MachineError),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("it had begun to use its NIC")]
    Touched,
}

/// The guest has done nothing to the NIC since it was plugged in; its driver resets its port first.
fn is_nic_untouched(records: &[Record]) -> bool {
    let last = records.iter().rev().find_map(|r| match r.event {
        Event::Usb { link } => Some(link),
        _ => None,
    });
    last == Some(LinkEvent::Plugged)
}

/// It happened to the board, and was no judgement or picture of its run.
fn is_of_the_board(record: &Record) -> bool {
    !matches!(record.event, Event::Stage { .. } | Event::Screenshot { .. })
}

/// The stages that were reached, as a run has them that goes on from there.
fn stages(records: &[Record]) -> Vec<StageTime> {
    let mut last = 0.0;
    let reached = records.iter().filter_map(|r| match &r.event {
        Event::Stage { name, reached } => Some((name, reached.as_secs_f64())),
        _ => None,
    });
    let stage = |(name, reached): (&String, f64)| StageTime {
        name: name.clone(),
        reached,
        took: reached - std::mem::replace(&mut last, reached),
        cpu: None,
        restored: true,
    };
    reached.map(stage).collect()
}

/// Removes all checkpoints but `kept`, and what killed runs have left of others.
fn remove_the_oldest(root: &Path, kept: usize) -> io::Result<()> {
    let mut all: Vec<_> = scratch::entries(root)
        .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
        .collect();
    all.sort();
    let surplus = all.len().saturating_sub(kept);
    for (_, path) in all.into_iter().take(surplus) {
        fs::remove_dir_all(path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    fn records(events: &[Event]) -> Vec<Record> {
        let record = |event: &Event| Record::new(Duration::ZERO, event.clone());
        events.iter().map(record).collect()
    }

    #[test]
    fn a_guest_that_resets_the_port_has_begun_to_use_its_nic() {
        let usb = |link| Event::Usb { link };
        let line = Event::Serial {
            uart: 1,
            line: "Run /init as init process".into(),
        };
        let of_the_loader = [LinkEvent::Plugged, LinkEvent::Reset, LinkEvent::Started].map(usb);
        let of_the_kernel = [usb(LinkEvent::Unplugged), usb(LinkEvent::Plugged), line];
        let mut events = of_the_loader.to_vec();
        assert!(!is_nic_untouched(&records(&events)));
        events.extend(of_the_kernel);
        assert!(is_nic_untouched(&records(&events)));
        events.push(usb(LinkEvent::Reset));
        assert!(!is_nic_untouched(&records(&events)));
    }

    #[test]
    fn stages_have_their_times_and_are_marked() {
        let stage = |name: &str, seconds| Event::Stage {
            name: name.into(),
            reached: Duration::from_secs(seconds),
        };
        let stages = stages(&records(&[stage("U-Boot", 1), stage("iPXE", 3)]));
        let seen = stages.iter().map(|s| (&*s.name, s.reached, s.took));
        assert!(seen.eq([("U-Boot", 1.0, 1.0), ("iPXE", 3.0, 2.0)]));
        assert!(stages.iter().all(|s| s.restored && s.cpu.is_none()));
    }

    #[test]
    fn those_that_were_used_last_are_kept() {
        let root = tempfile::tempdir().unwrap();
        for (age, name) in ["new", "old", "older", "oldest"].into_iter().enumerate() {
            let path = root.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::write(path.join(MEMORY), "").unwrap();
            let then = SystemTime::now() - Duration::from_secs(60 * age as u64);
            fs::File::open(&path).unwrap().set_modified(then).unwrap();
        }
        remove_the_oldest(root.path(), 2).unwrap();
        let mut left: Vec<_> = scratch::entries(root.path()).collect();
        left.sort();
        assert_eq!(left, ["new", "old"].map(|name| root.path().join(name)));
    }
}
