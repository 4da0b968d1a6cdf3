//! Plans that chance makes of a seed: faults that a board must get over by itself, and power that goes away and comes back. Pure; the same
//! seed is the same plan.

use std::time::Duration;

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error;

use super::step::{PowerStep, Step};
use super::trigger::{FrameTrigger, RequestTrigger, Trigger};
use super::{PlannedFault, Scenario, Transport};
use crate::fault::{
    AnswerDefect, CableDefect, CardDefect, CardTrouble, Defect, DhcpDefect, DnsDefect, Fault,
    HttpDefect, TcpAct, TcpDefect, Way, draw,
};
use crate::input::{ByteSize, Pattern};
use crate::timeline::{FrameKind, ServiceId};

/// Most faults of a plan.
const MOST: u64 = 3;
/// What iPXE says of an attempt that has failed, after which its script tries again.
const HARMLESS: &[&str] = &[
    r"ipxe\.org/",
    "^Failed with error 0x",
    "^The boot script came back",
];

impl Scenario {
    /// This scenario with faults that chance makes of `seed`, and without what the servers must have seen: boards ask again.
    #[must_use]
    pub fn with_chaos(&self, seed: u64) -> Self {
        let mut scenario = self.clone();
        scenario.seed = seed;
        scenario.is_chaos = true;
        let is_served = self.services.boot.is_played();
        let can_show = |fault: &Fault| is_served || !matches!(fault.defect, Defect::Http(_));
        scenario.faults = plan(seed, self.boot.transport)
            .into_iter()
            .filter(can_show)
            .map(|fault| PlannedFault::Running {
                fault,
                after: None,
                until: None,
            })
            .collect();
        // A boot that ends before its container may never come to the cut.
        if let [only] = &*scenario.steps
            && only.is_plain()
            && self.expect.is_none()
            && is_served
            && let Some(cut) = cut(seed, only)
        {
            scenario.steps = vec![
                only.clone(),
                cut,
                Step {
                    boot: 1,
                    ..only.clone()
                },
            ];
        }
        scenario.journal.clear();
        scenario.checkpoint = None;
        let pattern = |text: &str| {
            Pattern::deserialize(IntoDeserializer::<Error>::into_deserializer(text)).ok()
        };
        let patterns = HARMLESS.iter().filter_map(|text| pattern(text));
        scenario.harmless.extend(patterns);
        scenario
    }
}

/// One to three faults of different kinds.
fn plan(seed: u64, transport: Transport) -> Vec<Fault> {
    let count = 1 + draw(seed, 0, 0, 0) % MOST;
    let mut kinds: Vec<u64> = (0..KINDS).collect();
    (0..count)
        .map(|n| {
            let kind = kinds.remove((draw(seed, 0, n, 1) % kinds.len() as u64) as usize);
            fault(kind, seed, n, transport)
        })
        .collect()
}

/// Of one plan in two: the power goes away in the first boot, at a moment that is counted, before the container can have ended.
fn cut(seed: u64, on: &Step) -> Option<Step> {
    /// What chance is asked about that is no fault.
    const POWER: usize = 1;
    let ask = |salt, most| draw(seed, POWER, 0, salt) % most;
    let after = match (ask(0, 2), ask(1, 2)) {
        (0, 0) => Trigger::Request(RequestTrigger {
            service: ServiceId::Boot,
            nth: 1 + ask(2, 3),
            target: None,
        }),
        (0, _) => Trigger::Frames(FrameTrigger {
            nth: 1 + ask(2, 2000),
            of: FrameKind::Any,
        }),
        _ => return None,
    };
    Some(Step {
        after: Some(after),
        power: Some(PowerStep::Cut),
        ..on.clone()
    })
}

const KINDS: u64 = 12;

