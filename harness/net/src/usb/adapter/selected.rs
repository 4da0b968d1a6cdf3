//! Which configuration the guest has selected: these adapters have one.
//!
//! Source: USB 2.0, 9.4.7 "Set Configuration": 0 takes the device back to the address state, in which no other endpoint answers.

use crate::usb::descriptor::CONFIGURATION;
use crate::usb::device::{Endpoint, Stall};

/// The selected configuration; none after a reset.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::usb) struct Selected(u8);

impl Selected {
    /// Its number, 0 for none.
    pub(in crate::usb) fn number(self) -> u8 {
        self.0
    }

    /// Selects a configuration, or none by 0.
    ///
    /// # Errors
    /// There is no such configuration.
    pub(in crate::usb) fn select(&mut self, number: u8) -> Result<(), Stall> {
        if number > CONFIGURATION {
            return Err(Stall);
        }
        self.0 = number;
        Ok(())
    }

    /// Checks that a transfer is for this endpoint, which a configured device has.
    ///
    /// # Errors
    /// It is for another one, or the device is not configured.
    pub(in crate::usb) fn expect(
        self,
        expected: Endpoint,
        endpoint: Endpoint,
    ) -> Result<(), Stall> {
        if self.0 == CONFIGURATION && endpoint == expected {
            Ok(())
        } else {
            Err(Stall)
        }
    }
}
