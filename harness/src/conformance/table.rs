//! The table of a conformance run, in Markdown.

use std::fmt;
use std::time::Duration;

use super::catalogue::{Catalogue, Check};
use super::verdict::Verdict;

/// A check with what came of it.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    /// The check.
    pub check: &'a Check,
    /// What came of it.
    pub verdict: Verdict,
    /// What came of the run that behaves as the original, where the check has one.
    pub compat: Option<Verdict>,
}

/// What it took to make the table.
#[derive(Debug, Clone, Copy)]
pub struct Made {
    /// How many runs were judged.
    pub runs: usize,
    /// How long they lasted, one after the other.
    pub lasted: Duration,
    /// How long the suite took, with how many processors; `None` where it judged runs of before.
    pub took: Option<(Duration, usize)>,
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = |time: Duration| time.as_secs_f64() / 60.0;
        write!(
            f,
            "{}, which lasted {:.1} min one after the other",
            self.runs,
            minutes(self.lasted)
        )?;
        match self.took {
            Some((took, cores)) => write!(
                f,
                "; the suite took {:.1} min on a machine of {cores} processors",
                minutes(took)
            ),
            None => f.write_str("; they were made before"),
        }
    }
}

/// Puts the table together. `subject` says what was held to the contract.
#[must_use]
pub fn table(catalogue: &Catalogue, subject: &str, made: Made, rows: &[Row<'_>]) -> String {
    let count = |fits: fn(&Verdict) -> bool| rows.iter().filter(|row| fits(&row.verdict)).count();
    let mut text = format!(
        "# Conformance: {}\n\nWritten by the suite from what its runs recorded. Not edited by hand.\n\n- contract: {}\n- as the contract: {}, differs on purpose: {}, differs: {}, not run: {}\n\
         - runs: {made}\n\n\
         | check | states | result | shown by | remark | with `B2C_COMPAT=2022` |\n| --- | --- | --- | --- | --- | --- |\n",
        cell(subject),
        catalogue.contract,
        count(|v| *v == Verdict::AsContract),
        count(|v| matches!(v, Verdict::DiffersOnPurpose(_))),
        count(|v| matches!(v, Verdict::Differs(_))),
        count(|v| matches!(v, Verdict::NotRun(_))),
    );
    for Row {
        check,
        verdict,
        compat,
    } in rows
    {
        let left_open = check.open.as_deref().filter(|_| check.scenario.is_some());
        let remark: Vec<_> = [left_open, check.remark.as_deref()]
            .into_iter()
            .flatten()
            .collect();
        let compat = match (&check.compat, compat) {
            (Some(compat), Some(verdict)) => {
                format!("{}: {}", result(verdict, "shown"), compat.states)
            }
            _ => String::new(),
        };
        let cells = [
            &check.id,
            &check.states,
            &result(verdict, "as the contract"),
            check.scenario.as_deref().unwrap_or(""),
            &remark.join("; "),
            &compat,
        ];
        text += &format!("| {} |\n", cells.map(cell).join(" | "));
    }
    text
}

/// A verdict in words; `good` where nothing is missing.
fn result(verdict: &Verdict, good: &str) -> String {
    match verdict {
        Verdict::AsContract => good.to_owned(),
        Verdict::DiffersOnPurpose(how) => format!("differs on purpose: {how}"),
        Verdict::Differs(missing) => format!("**differs**: {}", missing.join("; ")),
        Verdict::NotRun(why) => format!("not run: {why}"),
    }
}

/// Text that stays in its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::Compat;
    use super::*;

    #[test]
    fn the_table_says_what_was_shown_and_what_was_not() {
        let check = |id: &str, scenario: Option<&str>, open: Option<&str>| Check {
            id: id.into(),
            states: "a|b".into(),
            scenario: scenario.map(Into::into),
            must: Vec::new(),
            compat: None,
            open: open.map(Into::into),
            differs: None,
            remark: None,
        };
        let compat = Compat {
            states: "it says 0".into(),
            scenario: "s-2022".into(),
            must: Vec::new(),
        };
        let checks = [
            Check {
                compat: Some(compat),
                ..check("C01", Some("s"), None)
            },
            check("C02", Some("s"), Some("the card is not looked at")),
            check("C03", None, Some("needs two boots")),
            check("C04", Some("s"), None),
        ];
        let catalogue = Catalogue {
            contract: "of 2022".into(),
            checks: checks.to_vec(),
        };
        let verdicts = [
            (Verdict::AsContract, Some(Verdict::AsContract)),
            (Verdict::Differs(vec!["x".into(), "y".into()]), None),
            (Verdict::NotRun("needs two boots".into()), None),
            (Verdict::DiffersOnPurpose("ours waits".into()), None),
        ];
        let rows: Vec<_> = checks
            .iter()
            .zip(verdicts)
            .map(|(check, (verdict, compat))| Row {
                check,
                verdict,
                compat,
            })
            .collect();
        let made = Made {
            runs: 2,
            lasted: Duration::from_secs(90),
            took: Some((Duration::from_secs(60), 2)),
        };
        insta::assert_snapshot!(table(&catalogue, "ours", made, &rows), @r"
        # Conformance: ours

        Written by the suite from what its runs recorded. Not edited by hand.

        - contract: of 2022
        - as the contract: 1, differs on purpose: 1, differs: 1, not run: 1
        - runs: 2, which lasted 1.5 min one after the other; the suite took 1.0 min on a machine of 2 processors

        | check | states | result | shown by | remark | with `B2C_COMPAT=2022` |
        | --- | --- | --- | --- | --- | --- |
        | C01 | a\|b | as the contract | s |  | shown: it says 0 |
        | C02 | a\|b | **differs**: x; y | s | the card is not looked at |  |
        | C03 | a\|b | not run: needs two boots |  |  |  |
        | C04 | a\|b | differs on purpose: ours waits | s |  |  |
        ");
    }
}
