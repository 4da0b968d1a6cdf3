//! `/update-cfg` on real git checkouts.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use shakedown_services::{BootServer, DataRoot};

use crate::site::{Site, text};
use crate::tool::{Outcome, Tool};
use crate::{Case, case};

const TOOLS: &[Tool] = &[Tool::Curl, Tool::Git];

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case(
            "update_cfg::follows_its_upstream",
            TOOLS,
            follows_its_upstream,
        ),
        case(
            "update_cfg::runs_nothing_of_the_checkout",
            TOOLS,
            runs_nothing_of_the_checkout,
        ),
        case("update_cfg::says_why_it_cannot", TOOLS, says_why_it_cannot),
        case(
            "update_cfg::ends_a_git_that_hangs",
            TOOLS,
            ends_a_git_that_hangs,
        ),
    ]
}

/// An upstream repository with one commit, and a data root that is a clone of it.
struct Repositories {
    folder: tempfile::TempDir,
}

impl Repositories {
    fn new() -> Self {
        let this = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        git(
            this.folder.path(),
            &["init", "--quiet", "--initial-branch=main", "upstream"],
        );
        this.commit("one");
        git(
            this.folder.path(),
            &["clone", "--quiet", "upstream", "root"],
        );
        this
    }

    fn upstream(&self) -> PathBuf {
        self.folder.path().join("upstream")
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// A commit at the upstream after which the file `boot` has this content.
    fn commit(&self, content: &str) {
        fs::write(self.upstream().join("boot"), content).unwrap();
        git(&self.upstream(), &["add", "boot"]);
        git(
            &self.upstream(),
            &["commit", "--quiet", "--message", content],
        );
    }

    fn site(&self, limit: Duration) -> Site {
        let server = BootServer::new(DataRoot::on_disk(&self.root()).unwrap().follow_upstream());
        Site::plain(server.update_limit(limit).http())
    }
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut git = Tool::Git.command();
    git.current_dir(folder)
        .args(["-c", "user.name=Trial", "-c", "user.email=trial@example"]);
    Outcome::of(git.args(arguments)).success()
}

/// Status and transcript.
fn update(site: &Site) -> (String, String) {
    let answer = site
        .curl(None, "/update-cfg", &["--write-out", "%{http_code}"])
        .success();
    let (transcript, status) = answer.split_at(answer.len() - 3);
    (status.into(), transcript.into())
}

fn follows_its_upstream() {
    let repositories = Repositories::new();
    let site = repositories.site(Duration::from_secs(60));
    let boot = repositories.root().join("boot");
    repositories.commit("two");
    let (status, transcript) = update(&site);
    assert_eq!(status, "200", "{transcript}");
    assert!(
        transcript.starts_with("$ git fetch") && transcript.contains("two"),
        "{transcript}"
    );
    assert_eq!(fs::read_to_string(&boot).unwrap(), "two");

    // The upstream's history is another.
    git(
        &repositories.upstream(),
        &["commit", "--quiet", "--amend", "--message", "three"],
    );
    // Somebody's work that was never committed is not thrown away.
    fs::write(&boot, "changed by hand").unwrap();
    let (status, transcript) = update(&site);
    assert_eq!(status, "500", "{transcript}");
    assert!(transcript.contains("not committed"), "{transcript}");
    assert_eq!(fs::read_to_string(&boot).unwrap(), "changed by hand");
    git(&repositories.root(), &["checkout", "--quiet", "boot"]);
    let (status, transcript) = update(&site);
    assert_eq!(status, "200", "{transcript}");
    assert_eq!(fs::read_to_string(&boot).unwrap(), "two");
    let head = |folder: &Path| git(folder, &["rev-parse", "HEAD"]);
    assert_eq!(head(&repositories.root()), head(&repositories.upstream()));
}

/// What a checkout's configuration and hooks name is not run.
fn runs_nothing_of_the_checkout() {
    let repositories = Repositories::new();
    let site = repositories.site(Duration::from_secs(60));
    let root = repositories.root();
    let ran = repositories.folder.path().join("ran");
    let command = repositories.folder.path().join("command");
    fs::write(&command, format!("#!/bin/sh\ntouch {}\n", text(&ran))).unwrap();
    fs::set_permissions(&command, fs::Permissions::from_mode(0o755)).unwrap();
    for hook in ["post-checkout", "reference-transaction", "post-merge"] {
        fs::copy(&command, root.join(".git/hooks").join(hook)).unwrap();
    }
    repositories.commit("two");
    let (status, transcript) = update(&site);
    assert_eq!(status, "200", "{transcript}");
    for setting in [
        "core.fsmonitor",
        "remote.origin.uploadpack",
        "filter.x.smudge",
    ] {
        git(&root, &["config", setting, text(&command)]);
        let (status, transcript) = update(&site);
        assert_eq!(status, "500", "{setting}: {transcript}");
        assert!(transcript.contains(setting), "{transcript}");
        git(&root, &["config", "--unset", setting]);
    }
    assert!(!ran.exists());
}

fn says_why_it_cannot() {
    let repositories = Repositories::new();
    let site = repositories.site(Duration::from_secs(60));
    fs::rename(
        repositories.upstream(),
        repositories.folder.path().join("gone"),
    )
    .unwrap();
    let (status, transcript) = update(&site);
    assert_eq!(status, "500", "{transcript}");
    assert!(
        transcript.contains("does not appear to be a git repository"),
        "{transcript}"
    );
}

fn ends_a_git_that_hangs() {
    let repositories = Repositories::new();
    // An upstream that takes the connection and says nothing.
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("git://{}/upstream", upstream.local_addr().unwrap());
    git(&repositories.root(), &["config", "remote.origin.url", &url]);
    let silent = std::thread::spawn(move || {
        let (mut connection, _) = upstream.accept().unwrap();
        connection.read_to_end(&mut Vec::new())
    });
    let site = repositories.site(Duration::from_secs(2));
    let (status, transcript) = update(&site);
    assert_eq!(status, "504", "{transcript}");
    assert!(transcript.contains("took longer than 2s"), "{transcript}");
    // The connection ends with git.
    let _ = silent.join().unwrap();
}
