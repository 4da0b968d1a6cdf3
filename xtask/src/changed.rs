//! `cargo xtask e2e --changed`: the runs that a change can affect, by the paths of the files that it touches.
//!
//! What a file can reach is judged by its place alone, and in doubt it reaches every run.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use shakedown_harness::board::Board;
use shakedown_harness::scenario::Scenario;

/// Branches that changes are made for, the likeliest first.
const UPSTREAM: [&str; 5] = [
    "upstream/main",
    "origin/main",
    "origin/master",
    "main",
    "master",
];
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
    ("xtask/src/bench/", "of other commands alone"),
    ("xtask/src/doctor/", "of other commands alone"),
    ("xtask/src/serve/", "of other commands alone"),
    ("xtask/src/book.rs", "of other tests alone"),
    ("xtask/src/completions.rs", "of other commands alone"),
    ("xtask/src/console.rs", "of other commands alone"),
    ("xtask/src/fixtures.rs", "of other commands alone"),
    ("xtask/src/image.rs", "of other commands alone"),
    ("xtask/src/replay.rs", "of other commands alone"),
    ("xtask/src/report.rs", "of other commands alone"),
    ("xtask/src/scenario.rs", "of other commands alone"),
    ("xtask/src/serve.rs", "of other commands alone"),
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

/// What is to be run for a change.
#[derive(Debug, Default, PartialEq, Eq)]
struct Choice {
    /// For each run why it is to be made, or `None`.
    reasons: Vec<Option<String>>,
    /// The files that make none of the runs necessary, and why.
    idle: Vec<String>,
}

/// The runs of `selected` that what has changed since `base` can affect; by default since the branch left the one it is made for. Says which
/// and why, and what is left out.
pub(crate) fn affected<'a>(
    selected: Vec<(&'a Scenario, &'a Board)>,
    root: &Path,
    base: Option<&str>,
) -> Result<Vec<(&'a Scenario, &'a Board)>> {
    let base = commit(root, base)?;
    let paths = paths_since(root, &base)?;
    let names: Vec<_> = selected
        .iter()
        .map(|(s, b)| (s.name.as_str(), b.name.as_str()))
        .collect();
    let choice = choose(&paths, &names);
    eprint!("{}", explanation(&base, paths.len(), &names, &choice));
    let runs = selected.into_iter().zip(&choice.reasons);
    let affected = runs.filter_map(|(run, reason)| reason.is_some().then_some(run));
    Ok(affected.collect())
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

    fn has(&self, (scenario, board): (&str, &str)) -> bool {
        match self {
            Self::All => true,
            Self::Scenario(name) => *name == scenario,
            Self::Board(name) => *name == board,
            Self::Journal(run) => run
                .strip_prefix(scenario)
                .and_then(|rest| rest.strip_prefix('-'))
                .is_some_and(|rest| rest == board),
            Self::None(_) => false,
        }
    }
}

