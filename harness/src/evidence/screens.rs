//! Pictures of the board's framebuffer, one when a stage has been reached and the screen looks as never before.
//!
//! Source: QEMU's QMP reference, `screendump`, whose format `png` QEMU has since 7.1.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::folder::RunFolder;
use crate::judge::label;
use crate::machine::{MachineError, Monitor};
use crate::timeline::{BoardId, Event, Record, Timeline};

/// Folder of the pictures below the run's own.
const FOLDER: &str = RunFolder::SCREENS;
/// Longest wait for a picture, of which the emulator makes one in milliseconds.
const LONGEST: Duration = Duration::from_secs(5);

/// The cameras of one run, one for each board that is on, at work until they are dropped.
#[derive(Debug)]
pub(crate) struct Screens {
    folder: PathBuf,
    done: CancellationToken,
    cameras: BTreeMap<Option<BoardId>, AbortOnDropHandle<()>>,
    kept: Kept,
}

/// The pictures that were kept. A cursor that blinks makes the same two again and again.
type Kept = Arc<Mutex<Vec<Vec<u8>>>>;

impl Screens {
    /// No board is on yet.
    pub(crate) fn start(folder: &Path) -> Self {
        Self {
            // QEMU has a working directory of its own.
            folder: std::path::absolute(folder).unwrap_or_else(|_| folder.into()),
            done: CancellationToken::new(),
            cameras: BTreeMap::new(),
            kept: Kept::default(),
        }
    }

    /// Photographs a board that is on at every stage of this boot. Needs a tokio runtime.
    pub(crate) fn watch(&mut self, monitor: Monitor, timeline: Timeline) {
        let board = timeline.board();
        let camera = Camera {
            folder: self.folder.clone(),
            monitor,
            timeline,
            kept: Arc::clone(&self.kept),
        };
        let task = AbortOnDropHandle::new(tokio::spawn(camera.run(self.done.clone())));
        self.cameras.insert(board, task);
    }

    /// Photographs each board once more, and no more after that.
    pub(crate) async fn last(&mut self) {
        self.done.cancel();
        for (_, task) in std::mem::take(&mut self.cameras) {
            // A panic has been reported on standard error; there is no picture then.
            let _ = task.await;
        }
    }
}

/// Takes pictures and keeps them.
struct Camera {
    folder: PathBuf,
    monitor: Monitor,
    timeline: Timeline,
    kept: Kept,
}

impl Camera {
    async fn run(mut self, done: CancellationToken) {
        let timeline = self.timeline.clone();
        let (mut cursor, board) = (timeline.end(), timeline.board());
        loop {
            let is_stage = |r: &Record| matches!(r.event, Event::Stage { .. }) && r.board == board;
            let record = tokio::select! {
                record = timeline.wait_for(&mut cursor, is_stage) => record,
                () = done.cancelled() => break,
            };
            if let Event::Stage { name, .. } = record.event
                && !self
                    .shoot(Some(&label(record.board.as_ref(), record.boot, &name)))
                    .await
            {
                // Where there was no picture there will be none until another emulator is started.
                return;
            }
        }
        self.shoot(None).await;
    }

    /// Photographs the screen as it is, after a stage or at the end of the run; `false` when there is none to be had.
    async fn shoot(&mut self, stage: Option<&str>) -> bool {
        match self.picture(stage).await {
            Ok(()) => true,
            Err(e) => {
                self.timeline.note("run", format!("no screenshot: {e}"));
                false
            }
        }
    }

    async fn picture(&mut self, stage: Option<&str>) -> Result<(), ScreenError> {
        let number = self.kept().len();
        let end = || label(self.timeline.board().as_ref(), 0, "end");
        let name = file_name(number, &stage.map_or_else(end, Into::into));
        let path = self.folder.join(&name);
        std::fs::create_dir_all(self.folder.join(FOLDER))?;
        let arguments = json!({ "filename": path, "format": "png" });
        let dump = self.monitor.execute("screendump", arguments);
        timeout(LONGEST, dump)
            .await
            .map_err(|_| ScreenError::Late)??;
        let picture = std::fs::read(&path)?;
        if self.kept().contains(&picture) {
            std::fs::remove_file(&path)?;
            return Ok(());
        }
        self.kept().push(picture);
        self.timeline.emit(Event::Screenshot {
            stage: stage.map(Into::into),
            file: name,
        });
        Ok(())
    }
}

impl Camera {
    fn kept(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
enum ScreenError {
    #[error(transparent)]
    Machine(#[from] MachineError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("the emulator did not take one within {} s", LONGEST.as_secs())]
    Late,
}

/// For example `screens/02-kernel-fetched.png`.
fn file_name(number: usize, stage: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let stage: String = stage.chars().map(plain).collect();
    format!("{FOLDER}/{number:02}-{}.png", stage.trim_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_makes_a_file_name() {
        assert_eq!(
            file_name(2, "kernel fetched"),
            "screens/02-kernel-fetched.png"
        );
        assert_eq!(file_name(11, "/init"), "screens/11-init.png");
    }
}
