//! A cable with faults: what stands between a board's network adapter and its switch port when a scenario has faults of the network.
//!
//! Life cycle: [`impaired`] takes the switch's end of a cable and returns another one for the adapter; a task carries frames between them until
//! either end is dropped. Everything that a fault does to the network is done to frames here, so that it does not matter who the servers are:
//! loss, delay, order and damage ([`queue`], [`carrier`]), and answers of DHCP, DNS, NTP, TFTP and TCP that are replaced ([`replies`]).
//!
//! For adapters that do not survive a burst, the board's TCP window is made smaller on the way ([`window`]).
//!
//! A frame that is on its way when a fault begins is not called back: what the cable holds already comes as it was sent. The LAN's observers,
//! and so captures, see what the switch sends and receives.

mod carrier;
mod dhcp;
mod packet;
mod queue;
mod replies;
mod window;

pub use carrier::impaired;
