//! What a scenario runs on: the emulator ([`qemu`]) and a disk for it ([`disk`]), a board on a desk ([`lab`]), and the serial consoles of either ([`console`]). Nothing here
//! knows scenarios or services.

pub mod console;
pub mod disk;
pub mod lab;
pub mod qemu;
