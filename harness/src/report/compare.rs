//! Two runs of the same compared.

use super::Failure;

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
    use super::*;

    fn failure(class: Class, stage: &str, cause: &str) -> Failure {
        Failure {
            stage_reached: Some(stage.into()),
            ..Failure::new(class, cause.into(), &[])
        }
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
