//! The unit as a whole: orders from anybody, switchings for whatever has the boards.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shakedown_base::timeline::{Event, OutletState, SwitchedBy, Timeline};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::port::{Decision, Port};

/// Switchings that may wait for whatever has the boards.
const BACKLOG: usize = 16;

/// Why a port was not switched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PowerError {
    /// The unit has no such port.
    #[error("there is no port {port}: the power distribution unit has ports 0 to {last}")]
    NoSuchPort {
        /// The port asked for.
        port: u16,
        /// The last port that there is.
        last: u16,
    },
    /// A newer order came before this one was carried out.
    #[error("port {0} was given a newer order before this one was carried out")]
    Superseded(u16),
    /// The board could not be switched.
    #[error("port {port} could not be switched: {reason}")]
    Failed {
        /// The port.
        port: u16,
        /// Why.
        reason: String,
    },
}

/// Handle of a power distribution unit. Clones switch the same ports.
#[derive(Debug, Clone)]
pub struct PowerUnit(Arc<Unit>);

#[derive(Debug)]
struct Unit {
    ports: Vec<Outlet>,
    least_off: Duration,
    started: Instant,
    timeline: Timeline,
    boards: mpsc::Sender<Switching>,
}

#[derive(Debug)]
struct Outlet {
    name: String,
    port: Mutex<Port>,
    /// Rung when an order has ended.
    ended: Notify,
}

/// A board has to be switched. Dropping it unanswered says that it could not be.
#[derive(Debug)]
pub struct Switching {
    /// The port that the board is on, counted from 0.
    pub port: u16,
    /// Whether the board gets power; otherwise it loses it.
    pub on: bool,
    answer: oneshot::Sender<Result<(), String>>,
}

impl Switching {
    /// Says that the board was switched, or why it could not be.
    pub fn answer(self, outcome: Result<(), String>) {
        // Nobody may be waiting for it any more.
        let _ = self.answer.send(outcome);
    }
}

impl PowerUnit {
    /// A unit whose ports have these names and are off. A board is off for `least_off` before it is switched on again. Whatever has the
    /// boards takes the switchings out of the receiver.
    #[must_use]
    pub fn start(
        names: Vec<String>,
        least_off: Duration,
        timeline: Timeline,
    ) -> (Self, mpsc::Receiver<Switching>) {
        let outlet = |name| Outlet {
            name,
            port: Mutex::new(Port::off()),
            ended: Notify::new(),
        };
        let (boards, switchings) = mpsc::channel(BACKLOG);
        let unit = Unit {
            ports: names.into_iter().map(outlet).collect(),
            least_off,
            started: Instant::now(),
            timeline,
            boards,
        };
        (Self(Arc::new(unit)), switchings)
    }

    /// How many ports there are.
    #[must_use]
    pub fn ports(&self) -> u16 {
        u16::try_from(self.0.ports.len()).unwrap_or(u16::MAX)
    }

    /// The least time in which a board is off.
    #[must_use]
    pub fn least_off(&self) -> Duration {
        self.0.least_off
    }

    /// A port's name and state.
    ///
    /// # Errors
    /// [`PowerError::NoSuchPort`].
    pub fn read(&self, port: u16) -> Result<(&str, OutletState), PowerError> {
        let outlet = self.outlet(port)?;
        Ok((&outlet.name, outlet.lock().state()))
    }

    /// Switches a port, and returns when the board has been switched. Nothing happens when it is in that state already.
    ///
    /// # Errors
    /// [`PowerError`], each of its kinds.
    pub async fn switch(&self, port: u16, on: bool, by: SwitchedBy) -> Result<(), PowerError> {
        let outlet = self.outlet(port)?;
        let number = outlet.lock().order();
        // Wakes orders that wait for their time, so that they see that they are superseded.
        outlet.ended.notify_waiters();
        loop {
            let ended = outlet.ended.notified();
            let decision = outlet
                .lock()
                .decide(number, on, self.0.least_off, self.now());
            match decision {
                Decision::Done => return Ok(()),
                Decision::Superseded => return Err(PowerError::Superseded(port)),
                Decision::Busy => ended.await,
                Decision::Wait(until) => {
                    tokio::select! {
                        () = sleep_until(self.0.started + until) => {}
                        () = ended => {}
                    }
                }
                Decision::Switch => return self.carry_out(outlet, port, on, by).await,
            }
        }
    }

    /// Takes power away, waits for the least off time, and gives it back.
    ///
    /// # Errors
    /// As of [`PowerUnit::switch`].
    pub async fn cycle(&self, port: u16, by: SwitchedBy) -> Result<(), PowerError> {
        self.switch(port, false, by).await?;
        self.switch(port, true, by).await
    }

