//! The attempts of one scenario on one board, and what they come to together.

use std::path::PathBuf;

use super::{Report, Verdict};

/// A scenario's run on a board, with the attempts before it that failed.
#[derive(Debug, Clone)]
pub struct Attempts {
    /// The last attempt.
    pub last: Report,
    /// Its folder.
    pub folder: PathBuf,
    /// The attempts before it with their folders, in order.
    pub earlier: Vec<(Report, PathBuf)>,
    /// What `known-failures.toml` says of the failure, if it knows it.
    pub known: Option<String>,
}

/// What attempts come to together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// The last one passed and none failed.
    Passed,
    /// The last one passed, and one before it failed.
    Flaky,
    /// None passed, and the failure is known.
    KnownFailure,
    /// One failed and none passed.
    Failed,
    /// None could take place; they say nothing of the image.
    CouldNotRun,
}

impl Standing {
    /// In words, for people and as the name of a class of the style sheet when its spaces are dashes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Flaky => "flaky",
            Self::KnownFailure => "known failure",
            Self::Failed => "failed",
            Self::CouldNotRun => "could not run",
        }
    }
}

/// Whether flaky runs count as failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFlaky {
    /// They do not.
    #[default]
    Pass,
    /// They do.
    Fail,
}

impl Attempts {
    /// A run that was made once.
    #[must_use]
    pub fn once(report: Report, folder: PathBuf) -> Self {
        Self {
            last: report,
            folder,
            earlier: Vec::new(),
            known: None,
        }
    }

    /// Runs of the same in order; `None` when there are none.
    #[must_use]
    pub fn of(mut runs: Vec<(Report, PathBuf)>) -> Option<Self> {
        let (last, folder) = runs.pop()?;
        Some(Self {
            earlier: runs,
            ..Self::once(last, folder)
        })
    }

    /// Every attempt, in order.
    pub fn all(&self) -> impl Iterator<Item = &Report> {
        let earlier = self.earlier.iter().map(|(report, _)| report);
        earlier.chain([&self.last])
    }

    /// What they come to together.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let has_failed = self.all().any(|r| r.verdict == Verdict::Failed);
        match (self.last.verdict, has_failed) {
            (Verdict::Passed, false) => Standing::Passed,
            (Verdict::Passed, true) => Standing::Flaky,
            _ if has_failed && self.known.is_some() => Standing::KnownFailure,
            _ if has_failed => Standing::Failed,
            _ => Standing::CouldNotRun,
        }
    }

    /// For example `alpine-http` or, of a repetition, `alpine-http #3`.
    #[must_use]
    pub fn name(&self) -> String {
        match self.last.turn.repetition {
            0..=1 => self.last.scenario.clone(),
            n => format!("{} #{n}", self.last.scenario),
        }
    }

    /// Which attempt the last one is, for example `attempt 3`; `None` of a first.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        let earlier = self.earlier.len();
        (earlier > 0).then(|| format!("attempt {}", earlier + 1))
    }
}

/// The exit status of a set of runs: 1 when any failed, whatever became of the others; else 2 when one could not take place or its evidence
/// could not be kept; else 0. A known failure is none; of a flaky one `on_flaky` decides.
#[must_use]
pub fn exit_status(runs: &[Attempts], on_flaky: OnFlaky) -> u8 {
    let any = |standing| runs.iter().any(|r| r.standing() == standing);
    let lost = runs.iter().any(|r| !r.last.lost.is_empty());
    if any(Standing::Failed) || (on_flaky == OnFlaky::Fail && any(Standing::Flaky)) {
        1
    } else if any(Standing::CouldNotRun) || lost {
        2
    } else {
        0
    }
}

/// The exit status as `git bisect run` takes it: 0 good, 1 bad, 125 cannot be tested.
#[must_use]
pub fn bisect_status(status: u8) -> u8 {
    /// Source: git-bisect(1), "Bisect run".
    const SKIP: u8 = 125;
    match status {
        0 | 1 => status,
        _ => SKIP,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::report;
    use super::*;

    fn attempts(verdicts: &[Verdict]) -> Attempts {
        let runs = verdicts.iter().map(|v| (report("s", &[], *v), "f".into()));
        Attempts::of(runs.collect()).unwrap()
    }

    #[test]
    fn a_failure_that_a_retry_mends_is_flaky_and_no_other() {
        use Verdict::{CouldNotRun, Failed, Passed};
        for (verdicts, standing) in [
            (&[Passed][..], Standing::Passed),
            (&[Failed, Passed], Standing::Flaky),
            // The host is not the image.
            (&[CouldNotRun, Passed], Standing::Passed),
            (&[Failed, Failed], Standing::Failed),
            (&[Failed, CouldNotRun], Standing::Failed),
            (&[CouldNotRun], Standing::CouldNotRun),
        ] {
            assert_eq!(attempts(verdicts).standing(), standing, "{verdicts:?}");
        }
        assert!(Attempts::of(vec![]).is_none());
    }

    #[test]
    fn a_known_failure_is_no_failure_and_hides_no_pass() {
        let mut known = attempts(&[Verdict::Failed]);
        known.known = Some("the mirror is down (issue 7)".into());
        assert_eq!(known.standing(), Standing::KnownFailure);
        assert_eq!(exit_status(&[known.clone()], OnFlaky::Fail), 0);
        known.last.verdict = Verdict::Passed;
        assert_eq!(known.standing(), Standing::Passed);
        let mut unable = attempts(&[Verdict::CouldNotRun]);
        unable.known = Some("the mirror is down (issue 7)".into());
        assert_eq!(exit_status(&[unable], OnFlaky::Pass), 2);
    }

    #[test]
    fn a_failed_run_is_not_hidden_by_one_that_could_not_take_place() {
        let status = |all: &[&[Verdict]], on_flaky| {
            let runs: Vec<_> = all.iter().map(|verdicts| attempts(verdicts)).collect();
            exit_status(&runs, on_flaky)
        };
        let [passed, failed, unable] = [Verdict::Passed, Verdict::Failed, Verdict::CouldNotRun];
        assert_eq!(status(&[&[failed], &[unable]], OnFlaky::Pass), 1);
        assert_eq!(status(&[&[passed], &[unable]], OnFlaky::Pass), 2);
        assert_eq!(status(&[&[passed], &[passed]], OnFlaky::Fail), 0);
        assert_eq!(status(&[&[failed, passed]], OnFlaky::Pass), 0);
        assert_eq!(status(&[&[failed, passed], &[unable]], OnFlaky::Fail), 1);
        let mut lost = attempts(&[passed]);
        lost.last.lost.push("there is no page of this run".into());
        assert_eq!(exit_status(&[lost], OnFlaky::Pass), 2);
        assert_eq!([0, 1, 2].map(bisect_status), [0, 1, 125]);
    }
}
