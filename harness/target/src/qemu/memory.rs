//! The whole state of a machine but its card, to a file and back: what QEMU calls a migration.
//!
//! Source: QEMU's docs/devel/migration and its QMP reference; `file:` addresses are known since QEMU 8.2.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tokio::time::{sleep, timeout};

use super::{MachineError, Monitor};

/// How often QEMU is asked whether it is done. It takes a fifth of a second for 250 MB.
const LOOK: Duration = Duration::from_millis(20);
/// Bytes a second, more than any disk has; by default QEMU leaves room for others.
const BANDWIDTH: u64 = 1 << 34;
/// How long a guest is left to serve its interrupts, and how often. Most have none that waits.
const SERVE: Duration = Duration::from_millis(2);
const PATIENCE: u32 = 50;

/// Makes the machine stand still at a moment when it can be [saved](save_memory).
///
/// There are interrupt controllers of QEMU that do not save which interrupts are pending. One that is would never be served by the machine
/// that is made of the file: its timer would be silent for ever, say. `registers` are zero while none is pending.
///
/// # Errors
/// QEMU refuses, or the guest always has an interrupt pending. The machine runs on then.
pub async fn freeze(monitor: &Monitor, registers: &[u64]) -> Result<(), MachineError> {
    for _ in 0..PATIENCE {
        monitor.pause().await?;
        if !is_interrupt_pending(monitor, registers).await? {
            return Ok(());
        }
        monitor.resume().await?;
        sleep(SERVE).await;
    }
    Err(MachineError::NeverQuiet)
}

async fn is_interrupt_pending(monitor: &Monitor, registers: &[u64]) -> Result<bool, MachineError> {
    for register in registers {
        if monitor.read_word(*register).await? != Some(0) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Writes the state of a machine that was [frozen](freeze) to `file`.
///
/// # Errors
/// QEMU refuses, or cannot write the file.
pub async fn save_memory(monitor: &Monitor, file: &Path) -> Result<(), MachineError> {
    let arguments = json!({ "max-bandwidth": BANDWIDTH });
    monitor.execute("migrate-set-parameters", arguments).await?;
    migrate(monitor, "migrate", file).await
}

/// Reads the state of a machine from `file`, for a QEMU that was started to wait for it. The machine stands still then.
///
/// # Errors
/// QEMU cannot read the file, or has another machine than the one it was written by. QEMU has ended then.
pub(super) async fn load_memory(monitor: &Monitor, file: &Path) -> Result<(), MachineError> {
    migrate(monitor, "migrate-incoming", file).await
}

/// The longest that a machine may take to be written or read: 250 MB on a slow disk.
const LONGEST: Duration = Duration::from_secs(180);

async fn migrate(monitor: &Monitor, command: &str, file: &Path) -> Result<(), MachineError> {
    let moved = timeout(LONGEST, migrate_at_leisure(monitor, command, file)).await;
    moved.unwrap_or_else(|_| {
        Err(MachineError::Refused {
            command: command.into(),
            description: format!("it takes longer than {} s", LONGEST.as_secs()),
        })
    })
}

async fn migrate_at_leisure(
    monitor: &Monitor,
    command: &str,
    file: &Path,
) -> Result<(), MachineError> {
    let uri = format!("file:{}", file.display());
    monitor.execute(command, json!({ "uri": uri })).await?;
    loop {
        let state = monitor.execute("query-migrate", json!({})).await?;
        match state["status"].as_str() {
            Some("completed") => return Ok(()),
            Some("failed" | "cancelled") => {
                let description = state["error-desc"].as_str().unwrap_or("no reason given");
                return Err(MachineError::Refused {
                    command: command.into(),
                    description: description.into(),
                });
            }
            _ => sleep(LOOK).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};

    use super::*;

    /// A QEMU that takes two looks for a migration to `/good`, and cannot make any other.
    async fn qemu(stream: DuplexStream) {
        let (reader, mut writer) = tokio::io::split(stream);
        writer.write_all(b"{\"QMP\": {}}\n").await.unwrap();
        let mut lines = BufReader::new(reader).lines();
        let (mut good, mut looks) = (false, 0);
        while let Some(line) = lines.next_line().await.unwrap() {
            let request: serde_json::Value = serde_json::from_str(&line).unwrap();
            let answer = match request["execute"].as_str().unwrap() {
                "migrate" => {
                    good = request["arguments"]["uri"] == "file:/good";
                    json!({})
                }
                "query-migrate" => {
                    looks += 1;
                    match (good, looks) {
                        (_, 1) => json!({ "status": "active" }),
                        (true, _) => json!({ "status": "completed" }),
                        (false, _) => json!({ "status": "failed", "error-desc": "disk full" }),
                    }
                }
                _ => json!({}),
            };
            let answer = json!({ "return": answer, "id": request["id"] });
            let answer = format!("{answer}\n");
            writer.write_all(answer.as_bytes()).await.unwrap();
        }
    }

    async fn saved(file: &str) -> Result<(), MachineError> {
        let (ours, theirs) = tokio::io::duplex(4096);
        tokio::spawn(qemu(theirs));
        let (monitor, _events) = Monitor::connect(ours).await?;
        save_memory(&monitor, Path::new(file)).await
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_is_awaited_and_a_failure_has_its_reason() {
        saved("/good").await.unwrap();
        let error = saved("/full").await.unwrap_err();
        assert_eq!(error.to_string(), "QEMU refused migrate: disk full");
    }
}
