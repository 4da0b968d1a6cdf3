//! The boards' plugs: ports of the run's power distribution unit.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::scenario::{LEAST_OFF, PowerStep};
use crate::services::{PowerUnit, Switching};
use crate::timeline::{SwitchedBy, Timeline};

/// The boards' plugs. Orders of the scenario's steps go to the unit like those of anybody on the LAN.
pub(super) struct Plugs {
    unit: PowerUnit,
    switchings: mpsc::Receiver<Switching>,
    /// The orders of steps that are being carried out, of each port the last.
    orders: BTreeMap<u16, AbortOnDropHandle<()>>,
    timeline: Timeline,
}

impl Plugs {
    /// The plugs of boards that are off, in the order of their ports.
    pub(super) fn new(boards: Vec<String>, timeline: &Timeline) -> Self {
        let (unit, switchings) = PowerUnit::start(boards, LEAST_OFF, timeline.clone());
        Self {
            unit,
            switchings,
            orders: BTreeMap::new(),
            timeline: timeline.clone(),
        }
    }

    /// The unit, for servers on the LAN.
    pub(super) fn unit(&self) -> PowerUnit {
        self.unit.clone()
    }

    /// Gives the unit an order, and does not wait for it: what has to be switched comes from [`switching`](Self::switching).
    pub(super) fn order(&mut self, port: u16, power: PowerStep) {
        let (unit, timeline) = (self.unit.clone(), self.timeline.clone());
        let order = async move {
            let by = SwitchedBy::Step;
            let done = match power {
                PowerStep::On => unit.switch(port, true, by).await,
                PowerStep::Cycle => unit.cycle(port, by).await,
                PowerStep::Off => unit.switch(port, false, by).await,
                // The unit has no part in these.
                PowerStep::Cut | PowerStep::Reset | PowerStep::Brown => Ok(()),
            };
            if let Err(error) = done {
                timeline.note(
                    "power",
                    format!("a step's order was not carried out: {error}"),
                );
            }
        };
        let order = AbortOnDropHandle::new(tokio::spawn(order));
        self.orders.insert(port, order);
    }

    /// The next board that must be switched. May be dropped and called again.
    pub(super) async fn switching(&mut self) -> Switching {
        match self.switchings.recv().await {
            Some(switching) => switching,
            // The unit lives as long as this does.
            None => std::future::pending().await,
        }
    }
}
