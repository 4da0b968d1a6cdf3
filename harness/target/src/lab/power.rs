//! Switching a board's power by commands or by HTTP, and reading back whether it was done.
//!
//! An order that begins with `http://` is asked for (GET), as smart plugs want it; any other one is a command for the shell. The state is read back
//! because a plug that was not reached looks like a board that is silent.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1::handshake;
use hyper::header::HOST;
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use regex::Regex;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

use super::LabError;

/// Longest wait for a command or an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest wait until the state is what it should be.
const SETTLED: Duration = Duration::from_secs(15);
/// How often the state is read meanwhile.
const TURN: Duration = Duration::from_millis(250);
/// Largest answer in bytes.
const LARGEST: usize = 64 << 10;

/// How a board's power is switched.
#[derive(Debug, Clone)]
pub struct Power {
    /// The order that switches it on.
    pub on: String,
    /// The order that switches it off.
    pub off: String,
    /// The order whose answer says whether it is on, if there is one.
    pub state: Option<String>,
    /// What the answer matches when it is on, and does not when it is off.
    pub is_on: Regex,
    /// How long it stays off at least.
    pub least_off: Duration,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

impl Power {
    /// Switches the board on.
    ///
    /// # Errors
    /// The order fails, or the state read back is not on.
    pub async fn on(&self) -> Result<(), LabError> {
        self.switch(Switch::On, SETTLED).await
    }

    /// Switches the board off, and waits for the least time that it must stay off.
    ///
    /// # Errors
    /// The order fails, or the state read back is not off.
    pub async fn off(&self) -> Result<(), LabError> {
        self.switch(Switch::Off, SETTLED).await?;
        // What the supply's capacitors hold has to go.
        sleep(self.least_off).await;
        Ok(())
    }

    /// Switches, and waits `within` for the state to follow.
    async fn switch(&self, to: Switch, within: Duration) -> Result<(), LabError> {
        let (order, wanted) = match to {
            Switch::On => (&self.on, "on"),
            Switch::Off => (&self.off, "off"),
        };
        carry_out(order).await?;
        let Some(state) = &self.state else {
            return Ok(());
        };
        let begun = Instant::now();
        loop {
            let answer = carry_out(state).await?;
            if self.is_on.is_match(&answer) == (to == Switch::On) {
                return Ok(());
            }
            if begun.elapsed() >= within {
                return Err(LabError::ReadBack {
                    wanted,
                    state: state.clone(),
                    within,
                    answer,
                });
            }
            sleep(TURN).await;
        }
    }
}

/// Carries out an order and returns what it answers.
async fn carry_out(order: &str) -> Result<String, LabError> {
    let failed = |detail: String| LabError::Power {
        order: order.into(),
        detail,
    };
    let answer = async {
        match order.starts_with("http://") {
            true => get(order).await,
            false => shell(order).await,
        }
    };
    match timeout(PATIENCE, answer).await {
        Ok(answer) => answer.map_err(failed),
        Err(_) => Err(failed(format!("no answer within {} s", PATIENCE.as_secs()))),
    }
}

async fn shell(command: &str) -> Result<String, String> {
    let output = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|e| e.to_string())?;
    let text = |bytes: &[u8]| {
        let bytes = bytes.get(..LARGEST.min(bytes.len())).unwrap_or_default();
        String::from_utf8_lossy(bytes).trim().to_owned()
    };
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(format!("{}: {}", output.status, text(&output.stderr))),
    }
}

async fn get(address: &str) -> Result<String, String> {
    let told = |e: &dyn std::error::Error| e.to_string();
    let uri: Uri = address.parse().map_err(|e| told(&e))?;
    let host = uri.host().unwrap_or_default();
    let port = uri.port_u16().unwrap_or(80);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((bare, port)).await;
    let stream = stream.map_err(|e: io::Error| told(&e))?;
    let (mut sender, connection) = handshake(TokioIo::new(stream))
        .await
        .map_err(|e| told(&e))?;
    let connection = tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |p| p.as_str());
    let request = Request::get(path)
        .header(HOST, format!("{host}:{port}"))
        .body(Empty::<bytes::Bytes>::new())
        .map_err(|e| told(&e))?;
    let answer = sender.send_request(request).await.map_err(|e| told(&e))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), LARGEST).collect().await;
    let body = body.map_err(|e| e.to_string())?.to_bytes();
    connection.abort();
    let text = String::from_utf8_lossy(&body).into_owned();
    match status.is_success() {
        true => Ok(text),
        false => Err(format!("{status}: {}", text.trim())),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn power(on: String, off: String, state: Option<String>) -> Power {
        Power {
            on,
            off,
            state,
            is_on: Regex::new(r"(?i)\bon\b").unwrap(),
            least_off: Duration::ZERO,
        }
    }

    #[tokio::test]
    async fn commands_switch_and_the_state_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let plug = folder.path().join("plug").display().to_string();
        let state = format!("test -e {plug} && echo on || echo off");
        let good = power(
            format!("touch {plug}"),
            format!("rm -f {plug}"),
            Some(state.clone()),
        );
        good.on().await.unwrap();
        assert!(folder.path().join("plug").exists());
        good.off().await.unwrap();
        assert!(!folder.path().join("plug").exists());
        let broken = power("exit 3".into(), "true".into(), None);
        let error = broken.on().await.unwrap_err().to_string();
        assert!(error.contains("`exit 3`: exit status: 3"), "{error}");
    }

    #[tokio::test]
    async fn a_plug_that_does_nothing_is_found_out() {
        let idle = power("true".into(), "true".into(), Some("echo off".into()));
        idle.off().await.unwrap();
        let error = idle.switch(Switch::On, Duration::ZERO).await.unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("switched on and `echo off` says otherwise for 0 s: \"off\""),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_plug_is_switched_by_http() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let plug = tokio::spawn(async move {
            let (mut is_on, mut asked) = (false, Vec::new());
            for _ in 0..3 {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                let line = String::from_utf8(request).unwrap();
                let path = line.split(' ').nth(1).unwrap().to_owned();
                let (status, body) = match path.as_str() {
                    "/cm?cmnd=Power%20On" => {
                        is_on = true;
                        ("200 OK", "{}")
                    }
                    "/state" => ("200 OK", if is_on { "{\"POWER\":\"ON\"}" } else { "{}" }),
                    _ => ("500 Oops", "no such command"),
                };
                let length = body.len();
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}");
                stream.write_all(answer.as_bytes()).await.unwrap();
                asked.push(path);
            }
            asked
        });
        let power = power(
            format!("{base}/cm?cmnd=Power%20On"),
            format!("{base}/wrong"),
            Some(format!("{base}/state")),
        );
        power.on().await.unwrap();
        let error = power.off().await.unwrap_err().to_string();
        assert!(
            error.contains("500 Internal Server Error: no such command"),
            "{error}"
        );
        assert_eq!(
            plug.await.unwrap(),
            ["/cm?cmnd=Power%20On", "/state", "/wrong"]
        );
    }
}
