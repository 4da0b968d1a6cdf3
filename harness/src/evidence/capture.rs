//! The capture of a run: every frame on the LAN and on the segments beside it, in a file that Wireshark opens and decrypts, and their bytes on the timeline.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::task::AbortOnDropHandle;

use super::traffic::Meter;
use crate::folder::RunFolder;
use crate::lan::{Direction, Lan, Observed};
use crate::pcapng::{self, Interface, Writer};
use crate::services::Secrets;
use crate::timeline::Timeline;

/// Name of the capture in a run's folder.
pub const CAPTURE_FILE: &str = RunFolder::CAPTURE;

/// The most that a capture may hold, in bytes of frames; a guest can send any number.
const MOST: u64 = 512 << 20;

/// A capture that goes on until its LAN is gone.
#[derive(Debug)]
pub struct Capture(AbortOnDropHandle<io::Result<u64>>);

impl Capture {
    /// Begins a capture of `lan` at `path`. `secrets` decrypt what its servers say. Needs a tokio runtime.
    ///
    /// # Errors
    /// The file cannot be written to.
    pub fn start(
        lan: &Lan,
        secrets: Secrets,
        path: &Path,
        timeline: &Timeline,
    ) -> io::Result<Self> {
        let writer = Writer::new(BufWriter::with_capacity(1 << 18, File::create(path)?))?;
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let started = since_epoch.saturating_sub(timeline.elapsed());
        let task = record(
            lan.observe(),
            secrets,
            writer,
            started,
            Meter::new(timeline.clone()),
        );
        Ok(Self(AbortOnDropHandle::new(tokio::spawn(task))))
    }

    /// Waits until the LAN is gone and everything is in the file. Returns how many frames are missing, which are those that
    /// came too fast for this host.
    ///
    /// # Errors
    /// The file could not be written to.
    pub async fn finish(self) -> io::Result<u64> {
        self.0.await.map_err(io::Error::other)?
    }
}

async fn record(
    mut frames: broadcast::Receiver<Observed>,
    secrets: Secrets,
    mut writer: Writer<BufWriter<File>>,
    started: Duration,
    mut meter: Meter,
) -> io::Result<u64> {
    let mut missing = 0;
    let mut written = 0;
    let mut comment = None;
    loop {
        let observed = tokio::select! {
            observed = frames.recv() => observed,
            _ = meter.second() => {
                meter.tell();
                continue;
            }
        };
        let lines = secrets.take();
        if !lines.is_empty() {
            // What finds no room leaves its connection encrypted, and nothing else suffers.
            writer.secrets(&lines)?;
        }
        match observed {
            Ok(Observed {
                at,
                segment,
                port,
                who,
                direction,
                frame,
            }) => {
                meter.count(direction, frame.len());
                let direction = match direction {
                    Direction::FromGuest => pcapng::Direction::Inbound,
                    Direction::ToGuest => pcapng::Direction::Outbound,
                };
                if written > MOST {
                    missing += 1;
                    continue;
                }
                written += frame.len() as u64;
                let comment = comment.take();
                let interface = Interface {
                    segment: &segment,
                    port,
                    who: &who,
                };
                writer.packet(
                    started + at,
                    interface,
                    direction,
                    &frame,
                    comment.as_deref(),
                )?;
            }
            Err(RecvError::Lagged(frames)) => {
                missing += frames;
                comment = Some(format!("{frames} frames before this one are missing"));
            }
            Err(RecvError::Closed) => {
                meter.tell();
                writer.flush()?;
                return Ok(missing);
            }
        }
    }
}
