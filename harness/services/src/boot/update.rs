//! `/update-cfg`: brings the data root's git checkout to its upstream.
//!
//! Commits that the upstream does not have are given up, as on a gateway that nobody maintains; changes that were never committed are not: a
//! checkout that has some is left alone. git is the host's; a command of it that takes too long is ended with everything that it has started.
//!
//! A checkout may come from somebody else, and its configuration can name commands for git to run (git-config(1)). One that says more than
//! where it comes from is refused, and hooks, file system monitors and transports that are commands are switched off.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Command;
use tokio::time::timeout;

/// Longest time that an update may take as a whole.
pub(super) const TIME_LIMIT: Duration = Duration::from_secs(120);

/// What git is told, in order; the first that fails ends the update.
const STEPS: &[&[&str]] = &[&["fetch", "--prune"], &["reset", "--hard", "@{upstream}"]];

/// Settings that win over the checkout's.
const TAMED: &[&str] = &[
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "protocol.ext.allow=never",
    "submodule.recurse=false",
];

/// What the configuration of a checkout may say: what `git clone` writes, and who commits.
const HARMLESS: &[&str] = &[
    "core.repositoryformatversion",
    "core.filemode",
    "core.bare",
    "core.logallrefupdates",
    "core.symlinks",
    "core.ignorecase",
    "core.precomposeunicode",
    "extensions.objectformat",
    "extensions.refstorage",
    "user.name",
    "user.email",
];

/// The same of settings with a name in the middle, for example `remote.origin.url`.
const HARMLESS_OF: &[(&str, &str)] = &[
    ("remote", "url"),
    ("remote", "fetch"),
    ("remote", "prune"),
    ("branch", "remote"),
    ("branch", "merge"),
    ("branch", "rebase"),
];

/// Variables by which a git hook or a shell may tell this process of another checkout.
const ANOTHER_CHECKOUT: &[&str] = &[
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
];

/// An update that came to an end.
#[derive(Debug)]
pub(super) struct Updated {
    pub(super) outcome: Outcome,
    /// The commands and what they printed.
    pub(super) transcript: String,
}

/// How an update ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The checkout is where its upstream is.
    Done,
    /// git refused, or could not be started.
    Failed,
    /// The time was up.
    TimedOut,
}

/// Updates the checkout whose top is `root`.
pub(super) async fn update(root: PathBuf, limit: Duration) -> Updated {
    let mut transcript = String::new();
    let outcome = match timeout(limit, steps(&root, &mut transcript)).await {
        Ok(outcome) => outcome,
        Err(_) => {
            transcript += &format!("took longer than {limit:?} and was ended\n");
            Outcome::TimedOut
        }
    };
    Updated {
        outcome,
        transcript,
    }
}

async fn steps(root: &Path, transcript: &mut String) -> Outcome {
    // Or git would look for a checkout further up, and reset that.
    if !root.join(".git").exists() {
        *transcript += "the data root is not a git checkout\n";
        return Outcome::Failed;
    }
    if let Err(reason) = check(root).await {
        *transcript += &format!("{reason}\n");
        return Outcome::Failed;
    }
    for step in STEPS {
        *transcript += &format!("$ git {}\n", step.join(" "));
        match git(root, step).await {
            Ok((status, output)) => {
                *transcript += &output;
                if !status.success() {
                    *transcript += &format!("git ended with {status}\n");
                    return Outcome::Failed;
                }
            }
            Err(error) => {
                *transcript += &format!("cannot run git: {error}\n");
                return Outcome::Failed;
            }
        }
    }
    Outcome::Done
}

/// Whether a checkout is one that git may be let loose on; or why not.
async fn check(root: &Path) -> Result<(), String> {
    let ask = async |arguments: &[&str]| match git(root, arguments).await {
        Ok((status, text)) if status.success() => Ok(text),
        Ok((status, text)) => Err(format!("git ended with {status}: {text}")),
        Err(error) => Err(format!("cannot run git: {error}")),
    };
    let list = [
        "config",
        "--local",
        "--no-includes",
        "--name-only",
        "--list",
    ];
    let settings = ask(&list).await?;
    if let Some(setting) = settings.lines().find(|setting| !is_harmless(setting)) {
        return Err(format!(
            "the checkout's configuration sets {setting:?}, which may run commands: remove it with `git config --unset`"
        ));
    }
    let changes = ask(&["status", "--porcelain", "--untracked-files=no"]).await?;
    match changes.lines().count() {
        0 => Ok(()),
        files => Err(format!(
            "{files} files were changed and not committed, which an update would undo: commit or discard the changes\n{changes}"
        )),
    }
}

/// A setting, for example `remote.origin.url`, that git runs nothing for.
fn is_harmless(setting: &str) -> bool {
    let ends = setting.split_once('.').zip(setting.rsplit_once('.'));
    HARMLESS.contains(&setting)
        || ends
            .is_some_and(|((section, _), (_, variable))| HARMLESS_OF.contains(&(section, variable)))
}

/// Runs git; its standard output and error, in this order.
async fn git(root: &Path, arguments: &[&str]) -> std::io::Result<(ExitStatus, String)> {
    let mut command = Command::new("git");
    for name in ANOTHER_CHECKOUT {
        command.env_remove(name);
    }
    for setting in TAMED {
        command.args(["-c", setting]);
    }
    let child = command
        .arg("-C")
        .arg(root)
        .args(arguments)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    let output = child.wait_with_output().await?;
    group.has_ended();
    let text = [output.stdout, output.stderr].map(|s| String::from_utf8_lossy(&s).into_owned());
    Ok((output.status, text.concat()))
}

/// A process group that is ended when this is dropped.
struct Group(Option<Pid>);

impl Group {
    fn has_ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // It may have ended by itself a moment ago.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_clone_says_is_harmless() {
        for setting in [
            "core.bare",
            "remote.origin.url",
            "branch.a.b.merge",
            "user.email",
        ] {
            assert!(is_harmless(setting), "{setting}");
        }
        for setting in [
            "core.fsmonitor",
            "core.sshcommand",
            "core.hookspath",
            "remote.origin.uploadpack",
            "remote.origin.vcs",
            "filter.x.smudge",
            "include.path",
            "includeif.gitdir:/.path",
            "credential.helper",
            "url",
            "",
        ] {
            assert!(!is_harmless(setting), "{setting}");
        }
    }
}
