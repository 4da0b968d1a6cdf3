//! What a scenario runs on: the emulator ([`qemu`]), a board on a desk ([`lab`]), and the serial consoles of either ([`console`]). Nothing here knows scenarios or
//! services.

pub mod console;
pub mod lab;
pub mod qemu;
