//! What a scenario runs on: the emulator ([`qemu`]) and the serial consoles of a board ([`console`]). Nothing here knows scenarios or
//! services.

pub mod console;
pub mod qemu;
