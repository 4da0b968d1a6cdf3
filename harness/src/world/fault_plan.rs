//! The faults of a run: armed before it, switched on and off by what happens in it.

use std::collections::BTreeMap;

use tokio_util::task::AbortOnDropHandle;

use crate::fault::{Fault, Faults};
use crate::scenario::{PlannedFault, Scenario, TriggerWatch};
use crate::timeline::{BoardId, Cursor, Timeline};

/// The faults of one run of a scenario, and the task that switches them. Dropping it leaves them as they are.
pub(crate) struct FaultPlan {
    pub(crate) faults: Faults,
    _switch: Option<AbortOnDropHandle<()>>,
}

/// When a fault begins and ends, in each boot.
#[derive(Clone)]
struct Switch {
    index: usize,
    /// Whose boots it goes by; every board's if `None`.
    board: Option<BoardId>,
    after: Option<TriggerWatch>,
    until: Option<TriggerWatch>,
}

impl FaultPlan {
    /// Arms the faults of a scenario. Needs a tokio runtime.
    pub(crate) fn start(scenario: &Scenario, timeline: &Timeline) -> Self {
        let mut running: Vec<(Fault, _, _)> = Vec::new();
        for planned in &scenario.faults {
            if let PlannedFault::Running {
                fault,
                after,
                until,
            } = planned
            {
                running.push((fault.clone(), after, until));
            }
        }
        // Behind all others, so that those keep their indices.
        let other_ways: Vec<_> = running
            .iter_mut()
            .filter_map(|(fault, after, until)| Some((fault.part_ways()?, *after, *until)))
            .collect();
        running.extend(other_ways);
        let (mut faults, mut switches) = (Vec::new(), Vec::new());
        for (index, (fault, after, until)) in running.into_iter().enumerate() {
            if after.is_some() || until.is_some() {
                switches.push(Switch {
                    index,
                    board: fault.board.clone(),
                    after: after.clone().map(TriggerWatch::new),
                    until: until.clone().map(TriggerWatch::new),
                });
            }
            faults.push(fault);
        }
        let faults = Faults::new(scenario.seed, faults, timeline.clone());
        let switch = (!switches.is_empty())
            .then(|| tokio::spawn(follow(faults.clone(), switches, timeline.clone())));
        Self {
            faults,
            _switch: switch.map(AbortOnDropHandle::new),
        }
    }
}

/// Switches faults by the records of each boot. A trigger of time alone fires at the first record after its time.
async fn follow(faults: Faults, switches: Vec<Switch>, timeline: Timeline) {
    let mut cursor = Cursor::default();
    let (mut boots, mut watches) = (BTreeMap::new(), switches.clone());
    loop {
        let record = timeline.wait_for(&mut cursor, |_| true).await;
        let boot = boots.entry(record.board.clone()).or_insert(0);
        let boots_again = record.boot > *boot;
        *boot = record.boot.max(*boot);
        for (switch, fresh) in watches.iter_mut().zip(&switches) {
            if fresh.board.is_some() && fresh.board != record.board {
                continue;
            }
            if boots_again {
                switch.clone_from(fresh);
                match fresh.after {
                    Some(_) => faults.end(fresh.index),
                    None => faults.begin(fresh.index),
                }
            }
            if switch
                .after
                .as_mut()
                .is_some_and(|watch| watch.take(&record))
            {
                faults.begin(switch.index);
            }
            if switch
                .until
                .as_mut()
                .is_some_and(|watch| watch.take(&record))
            {
                faults.end(switch.index);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{CableDefect, Defect, Way};
    use crate::scenario::Trigger;
    use crate::scenario::testing::farm_in_small;
    use crate::timeline::{Event, Power};

    #[tokio::test]
    async fn a_fault_of_one_board_begins_and_ends_with_that_board() {
        let mut scenario = farm_in_small();
        let defect = Defect::Cable(CableDefect {
            way: Way::ToBoard,
            loss: 1.0,
            ..CableDefect::default()
        });
        let fault = Fault {
            board: Some("dut".parse().unwrap()),
            at_once: false,
            ..Fault::new("the cable is out", defect)
        };
        scenario.faults = vec![PlannedFault::Running {
            fault,
            after: Some(Trigger::Elapsed(std::time::Duration::ZERO)),
            until: None,
        }];
        let timeline = Timeline::start();
        let plan = FaultPlan::start(&scenario, &timeline);
        let [dut, gateway] =
            ["dut", "gateway"].map(|board| timeline.for_board(board.parse().unwrap()));
        let shows = async || {
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            plan.faults.of(dut.clone()).at_work().count()
        };
        let on = || Event::Power { action: Power::On };
        gateway.emit(on());
        assert_eq!(shows().await, 0);
        dut.emit(on());
        assert_eq!(shows().await, 1);
        gateway.begin_next_boot();
        gateway.note("test", "another boot of the other board");
        assert_eq!(shows().await, 1);
        dut.begin_next_boot();
        dut.note("test", "another boot, not switched on yet");
        assert_eq!(shows().await, 0);
    }
}
