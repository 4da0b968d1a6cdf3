//! A cable of the LAN into an interface of this machine, which a bridge joins with the port that the board is plugged into.
//!
//! Source: the kernel's Documentation/networking/tuntap.rst; netdevice(7).

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;

use bytes::Bytes;
use rustix::fs::OFlags;
use rustix::ioctl::{Opcode, Updater, ioctl, opcode};
use shakedown_base::wire::WireEnd;
use tokio::io::unix::AsyncFd;
use tokio_util::task::AbortOnDropHandle;

use super::LabError;

/// Room for the longest frame, with a VLAN tag.
const FRAME: usize = 1518;
/// Longest name of an interface, with its end.
const NAME: usize = 16;

/// A cable in a tap interface, until this is dropped.
#[derive(Debug)]
pub struct Tap {
    _task: AbortOnDropHandle<()>,
}

/// The part of `struct ifreq` that `TUNSETIFF` reads.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; NAME],
    flags: u16,
    rest: [u8; 22],
}

impl Tap {
    /// Plugs a cable of the LAN into the tap interface of this name. Needs a tokio runtime.
    ///
    /// # Errors
    /// There is no such interface that this user may use.
    pub fn plug_in(name: &str, wire: WireEnd) -> Result<Self, LabError> {
        let failed = |source| LabError::Tap {
            name: name.into(),
            source,
        };
        let tap = open(name).and_then(registered).map_err(failed)?;
        let task = tokio::spawn(async move {
            // An interface that goes takes the cable with it.
            let _ = carry(tap, wire).await;
        });
        Ok(Self {
            _task: AbortOnDropHandle::new(task),
        })
    }
}

fn open(name: &str) -> io::Result<File> {
    const TUNSETIFF: Opcode = opcode::write::<i32>(b'T', 202);
    const IFF_TAP: u16 = 0x0002;
    const IFF_NO_PI: u16 = 0x1000;
    let mut request = InterfaceRequest {
        name: [0; NAME],
        // Whole frames, nothing before them.
        flags: IFF_TAP | IFF_NO_PI,
        rest: [0; 22],
    };
    let is_name = (1..NAME).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
    let room = request.name.get_mut(..name.len()).filter(|_| is_name);
    let room = room.ok_or(io::Error::from(io::ErrorKind::InvalidInput))?;
    room.copy_from_slice(name.as_bytes());
    let tap = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open("/dev/net/tun")?;
    // SAFETY: the kernel reads, and writes the name back into, a whole `struct ifreq` of 40 bytes, which the request is.
    unsafe {
        let update = Updater::<TUNSETIFF, InterfaceRequest>::new(&mut request);
        ioctl(&tap, update)?;
    }
    Ok(tap)
}

fn registered(tap: File) -> io::Result<AsyncFd<File>> {
    // SAFETY: the file is owned and nobody else closes its descriptor.
    Ok(unsafe { AsyncFd::register(tap) }?)
}

async fn carry(tap: AsyncFd<File>, wire: WireEnd) -> io::Result<()> {
    let (to_lan, mut from_lan) = wire.split();
    let mut frame = vec![0; FRAME];
    loop {
        tokio::select! {
            ready = tap.readable() => {
                if let Ok(length) = ready?.try_io(|tap| tap.get_ref().read(&mut frame)) {
                    let bytes = frame.get(..length?).unwrap_or_default();
                    to_lan.send(Bytes::copy_from_slice(bytes));
                }
            }
            frame = from_lan.recv() => {
                let Some(frame) = frame else { return Ok(()) };
                // An interface that is down or full drops it, as a cable that is not plugged in would.
                let _ = tap.get_ref().write(&frame);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_no_interface_has_is_refused() {
        for name in ["", "sixteen-letters-", "a b", "tap\n"] {
            let error = open(name).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name:?}");
        }
    }
}
