//! What is known of a board from before: whether its card has booted it, and what its address was. It changes no verdict; it says why a boot
//! may have failed.

use crate::mac::Mac;
use crate::timeline::{BoardId, Event, Record};

/// What is known so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Past {
    /// The boot that said something, the last of those from this card.
    booted: Option<u32>,
    /// This boot has said something.
    speaks: bool,
    /// The address of the first lease.
    address: Option<Mac>,
    /// Another one that a lease went to since.
    other: Option<Mac>,
}

impl Past {
    /// Takes a record of an earlier boot from the same card.
    pub(super) fn take_earlier(&mut self, record: &Record, board: Option<&BoardId>) {
        match &record.event {
            Event::Serial { .. } => self.booted = Some(record.boot),
            // Another board that has the card in turn has an address of its own.
            Event::Lease { mac, .. } if record.board.as_ref() == board => self.take_address(mac),
            _ => {}
        }
    }

    /// Takes an event of this boot.
    pub(super) fn take(&mut self, event: &Event) {
        match event {
            Event::Serial { .. } => self.speaks = true,
            Event::Lease { mac, .. } => self.take_address(mac),
            _ => {}
        }
    }

    fn take_address(&mut self, text: &str) {
        if let Ok(mac) = text.parse()
            && mac != *self.address.get_or_insert(mac)
        {
            self.other = Some(mac);
        }
    }

    /// What of it may be why a boot has failed, after how it has.
    pub(super) fn hint(&self) -> String {
        let card = self.booted.filter(|_| !self.speaks).map(|boot| {
            format!(
                "; the card may no longer boot: boot {} came from it, and what has been written to it since is what differs",
                boot + 1
            )
        });
        let address = self.address.zip(self.other);
        let address = address.map(|(before, now)| {
            format!(
                "; the board's identity has changed: its hardware address was {before} and is now {now}, so that servers take it for another board"
            )
        });
        [card, address].into_iter().flatten().collect()
    }
}
