//! The task that joins a byte stream, a device and a network cable.

use std::io::ErrorKind;
use std::pin::pin;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::control::{Command, Control};
use super::device::Nic;
use super::error::{Ended, UsbError};
use super::handover::QUIET_RESET;
use super::port::Port;
use shakedown_base::timeline::Timeline;
use shakedown_base::wire::WireEnd;

/// Room made for each read, in bytes: QEMU's largest transfer and some.
const READ_ROOM: usize = 64 * 1024;
/// Answers that the guest has not fetched, in bytes, above which its requests wait.
const UNREAD_LIMIT: usize = 256 * 1024;

/// A device on its way into a guest. Make one per QEMU process; [`Self::run`] uses it up.
#[derive(Debug)]
pub struct Session<D> {
    port: Port<D>,
    wire: WireEnd,
    control: Control,
    commands: mpsc::UnboundedReceiver<Command>,
    greets: bool,
}

impl<D: Nic> Session<D> {
    /// A session for `device`, whose network cable is `wire`. What happens to the device goes onto `timeline`.
    #[must_use]
    pub fn new(device: D, wire: WireEnd, timeline: Timeline) -> Self {
        Self::with_quiet_reset(device, wire, timeline, QUIET_RESET)
    }

    /// As [`Self::new`], with a time of its own in place of [`QUIET_RESET`]: slow hosts may want a longer one.
    #[must_use]
    pub fn with_quiet_reset(device: D, wire: WireEnd, timeline: Timeline, quiet: Duration) -> Self {
        let (control, commands) = Control::new();
        Self {
            port: Port::new(device, quiet, timeline),
            wire,
            control,
            commands,
            greets: true,
        }
    }

    /// The same for a QEMU that goes on from a checkpoint: it exchanges no hellos, and its guest finds the device plugged in anew.
    #[must_use]
    pub fn taking_over(self) -> Self {
        Self {
            greets: false,
            ..self
        }
    }

    /// A handle that works before, during and after [`Self::run`].
    #[must_use]
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Says hello, plugs the device in, and serves until the stream ends. It waits for ever for a guest's hello, as QEMU sends none
    /// while it is paused: drop the future to give up.
    ///
    /// Each round reads what there is, answers what can be answered, and writes all answers at once.
    ///
    /// # Errors
    /// [`UsbError`] when the stream fails or carries something else than usbredir. A stream that breaks off is no error: that is how a
    /// QEMU that was killed looks.
    pub async fn run<S>(mut self, stream: S) -> Result<Ended, UsbError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let result = self.serve(stream).await;
        self.port.close();
        self.control.publish(self.port.statistics());
        match result {
            Err(UsbError::Stream(error)) if is_gone(error.kind()) => Ok(Ended::StreamClosed),
            other => other,
        }
    }

    async fn serve<S>(&mut self, stream: S) -> Result<Ended, UsbError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut input = BytesMut::with_capacity(READ_ROOM);
        let mut timer = pin!(sleep_until(Instant::now()));
        let mut network = true;
        while let Ok(command) = self.commands.try_recv() {
            self.port.command(command);
        }
        if self.greets {
            self.port.hello();
        } else {
            self.port.take_over();
        }
        loop {
            let deadline = self.port.deadline();
            if let Some(deadline) = deadline.filter(|&deadline| deadline != timer.deadline()) {
                timer.as_mut().reset(deadline);
            }
            let answers = !self.port.out.is_empty();
            let requests = self.port.out.len() < UNREAD_LIMIT;
            let frames = network && self.port.has_room();
            tokio::select! {
                biased;
                written = writer.write_buf(&mut self.port.out), if answers => {
                    if written? == 0 {
                        return Ok(Ended::StreamClosed);
                    }
                    // Nothing has changed that could be answered.
                    continue;
                }
                read = reader.read_buf(&mut input), if requests => {
                    if read? == 0 {
                        return Ok(Ended::StreamClosed);
                    }
                    self.port.read(&mut input, Instant::now())?;
                    input.reserve(READ_ROOM);
                }
                // After the guest's requests: one that is still unread when the device is pulled out goes unanswered.
                Some(command) = self.commands.recv() => self.port.command(command),
                frame = self.wire.recv(), if frames => match frame {
                    Some(frame) => self.port.receive(frame),
                    None => network = false,
                },
                () = &mut timer, if deadline.is_some() => {}
            }
            self.exchange();
        }
    }

    /// Moves frames both ways and answers what can be answered by now.
    fn exchange(&mut self) {
        while let Some(frame) = self.port.transmitted() {
            if !self.wire.send(frame) {
                self.port.lost_frame();
            }
        }
        // Whatever waits on the cable joins the answer, but nothing is waited for.
        while self.port.has_room() {
            let Some(frame) = self.wire.try_recv() else {
                break;
            };
            self.port.receive(frame);
        }
        self.port.settle(Instant::now());
        self.control.publish(self.port.statistics());
    }
}

/// The other side went away without a word, as a killed process does.
fn is_gone(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionReset
            | ErrorKind::BrokenPipe
            | ErrorKind::ConnectionAborted
            | ErrorKind::UnexpectedEof
    )
}
