//! What git says has changed.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Branches that changes are made for, the likeliest first.
const UPSTREAM: [&str; 5] = [
    "upstream/main",
    "origin/main",
    "origin/master",
    "main",
    "master",
];

/// Why it cannot be said what has changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangedError {
    /// The project is not in a checkout.
    #[error("{root} is no git checkout, or none that git wants to read (`git -C {root} status` says why): leave --changed out", root = root.display())]
    NoCheckout {
        /// The project's folder.
        root: PathBuf,
    },
    /// There is no such commit.
    #[error("git knows no commit `{base}` to compare with")]
    UnknownCommit {
        /// What was asked for.
        base: String,
    },
    /// Nothing was asked for, and there is no usual branch.
    #[error("there is none of the branches {} to compare with: say since which commit, for example --changed HEAD~1", UPSTREAM.join(", "))]
    NoBase,
    /// git failed.
    #[error("`git {arguments}` has failed")]
    Failed {
        /// Its arguments.
        arguments: String,
    },
    /// There is no git.
    #[error("cannot start git, which says what has changed: {0}")]
    NoGit(io::Error),
}

/// The commit to compare with.
pub(super) fn commit(root: &Path, base: Option<&str>) -> Result<String, ChangedError> {
    if git(root, &["rev-parse", "--git-dir"])?.is_none() {
        return Err(ChangedError::NoCheckout { root: root.into() });
    }
    let known = |name: &str| {
        let name = format!("{name}^{{commit}}");
        let options = ["rev-parse", "--verify", "--quiet", "--end-of-options"];
        git(root, &[&options[..], &[&name]].concat())
    };
    if let Some(base) = base {
        let commit = known(base)?;
        return commit.ok_or_else(|| ChangedError::UnknownCommit { base: base.into() });
    }
    for branch in UPSTREAM {
        if let Some(tip) = known(branch)?
            && let Some(base) = git(root, &["merge-base", "HEAD", &tip])?
        {
            return Ok(base);
        }
    }
    Err(ChangedError::NoBase)
}

/// The files that differ from those of a commit, as the work tree has them: not committed and untracked ones too, removed ones as well.
pub(super) fn paths_since(root: &Path, base: &str) -> Result<Vec<String>, ChangedError> {
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
        let list = list.ok_or_else(|| ChangedError::Failed {
            arguments: arguments.join(" "),
        })?;
        paths.extend(list.split_terminator('\0').map(str::to_owned));
    }
    paths.sort();
    paths.dedup();
    Ok(paths)
}

/// What git prints, without the end of its last line; `None` when it fails.
fn git(root: &Path, arguments: &[&str]) -> Result<Option<String>, ChangedError> {
    let output = Command::new("git")
        .current_dir(root)
        .args(arguments)
        .output();
    let output = output.map_err(ChangedError::NoGit)?;
    if !output.status.success() {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(Some(text.trim_end_matches('\n').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

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
