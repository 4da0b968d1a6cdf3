//! The end of a run that is to end before its chain does: waiting for the proofs that it ended there for the right reason.

use std::time::Duration;

use tokio::time::timeout;

use super::judge::{Facts, proves};
use crate::board::{Evidence, Stage};
use crate::report::{Ending, line};
use crate::scenario::Expect;
use crate::timeline::{Cursor, Record, Timeline};

/// Waits until every proof is on the timeline. `forbidden` must not be reached after `since`, the time of the last stage;
/// `bound` is the longest wait.
///
/// # Errors
/// The sentence that says what came that must not, or what did not come.
pub(super) async fn wait(
    timeline: &Timeline,
    expect: &Expect,
    forbidden: Option<&Stage>,
    since: Duration,
    bound: Duration,
    facts: &Facts,
) -> Result<Ending, String> {
    let mut seen = vec![None; expect.proofs.len()];
    let mut cursor = Cursor::default();
    let watch = async {
        while seen.iter().any(Option::is_none) {
            let record = timeline.wait_for(&mut cursor, |_| true).await;
            if let Some(stage) = forbidden.filter(|s| trespasses(s, &record, since, facts)) {
                return Err(format!(
                    "stage \"{}\" was reached, and the board should have been refused before it",
                    stage.name
                ));
            }
            for (proof, seen) in expect.proofs.iter().zip(&mut seen) {
                if seen.is_none() && proves(proof, &record.event, facts) {
                    // Not everything that proves something has a line of its own.
                    let text = || format!("[{:8.2}] {proof}", record.at.as_secs_f64());
                    *seen = Some(line(&record).unwrap_or_else(text));
                }
            }
        }
        Ok(())
    };
    match timeout(bound, watch).await {
        Ok(outcome) => outcome?,
        Err(_) => return Err(missing(&expect.proofs, &seen, bound)),
    }
    Ok(Ending {
        refused_before: forbidden.map(|stage| stage.name.clone()),
        proofs: seen.into_iter().flatten().collect(),
    })
}

fn trespasses(stage: &Stage, record: &Record, since: Duration, facts: &Facts) -> bool {
    record.at > since && proves(&stage.evidence, &record.event, facts)
}

fn missing(proofs: &[Evidence], seen: &[Option<String>], bound: Duration) -> String {
    let missing = proofs.iter().zip(seen).filter(|(_, seen)| seen.is_none());
    let missing: Vec<_> = missing.map(|(proof, _)| proof.to_string()).collect();
    format!(
        "the run stopped where it was to, and within {:.0} s nothing showed that {}",
        bound.as_secs_f64(),
        missing.join(", nor that ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::End;
    use crate::timeline::{Event, Power, ServiceId, TlsEvent};

    /// A scenario's expectation and the stage that it forbids.
    fn refused() -> (Expect, Stage) {
        #[derive(serde::Deserialize)]
        struct File {
            stage: Stage,
            proofs: Vec<Evidence>,
        }
        let file: File = toml::from_str(
            "proofs = [{ tls-failure = { service = \"boot\", error = \"Expired\" } }, { serial = \"Permission denied\" }]\n\
             [stage]\nname = \"TLS\"\nevidence.tls = { service = \"boot\" }\nbudget = \"1s\"\n",
        )
        .unwrap();
        let expect = Expect {
            end: End::Before("TLS".into()),
            proofs: file.proofs,
            within: Duration::from_secs(5),
            holds: Duration::ZERO,
        };
        (expect, file.stage)
    }

    fn handshake(error: Option<&str>) -> Event {
        Event::Tls(TlsEvent {
            service: ServiceId::Boot,
            server_name: None,
            fingerprint: None,
            error: error.map(String::from),
            duration: Duration::ZERO,
        })
    }

    fn says(line: &str) -> Event {
        Event::Serial {
            uart: 1,
            line: line.into(),
        }
    }

    async fn ending(events: Vec<Event>) -> Result<Ending, String> {
        let timeline = Timeline::start();
        events.into_iter().for_each(|event| timeline.emit(event));
        let facts = Facts {
            nonce: "c0ffee".into(),
            ..Facts::default()
        };
        let (expect, forbidden) = refused();
        let (since, bound) = (Duration::ZERO, expect.within);
        wait(&timeline, &expect, Some(&forbidden), since, bound, &facts).await
    }

    #[tokio::test(start_paused = true)]
    async fn every_proof_in_any_order_makes_the_end() {
        let events = vec![
            says("Permission denied"),
            handshake(Some("certificate: Expired")),
        ];
        let ending = ending(events).await.unwrap();
        assert_eq!(ending.refused_before.as_deref(), Some("TLS"));
        assert!(
            ending.proofs[0].contains("failed: certificate: Expired"),
            "{ending:?}"
        );
        assert!(
            ending.proofs[1].contains("uart1: Permission denied"),
            "{ending:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn that_the_board_powers_itself_off_is_a_proof() {
        let timeline = Timeline::start();
        let action = Power::GuestShutdown;
        timeline.emit(Event::Power { action });
        let (expect, forbidden) = refused();
        let expect = Expect {
            proofs: vec![Evidence::Power(action)],
            ..expect
        };
        let (since, bound, facts) = (Duration::ZERO, expect.within, Facts::default());
        let ending = wait(&timeline, &expect, Some(&forbidden), since, bound, &facts);
        assert_eq!(ending.await.unwrap().proofs.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn another_reason_is_no_proof() {
        let events = vec![says("Permission denied"), handshake(Some("UnknownIssuer"))];
        insta::assert_snapshot!(ending(events).await.unwrap_err(), @"the run stopped where it was to, and within 5 s nothing showed that a TLS handshake with the boot server fails with /Expired/");
    }

    #[tokio::test(start_paused = true)]
    async fn a_board_that_comes_through_all_the_same_has_failed() {
        let events = vec![
            says("Permission denied"),
            handshake(None),
            handshake(Some("Expired")),
        ];
        insta::assert_snapshot!(ending(events).await.unwrap_err(), @r#"stage "TLS" was reached, and the board should have been refused before it"#);
    }
}
