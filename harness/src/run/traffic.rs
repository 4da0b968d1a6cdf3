//! How much goes over the NIC's cable, once a second.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::lan::Lan;
use crate::timeline::{Event, Timeline};

/// How often the counters are read.
const TICK: Duration = Duration::from_secs(1);

/// Puts the bytes of every second that had any onto the timeline, until it is dropped.
pub(super) async fn watch_traffic(lan: &Lan, timeline: &Timeline) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = lan.statistics();
    loop {
        ticks.tick().await;
        let now = lan.statistics();
        let traffic = (now.bytes_in - last.bytes_in, now.bytes_out - last.bytes_out);
        if traffic != (0, 0) {
            timeline.emit(Event::Traffic {
                from_board: traffic.0,
                to_board: traffic.1,
            });
        }
        last = now;
    }
}
