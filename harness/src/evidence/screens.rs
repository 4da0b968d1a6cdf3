//! Pictures of the board's framebuffer, one when a stage has been reached and the screen looks as never before.
//!
//! Source: QEMU's QMP reference, `screendump`, whose format `png` QEMU has since 7.1.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::folder::RunFolder;
use crate::judge::label;
use crate::machine::{MachineError, Monitor};
use crate::timeline::{Cursor, Event, Record, Timeline};

/// Folder of the pictures below the run's own.
const FOLDER: &str = RunFolder::SCREENS;
/// Longest wait for a picture, of which the emulator makes one in milliseconds.
const LONGEST: Duration = Duration::from_secs(5);

/// The camera of one run, at work until it is dropped.
#[derive(Debug)]
pub(crate) struct Screens {
    done: CancellationToken,
    monitor: watch::Sender<Monitor>,
    task: Option<AbortOnDropHandle<()>>,
}

impl Screens {
    /// Photographs at every stage. Needs a tokio runtime.
    pub(crate) fn start(folder: &Path, monitor: Monitor, timeline: Timeline) -> Self {
        let (sender, monitor) = watch::channel(monitor);
        let camera = Camera {
            // QEMU has a working directory of its own.
            folder: std::path::absolute(folder).unwrap_or_else(|_| folder.into()),
            monitor,
            timeline,
            kept: Vec::new(),
        };
        let done = CancellationToken::new();
        let task = tokio::spawn(camera.run(done.clone()));
        Self {
            done,
            monitor: sender,
            task: Some(AbortOnDropHandle::new(task)),
        }
    }

    /// The board has another emulator from now on.
    pub(crate) fn next_boot(&self, monitor: Monitor) {
        self.monitor.send_replace(monitor);
    }

    /// Photographs once more, and no more after that.
    pub(crate) async fn last(&mut self) {
        self.done.cancel();
        if let Some(task) = self.task.take() {
            // A panic has been reported on standard error; there is no picture then.
            let _ = task.await;
        }
    }
}

/// Takes pictures and keeps them.
struct Camera {
    folder: PathBuf,
    /// The emulator of the newest boot.
    monitor: watch::Receiver<Monitor>,
    timeline: Timeline,
    /// The pictures that were kept. A cursor that blinks makes the same two again and again.
    kept: Vec<Vec<u8>>,
}

impl Camera {
    async fn run(mut self, done: CancellationToken) {
        let mut cursor = Cursor::default();
        let timeline = self.timeline.clone();
        loop {
            let is_stage = |r: &Record| matches!(r.event, Event::Stage { .. });
            let record = tokio::select! {
                record = timeline.wait_for(&mut cursor, is_stage) => record,
                () = done.cancelled() => break,
            };
            if let Event::Stage { name, .. } = record.event
                && !self.shoot(Some(&label(record.boot, &name))).await
            {
                // Where there was no picture there will be none until another emulator is started.
                tokio::select! {
                    next = self.monitor.changed() => if next.is_err() { return },
                    () = done.cancelled() => return,
                }
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
        let name = file_name(self.kept.len(), stage.unwrap_or("end"));
        let path = self.folder.join(&name);
        std::fs::create_dir_all(self.folder.join(FOLDER))?;
        let arguments = json!({ "filename": path, "format": "png" });
        let monitor = self.monitor.borrow_and_update().clone();
        let dump = monitor.execute("screendump", arguments);
        timeout(LONGEST, dump)
            .await
            .map_err(|_| ScreenError::Late)??;
        let picture = std::fs::read(&path)?;
        if self.kept.contains(&picture) {
            std::fs::remove_file(&path)?;
            return Ok(());
        }
        self.kept.push(picture);
        self.timeline.emit(Event::Screenshot {
            stage: stage.map(Into::into),
            file: name,
        });
        Ok(())
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

/// As in `screens/02-kernel-fetched.png`.
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
