//! Oddities that a device keeps until somebody asks.

use std::collections::VecDeque;

use crate::usb::device::Diagnostic;

/// Oddities kept; later ones are lost.
const MOST: usize = 8;

/// A bounded queue of diagnostics.
#[derive(Debug, Default)]
pub(in crate::usb) struct Diagnostics(VecDeque<Diagnostic>);

impl Diagnostics {
    /// Adds a diagnostic, unless too many wait already.
    pub(in crate::usb) fn say(&mut self, kind: &'static str, text: String) {
        if self.0.len() < MOST {
            self.0.push_back(Diagnostic { kind, text });
        }
    }

    /// The oldest diagnostic.
    pub(in crate::usb) fn take(&mut self) -> Option<Diagnostic> {
        self.0.pop_front()
    }
}
