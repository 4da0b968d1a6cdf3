//! Which cables a board is plugged into: to the LAN, to a segment behind it, or behind another board.

use std::collections::{BTreeMap, BTreeSet};

use crate::lan::{Lan, Segment};
use crate::scenario::{NicPlace, Scenario};
use crate::timeline::BoardId;
use crate::wire::WireEnd;

/// The ends of the cables that lead to a board.
#[derive(Debug)]
pub(crate) struct Wires {
    /// To its network card.
    pub(crate) first: WireEnd,
    /// To its second one, if other boards are behind it.
    pub(crate) second: Option<WireEnd>,
    /// Guests find the second one before the other one.
    pub(crate) second_comes_first: bool,
}

/// The segments of a run besides the LAN: one for each board that others are behind.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    of: BTreeMap<BoardId, Segment>,
    /// The boards that are behind another, and which.
    behind: BTreeMap<BoardId, BoardId>,
    /// The boards whose card to those behind them comes first.
    first: BTreeSet<BoardId>,
}

impl Segments {
    /// The segments that a scenario's boards are on.
    pub(crate) fn of(scenario: &Scenario, lan: &Lan) -> Self {
        let pairs = scenario.several.iter();
        let pairs = pairs.filter_map(|board| Some((board.id.clone(), board.behind.clone()?)));
        let behind: BTreeMap<_, _> = pairs.collect();
        let first = scenario
            .several
            .iter()
            .filter(|board| board.nic == NicPlace::First);
        let first = first.filter_map(|board| board.behind.clone()).collect();
        let segment = |board: &BoardId| (board.clone(), lan.segment(&format!("behind {board}")));
        Self {
            of: behind.values().map(segment).collect(),
            behind,
            first,
        }
    }

    /// Plugs a board in, which observers know as `who`.
    pub(crate) fn plug_in(&self, board: Option<&BoardId>, who: &str, lan: &Lan) -> Wires {
        let behind = board.and_then(|board| self.behind.get(board));
        let its = behind.and_then(|other| self.of.get(other));
        Wires {
            first: its.map_or_else(|| lan.attach_as(who), |segment| segment.attach_as(who)),
            second: board
                .and_then(|b| self.of.get(b))
                .map(|segment| segment.attach_as(who)),
            second_comes_first: board.is_some_and(|board| self.first.contains(board)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::lan::Config;
    use crate::scenario::testing::farm_in_small;
    use crate::timeline::Timeline;

    #[tokio::test(start_paused = true)]
    async fn a_board_behind_another_is_plugged_into_its_second_card_alone() {
        let scenario = farm_in_small();
        let lan = Lan::start(Config::default(), Timeline::start()).unwrap();
        let segments = Segments::of(&scenario, &lan);
        let [dut, gateway] = ["dut", "gateway"].map(|name| name.parse().unwrap());
        let dut = segments.plug_in(Some(&dut), "dut", &lan);
        let mut gateway = segments.plug_in(Some(&gateway), "gateway", &lan);
        assert!(dut.second.is_none());
        let mut behind = gateway.second.unwrap();
        let to_all = Bytes::from([vec![0xff; 6], vec![2; 6], vec![0x88, 0xb5, 0, 0]].concat());
        dut.first.send(to_all.clone());
        assert_eq!(behind.recv().await, Some(to_all));
        let on_lan = tokio::time::timeout(Duration::from_secs(10), gateway.first.recv());
        assert!(on_lan.await.is_err(), "nothing of it is on the LAN");
        // One that nobody is behind has one card.
        assert!(!gateway.second_comes_first);
        assert!(segments.plug_in(None, "board", &lan).second.is_none());
    }
}