/// A fault of one of the kinds, with a size that chance makes of seed and number.
fn fault(kind: u64, seed: u64, number: u64, transport: Transport) -> Fault {
    let size = |salt, from: u64, to: u64| from + draw(seed, 0, number, salt) % (to - from + 1);
    let share = |salt, most: f64| most * size(salt, 1, 100) as f64 / 100.0;
    let times = size(2, 1, 4);
    let cable = |cable| Defect::Cable(cable);
    let card = |does| {
        Defect::Card(CardDefect {
            partition: None,
            file: None,
            does,
        })
    };
    let of_server = |answer| {
        Defect::Http(HttpDefect {
            service: ServiceId::Boot,
            target: None,
            answer,
        })
    };
    let milliseconds = |salt, from, to| Duration::from_millis(size(salt, from, to));
    let (name, defect, times) = match kind {
        0 => (
            "DHCP messages to the board are lost",
            cable(CableDefect {
                way: Way::ToBoard,
                of: Some(FrameKind::Dhcp),
                loss: 1.0,
                ..CableDefect::default()
            }),
            Some(times * 3),
        ),
        1 => (
            "the DHCP server refuses what it has offered",
            Defect::Dhcp(DhcpDefect::Nak),
            Some(1),
        ),
        2 => (
            "the DNS server knows no name",
            Defect::Dns(DnsDefect::NoSuchName),
            Some(1),
        ),
        3 => (
            "DNS answers are lost",
            cable(CableDefect {
                way: Way::ToBoard,
                of: Some(FrameKind::Dns),
                loss: 1.0,
                ..CableDefect::default()
            }),
            Some(times),
        ),
        4 => (
            "the boot server is not running yet",
            Defect::Tcp(TcpDefect {
                port: match transport {
                    Transport::Https => 443,
                    Transport::Http | Transport::Tftp => 80,
                },
                does: TcpAct::Refuse,
            }),
            Some(times),
        ),
        5 => (
            "the boot server is overloaded",
            of_server(AnswerDefect::Status(503)),
            Some(times),
        ),
        6 => (
            "an answer of the boot server breaks off",
            of_server(AnswerDefect::BreakOff(ByteSize(size(3, 1, 100)))),
            Some(1),
        ),
        7 => (
            "frames are lost",
            cable(CableDefect {
                loss: share(3, 0.005),
                ..CableDefect::default()
            }),
            None,
        ),
        8 => (
            "the card is slow",
            card(CardTrouble::Slow(ByteSize(size(3, 200, 2000) << 10))),
            None,
        ),
        9 => (
            "the card keeps nothing",
            card(CardTrouble::LoseWrites),
            None,
        ),
        10 => (
            "frames have wrong bits",
            cable(CableDefect {
                corrupt: share(3, 0.005),
                ..CableDefect::default()
            }),
            None,
        ),
        _ => (
            "frames are late",
            cable(CableDefect {
                delay: milliseconds(3, 0, 5),
                jitter: milliseconds(4, 1, 5),
                ..CableDefect::default()
            }),
            None,
        ),
    };
    Fault {
        times,
        ..Fault::new(name, defect)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_is_a_plan_and_other_seeds_are_others() {
        let shown = |seed| format!("{:?}", plan(seed, Transport::Http));
        assert_eq!(shown(7), shown(7));
        let different: BTreeSet<_> = (1..=25).map(shown).collect();
        assert!(different.len() >= 24, "{}", different.len());
        let kinds = (1..=25)
            .flat_map(|seed| plan(seed, Transport::Http))
            .map(|fault| fault.name);
        assert_eq!(kinds.collect::<BTreeSet<_>>().len(), KINDS as usize);
    }

    #[test]
    fn each_fault_of_a_plan_is_of_another_kind() {
        for seed in 1..200 {
            let names: Vec<_> = plan(seed, Transport::Http)
                .into_iter()
                .map(|fault| fault.name)
                .collect();
            let different: BTreeSet<_> = names.iter().collect();
            assert_eq!(different.len(), names.len());
            assert!((1..=3).contains(&names.len()));
        }
    }

    #[test]
    fn some_plans_take_the_power_away_once_and_give_it_back() {
        let scenario = crate::scenario::testing::extended("alpine-http", "").unwrap();
        let boots = |seed| scenario.with_chaos(seed).boots(None);
        let cut: Vec<_> = (1..=25).filter(|seed| boots(*seed) == 2).collect();
        assert!((7..=18).contains(&cut.len()), "{cut:?}");
        for seed in cut {
            let steps = scenario.with_chaos(seed).steps;
            let [on, cut, again] = &steps[..] else {
                panic!("{steps:?}")
            };
            assert_eq!((on.boot, cut.boot, again.boot), (0, 0, 1));
            assert!(cut.after.is_some());
        }
        // A story of its own is left alone.
        let text = "[[step]]\npower = \"on\"\n[[step]]\npower = \"cycle\"\n";
        let short = "[[step]]\npower = \"on\"\nawait = \"powered off\"\n";
        for text in [text, short] {
            let story = crate::scenario::testing::extended("alpine-http", text).unwrap();
            for seed in 1..=25 {
                let steps = |scenario: &Scenario| format!("{:?}", scenario.steps);
                assert_eq!(steps(&story.with_chaos(seed)), steps(&story));
            }
        }
    }
}
