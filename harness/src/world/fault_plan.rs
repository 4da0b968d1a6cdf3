//! The faults of a run: armed before it, switched on and off by what happens in it.

use std::collections::BTreeMap;

use tokio_util::task::AbortOnDropHandle;

use crate::fault::{Fault, Faults};
use crate::scenario::{PlannedFault, Scenario, TriggerWatch};
use crate::timeline::{Cursor, Timeline};

/// The faults of one run of a scenario, and the task that switches them. Dropping it leaves them as they are.
pub(crate) struct FaultPlan {
    pub(crate) faults: Faults,
    _switch: Option<AbortOnDropHandle<()>>,
}

/// When a fault begins and ends, in each boot.
#[derive(Clone)]
struct Switch {
    index: usize,
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
        // The faults are of the LAN: whichever board boots again, they begin anew.
        let boot = boots.entry(record.board.clone()).or_insert(0);
        if record.boot > *boot {
            *boot = record.boot;
            watches.clone_from(&switches);
            for switch in &switches {
                match switch.after {
                    Some(_) => faults.end(switch.index),
                    None => faults.begin(switch.index),
                }
            }
        }
        for switch in &mut watches {
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
