//! What boot scripts need to know of a board.

use super::Board;
use super::definition::Loader;

/// The speed of every console, in bauds.
const SPEED: u32 = 115_200;

impl Board {
    /// The console that boot scripts give to Linux, for example `ttyS1,115200`: the last serial port, which is the one that firmware and boot
    /// loaders leave to it.
    #[must_use]
    pub fn console(&self) -> String {
        let uart = self.uarts.last();
        let device = uart.map_or("ttyS0", |uart| uart.linux.as_str());
        format!("{device},{SPEED}")
    }

    /// The processor architecture, by the name that iPXE has for it (`buildarch`).
    #[must_use]
    pub fn arch(&self) -> &'static str {
        match self.firmware.loader {
            Loader::Videocore => "arm64",
        }
    }
}
