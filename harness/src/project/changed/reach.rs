//! What a changed file can reach, judged by its place alone; in doubt it reaches every run.

/// Folders and files that `e2e` does not use, and what they are; everything else that is not named in [`Reach::of`] it may use.
const UNUSED: &[(&str, &str)] = &[
    ("docs/", "documentation"),
    ("LICENSE", "documentation"),
    (".ci/", "of the pipelines alone"),
    (".github/", "of the pipelines alone"),
    (".gitlab-ci.yml", "of the pipelines alone"),
    ("action.yml", "of the pipelines alone"),
    (".config/nextest.toml", "of other tests alone"),
    (".gitignore", "of git alone"),
    ("clippy.toml", "of lints alone"),
    ("harness/tests/", "of other tests alone"),
    ("harness/fuzz/", "of other tests alone"),
    ("xtask/tests/", "of other tests alone"),
    ("tests/", "of other tests alone"),
    ("xtask/bench/", "of other commands alone"),
    ("xtask/src/doctor/", "of other commands alone"),
    ("xtask/src/init/", "of other commands alone"),
    ("xtask/src/serve/", "of other commands alone"),
    ("xtask/src/book.rs", "of other tests alone"),
    ("xtask/src/completions.rs", "of other commands alone"),
    ("xtask/src/console.rs", "of other commands alone"),
    ("xtask/src/fixtures.rs", "of other commands alone"),
    ("xtask/src/image.rs", "of other commands alone"),
    ("xtask/src/manual.rs", "of other commands alone"),
    ("xtask/src/replay.rs", "of other commands alone"),
    ("xtask/src/report.rs", "of other commands alone"),
    ("xtask/src/scenario.rs", "of other commands alone"),
    ("xtask/src/serve.rs", "of other commands alone"),
    ("xtask/src/terminal.rs", "of other commands alone"),
];

