//! One port of the unit: what an order leads to. Pure functions of the time since the unit was started.

use std::time::Duration;

use shakedown_base::timeline::OutletState;

/// A port.
#[derive(Debug)]
pub(super) struct Port {
    state: OutletState,
    /// When it was last switched off, or failed to be.
    off_since: Option<Duration>,
    /// An order that is being carried out.
    is_switching: bool,
    /// The number of the newest order.
    newest: u64,
}

/// What an order has to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Switch the board, and then call [`Port::switched`].
    Switch,
    /// Ask again at this time: the board has not been off for long enough.
    Wait(Duration),
    /// Ask again when the order that is being carried out has ended.
    Busy,
    /// Nothing: the port is in this state.
    Done,
    /// Nothing: a newer order has come.
    Superseded,
}

impl Port {
    /// A port that is off, and has been for long.
    pub(super) fn off() -> Self {
        Self {
            state: OutletState::Off,
            off_since: None,
            is_switching: false,
            newest: 0,
        }
    }

    /// What is read back.
    pub(super) fn state(&self) -> OutletState {
        if self.is_switching {
            OutletState::Unknown
        } else {
            self.state
        }
    }

    /// Takes an order, which supersedes all that are waiting; returns its number.
    pub(super) fn order(&mut self) -> u64 {
        self.newest += 1;
        self.newest
    }

    /// What order `number` has to do to bring the port to `on` or off.
    pub(super) fn decide(
        &mut self,
        number: u64,
        on: bool,
        least_off: Duration,
        now: Duration,
    ) -> Decision {
        if number != self.newest {
            return Decision::Superseded;
        }
        if self.is_switching {
            return Decision::Busy;
        }
        if self.state == wanted(on) {
            return Decision::Done;
        }
        let ready = self.off_since.map(|since| since + least_off);
        match ready.filter(|ready| on && *ready > now) {
            Some(ready) => Decision::Wait(ready),
            None => {
                self.is_switching = true;
                Decision::Switch
            }
        }
    }

    /// The board was switched, or could not be.
    pub(super) fn switched(&mut self, on: bool, is_done: bool, now: Duration) {
        self.is_switching = false;
        self.state = if is_done {
            wanted(on)
        } else {
            OutletState::Unknown
        };
        if !on {
            self.off_since = Some(now);
        }
    }
}

fn wanted(on: bool) -> OutletState {
    if on {
        OutletState::On
    } else {
        OutletState::Off
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LEAST: Duration = Duration::from_secs(5);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn carry_out(port: &mut Port, on: bool, now: u64) -> Decision {
        let number = port.order();
        let decision = port.decide(number, on, LEAST, at(now));
        if decision == Decision::Switch {
            port.switched(on, true, at(now));
        }
        decision
    }

    #[test]
    fn a_board_is_off_for_the_least_time_before_it_comes_on_again() {
        let mut port = Port::off();
        assert_eq!(carry_out(&mut port, true, 0), Decision::Switch);
        assert_eq!(carry_out(&mut port, true, 0), Decision::Done);
        assert_eq!(carry_out(&mut port, false, 10), Decision::Switch);
        assert_eq!(port.state(), OutletState::Off);
        assert_eq!(carry_out(&mut port, true, 12), Decision::Wait(at(15)));
        assert_eq!(carry_out(&mut port, true, 15), Decision::Switch);
        assert_eq!(port.state(), OutletState::On);
    }

    #[test]
    fn a_newer_order_wins_over_one_that_waits() {
        let mut port = Port::off();
        carry_out(&mut port, true, 0);
        carry_out(&mut port, false, 1);
        let on = port.order();
        assert_eq!(port.decide(on, true, LEAST, at(2)), Decision::Wait(at(6)));
        assert_eq!(carry_out(&mut port, false, 3), Decision::Done);
        assert_eq!(port.decide(on, true, LEAST, at(6)), Decision::Superseded);
    }

    #[test]
    fn what_could_not_be_switched_is_unknown_and_can_be_tried_again() {
        let mut port = Port::off();
        let on = port.order();
        assert_eq!(port.decide(on, true, LEAST, at(0)), Decision::Switch);
        assert_eq!(port.state(), OutletState::Unknown);
        let off = port.order();
        assert_eq!(port.decide(off, false, LEAST, at(0)), Decision::Busy);
        port.switched(true, false, at(1));
        assert_eq!(port.state(), OutletState::Unknown);
        assert_eq!(port.decide(off, false, LEAST, at(1)), Decision::Switch);
    }

    proptest! {
        #[test]
        fn no_board_is_ever_off_for_less_than_the_least_time(orders in prop::collection::vec((any::<bool>(), 0u64..4), 0..60)) {
            let mut port = Port::off();
            let (mut now, mut off_at) = (0, None);
            for (on, pause) in orders {
                now += pause;
                if carry_out(&mut port, on, now) == Decision::Switch {
                    if on {
                        prop_assert!(off_at.is_none_or(|off_at| now >= off_at + LEAST.as_secs()));
                    } else {
                        off_at = Some(now);
                    }
                }
            }
        }
    }
}
