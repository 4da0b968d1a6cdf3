//! What the tests of this room share.

use super::{Report, StageTime, Turn, Verdict};

/// A report of stages with the seconds that each took.
pub(crate) fn report(scenario: &str, stages: &[(&str, f64)], verdict: Verdict) -> Report {
    let mut at = 0.0;
    let stages = stages.iter().map(|(name, took)| {
        at += took;
        StageTime {
            name: (*name).into(),
            reached: at,
            took: *took,
            cpu: None,
            restored: false,
        }
    });
    Report {
        version: Report::VERSION,
        scenario: scenario.into(),
        title: String::new(),
        board: "raspi3b".into(),
        uarts: Vec::new(),
        cannot: Vec::new(),
        mac: None,
        started: String::new(),
        turn: Turn::default(),
        verdict,
        restored_from: None,
        chain: Vec::new(),
        faults: Vec::new(),
        seed: None,
        stages: stages.collect(),
        boots: Vec::new(),
        failure: None,
        since_passed: None,
        ending: None,
        container_system: None,
        container_version: None,
        nonce: None,
        on_desk: false,
        layers: Vec::new(),
        container_source: "Alpine 3.20.3".into(),
        stand_in: false,
        qemu_cpu_seconds: 70.25,
        harness_cpu_seconds: 1.5,
        host_scale: 1.0,
        parts: vec![],
        reproduce: format!("cargo xtask e2e {scenario}"),
        lost: Vec::new(),
    }
}
