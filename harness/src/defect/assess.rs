//! What a run said of a defect, held against what it must say. Pure.

use std::fmt::Write;
use std::path::Path;

use super::catalogue::{Defect, Expected};
use crate::report::{Class, Report, Verdict};

/// What came of a run with a defect.
#[derive(Debug, Clone, PartialEq)]
pub enum Observed {
    /// The input was refused, with these words.
    Refused(String),
    /// The run took place.
    Ran {
        /// The verdict.
        verdict: Verdict,
        /// The first stage that was not reached.
        before: Option<String>,
        /// Whose fault it is said to be.
        class: Option<Class>,
        /// What is said of it.
        cause: String,
        /// Seconds from the beginning to the verdict.
        seconds: f64,
    },
}

impl Observed {
    /// The host's fault: it says nothing of the defect.
    #[must_use]
    pub fn is_of_host(&self) -> bool {
        matches!(
            self,
            Self::Ran {
                class: Some(Class::Host),
                ..
            }
        )
    }

    /// The same with paths below `folder` named from there: the folder is gone when somebody reads of it.
    #[must_use]
    pub fn seen_from(mut self, folder: &Path) -> Self {
        let (Self::Refused(said) | Self::Ran { cause: said, .. }) = &mut self;
        *said = said.replace(&format!("{}/", folder.display()), "");
        self
    }

    /// What a run's report says; it took `seconds`.
    #[must_use]
    pub fn of(report: &Report, seconds: f64) -> Self {
        let failure = report.failure.as_ref();
        Self::Ran {
            verdict: report.verdict,
            before: report.chain.get(report.stages.len()).cloned(),
            class: failure.map(|f| f.class),
            cause: failure.map(|f| f.cause.clone()).unwrap_or_default(),
            seconds,
        }
    }
}

/// How far a run's word was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assessment {
    /// It failed, or passed where the change is harmless.
    pub caught: bool,
    /// It named the right place.
    pub located: bool,
    /// It named the right class.
    pub classified: bool,
}

impl Assessment {
    /// Everything that the run said was right.
    #[must_use]
    pub fn is_right(self) -> bool {
        self.caught && self.located && self.classified
    }
}

/// Holds what came of a run against what it must say.
#[must_use]
pub fn assess(expected: &Expected, observed: &Observed) -> Assessment {
    let all = |right| Assessment {
        caught: right,
        located: right,
        classified: right,
    };
    match (expected, observed) {
        (Expected::Refused, Observed::Refused(_)) => all(true),
        (Expected::Passed, Observed::Ran { verdict, .. }) => all(*verdict == Verdict::Passed),
        (
            Expected::Failed { before, class },
            Observed::Ran {
                verdict: Verdict::Failed,
                before: stopped,
                class: said,
                ..
            },
        ) => Assessment {
            caught: true,
            located: before == stopped,
            classified: *said == Some(*class),
        },
        _ => all(false),
    }
}

/// How many of the defects were caught, located and classified, and how many of the harmless changes were left alone, in a sentence.
#[must_use]
pub fn totals(rows: &[(&Defect, Observed)]) -> String {
    let (mut defects, mut harmless) = ([0; 4], [0; 2]);
    for (defect, observed) in rows {
        let assessment = assess(&defect.expect, observed);
        if defect.expect == Expected::Passed {
            harmless[0] += 1;
            harmless[1] += u32::from(assessment.caught);
            continue;
        }
        defects[0] += 1;
        for (sum, right) in defects.iter_mut().skip(1).zip([
            assessment.caught,
            assessment.located,
            assessment.classified,
        ]) {
            *sum += u32::from(right);
        }
    }
    let [of, caught, located, classified] = defects;
    let [all, left_alone] = harmless;
    format!(
        "of {of} defects {caught} caught, {located} located, {classified} classified; of {all} harmless changes {left_alone} passed"
    )
}

