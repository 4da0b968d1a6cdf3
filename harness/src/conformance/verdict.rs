//! Whether a run's record shows what a check states.

use std::time::Duration;

use super::catalogue::{Check, Fact, RequestFact};
use crate::timeline::{Event, Power, Record};

/// What a run has left.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The random number that only its containers knew.
    pub nonce: String,
    /// Everything that happened.
    pub records: Vec<Record>,
    /// What each UART sent, invalid UTF-8 replaced.
    pub bytes: Vec<String>,
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The run shows what the contract states.
    AsContract,
    /// It does not; each fact that is missing, in words.
    Differs(Vec<String>),
    /// There was no run; why.
    NotRun(String),
}

/// Judges a check by its scenario's run.
#[must_use]
pub fn judge(check: &Check, run: Option<&Evidence>) -> Verdict {
    if check.scenario.is_none() {
        return Verdict::NotRun(check.open.clone().unwrap_or_default());
    }
    let Some(run) = run else {
        return Verdict::NotRun("its boot was not made".into());
    };
    let missing: Vec<_> = check
        .must
        .iter()
        .filter(|fact| !run.shows(fact))
        .map(describe)
        .collect();
    if missing.is_empty() {
        Verdict::AsContract
    } else {
        Verdict::Differs(missing)
    }
}

impl Evidence {
    fn lines(&self) -> impl Iterator<Item = (Duration, &str)> {
        self.records
            .iter()
            .filter_map(|record| match &record.event {
                Event::Serial { line, .. } => Some((record.at, line.as_str())),
                _ => None,
            })
    }

    /// What containers said: lines that begin with the nonce, without it. A run without a nonce has none.
    fn said(&self) -> impl Iterator<Item = &str> {
        self.lines().filter_map(|(_, line)| {
            let nonce = Some(self.nonce.as_str()).filter(|nonce| !nonce.is_empty())?;
            line.strip_prefix(nonce)?.strip_prefix(' ')
        })
    }

    fn off(&self) -> Option<Duration> {
        let off = |record: &&Record| matches!(&record.event, Event::Power { action } if *action == Power::GuestShutdown);
        self.records.iter().find(off).map(|record| record.at)
    }

    fn shows(&self, fact: &Fact) -> bool {
        match fact {
            Fact::Containers(wanted) => {
                let mut said = self.said();
                wanted
                    .iter()
                    .all(|wanted| said.any(|said| said.trim_end() == wanted))
            }
            Fact::Container(pattern) => self.said().any(|said| pattern.regex().is_match(said)),
            Fact::ContainerNever(pattern) => {
                !self.said().any(|said| pattern.regex().is_match(said))
            }
            Fact::Console(pattern) => self.lines().any(|(_, line)| pattern.regex().is_match(line)),
            Fact::ConsoleNever(pattern) => {
                !self.lines().any(|(_, line)| pattern.regex().is_match(line))
            }
            Fact::Bytes(pattern) => self
                .bytes
                .iter()
                .any(|bytes| pattern.regex().is_match(bytes)),
            Fact::Requests(wanted) => {
                let count = self.requests(wanted);
                count >= wanted.at_least && wanted.at_most.is_none_or(|most| count <= most)
            }
            Fact::Leases(wanted) => {
                let leases = self
                    .records
                    .iter()
                    .filter(|r| matches!(r.event, Event::Lease { .. }));
                leases.count() == *wanted
            }
            Fact::Power(wanted) => self
                .records
                .iter()
                .any(|r| matches!(&r.event, Event::Power { action } if action == wanted)),
            Fact::OffAfter { line, at_least } => {
                let said = self.lines().find(|(_, text)| line.regex().is_match(text));
                match (said, self.off()) {
                    (Some((said, _)), Some(off)) => off >= said + *at_least,
                    _ => false,
                }
            }
        }
    }

    fn requests(&self, wanted: &RequestFact) -> usize {
        let meant = |record: &&Record| match &record.event {
            Event::Request(request) => {
                request.service == wanted.service
                    && wanted.target.regex().is_match(&request.target)
                    && wanted.method.as_ref().is_none_or(|m| *m == request.method)
            }
            _ => false,
        };
        self.records.iter().filter(meant).count()
    }
}