    async fn carry_out(
        &self,
        outlet: &Outlet,
        port: u16,
        on: bool,
        by: SwitchedBy,
    ) -> Result<(), PowerError> {
        let (answer, answered) = oneshot::channel();
        let switching = Switching { port, on, answer };
        // The client that ordered it may disconnect; the port must not stay in between.
        let unfinished = Unfinished {
            unit: &self.0,
            outlet,
            on,
        };
        let outcome = match self.0.boards.send(switching).await {
            Ok(()) => answered
                .await
                .unwrap_or_else(|_| Err("the board is gone".into())),
            Err(_) => Err("the run has ended".into()),
        };
        unfinished.end(outcome.is_ok());
        let state = outlet.lock().state();
        self.0.timeline.emit(Event::Outlet { port, state, by });
        outcome.map_err(|reason| PowerError::Failed { port, reason })
    }

    fn outlet(&self, port: u16) -> Result<&Outlet, PowerError> {
        let outlet = self.0.ports.get(usize::from(port));
        outlet.ok_or(PowerError::NoSuchPort {
            port,
            last: self.ports().saturating_sub(1),
        })
    }

    fn now(&self) -> Duration {
        self.0.started.elapsed()
    }
}

impl Outlet {
    fn lock(&self) -> MutexGuard<'_, Port> {
        self.port.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A switching that has not ended; dropping it leaves the port's state unknown.
struct Unfinished<'a> {
    unit: &'a Unit,
    outlet: &'a Outlet,
    on: bool,
}

impl Unfinished<'_> {
    fn end(self, is_done: bool) {
        self.settle(is_done);
        std::mem::forget(self);
    }

    fn settle(&self, is_done: bool) {
        let now = self.unit.started.elapsed();
        self.outlet.lock().switched(self.on, is_done, now);
        self.outlet.ended.notify_waiters();
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.settle(false);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const LEAST: Duration = Duration::from_secs(5);

    /// A unit with two ports whose boards do what they are told; the third one refuses.
    pub(in crate::pdu) fn unit() -> (PowerUnit, Timeline) {
        let timeline = Timeline::start();
        let names = ["gateway", "dut", "broken"].map(String::from).into();
        let (unit, mut switchings) = PowerUnit::start(names, LEAST, timeline.clone());
        tokio::spawn(async move {
            while let Some(switching) = switchings.recv().await {
                let refused = (switching.port == 2).then(|| "no such board".to_owned());
                switching.answer(refused.map_or(Ok(()), Err));
            }
        });
        (unit, timeline)
    }

    fn outlets(timeline: &Timeline) -> Vec<(u16, OutletState)> {
        let records = timeline.snapshot().into_iter();
        let outlet = |event| match event {
            Event::Outlet { port, state, .. } => Some((port, state)),
            _ => None,
        };
        records.filter_map(|record| outlet(record.event)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_cycle_takes_the_least_off_time_and_is_on_the_timeline() {
        let (unit, timeline) = unit();
        unit.switch(1, true, SwitchedBy::Step).await.unwrap();
        let before = Instant::now();
        unit.cycle(1, SwitchedBy::Step).await.unwrap();
        assert_eq!(before.elapsed(), LEAST);
        assert_eq!(unit.read(1), Ok(("dut", OutletState::On)));
        assert_eq!(unit.read(0), Ok(("gateway", OutletState::Off)));
        use OutletState::{Off, On};
        assert_eq!(outlets(&timeline), [(1, On), (1, Off), (1, On)]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_newest_order_wins_at_once() {
        let (unit, _) = unit();
        unit.switch(0, true, SwitchedBy::Step).await.unwrap();
        unit.switch(0, false, SwitchedBy::Step).await.unwrap();
        let waiting = tokio::spawn({
            let unit = unit.clone();
            async move { unit.switch(0, true, SwitchedBy::Tcp).await }
        });
        tokio::task::yield_now().await;
        let before = Instant::now();
        unit.switch(0, false, SwitchedBy::Http).await.unwrap();
        assert_eq!(waiting.await.unwrap(), Err(PowerError::Superseded(0)));
        assert_eq!(before.elapsed(), Duration::ZERO);
        assert_eq!(unit.read(0).unwrap().1, OutletState::Off);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_board_refuses_is_said_and_unknown() {
        let (unit, timeline) = unit();
        let error = unit.switch(2, true, SwitchedBy::Step).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "port 2 could not be switched: no such board"
        );
        assert_eq!(outlets(&timeline), [(2, OutletState::Unknown)]);
        let error = unit.read(3).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no port 3: the power distribution unit has ports 0 to 2"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_order_whose_giver_has_left_does_not_block_the_port() {
        let (unit, mut switchings) = PowerUnit::start(vec!["dut".into()], LEAST, Timeline::start());
        let order = tokio::spawn({
            let unit = unit.clone();
            async move { unit.switch(0, true, SwitchedBy::Tcp).await }
        });
        let taken = switchings.recv().await.unwrap();
        assert_eq!(unit.read(0).unwrap().1, OutletState::Unknown);
        order.abort();
        assert!(order.await.unwrap_err().is_cancelled());
        taken.answer(Ok(()));
        let off = tokio::spawn({
            let unit = unit.clone();
            async move { unit.switch(0, false, SwitchedBy::Step).await }
        });
        switchings.recv().await.unwrap().answer(Ok(()));
        off.await.unwrap().unwrap();
        assert_eq!(unit.read(0).unwrap().1, OutletState::Off);
    }
}
