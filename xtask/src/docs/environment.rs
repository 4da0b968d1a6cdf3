//! The page of environment variables. A test finds those that the code reads and this table lacks.

use super::{head, table};

/// Variables and what they mean.
const VARIABLES: &[(&str, &str)] = &[
    (
        "SHAKEDOWN_ALPINE_ROOTFS_DIR",
        "folder with Alpine's mini root file system (`alpine-minirootfs-*-aarch64.tar.gz`) and `SHA512SUMS`",
    ),
    (
        "SHAKEDOWN_CACHE",
        "cache folder, by default `$XDG_CACHE_HOME/shakedown` or `~/.cache/shakedown`",
    ),
    (
        "SHAKEDOWN_IMAGE",
        "a prebuilt disk image for the trials of `cargo test` in place of the generated one",
    ),
    (
        "SHAKEDOWN_MIRROR",
        "address of a Debian mirror, for hosts whose apt has none",
    ),
    (
        "SHAKEDOWN_OUT",
        "where `.ci/job` leaves images, JUnit files and reports, by default `out`",
    ),
    (
        "SHAKEDOWN_QEMU",
        "the emulator to use; by default the host's if it will do, else a fetched one",
    ),
    (
        "SHAKEDOWN_SIGNING_KEY",
        "a file with the SSH key that `.ci/job sums` signs with",
    ),
    (
        "SHAKEDOWN_SIGNING_KEY_TEXT",
        "that key itself, for pipelines whose secrets are no files",
    ),
    (
        "SHAKEDOWN_SNAPSHOT",
        "address of a snapshot service for parts that the mirror has no longer, with `{time}` in it; empty for none",
    ),
    (
        "SHAKEDOWN_TIER",
        "`smoke` or `full`: which trials `cargo test` runs",
    ),
    (
        "XDG_CONFIG_HOME",
        "where a user's `shakedown/config.toml` lies, by default `~/.config`",
    ),
    (
        "TMPDIR",
        "where sockets and working files lie; the path must be short",
    ),
    ("NO_COLOR", "no colours, as `--color never`"),
    (
        "GITHUB_ACTIONS, GITHUB_STEP_SUMMARY",
        "set by GitHub: failed runs become annotations, and the results a summary",
    ),
    (
        "GITLAB_CI, CI_PROJECT_DIR",
        "set by GitLab: each run becomes a section of the job's log, and attachments are found from the repository",
    ),
];

/// Variables that the pipelines' files, the tests and the parts of a run use among themselves.
#[cfg(test)]
const OTHERS: &[&str] = &[
    "SHAKEDOWN_BUSYBOX",
    "SHAKEDOWN_CASES",
    "SHAKEDOWN_COUNTED_WORK",
    "SHAKEDOWN_DHCP_CLIENT",
    "SHAKEDOWN_FUZZ_SECONDS",
    "SHAKEDOWN_LAB_INSIDE",
    "SHAKEDOWN_NONCE",
    "SHAKEDOWN_REF",
    "SHAKEDOWN_REPOSITORY",
    "SHAKEDOWN_SHELLCHECK",
    "SHAKEDOWN_SIGNING_KEY_TEXT",
    "SHAKEDOWN_SNAPSHOT",
];

/// The page.
pub(super) fn page() -> String {
    let rows = VARIABLES.iter().map(|(name, about)| {
        let names: Vec<_> = name.split(", ").map(|name| format!("`{name}`")).collect();
        [names.join(", "), (*about).into()]
    });
    head("Environment") + &table(["variable", "meaning"], rows)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    fn files(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            match path.is_dir() {
                true if !path.is_symlink() && name != "target" && name != ".git" => {
                    files(&path, found);
                }
                false if name.ends_with(".rs") || name == "job" || name.ends_with(".yml") => {
                    found.push(path);
                }
                _ => {}
            }
        }
    }

    /// Every word of a text that begins like one of our variables.
    fn variables(text: &str) -> impl Iterator<Item = String> {
        text.match_indices("SHAKEDOWN_").map(|(at, _)| {
            let is_part = |c: &char| c.is_ascii_uppercase() || c.is_ascii_digit() || *c == '_';
            text[at..].chars().take_while(is_part).collect()
        })
    }

    #[test]
    fn every_variable_that_the_code_names_is_in_the_table() {
        let mut paths = Vec::new();
        files(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(".."),
            &mut paths,
        );
        let texts = paths
            .iter()
            .filter_map(|path| fs::read_to_string(path).ok());
        let used: BTreeSet<_> = texts
            .flat_map(|text| variables(&text).collect::<Vec<_>>())
            .collect();
        assert!(used.len() > 5, "{used:?}");
        let listed: Vec<_> = VARIABLES
            .iter()
            .map(|(name, _)| *name)
            .chain(OTHERS.iter().copied())
            .collect();
        let missing: Vec<_> = used
            .iter()
            .filter(|name| *name != "SHAKEDOWN_" && !listed.contains(&name.as_str()))
            .collect();
        assert!(missing.is_empty(), "not in the table: {missing:?}");
    }
}
