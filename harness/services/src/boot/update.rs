//! `/update-cfg`: brings the data root's git checkout to its upstream.
//!
//! Local changes are given up, as on a gateway that nobody maintains. git is the host's; a command of it that takes too long
//! is ended with everything that it has started.

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

/// Runs git; its standard output and error, in this order.
async fn git(root: &Path, arguments: &[&str]) -> std::io::Result<(ExitStatus, String)> {
    let mut command = Command::new("git");
    for name in ANOTHER_CHECKOUT {
        command.env_remove(name);
    }
    let child = command
        .arg("-C")
        .arg(root)
        .args(arguments)
        .env("GIT_TERMINAL_PROMPT", "0")
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
