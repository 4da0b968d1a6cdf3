//! The pipelines as text: who may do what in them, and whose code runs there.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, but not the helpers of a test crate"
)]

use std::fs;

use shakedown_tests::project_root;

fn read(path: &str) -> String {
    fs::read_to_string(project_root().join(path)).unwrap()
}

/// The lines of a block that begins with the line `head`, up to the next line that is as far to the left.
fn block<'t>(text: &'t str, head: &str) -> Vec<&'t str> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut lines = text.lines().skip_while(|line| *line != head);
    let first = lines.next();
    assert!(first.is_some(), "there is no block {head:?}");
    let depth = indent(head);
    let rest = lines.take_while(|line| line.trim().is_empty() || indent(line) > depth);
    rest.collect()
}

const WORKFLOW: &str = ".github/workflows/ci.yml";
const GITLAB: &str = ".gitlab-ci.yml";

#[test]
fn foreign_code_is_named_by_commit_or_version() {
    for file in [WORKFLOW, ".github/actions/caches/action.yml", "action.yml"] {
        let text = read(file);
        let uses = text
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'));
        let uses =
            uses.filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix("uses: "));
        for action in uses.filter(|action| !action.starts_with("./")) {
            let (_, reference) = action.split_once('@').unwrap_or((action, ""));
            let commit = reference.split_whitespace().next().unwrap_or_default();
            let is_commit = commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit());
            assert!(is_commit, "{file}: {action} can be moved");
        }
    }
    let text = read(GITLAB) + &read(WORKFLOW);
    for line in text.lines().map(str::trim) {
        let image = line
            .strip_prefix("image: ")
            .or_else(|| line.strip_prefix("container: "));
        let Some(image) = image else { continue };
        let (_, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
        assert_ne!(tag, "latest", "{image} can be moved");
    }
    let job = read(".ci/job");
    for line in job.lines().filter(|line| line.contains("cargo install")) {
        assert!(
            line.contains("--version") || line.contains("--path"),
            "{line} takes whatever is newest"
        );
    }
}

#[test]
fn a_release_is_signed_in_a_job_of_its_own() {
    let workflow = read(WORKFLOW);
    let with_key = workflow.matches("secrets.SHAKEDOWN_SIGNING_KEY").count();
    let sign = block(&workflow, "  sign:").join("\n");
    assert!(
        with_key == 1 && sign.contains("secrets.SHAKEDOWN_SIGNING_KEY"),
        "another job has the key"
    );
    assert!(sign.contains("environment: release") && sign.contains("contents: read"));
    for foreign in ["caches", "cargo", "setup", "contents: write"] {
        assert!(!sign.contains(foreign), "the job that signs has {foreign}");
    }
    let release = block(&workflow, "  release:").join("\n");
    let uses: Vec<_> = release
        .lines()
        .filter(|line| line.contains("uses: "))
        .collect();
    assert!(
        release.contains("contents: write")
            && uses
                .iter()
                .all(|line| line.contains("actions/download-artifact@")),
        "{uses:?}"
    );
    assert_eq!(workflow.matches("contents: write").count(), 1);
    assert_eq!(
        workflow.matches("actions/checkout@").count(),
        workflow.matches("persist-credentials: false").count()
    );

    let gitlab = read(GITLAB);
    let sums = block(&gitlab, "sums:").join("\n");
    for must in ["environment: release", "cache: []", "before_script: []"] {
        assert!(sums.contains(must), "the job that signs lacks {must}");
    }
    assert!(!sums.contains("cargo"));
}

/// Parsers of foreign bytes are fuzzed every night, and the newest parts are tried, in both pipelines.
#[test]
fn both_pipelines_look_ahead_every_night() {
    let workflow = read(WORKFLOW);
    assert!(block(&workflow, "on:").join("\n").contains("cron:"));
    let gitlab = read(GITLAB);
    for (pipeline, indent, may_fail) in [
        (&workflow, "  ", "continue-on-error: true"),
        (&gitlab, "", "allow_failure: true"),
    ] {
        let fuzz = block(pipeline, &format!("{indent}fuzz:")).join("\n");
        assert!(fuzz.contains("schedule") && fuzz.contains(".ci/job fuzz"));
        let newest = block(pipeline, &format!("{indent}newest:")).join("\n");
        assert!(
            newest.contains("schedule")
                && newest.contains(".ci/job newest")
                && newest.contains(may_fail)
        );
        for set in ["u-boot", "ipxe", "firmware", "kernel", "userland", "qemu"] {
            assert!(newest.contains(set), "{set} is not tried");
        }
    }
}
