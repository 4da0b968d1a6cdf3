//! What the report of a run says: who it is, and what the judge says of it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::host::host_scale;
use crate::judge::{JudgedStage, Outcome, StageOutcome, Verdict as Judgement, label};
use crate::plan::Job;
use crate::report::{Boot, CpuSeconds, Failure, Report, StageTime, Verdict};
use crate::scenario::ServiceMode;
use crate::script::{Followed, StageKey};
use crate::timeline::{BoardId, Event, Power, Record};
use crate::world::faults;

/// A report of which nothing is known but what must be run.
pub(super) fn identity(job: &Job<'_>) -> Report {
    Report {
        version: Report::VERSION,
        scenario: job.scenario.name.to_string(),
        title: job.scenario.title.clone(),
        board: job.board.name.to_string(),
        uarts: job.board.uarts.iter().map(|u| u.name.clone()).collect(),
        cannot: job.board.cannot.iter().map(ToString::to_string).collect(),
        mac: None,
        started: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        turn: job.extras.turn,
        verdict: Verdict::CouldNotRun,
        restored_from: None,
        chain: job.labels(),
        faults: faults(job.scenario),
        seed: job.scenario.seed_of_faults(),
        stages: Vec::new(),
        boots: Vec::new(),
        failure: None,
        since_passed: None,
        ending: None,
        container_system: None,
        container_version: None,
        nonce: None,
        on_desk: false,
        layers: Vec::new(),
        container_source: match &job.scenario.services.registry {
            ServiceMode::Played => job.parts.container.source.clone(),
            ServiceMode::Forwarded(to) => format!("what the registry at {} has", to.forwarded),
            ServiceMode::Absent => "no registry".into(),
        },
        stand_in: job.parts.container.stand_in && job.scenario.services.registry.is_played(),
        qemu_cpu_seconds: 0.0,
        harness_cpu_seconds: 0.0,
        host_scale: host_scale(),
        parts: job.parts.versions.clone(),
        reproduce: job.reproduce.clone(),
        lost: Vec::new(),
    }
}

impl Report {
    /// Takes over what the judge says.
    pub(super) fn tell(&mut self, followed: &Followed) {
        let verdict = &followed.verdict;
        self.verdict = verdict.outcome.into();
        self.ending.clone_from(&verdict.ending);
        self.stages = stage_times(verdict, &followed.cpu, &followed.records);
        self.boots = boots(verdict, self.verdict, &followed.records);
        let finding = verdict.finding.as_ref();
        self.failure = finding.map(|finding| Failure::of(finding, &followed.records));
    }
}

impl From<Outcome> for Verdict {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Passed => Self::Passed,
            Outcome::Failed => Self::Failed,
            // A run of ours knows everything that it is judged by.
            Outcome::CouldNotRun | Outcome::NotJudged => Self::CouldNotRun,
        }
    }
}

/// The stages that were reached, with what the CPU did meanwhile. Times are since the board was switched on first.
fn stage_times(
    verdict: &Judgement,
    cpu: &BTreeMap<StageKey, Option<CpuSeconds>>,
    records: &[Record],
) -> Vec<StageTime> {
    let is_on = |r: &&Record| is_start(r);
    let power_on = |stage: &JudgedStage| {
        let mut its = records
            .iter()
            .filter(|r| r.boot == stage.boot && r.board == stage.board);
        its.find(is_on).map(|r| r.at)
    };
    let first = records.iter().find(is_on).map_or(Duration::ZERO, |r| r.at);
    let time = |stage: &JudgedStage| match stage.outcome {
        StageOutcome::Reached { at, took, restored } => {
            let booted = power_on(stage).unwrap_or(first);
            let key = (stage.board.clone(), stage.boot, stage.name.clone());
            Some(StageTime {
                name: label(stage.board.as_ref(), stage.boot, &stage.name),
                reached: (at + booted.saturating_sub(first)).as_secs_f64(),
                took: took.as_secs_f64(),
                cpu: cpu.get(&key).copied().flatten(),
                restored,
            })
        }
        StageOutcome::NotReached | StageOutcome::NotJudged => None,
    };
    verdict.stages.iter().filter_map(time).collect()
}

/// A boot begins with it.
fn is_start(record: &Record) -> bool {
    matches!(
        record.event,
        Event::Power {
            action: Power::On | Power::Reset
        }
    )
}

/// What came of each boot that began, of a run that has several. The script goes on to the next boot only when the one before did what its step
/// awaits, so the run's verdict is that of the last boot of a board.
fn boots(verdict: &Judgement, of_run: Verdict, records: &[Record]) -> Vec<Boot> {
    let mut kinds: Vec<(&Option<BoardId>, u32)> = Vec::new();
    for stage in &verdict.stages {
        let kind = (&stage.board, stage.boot);
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    if kinds.len() < 2 {
        return Vec::new();
    }
    let began = |(board, boot): &(&Option<BoardId>, u32)| {
        let is_on = |r: &Record| {
            let of_board = board.is_none() || r.board == **board;
            of_board && r.boot == *boot && is_start(r)
        };
        records.iter().any(is_on)
    };
    let begun: Vec<_> = kinds.into_iter().filter(began).collect();
    let boot = |(board, number): &(&Option<BoardId>, u32)| {
        let own = verdict.stages.iter();
        let own = own.filter(|s| s.board == **board && s.boot == *number);
        let (all, reached): (usize, Vec<_>) = own.fold((0, vec![]), |(n, mut reached), stage| {
            if let Some((at, _)) = stage.outcome.reached() {
                reached.push((at, stage.name.clone()));
            }
            (n + 1, reached)
        });
        let is_followed = begun.iter().any(|(b, n)| b == board && n > number);
        let last = reached.last();
        Boot {
            board: board.as_ref().map(ToString::to_string),
            number: number + 1,
            verdict: match is_followed || reached.len() == all {
                true => Verdict::Passed,
                false => of_run,
            },
            reached: reached.len(),
            took: last.map_or(0.0, |(at, _)| at.as_secs_f64()),
            last_stage: last.map(|(_, name)| name.clone()),
        }
    };
    begun.iter().map(boot).collect()
}

/// The value of a key that an `os-release` on the console gives (os-release(5)).
pub(super) fn os_release(record: &Record, key: &str) -> Option<String> {
    match &record.event {
        Event::Serial { line, .. } => {
            let value = line.strip_prefix(key)?.strip_prefix('=')?;
            Some(value.trim_matches('"').to_owned())
        }
        _ => None,
    }
}
