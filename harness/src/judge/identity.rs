//! Whether boards are who they were. A group `(?<mac>…)` in what a step expects is the board's hardware address: it must be the one of its
//! first lease, or of the first step that had one.

use regex::Regex;

use crate::mac::Mac;
use crate::scenario::{Await, Step};
use crate::timeline::{BoardId, Event, Record};

/// The group's name.
const GROUP: &str = "mac";

/// The hardware addresses of a run's boards, as far as they are known.
#[derive(Debug, Clone, Default)]
pub(super) struct Identities(Vec<(Option<BoardId>, Mac)>);

impl Identities {
    /// Learns from a record.
    pub(super) fn take(&mut self, record: &Record) {
        if let Event::Lease { mac, .. } = &record.event
            && let Ok(mac) = mac.parse()
        {
            self.know(record.board.as_ref(), mac);
        }
    }

    fn know(&mut self, board: Option<&BoardId>, mac: Mac) -> Mac {
        let mut known = self.0.iter();
        if let Some((_, known)) = known.find(|(b, _)| b.as_ref() == board) {
            return *known;
        }
        self.0.push((board.cloned(), mac));
        mac
    }

    /// A record that a step has waited for says the board's address, if it says one.
    ///
    /// # Errors
    /// It says another; the text says which.
    pub(super) fn agree(&mut self, step: &Step, record: &Record) -> Result<(), String> {
        match (&step.wait, &record.event) {
            (
                Some(Await::Expect(pattern) | Await::Prompt(pattern)),
                Event::Serial { line: text, .. } | Event::Prompt { text, .. },
            ) => {
                let wrong = self.contradiction(step.board.as_ref(), pattern.regex(), text);
                wrong.map_or(Ok(()), Err)
            }
            _ => Ok(()),
        }
    }

    /// What is wrong with the address in `text`, where `pattern` says that there is one.
    fn contradiction(
        &mut self,
        board: Option<&BoardId>,
        pattern: &Regex,
        text: &str,
    ) -> Option<String> {
        let said = pattern.captures(text)?.name(GROUP)?.as_str().to_owned();
        let Ok(mac) = said.replace('-', ":").to_lowercase().parse() else {
            return Some(format!("{said:?} is no hardware address: {text}"));
        };
        let known = self.know(board, mac);
        (mac != known).then(|| {
            format!("the board says that its address is {mac}, which was {known} before: {text}")
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_address_is_the_same_wherever_it_is_said() {
        let mut identities = Identities::default();
        let lease = Event::Lease {
            mac: "b8:27:eb:00:00:01".into(),
            address: Ipv4Addr::new(10, 42, 1, 0),
            vendor_class: None,
        };
        identities.take(&Record::new(Duration::ZERO, lease));
        let pattern = Regex::new(r"^eth0 : \S+ (?<mac>\S+) active").unwrap();
        let mut wrong = |text| identities.contradiction(None, &pattern, text);
        assert_eq!(wrong("eth0 : smsc95xx_eth B8-27-EB-00-00-01 active"), None);
        assert_eq!(wrong("eth0 : smsc95xx_eth"), None);
        let other = wrong("eth0 : smsc95xx_eth b8:27:eb:00:00:02 active").unwrap();
        assert!(
            other.contains("which was b8:27:eb:00:00:01 before"),
            "{other}"
        );
        let none = wrong("eth0 : smsc95xx_eth none active").unwrap();
        assert!(none.contains("no hardware address"), "{none}");
    }

    #[test]
    fn each_board_has_its_own() {
        let mut identities = Identities::default();
        let pattern = Regex::new(r"(?<mac>\S+)").unwrap();
        let [one, two]: [BoardId; 2] = ["one", "two"].map(|id| id.parse().unwrap());
        for (board, text, is_right) in [
            (&one, "b8:27:eb:00:00:01", true),
            (&two, "b8:27:eb:00:00:02", true),
            (&two, "b8:27:eb:00:00:01", false),
        ] {
            let wrong = identities.contradiction(Some(board), &pattern, text);
            assert_eq!(wrong.is_none(), is_right, "{board} {text}");
        }
    }
}