/// A fact that is missing, for people.
fn describe(fact: &Fact) -> String {
    match fact {
        Fact::Containers(wanted) => {
            format!("containers did not say, in order: {}", wanted.join("; "))
        }
        Fact::Container(pattern) => format!("no container said /{}/", pattern.as_str()),
        Fact::ContainerNever(pattern) => format!("a container said /{}/", pattern.as_str()),
        Fact::Console(pattern) => format!("the console did not say /{}/", pattern.as_str()),
        Fact::ConsoleNever(pattern) => format!("the console said /{}/", pattern.as_str()),
        Fact::Bytes(pattern) => format!("no UART sent /{}/", pattern.as_str()),
        Fact::Requests(wanted) => format!(
            "another number of requests for /{}/",
            wanted.target.as_str()
        ),
        Fact::Leases(wanted) => format!("not {wanted} leases by DHCP"),
        Fact::Power(power) => format!("the board's power did not change: {power:?}"),
        Fact::OffAfter { line, at_least } => format!(
            "the board was not off {} s or more after /{}/",
            at_least.as_secs(),
            line.as_str()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(text: &str) -> Vec<Fact> {
        #[derive(serde::Deserialize)]
        struct Must {
            must: Vec<Fact>,
        }
        toml::from_str::<Must>(&format!("must = [{text}]"))
            .unwrap()
            .must
    }

    fn at(seconds: u64, event: Event) -> Record {
        Record {
            at: Duration::from_secs(seconds),
            board: None,
            boot: 0,
            event,
        }
    }

    fn serial(seconds: u64, line: &str) -> Record {
        at(
            seconds,
            Event::Serial {
                uart: 1,
                line: line.into(),
            },
        )
    }

    fn run() -> Evidence {
        Evidence {
            nonce: "abc".into(),
            records: vec![
                serial(1, "echo $SHAKEDOWN_NONCE C01 fake"),
                serial(2, "abc C01 one"),
                serial(3, "abc C02 two "),
                serial(4, "[4.0]: It's now safe"),
                at(
                    9,
                    Event::Power {
                        action: Power::GuestShutdown,
                    },
                ),
            ],
            bytes: vec!["status: 0\r\n".into()],
        }
    }

    fn shown(text: &str) -> bool {
        let facts = facts(text);
        facts.iter().all(|fact| run().shows(fact))
    }

    #[test]
    fn only_what_is_behind_the_nonce_is_a_containers() {
        assert!(shown("{ containers = [\"C01 one\", \"C02 two\"] }"));
        assert!(!shown("{ containers = [\"C02 two\", \"C01 one\"] }"));
        assert!(!shown("{ container = 'fake' }"));
        assert!(shown("{ container-never = 'fake' }, { console = 'fake' }"));
        let nobody = Evidence {
            nonce: String::new(),
            ..run()
        };
        assert!(!nobody.shows(&facts("{ container = '' }")[0]));
    }

    #[test]
    fn each_fact_can_be_missing() {
        for (fact, other) in [
            ("{ console = 'safe$' }", "{ console = 'unsafe' }"),
            ("{ console-never = 'unsafe' }", "{ console-never = 'safe' }"),
            ("{ bytes = 'status: 0\\r$' }", "{ bytes = 'status: 0$' }"),
            ("{ leases = 0 }", "{ leases = 1 }"),
            (
                "{ power = \"guest-shutdown\" }",
                "{ power = \"guest-reset\" }",
            ),
            (
                "{ requests = { service = \"boot\", target = '', at_most = 0 } }",
                "{ requests = { service = \"boot\", target = '', at_least = 1 } }",
            ),
            (
                "{ off-after = { line = 'safe', at_least = \"5s\" } }",
                "{ off-after = { line = 'safe', at_least = \"6s\" } }",
            ),
        ] {
            assert!(shown(fact), "{fact}");
            assert!(!shown(other), "{other}");
        }
    }

    #[test]
    fn without_a_run_nothing_is_shown() {
        let check = Check {
            id: "C01".into(),
            states: String::new(),
            scenario: Some("s".into()),
            must: facts("{ console-never = 'x' }"),
            open: None,
            remark: None,
        };
        assert_eq!(
            judge(&check, None),
            Verdict::NotRun("its boot was not made".into())
        );
        assert_eq!(judge(&check, Some(&run())), Verdict::AsContract);
        let check = Check {
            must: facts("{ console = 'x' }"),
            ..check
        };
        assert_eq!(
            judge(&check, Some(&run())),
            Verdict::Differs(vec!["the console did not say /x/".into()])
        );
    }
}
