//! Two runs of the same compared, and what a set of runs means to who called.

use super::{Failure, Report, Verdict};

/// The exit status of a set of runs: 1 when any failed, whatever became of the others; else 2 when one could not take place or its evidence
/// could not be kept; else 0.
#[must_use]
pub fn exit_status(reports: &[Report]) -> u8 {
    let any = |verdict| reports.iter().any(|r| r.verdict == verdict);
    let lost = reports.iter().any(|r| !r.lost.is_empty());
    if any(Verdict::Failed) {
        1
    } else if any(Verdict::CouldNotRun) || lost {
        2
    } else {
        0
    }
}

/// Whether a run has come to the end of another one, in a sentence.
#[must_use]
pub fn comparison(then: Option<&Failure>, now: Option<&Failure>) -> String {
    let stage = |failure: &Failure| failure.stage_reached.clone().unwrap_or("no stage".into());
    match (then, now) {
        (None, None) => "as in the bundle, the run did not fail".into(),
        (None, Some(now)) => format!("the bundle's run did not fail; this one did: {}", now.cause),
        (Some(then), None) => format!("not reproduced: the bundle's run failed: {}", then.cause),
        (Some(then), Some(now)) if stage(then) != stage(now) => format!(
            "failed at another place: after {} then, after {} now",
            stage(then),
            stage(now)
        ),
        (Some(then), Some(now)) if then.class != now.class => format!(
            "failed at the same place, of another class: {} then, {} now: {}",
            then.class.name(),
            now.class.name(),
            now.cause
        ),
        (Some(then), Some(now)) if kind(&then.cause) != kind(&now.cause) => format!(
            "failed at the same place for another reason:\n  then {}\n  now  {}",
            then.cause, now.cause
        ),
        (Some(_), Some(now)) => format!("reproduced: as in the bundle, {}", now.cause),
    }
}

/// A cause without the numbers that differ from run to run.
fn kind(cause: &str) -> String {
    cause
        .chars()
        .filter(|c| !c.is_ascii_digit() && *c != ' ')
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::Class;
    use super::super::testing::report;
    use super::*;

    fn failure(class: Class, stage: &str, cause: &str) -> Failure {
        Failure {
            stage_reached: Some(stage.into()),
            ..Failure::new(class, cause.into(), &[])
        }
    }

    #[test]
    fn a_failed_run_is_not_hidden_by_one_that_could_not_take_place() {
        let one = |verdict| report("s", &[], verdict);
        let status = |verdicts: &[Verdict]| {
            exit_status(&verdicts.iter().map(|v| one(*v)).collect::<Vec<_>>())
        };
        assert_eq!(status(&[Verdict::Failed, Verdict::CouldNotRun]), 1);
        assert_eq!(status(&[Verdict::Passed, Verdict::CouldNotRun]), 2);
        assert_eq!(status(&[Verdict::Passed, Verdict::Passed]), 0);
        let mut lost = one(Verdict::Passed);
        lost.lost.push("there is no page of this run".into());
        assert_eq!(exit_status(&[lost]), 2);
    }

    #[test]
    fn another_cause_at_the_same_stage_is_not_reproduced() {
        let panic = failure(Class::Board, "Linux", "kernel panic: [ 6.1] VFS");
        let again = failure(Class::Board, "Linux", "kernel panic: [ 7.25] VFS");
        let budget = failure(Class::Board, "Linux", "its budget of 112 s is used up");
        let starved = failure(Class::Host, "Linux", "kernel panic: [ 6.1] VFS");
        let told = |now: &Failure| comparison(Some(&panic), Some(now));
        assert!(told(&again).starts_with("reproduced"));
        assert!(told(&budget).starts_with("failed at the same place for another reason"));
        assert!(told(&starved).contains("of another class: board then, host now"));
        assert!(comparison(Some(&panic), None).starts_with("not reproduced"));
    }
}
