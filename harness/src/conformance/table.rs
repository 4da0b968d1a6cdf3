//! The table of a conformance run, in Markdown.

use super::catalogue::{Catalogue, Check};
use super::verdict::Verdict;

/// Puts the table together. `subject` says what was held to the contract.
#[must_use]
pub fn table(catalogue: &Catalogue, subject: &str, verdicts: &[(&Check, Verdict)]) -> String {
    let count = |fits: fn(&Verdict) -> bool| verdicts.iter().filter(|(_, v)| fits(v)).count();
    let mut text = format!(
        "# Conformance: {}\n\nWritten by the suite from what its runs recorded. Not edited by hand.\n\n- contract: {}\n- as the contract: {}, differs: {}, not run: {}\n\n\
         | check | states | result | shown by | remark |\n| --- | --- | --- | --- | --- |\n",
        cell(subject),
        catalogue.contract,
        count(|v| *v == Verdict::AsContract),
        count(|v| matches!(v, Verdict::Differs(_))),
        count(|v| matches!(v, Verdict::NotRun(_))),
    );
    for (check, verdict) in verdicts {
        let result = match verdict {
            Verdict::AsContract => "as the contract".to_owned(),
            Verdict::Differs(missing) => format!("**differs**: {}", missing.join("; ")),
            Verdict::NotRun(why) => format!("not run: {why}"),
        };
        let left_open = check.open.as_deref().filter(|_| check.scenario.is_some());
        let remark: Vec<_> = [left_open, check.remark.as_deref()]
            .into_iter()
            .flatten()
            .collect();
        let cells = [
            &check.id,
            &check.states,
            &result,
            check.scenario.as_deref().unwrap_or(""),
            &remark.join("; "),
        ];
        text += &format!("| {} |\n", cells.map(cell).join(" | "));
    }
    text
}

/// Text that stays in its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_was_shown_and_what_was_not() {
        let check = |id: &str, scenario: Option<&str>, open: Option<&str>| Check {
            id: id.into(),
            states: "a|b".into(),
            scenario: scenario.map(Into::into),
            must: Vec::new(),
            open: open.map(Into::into),
            remark: None,
        };
        let checks = [
            check("C01", Some("s"), None),
            check("C02", Some("s"), Some("the card is not looked at")),
            check("C03", None, Some("needs two boots")),
        ];
        let catalogue = Catalogue {
            contract: "of 2022".into(),
            checks: checks.to_vec(),
        };
        let verdicts = [
            (&checks[0], Verdict::AsContract),
            (&checks[1], Verdict::Differs(vec!["x".into(), "y".into()])),
            (&checks[2], Verdict::NotRun("needs two boots".into())),
        ];
        insta::assert_snapshot!(table(&catalogue, "ours", &verdicts), @r"
        # Conformance: ours

        Written by the suite from what its runs recorded. Not edited by hand.

        - contract: of 2022
        - as the contract: 1, differs: 1, not run: 1

        | check | states | result | shown by | remark |
        | --- | --- | --- | --- | --- |
        | C01 | a\|b | as the contract | s |  |
        | C02 | a\|b | **differs**: x; y | s | the card is not looked at |
        | C03 | a\|b | not run: needs two boots |  |  |
        ");
    }
}
