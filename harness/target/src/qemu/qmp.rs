//! A client of the QEMU Machine Protocol over a stream.
//!
//! Source: QEMU's docs/interop/qmp-spec: one JSON object a line; a greeting, then `qmp_capabilities`, then commands whose answers carry
//! their `id`, and events in between.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::MachineError;

/// The longest wait for an answer. QEMU answers in milliseconds, unless its main loop is stuck.
const ANSWER: Duration = Duration::from_secs(60);

/// An asynchronous message of QEMU.
#[derive(Debug, Clone, PartialEq)]
pub struct QmpEvent {
    /// For example `SHUTDOWN`.
    pub name: String,
    /// Its data, for example `{"guest": true, "reason": "guest-shutdown"}`.
    pub data: Value,
}

/// The monitor of a running QEMU. Clones share the connection.
#[derive(Clone)]
pub struct Monitor {
    /// To the task that writes, so that a command whose caller gives up is still written as a whole line.
    commands: mpsc::UnboundedSender<String>,
    waiting: Arc<Mutex<Waiting>>,
    next_id: Arc<AtomicU64>,
}

/// Who waits for which answer; `None` once the connection has ended.
type Waiting = Option<HashMap<u64, oneshot::Sender<Result<Value, String>>>>;

impl Monitor {
    /// Negotiates over `stream`; events come on the channel until QEMU closes the connection.
    ///
    /// # Errors
    /// The other side does not greet as QMP does, or refuses the negotiation.
    pub async fn connect<S>(
        stream: S,
    ) -> Result<(Self, mpsc::UnboundedReceiver<QmpEvent>), MachineError>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (reader, mut writer) = tokio::io::split(stream);
        let mut lines = BufReader::new(reader).lines();
        let greeting = timeout(ANSWER, lines.next_line())
            .await
            .map_err(|_| MachineError::Monitor(late("its greeting")))?
            .map_err(|e| MachineError::Monitor(e.to_string()))?
            .unwrap_or_default();
        let is_qmp = serde_json::from_str::<Value>(&greeting).is_ok_and(|v| v.get("QMP").is_some());
        if !is_qmp {
            return Err(MachineError::Monitor(format!(
                "no QMP greeting but `{greeting}`"
            )));
        }
        let (commands, mut to_write) = mpsc::unbounded_channel::<String>();
        tokio::spawn(async move {
            while let Some(line) = to_write.recv().await {
                if writer.write_all(line.as_bytes()).await.is_err() {
                    return;
                }
            }
        });
        let monitor = Self {
            commands,
            waiting: Arc::new(Mutex::new(Some(HashMap::new()))),
            next_id: Arc::new(AtomicU64::new(1)),
        };
        let (events_tx, events) = mpsc::unbounded_channel();
        let waiting = Arc::clone(&monitor.waiting);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                dispatch(&line, &waiting, &events_tx);
            }
            // Dropping the senders fails every command that still waits.
            waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
        });
        monitor.execute("qmp_capabilities", json!({})).await?;
        Ok((monitor, events))
    }

    /// Executes a command and returns its answer.
    ///
    /// # Errors
    /// QEMU refuses the command, does not answer within a minute, or the connection has ended.
    pub async fn execute(&self, command: &str, arguments: Value) -> Result<Value, MachineError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let gone = || {
            MachineError::Monitor(format!(
                "the connection ended before {command} was answered"
            ))
        };
        let (answer_tx, answer) = oneshot::channel();
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_mut()
            .ok_or_else(gone)?
            .insert(id, answer_tx);
        let mut line = json!({ "execute": command, "arguments": arguments, "id": id }).to_string();
        line.push('\n');
        self.commands.send(line).map_err(|_| gone())?;
        timeout(ANSWER, answer)
            .await
            .map_err(|_| MachineError::Monitor(late(command)))?
            .map_err(|_| gone())?
            .map_err(|description| MachineError::Refused {
                command: command.into(),
                description,
            })
    }
}

impl Monitor {
    /// Makes the machine stand still: its clock stops too.
    ///
    /// # Errors
    /// As for [`execute`](Self::execute).
    pub async fn pause(&self) -> Result<(), MachineError> {
        self.execute("stop", json!({})).await.map(drop)
    }

