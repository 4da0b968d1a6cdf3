//! The report for a terminal.

use std::collections::BTreeSet;
use std::fmt::Write;

use shakedown_base::{untrusted, untrusted_lines};

use super::{Ending, Failure, Report, SincePassed, Verdict};

/// The verdict in a sentence.
#[must_use]
pub fn verdict_sentence(report: &Report) -> String {
    let cause = || {
        report
            .failure
            .as_ref()
            .map_or("no reason given".into(), |f| untrusted_lines(&f.cause))
    };
    // What another run went through is not passed off as this one's.
    let restored = report.last_restored();
    let from = restored.map(|stage| format!(" from \"{}\" on", stage.name));
    let mut from = from.unwrap_or_default();
    if report.turn.attempt > 1 {
        from = format!(" at attempt {}{from}", report.turn.attempt);
    }
    if let (Verdict::Passed, Some(ending)) = (report.verdict, &report.ending) {
        return match &ending.refused_before {
            Some(stage) => format!("passed{from}: refused before \"{stage}\", as expected"),
            None => format!("passed{from}: ended where it was to"),
        };
    }
    match report.verdict {
        Verdict::Passed => {
            let system = report
                .container_system
                .as_deref()
                .unwrap_or("the container");
            let system = untrusted(system);
            let stand_in = if report.stand_in {
                " (a stand-in, not Alpine)"
            } else {
                ""
            };
            let version = report.container_version.as_ref();
            let version = version.map(|v| format!(", VERSION_ID={},", untrusted(v)));
            // The whole of it is among the report's data.
            let nonce = report.nonce.as_deref().unwrap_or_default();
            let start = nonce.get(..8).map(|start| format!("{start}…"));
            let nonce = start.as_deref().unwrap_or(nonce);
            format!(
                "passed{from}: {system}{stand_in}{} said its nonce {}",
                version.unwrap_or_default(),
                untrusted(nonce)
            )
        }
        Verdict::Failed => format!("failed{from}: {}", cause()),
        Verdict::CouldNotRun => format!("could not run: {}", cause()),
    }
}

/// The end of a run that ended before its chain, as it was to: where, and what shows why.
#[must_use]
pub fn ending_text(report: &Report, ending: &Ending) -> String {
    let end = match (&ending.refused_before, report.stages.last()) {
        (Some(stage), _) => format!("refused before \"{stage}\", as expected"),
        (None, Some(stage)) => format!("ended at \"{}\", as it was to", stage.name),
        (None, None) => "ended before its first stage".into(),
    };
    let mut out = format!("{} on {}: {end}\n", report.scenario, report.board);
    for proof in &ending.proofs {
        let _ = writeln!(out, "    {}", untrusted(proof));
    }
    out
}

/// What the emulated boards of these runs lack of the real ones, a line each and none twice.
pub fn limitations_text<'a>(reports: impl IntoIterator<Item = &'a Report>) -> String {
    let lines = reports.into_iter().flat_map(|report| {
        let line = |text| format!("not as on a real {}: {text}\n", report.board);
        report.cannot.iter().map(line)
    });
    lines.collect::<BTreeSet<_>>().into_iter().collect()
}

/// A failure as people read it: what, where, last signs of life, how to see it again.
#[must_use]
pub fn failure_text(report: &Report, failure: &Failure) -> String {
    let mut out = format!(
        "{} on {}: {}\n",
        report.scenario,
        report.board,
        untrusted_lines(&failure.cause)
    );
    let mut field = |name: &str, value: &str| {
        let _ = writeln!(out, "  {name:13} {}", untrusted(value));
    };
    field("class", failure.class.name());
    if let Some(advice) = &failure.advice {
        field("means", advice);
    }
    field(
        "reached",
        failure.stage_reached.as_deref().unwrap_or("no stage"),
    );
    if let Some(awaited) = &failure.awaited {
        field(
            "awaited",
            &format!("{awaited}, for {:.1} s", failure.waited),
        );
    }
    field(
        "last request",
        failure.last_request.as_deref().unwrap_or("none"),
    );
    field(
        "last network",
        failure.last_network.as_deref().unwrap_or("none"),
    );
    for line in report.since_passed.iter().flat_map(SincePassed::lines) {
        field("changed", &line);
    }
    if let (Some(run), Some(stage)) = (&report.restored_from, report.last_restored()) {
        field("went on from", &format!("\"{}\" of {run}", stage.name));
    }
    for fault in &report.faults {
        field("on purpose", &fault.what);
    }
    field("again", &report.reproduce);
    out += "  last serial lines:\n";
    for line in &failure.last_serial {
        let _ = writeln!(out, "    {}", untrusted(line));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::testing::report;
    use super::super::{Class, Effect, Fault};
    use super::*;
    use crate::timeline::{Event, Timeline};

    #[test]
    fn an_expected_refusal_says_where_and_why() {
        let report = report("mtls", &[("U-Boot", 0.8), ("DHCP", 4.0)], Verdict::Passed);
        let ending = Ending {
            refused_before: Some("TLS".into()),
            proofs: vec!["[    6.10] TLS handshake with the boot server failed: Expired".into()],
        };
        insta::assert_snapshot!(ending_text(&report, &ending), @r#"
        mtls on raspi3b: refused before "TLS", as expected
            [    6.10] TLS handshake with the boot server failed: Expired
        "#);
    }

    #[test]
    fn a_failure_says_where_and_how_to_see_it_again() {
        let timeline = Timeline::start();
        timeline.emit(Event::Serial {
            uart: 1,
            line: "Net:   eth0".into(),
        });
        let mut records = timeline.snapshot();
        records[0].at = std::time::Duration::from_millis(1500);
        let mut failure = Failure::new(Class::Board, "stage iPXE was not reached".into(), &records);
        failure.awaited = Some("iPXE (a UART says /iPXE/)".into());
        failure.waited = 60.0;
        let mut report = report("alpine-https", &[], Verdict::Failed);
        report.faults = vec![Fault {
            what: "frames are lost (seed 7)".into(),
            shows: Effect::Fired {
                name: "frames are lost".into(),
            },
        }];
        insta::assert_snapshot!(failure_text(&report, &failure), @r"
        alpine-https on raspi3b: stage iPXE was not reached
          class         board
          reached       no stage
          awaited       iPXE (a UART says /iPXE/), for 60.0 s
          last request  none
          last network  none
          on purpose    frames are lost (seed 7)
          again         cargo xtask e2e alpine-https
          last serial lines:
            [    1.50] uart1: Net:   eth0
        ");
    }
}
