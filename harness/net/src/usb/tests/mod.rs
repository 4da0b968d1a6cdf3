//! Sessions with a guest that speaks usbredir as QEMU does, over an in-memory stream and in paused time.

mod enumeration;
mod guest;
mod plug;
mod properties;
mod transfers;
