//! How far QEMU has written into the file of a disk's overlay: it grows by a cluster whenever the guest writes to a place that it had not
//! written to before.
//!
//! QEMU does not count what its SD card writes: `query-blockstats` says 0 of it, whatever the guest does. It does tell when a write to a
//! file goes beyond an offset (`block-set-write-threshold`), once for each time that it is asked. It looks when a write begins: one that is under way
//! just then is not told, and the next one is.

use std::path::PathBuf;

use serde_json::json;
use tokio::sync::watch;

use super::{MachineError, Monitor, QmpEvent};

/// What QEMU calls the file of the overlay.
pub(super) const NODE: &str = "disk-file";

/// The file of a disk's overlay, while QEMU writes to it.
#[derive(Debug, Clone)]
pub struct OverlayGrowth {
    monitor: Monitor,
    overlay: PathBuf,
    /// Where the write ended that QEMU told of last.
    told: watch::Receiver<u64>,
}

impl OverlayGrowth {
    pub(super) fn new(monitor: Monitor, overlay: PathBuf, told: watch::Receiver<u64>) -> Self {
        Self {
            monitor,
            overlay,
            told,
        }
    }

    /// The size of the file in bytes; 0 if it cannot be read, which QEMU, who has it open, reports by itself.
    #[must_use]
    pub fn size(&self) -> u64 {
        std::fs::metadata(&self.overlay).map_or(0, |found| found.len())
    }

    /// Waits until the file has at least `size` bytes, and returns how many it has. QEMU has one threshold: a later call takes it over.
    ///
    /// # Errors
    /// QEMU refuses, or has ended.
    pub async fn reaches(&mut self, size: u64) -> Result<u64, MachineError> {
        let arguments = json!({ "node-name": NODE, "write-threshold": size.saturating_sub(1) });
        self.monitor
            .execute("block-set-write-threshold", arguments)
            .await?;
        // It may have been so before QEMU was asked.
        let now = self.size();
        if now >= size {
            return Ok(now);
        }
        let told = self.told.wait_for(|end| *end >= size).await;
        told.map(|end| *end)
            .map_err(|_| MachineError::Monitor("QEMU has ended".into()))
    }
}

/// Where a write ended of which QEMU tells, if it does.
pub(super) fn end_of_write(event: &QmpEvent) -> Option<u64> {
    if event.name != "BLOCK_WRITE_THRESHOLD" || event.data["node-name"] != NODE {
        return None;
    }
    let [threshold, beyond] =
        ["write-threshold", "amount-exceeded"].map(|key| event.data[key].as_u64());
    Some(threshold?.saturating_add(beyond?))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

    use super::*;

    fn told(node: &str) -> QmpEvent {
        QmpEvent {
            name: "BLOCK_WRITE_THRESHOLD".into(),
            data: json!({ "node-name": node, "write-threshold": 262_151, "amount-exceeded": 65_529 }),
        }
    }

    #[test]
    fn qemu_tells_where_a_write_ended() {
        assert_eq!(end_of_write(&told(NODE)), Some(327_680));
        assert_eq!(end_of_write(&told("#block049")), None);
        let name = "BLOCK_IO_ERROR".into();
        let other = QmpEvent { name, ..told(NODE) };
        assert_eq!(end_of_write(&other), None);
    }

    #[tokio::test]
    async fn growth_is_told_by_qemu_or_had_come_before() {
        let (ours, theirs) = tokio::io::duplex(4096);
        let (asked, mut thresholds) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            let (reader, mut writer) = tokio::io::split(theirs);
            writer.write_all(b"{\"QMP\": {}}\n").await.unwrap();
            let mut lines = BufReader::new(reader).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let request: Value = serde_json::from_str(&line).unwrap();
                let _ = asked.send(request["arguments"]["write-threshold"].as_u64());
                let answer = json!({ "return": {}, "id": request["id"] });
                let _ = writer.write_all(format!("{answer}\n").as_bytes()).await;
            }
        });
        let (monitor, _events) = Monitor::connect(ours).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let overlay = folder.path().join("card.qcow2");
        std::fs::write(&overlay, [0; 1000]).unwrap();
        let (tell, told) = watch::channel(0);
        let mut growth = OverlayGrowth::new(monitor, overlay, told);
        assert_eq!(growth.size(), 1000);
        assert_eq!(growth.reaches(1000).await.unwrap(), 1000);
        let waiting = tokio::spawn(async move { growth.reaches(2000).await });
        while thresholds.recv().await.expect("the monitor is asked") != Some(1999) {}
        tell.send(1500).unwrap();
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(!waiting.is_finished());
        tell.send(2500).unwrap();
        assert_eq!(waiting.await.unwrap().unwrap(), 2500);
    }
}
