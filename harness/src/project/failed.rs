//! Which runs failed when they were made last.

use super::discovery::Project;
use super::selection::Runs;
use crate::report::{failed_last, past_runs};

impl Project {
    /// Of these runs those that did not pass when they were made last; one that was never made is not among them.
    #[must_use]
    pub fn only_failed<'a>(&self, selected: Runs<'a>) -> Runs<'a> {
        let failed = failed_last(&past_runs(self.runs_folder()));
        let is_failed = |scenario: &str, board: &str| {
            let mut kinds = failed.iter();
            kinds.any(|(s, b)| s == scenario && b == board)
        };
        let runs = selected.into_iter();
        runs.filter(|(s, b)| is_failed(&s.name, &b.name)).collect()
    }
}