/// Which of `runs`, scenario and board, are to be made when the files at `paths` have changed. A run is made for the first file that can
/// affect it; one that affects it alone is told before one that affects all.
fn choose(paths: &[String], runs: &[(&str, &str)]) -> Choice {
    let mut reaches: Vec<_> = paths.iter().map(|path| (path, Reach::of(path))).collect();
    reaches.sort_by_key(|(_, reach)| *reach == Reach::All);
    let reason = |run: &(&str, &str)| {
        let mut of_run = reaches.iter().filter(|(_, reach)| reach.has(*run));
        let (path, _) = of_run.next()?;
        Some(match of_run.count() {
            0 => format!("{path} has changed"),
            1 => format!("{path} and another file have changed"),
            more => format!("{path} and {more} others have changed"),
        })
    };
    let idle = reaches.iter().filter_map(|(path, reach)| match reach {
        Reach::None(why) => Some(format!("{path} affects no run: it is {why}")),
        _ if runs.iter().any(|run| reach.has(*run)) => None,
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
fn explanation(base: &str, files: usize, runs: &[(&str, &str)], choice: &Choice) -> String {
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

/// The commit to compare with.
fn commit(root: &Path, base: Option<&str>) -> Result<String> {
    if git(root, &["rev-parse", "--git-dir"])?.is_none() {
        bail!(
            "{root} is no git checkout, or none that git wants to read (`git -C {root} status` says why): leave --changed out",
            root = root.display()
        );
    }
    let known = |name: &str| {
        let name = format!("{name}^{{commit}}");
        let options = ["rev-parse", "--verify", "--quiet", "--end-of-options"];
        git(root, &[&options[..], &[&name]].concat())
    };
    if let Some(base) = base {
        let commit = known(base)?;
        return commit.with_context(|| format!("git knows no commit `{base}` to compare with"));
    }
    for branch in UPSTREAM {
        if let Some(tip) = known(branch)?
            && let Some(base) = git(root, &["merge-base", "HEAD", &tip])?
        {
            return Ok(base);
        }
    }
    bail!(
        "there is none of the branches {} to compare with: say since which commit, as in --changed HEAD~1",
        UPSTREAM.join(", ")
    )
}

/// The files that differ from those of a commit, as the work tree has them: not committed and untracked ones too, removed ones as well.
fn paths_since(root: &Path, base: &str) -> Result<Vec<String>> {
    let lists = [
        &[
            "diff",
            "--name-only",
            "--no-renames",
            "--relative",
            "-z",
            base,
        ][..],
        &["ls-files", "--others", "--exclude-standard", "-z"],
    ];
    let mut paths = Vec::new();
    for arguments in lists {
        let list = git(root, arguments)?;
        let list = list.with_context(|| format!("`git {}` has failed", arguments.join(" ")))?;
        paths.extend(list.split_terminator('\0').map(str::to_owned));
    }
    paths.sort();
    paths.dedup();
    Ok(paths)
}

/// What git prints, without the end of its last line; `None` when it fails.
fn git(root: &Path, arguments: &[&str]) -> Result<Option<String>> {
    let output = Command::new("git")
        .current_dir(root)
        .args(arguments)
        .output();
    let output = output.context("cannot start git, which says what has changed")?;
    if !output.status.success() {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(Some(text.trim_end_matches('\n').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNS: [(&str, &str); 4] = [
        ("mirror", "raspi3b"),
        ("mirror-empty", "raspi3b"),
        ("alpine-https", "raspi3b"),
        ("alpine-https", "raspi4b"),
    ];

    fn chosen(paths: &[&str]) -> Choice {
        let paths: Vec<_> = paths.iter().map(|path| (*path).to_owned()).collect();
        choose(&paths, &RUNS)
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
        let table: [(&str, &[usize]); 24] = [
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
            ("xtask/src/bench/boot.rs", &[]),
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
    fn the_files_of_other_commands_are_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for (path, _) in UNUSED.iter().filter(|(path, _)| path.starts_with("xtask/")) {
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

    /// A repository with a commit, and a file that is not in it.
    fn repository() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let git = |arguments: &[&str]| git(folder.path(), arguments).unwrap().unwrap();
        std::fs::write(folder.path().join("committed"), "1").unwrap();
        std::fs::write(folder.path().join(".gitignore"), "target\n").unwrap();
        git(&["init", "-q", "-b", "main"]);
        git(&["add", "."]);
        let author = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
        git(&[&author[..], &["commit", "-q", "-m", "first"]].concat());
        std::fs::write(folder.path().join("target"), "").unwrap();
        std::fs::write(folder.path().join("new\u{e4} file"), "").unwrap();
        folder
    }

    #[test]
    fn work_that_is_not_committed_counts() {
        let folder = repository();
        let since = |base| paths_since(folder.path(), &commit(folder.path(), base).unwrap());
        assert_eq!(since(None).unwrap(), ["new\u{e4} file"]);
        std::fs::rename(
            folder.path().join("committed"),
            folder.path().join("renamed"),
        )
        .unwrap();
        let paths = since(Some("main")).unwrap();
        assert_eq!(paths, ["committed", "new\u{e4} file", "renamed"]);
    }

    #[test]
    fn what_cannot_be_compared_is_told_in_a_line() {
        let folder = repository();
        let error = |root: &Path, base| format!("{:#}", commit(root, base).unwrap_err());
        let unknown = error(folder.path(), Some("--nonsense"));
        insta::assert_snapshot!(unknown, @"git knows no commit `--nonsense` to compare with");
        git(folder.path(), &["branch", "-m", "topic"])
            .unwrap()
            .unwrap();
        let none = error(folder.path(), None);
        assert!(none.contains("say since which commit"), "{none}");
        let plain = tempfile::tempdir().unwrap();
        let no_checkout = error(plain.path(), None);
        assert!(no_checkout.contains("is no git checkout"), "{no_checkout}");
    }
}