    /// Lets the machine go on.
    ///
    /// # Errors
    /// As for [`execute`](Self::execute).
    pub async fn resume(&self) -> Result<(), MachineError> {
        self.execute("cont", json!({})).await.map(drop)
    }

    /// Executes a line of the monitor for people, for what QMP has no command for, and returns what it says.
    ///
    /// # Errors
    /// As for [`execute`](Self::execute).
    pub async fn human(&self, line: &str) -> Result<String, MachineError> {
        let arguments = json!({ "command-line": line });
        let answer = self.execute("human-monitor-command", arguments).await?;
        Ok(answer.as_str().unwrap_or_default().to_owned())
    }
}

impl std::fmt::Debug for Monitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Monitor").finish_non_exhaustive()
    }
}

fn late(what: &str) -> String {
    format!(
        "no answer to {what} within {} s: QEMU hangs",
        ANSWER.as_secs()
    )
}

/// Hands a line of QEMU to whom it concerns; lines that are not QMP are passed over.
fn dispatch(line: &str, waiting: &Mutex<Waiting>, events: &mpsc::UnboundedSender<QmpEvent>) {
    let Ok(mut message) = serde_json::from_str::<Value>(line) else {
        return;
    };
    if let Some(name) = message.get("event").and_then(Value::as_str) {
        let name = name.to_owned();
        let data = message.get_mut("data").map(Value::take).unwrap_or_default();
        // Nobody may be listening any more.
        let _ = events.send(QmpEvent { name, data });
        return;
    }
    let Some(id) = message.get("id").and_then(Value::as_u64) else {
        return;
    };
    let sender = waiting
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .as_mut()
        .and_then(|w| w.remove(&id));
    if let Some(sender) = sender {
        let answer = match message.get_mut("return") {
            Some(value) => Ok(value.take()),
            None => Err(message["error"]["desc"]
                .as_str()
                .unwrap_or("no reason given")
                .to_owned()),
        };
        let _ = sender.send(answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A QEMU that greets, answers `quit` with an error, everything else with its own name, and sends an event first.
    async fn qemu(stream: tokio::io::DuplexStream) {
        let (reader, mut writer) = tokio::io::split(stream);
        writer
            .write_all(b"{\"QMP\": {\"version\": {}}}\r\n")
            .await
            .unwrap();
        let mut lines = BufReader::new(reader).lines();
        while let Some(line) = lines.next_line().await.unwrap() {
            let request: Value = serde_json::from_str(&line).unwrap();
            let id = &request["id"];
            let answer = match request["execute"].as_str().unwrap() {
                "quit" => {
                    json!({ "error": { "class": "GenericError", "desc": "not now" }, "id": id })
                }
                name => json!({ "return": name, "id": id }),
            };
            let event = json!({ "event": "RESUME", "data": { "n": id }, "timestamp": {} });
            writer
                .write_all(format!("{event}\nnot json\n{answer}\n").as_bytes())
                .await
                .unwrap();
        }
    }

    #[tokio::test]
    async fn answers_and_events_find_their_way() {
        let (ours, theirs) = tokio::io::duplex(4096);
        tokio::spawn(qemu(theirs));
        let (monitor, mut events) = Monitor::connect(ours).await.unwrap();
        assert_eq!(monitor.execute("cont", json!({})).await.unwrap(), "cont");
        let error = monitor.execute("quit", json!({})).await.unwrap_err();
        assert_eq!(error.to_string(), "QEMU refused quit: not now");
        assert_eq!(events.recv().await.unwrap().name, "RESUME");
    }

    #[tokio::test]
    async fn a_lost_connection_fails_the_command_that_waits() {
        let (ours, mut theirs) = tokio::io::duplex(4096);
        let connect = tokio::spawn(Monitor::connect(ours));
        theirs.write_all(b"{\"QMP\": {}}\n").await.unwrap();
        drop(theirs);
        let error = connect.await.unwrap().unwrap_err();
        assert!(error.to_string().contains("qmp_capabilities"), "{error}");
    }

    #[tokio::test]
    async fn another_protocol_is_named() {
        let (ours, mut theirs) = tokio::io::duplex(4096);
        theirs.write_all(b"SSH-2.0-OpenSSH\r\n").await.unwrap();
        let error = Monitor::connect(ours).await.unwrap_err();
        assert!(error.to_string().contains("SSH-2.0"), "{error}");
    }
}