/// The table, in Markdown.
#[must_use]
pub fn table(rows: &[(&Defect, Observed)], board: &str) -> String {
    let mut text = format!(
        "# Defects, put in one at a time\n\nWritten by `cargo xtask e2e defects` on {board}, from [the catalogue](../scenarios/defects/catalogue.toml). A defect is caught when its run fails, located when\nthe run names the stage that was not reached, and classified when it says whose fault it is.\n\n{}.\n\n| defect | what is wrong | verdict | before | class | caught | located | classified | seconds | what the run says |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
        totals(rows)
    );
    for (defect, observed) in rows {
        let right = assess(&defect.expect, observed);
        let yes = |right| if right { "yes" } else { "**no**" };
        let (verdict, before, class, seconds, cause) = match observed {
            Observed::Refused(words) => ("refused", "", "", 0.0, words),
            Observed::Ran {
                verdict,
                before,
                class,
                cause,
                seconds,
            } => {
                let verdict = match verdict {
                    Verdict::Passed => "passed",
                    Verdict::Failed => "failed",
                    Verdict::CouldNotRun => "could not run",
                };
                let before = before.as_deref().unwrap_or_default();
                (
                    verdict,
                    before,
                    class.map_or("", Class::name),
                    *seconds,
                    cause,
                )
            }
        };
        let [caught, located, classified] = match defect.expect {
            Expected::Passed if right.caught => ["harmless", "", ""],
            _ => [right.caught, right.located, right.classified].map(yes),
        };
        // A cell of a table is one line, and a bar would end it.
        let cell = |text: &str| {
            text.replace('|', "\\|")
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        };
        let _ = writeln!(
            text,
            "| {} | {} | {verdict} | {before} | {class} | {caught} | {located} | {classified} | {seconds:.0} | {} |",
            defect.name,
            cell(&defect.title),
            cell(cause),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(before: &str, class: Class) -> Expected {
        Expected::Failed {
            before: Some(before.into()),
            class,
        }
    }

    fn ran(verdict: Verdict, before: Option<&str>, class: Option<Class>) -> Observed {
        Observed::Ran {
            verdict,
            before: before.map(Into::into),
            class,
            cause: "why | not".into(),
            seconds: 12.0,
        }
    }

    #[test]
    fn each_part_of_a_word_is_held_against_what_it_must_be() {
        let of = |expected: &Expected, observed: &Observed| {
            let a = assess(expected, observed);
            (a.caught, a.located, a.classified)
        };
        let expected = failed("Linux", Class::Server);
        let right = ran(Verdict::Failed, Some("Linux"), Some(Class::Server));
        assert_eq!(of(&expected, &right), (true, true, true));
        let elsewhere = ran(Verdict::Failed, Some("/init"), Some(Class::Server));
        assert_eq!(of(&expected, &elsewhere), (true, false, true));
        let blamed = ran(Verdict::Failed, Some("Linux"), Some(Class::Board));
        assert_eq!(of(&expected, &blamed), (true, true, false));
        for missed in [
            ran(Verdict::Passed, None, None),
            ran(Verdict::CouldNotRun, Some("Linux"), Some(Class::Server)),
            Observed::Refused("no".into()),
        ] {
            assert_eq!(of(&expected, &missed), (false, false, false));
        }
        assert!(assess(&Expected::Passed, &ran(Verdict::Passed, None, None)).caught);
        assert!(!assess(&Expected::Passed, &right).caught);
        assert!(assess(&Expected::Refused, &Observed::Refused(String::new())).caught);
    }

    #[test]
    fn paths_are_named_from_the_folder_of_the_defect() {
        let said = Observed::Refused("/runs/scratch-1/layout/blobs/a is not b".into());
        let seen = said.seen_from(Path::new("/runs/scratch-1"));
        assert_eq!(seen, Observed::Refused("layout/blobs/a is not b".into()));
    }

    #[test]
    fn the_table_counts_harmless_changes_apart() {
        use crate::defect::DefectCatalogue;
        let text = "[[defect]]\nname = \"bad\"\ntitle = \"b\"\nkernel = \"zero\"\nexpect = { failed = { before = \"Linux\", class = \"server\" } }\n\
                    [[defect]]\nname = \"good\"\ntitle = \"g\"\nkernel = \"zero\"\nexpect = \"passed\"\n";
        let catalogue = DefectCatalogue::of_text(std::path::Path::new("c.toml"), text).unwrap();
        let rows: Vec<_> = catalogue
            .defects
            .iter()
            .zip([
                ran(Verdict::Failed, Some("Linux"), Some(Class::Board)),
                ran(Verdict::Passed, None, None),
            ])
            .collect();
        insta::assert_snapshot!(table(&rows, "raspi3b"));
    }
}
