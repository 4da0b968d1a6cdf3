//! Oddities that a device keeps until somebody asks.

use std::collections::VecDeque;

use crate::usb::device::Remark;

/// Oddities kept; later ones are lost.
const MOST: usize = 8;

/// A bounded queue of remarks.
#[derive(Debug, Default)]
pub(in crate::usb) struct Remarks(VecDeque<Remark>);

impl Remarks {
    /// Adds a remark, unless too many wait already.
    pub(in crate::usb) fn say(&mut self, kind: &'static str, text: String) {
        if self.0.len() < MOST {
            self.0.push_back(Remark { kind, text });
        }
    }

    /// The oldest remark.
    pub(in crate::usb) fn take(&mut self) -> Option<Remark> {
        self.0.pop_front()
    }
}
