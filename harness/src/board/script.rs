//! What boot scripts need to know of a board.

use super::Board;
use crate::image::boot::HeaderUart;

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

    /// The same board with this UART on its header, as its firmware has set it up: [`Self::console`] is then on it. Not for what QEMU is started
    /// with, which has the UARTs in the order of the definition.
    #[must_use]
    pub fn with_header(&self, header: HeaderUart) -> Self {
        let driver = match header {
            HeaderUart::Mini => "ttyS",
            HeaderUart::Pl011 => "ttyAMA",
        };
        let mut board = self.clone();
        board
            .uarts
            .sort_by_key(|uart| uart.linux.starts_with(driver));
        board
    }

    /// The processor architecture, by the name that iPXE has for it (`buildarch`).
    #[must_use]
    pub fn arch(&self) -> &'static str {
        self.machine.arch.ipxe()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn linux_gets_the_uart_that_the_firmware_has_put_on_the_header() {
        let boards = Path::new(env!("CARGO_MANIFEST_DIR")).join("../boards");
        let board = Board::read(&boards, "raspi3b").unwrap();
        assert_eq!(board.console(), "ttyS1,115200");
        assert_eq!(
            board.with_header(HeaderUart::Mini).console(),
            "ttyS1,115200"
        );
        assert_eq!(
            board.with_header(HeaderUart::Pl011).console(),
            "ttyAMA0,115200"
        );
    }
}
