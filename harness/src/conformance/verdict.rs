//! Whether a run's record shows what a check states.

use std::time::Duration;

use super::catalogue::{Check, Compat, Fact, RequestFact};
use crate::judge::nonce_of_boot;
use crate::timeline::{Event, Power, Record, RequestEvent};

/// What a run has left.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The random number that only the containers of its first boot knew.
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
    /// The run shows something else that is better; how it differs.
    DiffersOnPurpose(String),
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
    match (judge_facts(&check.must, run), &check.differs) {
        (Verdict::AsContract, Some(how)) => Verdict::DiffersOnPurpose(how.clone()),
        (verdict, _) => verdict,
    }
}

/// Judges what the original of 2022 does by the run of its scenario.
#[must_use]
pub fn judge_compat(compat: &Compat, run: Option<&Evidence>) -> Verdict {
    judge_facts(&compat.must, run)
}

fn judge_facts(must: &[Fact], run: Option<&Evidence>) -> Verdict {
    let Some(run) = run else {
        return Verdict::NotRun("its boot was not made".into());
    };
    let missing: Vec<_> = must
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
    /// How long the run lasted, to the last of what happened.
    #[must_use]
    pub fn lasted(&self) -> Duration {
        self.records.iter().map(|r| r.at).max().unwrap_or_default()
    }

    fn lines(&self) -> impl Iterator<Item = (Duration, &str)> {
        self.records
            .iter()
            .filter_map(|record| match &record.event {
                Event::Serial { line, .. } => Some((record.at, line.as_str())),
                _ => None,
            })
    }

    /// What containers said: lines that begin with the nonce of their boot, without it. A run without a nonce has none.
    fn said(&self) -> impl Iterator<Item = &str> {
        self.records.iter().filter_map(|record| {
            let Event::Serial { line, .. } = &record.event else {
                return None;
            };
            let nonce = Some(self.nonce.as_str()).filter(|nonce| !nonce.is_empty())?;
            let nonce = nonce_of_boot(nonce, record.board.as_ref(), record.boot);
            line.strip_prefix(nonce.as_str())?.strip_prefix(' ')
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
                let count = self.requests(wanted).count();
                count >= wanted.at_least && wanted.at_most.is_none_or(|most| count <= most)
            }
            Fact::EachOnce(wanted) => {
                let mut targets: Vec<_> = self
                    .requests(wanted)
                    .filter(|(_, request)| request.has_succeeded())
                    .map(|(_, request)| &request.target)
                    .collect();
                let count = targets.len();
                targets.sort_unstable();
                targets.dedup();
                targets.len() == count && count >= wanted.at_least.max(1)
            }
            Fact::Apart { of, at_least } => {
                let began: Vec<_> = self.requests(of).map(|(at, _)| at).collect();
                let is_apart = |pair: &[Duration]| match pair {
                    [first, second] => *second >= *first + *at_least,
                    _ => false,
                };
                began.len() > 1 && began.windows(2).all(is_apart)
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

    /// The requests that are meant, each with the time at which it began.
    fn requests(&self, wanted: &RequestFact) -> impl Iterator<Item = (Duration, &RequestEvent)> {
        self.records.iter().filter_map(|record| {
            let Event::Request(request) = &record.event else {
                return None;
            };
            let is_meant = request.service == wanted.service
                && wanted.target.regex().is_match(&request.target)
                && wanted.method.as_ref().is_none_or(|m| *m == request.method)
                && wanted.boot.is_none_or(|boot| record.boot + 1 == boot);
            is_meant.then(|| (record.at.saturating_sub(request.duration), request))
        })
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
        Fact::EachOnce(wanted) => format!(
            "no request for /{}/, or the same one twice",
            wanted.target.as_str()
        ),
        Fact::Apart { of, at_least } => format!(
            "requests for /{}/ were not {} s apart",
            of.target.as_str(),
            at_least.as_secs_f64()
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

    fn asked(seconds: u64, boot: u32, target: &str, status: u16) -> Record {
        let request = RequestEvent {
            service: crate::timeline::ServiceId::Registry,
            client: std::net::Ipv4Addr::LOCALHOST,
            fingerprint: None,
            host: String::new(),
            method: "GET".into(),
            target: target.into(),
            status,
            offset: None,
            bytes: 0,
            complete: true,
            duration: Duration::ZERO,
        };
        Record {
            boot,
            ..at(seconds, Event::Request(request))
        }
    }

    #[test]
    fn requests_are_counted_by_boot_and_by_target() {
        let run = Evidence {
            records: vec![
                asked(1, 0, "/blobs/a", 503),
                asked(2, 0, "/blobs/a", 200),
                asked(3, 1, "/blobs/b", 200),
                asked(4, 2, "/twice", 200),
                asked(6, 2, "/twice", 200),
            ],
            ..Evidence::default()
        };
        let shown = |fact: &str| run.shows(&facts(fact)[0]);
        let requests =
            |rest: &str| format!("{{ requests = {{ service = \"registry\", {rest} }} }}");
        assert!(shown(&requests(
            "target = 'blobs', boot = 1, at_least = 2, at_most = 2"
        )));
        assert!(shown(&requests("target = 'blobs', boot = 3, at_most = 0")));
        assert!(!shown(&requests("target = 'blobs', boot = 2, at_most = 0")));
        let once = |target: &str| {
            format!("{{ each-once = {{ service = \"registry\", target = '{target}' }} }}")
        };
        assert!(shown(&once("blobs")));
        assert!(!shown(&once("twice")));
        assert!(!shown(&once("nothing")));
        let apart = |target: &str, time: &str| {
            format!(
                "{{ apart = {{ of = {{ service = \"registry\", target = '{target}' }}, at_least = \"{time}\" }} }}"
            )
        };
        assert!(shown(&apart("blobs", "1s")));
        assert!(!shown(&apart("blobs", "2s")));
        assert!(shown(&apart("twice", "2s")));
        assert!(!shown(&apart("nothing", "1s")));
    }

    #[test]
    fn each_boot_has_a_nonce_of_its_own() {
        let second = nonce_of_boot("abc", None, 1);
        let run = Evidence {
            records: vec![
                serial(1, "abc C80 1"),
                Record {
                    boot: 1,
                    ..serial(2, "abc C80 old")
                },
                Record {
                    boot: 1,
                    ..serial(3, &format!("{second} C80 2"))
                },
            ],
            ..run()
        };
        assert!(run.shows(&facts("{ containers = [\"C80 1\", \"C80 2\"] }")[0]));
        assert!(run.shows(&facts("{ container-never = 'old' }")[0]));
    }

    #[test]
    fn without_a_run_nothing_is_shown() {
        let check = Check {
            id: "C01".into(),
            states: String::new(),
            scenario: Some("s".into()),
            must: facts("{ console-never = 'x' }"),
            compat: None,
            open: None,
            differs: None,
            remark: None,
        };
        assert_eq!(
            judge(&check, None),
            Verdict::NotRun("its boot was not made".into())
        );
        assert_eq!(judge(&check, Some(&run())), Verdict::AsContract);
        let other = Check {
            differs: Some("ours waits".into()),
            ..check.clone()
        };
        let on_purpose = Verdict::DiffersOnPurpose("ours waits".into());
        assert_eq!(judge(&other, Some(&run())), on_purpose);
        assert!(matches!(judge(&other, None), Verdict::NotRun(_)));
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
