//! The page of exit codes.

use super::{head, table};

/// Commands, and what 0, 1 and 2 mean of them.
const CODES: &[[&str; 4]] = &[
    [
        "`e2e`, `e2e repro`",
        "every run passed, or failed in a way that `known-failures.toml` knows",
        "a run failed; with `--flaky fail` also one that passed at a later attempt",
        "none failed and one could not take place, was stopped before it began, or left evidence behind that could not be kept, or the command could not do its work",
    ],
    [
        "`e2e --bisect`",
        "as above",
        "as above",
        "never: what is 2 above is 125 here, with which `git bisect run` leaves a commit out",
    ],
    [
        "`replay`",
        "the run passed, or nothing in a serial log speaks against it",
        "the run failed",
        "the run could not take place, or the record cannot be read",
    ],
    [
        "`image verify`",
        "the image conforms to the specification",
        "it does not",
        "it cannot be read",
    ],
    [
        "`doctor`",
        "this machine can run boards",
        "something is missing without which nothing runs",
        "the check itself failed",
    ],
    [
        "`fixtures verify`",
        "the cache is as it was stored",
        "something was damaged and has been removed",
        "the cache cannot be read",
    ],
    [
        "`docs --check`",
        "pages and schemas are those of the code",
        "one is out of step",
        "there are none",
    ],
    [
        "all others",
        "done",
        "a part of the work failed",
        "it could not be done at all",
    ],
];

/// The page.
pub(super) fn page() -> String {
    let rows = CODES.iter().map(|row| row.map(str::to_owned));
    head("Exit codes") + &table(["command", "0", "1", "2"], rows)
}
