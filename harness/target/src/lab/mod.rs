//! A board on a desk: its serial console, its power, and the cable to its network interface. What the emulator knows of itself, nobody knows of it:
//! no freeze, no screen, no CPU time, no card.
//!
//! Life cycle: [`Power::off`] makes a cold start of whatever the board did before; [`SerialPort::open`] listens before [`Power::on`]; each boot opens
//! the port anew, since an adapter that hangs on the board's own power goes and comes with it.

mod error;
mod power;
mod serial;
mod tap;
mod telnet;

pub use error::LabError;
pub use power::{Power, Switch};
pub use serial::{OpenPort, SerialPort};
pub use tap::Tap;
