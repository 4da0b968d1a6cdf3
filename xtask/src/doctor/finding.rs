//! What was found, and how it is shown.

use std::fmt::Write;

use shakedown_harness::shell::OurCommand;

/// What was found out about one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) state: State,
    /// The thing.
    pub(crate) what: String,
    /// What was found.
    pub(crate) found: String,
    /// What to do about it.
    pub(crate) remedy: Option<String>,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It is as it should be.
    Good,
    /// Runs take place, slower or with less than could be.
    Lacking,
    /// Runs cannot take place.
    Missing,
}

impl Finding {
    pub(crate) fn good(what: &str, found: impl Into<String>) -> Self {
        Self {
            state: State::Good,
            what: what.into(),
            found: found.into(),
            remedy: None,
        }
    }

    pub(crate) fn lacking(what: &str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            state: State::Lacking,
            remedy: Some(remedy.into()),
            ..Self::good(what, found)
        }
    }

    pub(crate) fn missing(what: &str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            state: State::Missing,
            ..Self::lacking(what, found, remedy)
        }
    }
}

/// The findings as a table, with the remedies below the lines that need one.
pub(crate) fn text(findings: &[Finding]) -> String {
    let width = findings.iter().map(|f| f.what.chars().count()).max();
    let width = width.unwrap_or(0);
    let mut out = String::new();
    for finding in findings {
        let mark = match finding.state {
            State::Good => "ok     ",
            State::Lacking => "note   ",
            State::Missing => "MISSING",
        };
        let _ = writeln!(out, "{mark}  {:width$}  {}", finding.what, finding.found);
        if let Some(remedy) = &finding.remedy {
            let _ = writeln!(out, "{:7}  {:width$}  -> {remedy}", "", "");
        }
    }
    let missing = findings
        .iter()
        .filter(|f| f.state == State::Missing)
        .count();
    out += &match missing {
        0 => format!("\nthis machine can run boards: {}\n", OurCommand("e2e")),
        n => format!("\n{n} missing: boards cannot run here yet\n"),
    };
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remedies_stand_below_what_needs_them() {
        let findings = [
            Finding::good("cores", "2"),
            Finding::lacking("Alpine", "a stand-in", "cargo xtask fixtures alpine --pull"),
            Finding::missing("disk", "0.1 GB free", "make room"),
        ];
        insta::assert_snapshot!(text(&findings), @r"
        ok       cores   2
        note     Alpine  a stand-in
                         -> cargo xtask fixtures alpine --pull
        MISSING  disk    0.1 GB free
                         -> make room

        1 missing: boards cannot run here yet
        ");
    }
}
