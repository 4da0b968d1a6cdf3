//! The table of outcomes, as Markdown.

use std::fmt::Write;

use crate::checks::Found;
use crate::outcome::Outcome;

/// The page: what was held to the contract, and each check with what was seen. `subject` names the image.
#[must_use]
pub fn table(subject: &str, found: &Found) -> String {
    let checks = &found.checks;
    let count = |is: fn(&Outcome) -> bool| checks.iter().filter(|check| is(&check.outcome)).count();
    let holds = count(|o| matches!(o, Outcome::Holds(_)));
    let differs = count(|o| matches!(o, Outcome::Differs(_)));
    let not_run = count(|o| matches!(o, Outcome::NotRun(_)));
    let mut text = format!(
        "# The gateway's contract\n\n\
         Written by `cargo xtask conformance gateway`; do not edit. Held to it: {subject}.\n\n\
         The image's own programs run in network namespaces of the machine that ran this. The board is a stand-in that speaks DHCP, TFTP, HTTP, NTP, \
         DNS and the console and runs nothing; its plug hangs on the harness's power distribution unit, and the published client submits the jobs.\n\n\
         {holds} of {} checks hold, {differs} differ, {not_run} were not run. The REST interface answered {:.0} s after the start; after the jobs all \
         processes together had {} MB of memory.\n\n\
         | check | states | outcome | seen |\n| --- | --- | --- | --- |\n",
        checks.len(),
        found.start_seconds,
        found.memory.iter().map(|(_, bytes)| bytes).sum::<u64>() / 1_000_000,
    );
    for check in checks {
        let (outcome, seen) = match &check.outcome {
            Outcome::Holds(seen) => ("holds", seen),
            Outcome::Differs(seen) => ("**differs**", seen),
            Outcome::NotRun(why) => ("not run", why),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {outcome} | {} |",
            check.id,
            cell(check.states),
            cell(seen)
        );
    }
    text
}

/// Text from a gateway in a cell: one line, nothing that Markdown takes for its own.
fn cell(text: &str) -> String {
    let mut cell = String::new();
    for character in text.trim().chars() {
        match character {
            '|' | '<' | '*' | '`' | '[' | '\\' => {
                cell.push('\\');
                cell.push(character);
            }
            '\n' | '\r' | '\t' => cell.push(' '),
            c if c.is_control() => cell.extend(c.escape_default()),
            c => cell.push(c),
        }
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Check;

    #[test]
    fn a_page_counts_and_escapes() {
        let checks = vec![
            Check::of("G01", "the public address stays", Ok("192.0.2.2".into())),
            Check::of(
                "G02",
                "three cards",
                Err(anyhow::anyhow!("a | b\n<c>\u{1b}")),
            ),
            Check::not_run("G15", "b2c's console survives", "needs a board"),
        ];
        let memory = vec![
            ("executor".into(), 90_000_000),
            ("salad".into(), 31_000_000),
        ];
        let page = table(
            "an image",
            &Found {
                checks,
                memory,
                start_seconds: 4.6,
            },
        );
        let rows: Vec<_> = page
            .lines()
            .filter(|line| line.contains("G") && line.starts_with("| G"))
            .collect();
        insta::assert_snapshot!(rows.join("\n"), @r"
        | G01 | the public address stays | holds | 192.0.2.2 |
        | G02 | three cards | **differs** | a \| b \<c>\u{1b} |
        | G15 | b2c's console survives | not run | needs a board |
        ");
        assert!(page.contains("1 of 3 checks hold, 1 differ, 1 were not run. The REST interface answered 5 s after the start; after the jobs all processes together had 121 MB"));
    }
}