/// What a file can affect.
#[derive(Debug, PartialEq, Eq)]
enum Reach<'p> {
    All,
    Scenario(&'p str),
    Board(&'p str),
    /// The run whose journal it is: scenario and board with `-` between them.
    Journal(&'p str),
    /// No run, and why.
    None(&'static str),
}

/// What must be run for a change.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    /// For each run why it must be made, or `None`.
    pub(super) reasons: Vec<Option<String>>,
    /// The files that make none of the runs necessary, and why.
    pub(super) idle: Vec<String>,
}

impl<'p> Reach<'p> {
    fn of(path: &'p str) -> Self {
        let in_folder = |folder, suffix| {
            let name = path.strip_prefix(folder)?.strip_suffix(suffix)?;
            (!name.contains('/')).then_some(name)
        };
        if let Some(name) = in_folder("scenarios/", ".toml") {
            return Self::Scenario(name);
        }
        if let Some(name) = in_folder("boards/", ".toml") {
            // A chain may belong to any board.
            return match name.ends_with(".chain") {
                true => Self::All,
                false => Self::Board(name),
            };
        }
        if let Some(name) = in_folder("tests/journals/", ".snap") {
            return Self::Journal(name);
        }
        if path.ends_with(".md") {
            return Self::None("documentation");
        }
        let unused = UNUSED.iter().find(|(start, _)| path.starts_with(start));
        unused.map_or(Self::All, |(_, why)| Self::None(why))
    }

    fn has(&self, (scenario, board): (&str, &str), uses: &impl Fn(&str, &str) -> bool) -> bool {
        match self {
            Self::All => true,
            Self::Scenario(file) => uses(scenario, file),
            Self::Board(name) => *name == board,
            Self::Journal(run) => run
                .strip_prefix(scenario)
                .and_then(|rest| rest.strip_prefix('-'))
                .is_some_and(|rest| rest == board),
            Self::None(_) => false,
        }
    }
}

/// Which of `runs`, scenario and board, must be made when the files at `paths` have changed; `uses` says whether a scenario is made of a
/// file of `scenarios/`, by its name. A run is made for the first file that can affect it; one that affects it alone is told before one that
/// affects all.
pub(super) fn choose(
    paths: &[String],
    runs: &[(&str, &str)],
    uses: impl Fn(&str, &str) -> bool,
) -> Choice {
    let mut reaches: Vec<_> = paths.iter().map(|path| (path, Reach::of(path))).collect();
    reaches.sort_by_key(|(_, reach)| *reach == Reach::All);
    let reason = |run: &(&str, &str)| {
        let mut of_run = reaches.iter().filter(|(_, reach)| reach.has(*run, &uses));
        let (path, _) = of_run.next()?;
        Some(match of_run.count() {
            0 => format!("{path} has changed"),
            1 => format!("{path} and another file have changed"),
            more => format!("{path} and {more} others have changed"),
        })
    };
    let idle = reaches.iter().filter_map(|(path, reach)| match reach {
        Reach::None(why) => Some(format!("{path} affects no run: it is {why}")),
        _ if runs.iter().any(|run| reach.has(*run, &uses)) => None,
        _ => Some(format!(
            "{path} affects none of these runs (--tier full or other filters may add one that it does)"
        )),
    });
    Choice {
        reasons: runs.iter().map(reason).collect(),
        idle: idle.collect(),
    }
}

/// What people are told of a choice.
pub(super) fn explanation(
    base: &str,
    files: usize,
    runs: &[(&str, &str)],
    choice: &Choice,
) -> String {
    let short = base.get(..10).unwrap_or(base);
    let files = match files {
        1 => "1 file has".to_owned(),
        files => format!("{files} files have"),
    };
    let mut text = format!("note: {files} changed since {short}\n");
    let mut left_out = Vec::new();
    for ((scenario, board), reason) in runs.iter().zip(&choice.reasons) {
        match reason {
            Some(reason) => text += &format!("note: {scenario} on {board} is run: {reason}\n"),
            None => left_out.push(format!("{scenario} on {board}")),
        }
    }
    for line in &choice.idle {
        text += &format!("note: {line}\n");
    }
    if !left_out.is_empty() {
        text += &format!(
            "note: left out, since nothing that has changed can affect them: {}\n",
            left_out.join(", ")
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const RUNS: [(&str, &str); 4] = [
        ("mirror", "raspi3b"),
        ("mirror-empty", "raspi3b"),
        ("alpine-https", "raspi3b"),
        ("alpine-https", "raspi4b"),
    ];

    fn chosen(paths: &[&str]) -> Choice {
        let paths: Vec<_> = paths.iter().map(|path| (*path).to_owned()).collect();
        let uses = |scenario: &str, file: &str| {
            scenario == file || file == "let-in.base" && scenario == "alpine-https"
        };
        choose(&paths, &RUNS, uses)
    }

    /// The numbers of the runs that a file affects.
    fn runs_of(path: &str) -> Vec<usize> {
        let reasons = chosen(&[path]).reasons.into_iter().enumerate();
        let of_file = reasons.filter_map(|(number, reason)| {
            let reason = reason?;
            assert_eq!(reason, format!("{path} has changed"));
            Some(number)
        });
        of_file.collect()
    }

    #[test]
    fn files_reach_the_runs_that_use_them() {
        let table: [(&str, &[usize]); 25] = [
            ("scenarios/let-in.base.toml", &[2, 3]),
            ("scenarios/mirror.toml", &[0]),
            ("scenarios/alpine-https.toml", &[2, 3]),
            ("scenarios/removed.toml", &[]),
            ("scenarios/shared/script.ipxe", &[0, 1, 2, 3]),
            ("boards/raspi4b.toml", &[3]),
            ("boards/netboot.chain.toml", &[0, 1, 2, 3]),
            ("tests/journals/mirror-raspi3b.snap", &[0]),
            ("tests/journals/mirror-empty-raspi3b.snap", &[1]),
            ("tests/journals/alpine-https-raspi4b.snap", &[3]),
            ("tests/journals/provisioned-image-raspi3b.snap", &[]),
            ("README.md", &[]),
            ("docs/schema/board.json", &[]),
            ("docs/img/passed.png", &[]),
            (".github/workflows/ci.yml", &[]),
            (".ci/run", &[]),
            ("tests/e2e.rs", &[]),
            ("harness/tests/lan/tcp.rs", &[]),
            ("xtask/bench/src/boot.rs", &[]),
            ("xtask/src/e2e.rs", &[0, 1, 2, 3]),
            ("harness/src/lan/tcp/stack.rs", &[0, 1, 2, 3]),
            ("fixtures/parts.toml", &[0, 1, 2, 3]),
            ("Cargo.lock", &[0, 1, 2, 3]),
            (".cargo/config.toml", &[0, 1, 2, 3]),
            ("something/nobody/knows", &[0, 1, 2, 3]),
        ];
        for (path, runs) in table {
            assert_eq!(runs_of(path), runs, "{path}");
            let idle = chosen(&[path]).idle;
            assert_eq!(idle.is_empty(), !runs.is_empty(), "{path}: {idle:?}");
        }
        assert!(chosen(&[]).reasons.iter().all(Option::is_none));
    }

    #[test]
    fn what_is_unused_is_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let whole = UNUSED.iter().filter(|(path, _)| *path != "LICENSE");
        for (path, _) in whole {
            assert!(root.join(path).exists(), "{path}");
        }
    }

    #[test]
    fn every_run_is_told_its_own_reason() {
        let paths = [
            "README.md",
            "Cargo.lock",
            "harness/a.rs",
            "scenarios/mirror.toml",
        ];
        let (with, without) = (
            chosen(&paths),
            chosen(&[paths[0], paths[3], "boards/x.toml"]),
        );
        insta::assert_snapshot!(explanation("0123456789abcdef", 4, &RUNS, &with), @r"
        note: 4 files have changed since 0123456789
        note: mirror on raspi3b is run: scenarios/mirror.toml and 2 others have changed
        note: mirror-empty on raspi3b is run: Cargo.lock and another file have changed
        note: alpine-https on raspi3b is run: Cargo.lock and another file have changed
        note: alpine-https on raspi4b is run: Cargo.lock and another file have changed
        note: README.md affects no run: it is documentation
        ");
        insta::assert_snapshot!(explanation("0123456789abcdef", 3, &RUNS, &without), @r"
        note: 3 files have changed since 0123456789
        note: mirror on raspi3b is run: scenarios/mirror.toml has changed
        note: README.md affects no run: it is documentation
        note: boards/x.toml affects none of these runs (--tier full or other filters may add one that it does)
        note: left out, since nothing that has changed can affect them: mirror-empty on raspi3b, alpine-https on raspi3b, alpine-https on raspi4b
        ");
    }
}
