//! What is recorded beside the timeline while a board runs: every frame, and what its screen shows.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::capture::{CAPTURE_FILE, Capture};
use super::screens::Screens;
use crate::lan::Lan;
use crate::machine::Monitor;
use crate::services::Secrets;
use crate::timeline::Timeline;

/// The recording of one run.
#[derive(Debug)]
pub(crate) struct Recording {
    capture: Capture,
    capture_file: PathBuf,
    screens: Screens,
    timeline: Timeline,
}

impl Recording {
    /// Begins a recording into `folder`, of boards that are off. Needs a tokio runtime.
    pub(crate) fn start(
        lan: &Lan,
        secrets: Secrets,
        folder: &Path,
        timeline: &Timeline,
    ) -> io::Result<Self> {
        let capture_file = folder.join(CAPTURE_FILE);
        Ok(Self {
            capture: Capture::start(lan, secrets, &capture_file, timeline)?,
            capture_file,
            screens: Screens::start(folder),
            timeline: timeline.clone(),
        })
    }

    /// A board is on: its screen is watched through `monitor`, and `timeline` is its part of the timeline.
    pub(crate) fn watch(&mut self, monitor: Monitor, timeline: &Timeline) {
        self.screens.watch(monitor, timeline.clone());
    }

    /// Takes the last picture, before the plug is pulled.
    pub(crate) async fn end_of_run(&mut self) {
        self.screens.last().await;
    }

    /// Closes the capture, after the network has been stopped. That of a run that passed is large and tells nothing new, hence
    /// `dispensable`.
    pub(crate) async fn finish(self, dispensable: bool) {
        let note = |text: String| self.timeline.note("run", text);
        match self.capture.finish().await {
            Ok(0) => {}
            Ok(missing) => note(format!("the capture misses {missing} frames")),
            Err(e) => note(format!("the capture is not whole: {e}")),
        }
        if dispensable && let Err(e) = fs::remove_file(&self.capture_file) {
            note(format!(
                "cannot remove {}: {e}",
                self.capture_file.display()
            ));
        }
    }
}
