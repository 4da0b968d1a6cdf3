//! The stages that the board went through, by the rules by which a run is judged.

use std::ops::Range;

use super::write::Session;
use crate::alarm::Alarms;
use crate::judge::{EndPlan, JudgePlan, Progress, Source};
use crate::scenario::Step;
use crate::timeline::{Event, Power, Record, TIMELINE_VERSION};

/// A stage that was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reached {
    /// The place of the record that shows it.
    pub(super) at: usize,
    /// Its name.
    pub(super) name: String,
}

/// The boots of a session: each ends where the board resets itself. The places of the records, first and behind the last.
pub(super) fn boots(records: &[Record]) -> Vec<Range<usize>> {
    let is_reset = |record: &Record| {
        let action = Power::GuestReset;
        record.event == Event::Power { action }
    };
    let places = records.iter().enumerate();
    let resets = places.filter(|(_, record)| is_reset(record));
    let mut boots = Vec::new();
    let mut first = 0;
    for (place, _) in resets {
        boots.push(first..place + 1);
        first = place + 1;
    }
    boots.push(first..records.len());
    boots
}

/// The stages that one boot went through, in order.
pub(super) fn reached(
    session: &Session<'_>,
    records: &[Record],
    boot: Range<usize>,
) -> Vec<Reached> {
    let mut progress = Progress::new(&plan(session));
    // The firmware hands over once; a board that resets itself goes the same way again.
    let is_handover = |record: &&Record| matches!(record.event, Event::Firmware { .. });
    let before = records.get(..boot.start).unwrap_or_default();
    before
        .iter()
        .filter(is_handover)
        .for_each(|r| progress.take(r));
    let mut all: Vec<Reached> = Vec::new();
    for place in boot {
        let Some(record) = records.get(place) else {
            break;
        };
        // Somebody sat there and could wake it.
        if matches!(record.event, Event::Asleep { .. }) {
            continue;
        }
        progress.take(record);
        let new = progress.reached().into_iter().skip(all.len());
        let new: Vec<_> = new
            .map(|stage| Reached {
                at: place,
                name: stage.name,
            })
            .collect();
        all.extend(new);
    }
    all
}

/// A boot through the scenario's stages, at whose prompts somebody sits.
fn plan(session: &Session<'_>) -> JudgePlan {
    let mut scenario = session.scenario.clone();
    scenario.steps = vec![Step::switch_on(None)];
    let source = Source::Run {
        version: TIMELINE_VERSION,
    };
    let stages = session.scenario.stages(session.board);
    let mut plan = JudgePlan::of_scenario(&scenario, session.board, stages, source)
        .knowing(Some(session.nonce), session.layers);
    for boot in &mut plan.boots {
        boot.alarms = Alarms::default();
        boot.end = EndPlan::Chain { status: None };
    }
    plan
}
