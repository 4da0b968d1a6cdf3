//! What is looked at. Nothing is fetched, and no network is contacted.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use anyhow::Result;
use shakedown_fixtures::{FETCH_COMMAND, Fixtures, Options, Origin, alpine, sets_of_board};
use shakedown_harness::architecture::Architecture;
use shakedown_harness::board::Board;
use shakedown_harness::host::{host_scale, runs_at_a_time};
use shakedown_harness::project::Project;
use shakedown_harness::scenario::Tier;

use super::finding::Finding;

/// Bytes that a filled cache and some runs take.
const DISK: u64 = 3 << 30;
/// Bytes of memory that an emulated board takes: its own gigabyte, and QEMU's.
const MEMORY: u64 = 1536 << 20;
/// A socket's path has at most 107 bytes, of which the folder and the name take some.
const LONGEST_TEMP: usize = 80;

/// Programs that only tests and reports want: name, Debian package, what wants it.
const TOOLS: &[(&str, &str, &str)] = &[
    (
        "cargo-nextest",
        "cargo install cargo-nextest",
        "partitions of the tests in CI",
    ),
    (
        "gdb-multiarch",
        "apt-get install gdb-multiarch",
        "`console --gdb`",
    ),
    ("tshark", "apt-get install tshark", "reading captures"),
    (
        "chromium",
        "apt-get install chromium",
        "looking at the HTML report in tests",
    ),
];

/// Everything that is looked at.
pub(super) fn all(project: &Project) -> Result<Vec<Finding>> {
    let defaults = project.defaults();
    let fixtures = Fixtures::open(Options {
        offline: true,
        cache: defaults.cache.clone(),
        ..Options::default()
    })?;
    let cache = fixtures.store().root().to_owned();
    let mut findings = vec![cores(), speed(), memory()];
    findings.push(space("disk, cache", &cache));
    findings.push(space("disk, runs", project.runs_folder()));
    findings.push(temporary_files(&std::env::temp_dir()));
    findings.extend(parts(&fixtures, project.boards()));
    findings.push(emulator(&fixtures));
    findings.push(container(&fixtures));
    findings.extend(
        TOOLS
            .iter()
            .map(|(program, remedy, wanted)| tool(program, remedy, wanted)),
    );
    Ok(findings)
}

fn cores() -> Finding {
    let cores = available_parallelism().map_or(1, usize::from);
    let at_a_time = runs_at_a_time();
    Finding::good("cores", format!("{cores}; runs at a time: {at_a_time}"))
}

fn speed() -> Finding {
    let scale = host_scale();
    let found = format!("{scale:.1} times the reference host's time");
    if scale < 3.0 {
        Finding::good("speed", found)
    } else {
        Finding::lacking(
            "speed",
            found,
            "bounds are stretched by it; something else may be using the cores",
        )
    }
}

fn memory() -> Finding {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    match available_memory(&info) {
        Some(bytes) if bytes < MEMORY => Finding::missing(
            "memory",
            format!("{} available", gigabytes(bytes)),
            format!("a run takes {}", gigabytes(MEMORY)),
        ),
        Some(bytes) => Finding::good("memory", format!("{} available", gigabytes(bytes))),
        None => Finding::lacking("memory", "unknown", "/proc/meminfo has no MemAvailable"),
    }
}

/// `MemAvailable` of /proc/meminfo (proc(5)), in bytes.
fn available_memory(info: &str) -> Option<u64> {
    let line = info.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

fn space(what: &str, folder: &Path) -> Finding {
    // The folder may have to be made yet.
    let there = folder.ancestors().find(|f| f.exists()).unwrap_or(folder);
    let free = match rustix::fs::statvfs(there) {
        Ok(stat) => stat.f_bavail * stat.f_frsize,
        Err(e) => {
            return Finding::missing(
                what,
                format!("{}: {e}", there.display()),
                "make the folder accessible",
            );
        }
    };
    let found = format!("{} free for {}", gigabytes(free), folder.display());
    if free < DISK {
        let remedy = format!(
            "{} are wanted; SHAKEDOWN_CACHE names another cache folder",
            gigabytes(DISK)
        );
        Finding::missing(what, found, remedy)
    } else {
        Finding::good(what, found)
    }
}

fn temporary_files(folder: &Path) -> Finding {
    let what = "temporary files";
    let found = folder.display().to_string();
    if found.len() > LONGEST_TEMP {
        return Finding::missing(
            what,
            found,
            "the path is too long for sockets; set TMPDIR to a shorter one",
        );
    }
    match tempfile::tempdir_in(folder) {
        Ok(_) => Finding::good(what, found),
        Err(e) => Finding::missing(
            what,
            format!("{found}: {e}"),
            "set TMPDIR to a folder that can be written to",
        ),
    }
}

/// The package sets of the boards that are always tried.
fn parts(fixtures: &Fixtures, boards: &[Board]) -> Vec<Finding> {
    let usual = boards.iter().filter(|board| board.tier == Tier::Smoke);
    let sets: BTreeSet<_> = usual.flat_map(sets_of_board).collect();
    let missing: Vec<_> = sets
        .iter()
        .filter(|set| fixtures.tree(set).is_err())
        .map(String::as_str)
        .collect();
    if missing.is_empty() {
        return vec![Finding::good("parts", "all in the cache")];
    }
    let found = format!("not in the cache: {}", missing.join(", "));
    let fetch = format!("the first run fetches them, or `{FETCH_COMMAND}` does");
    let apt = match on_path("apt-get") {
        Some(apt) => Finding::good("apt", apt.display().to_string()),
        None => Finding::missing(
            "apt",
            "no apt-get",
            "parts are Debian packages: use a Debian-like system, or bring a filled cache",
        ),
    };
    vec![Finding::lacking("parts", found, fetch), apt]
}

fn emulator(fixtures: &Fixtures) -> Finding {
    let what = "QEMU";
    match fixtures.qemu(Architecture::default()) {
        Ok(qemu) => {
            let origin = match qemu.origin {
                Origin::Given => "from SHAKEDOWN_QEMU",
                Origin::Host => "the host's",
                Origin::Fetched => "fetched",
            };
            let instead = qemu
                .instead_of
                .map(|why| format!("; the host's will not do: {why}"));
            Finding::good(
                what,
                format!(
                    "{}, {origin}{}{}",
                    qemu.version,
                    match qemu.sandbox {
                        true => "",
                        false => ", without a sandbox",
                    },
                    instead.unwrap_or_default()
                ),
            )
        }
        Err(shakedown_fixtures::Error::Offline { .. }) => Finding::lacking(
            what,
            "not on this machine",
            format!("the first run fetches it, or `{FETCH_COMMAND}` does"),
        ),
        Err(e) => Finding::missing(what, e.to_string(), "unset SHAKEDOWN_QEMU, or name another"),
    }
}

fn container(fixtures: &Fixtures) -> Finding {
    let what = "Alpine";
    match alpine::available(fixtures.store(), None, Architecture::default()) {
        Ok(Some(rootfs)) => Finding::good(what, rootfs.source),
        Ok(None) => Finding::lacking(
            what,
            "none; a stand-in is served, which says so",
            alpine::how_to_get_real(),
        ),
        Err(e) => Finding::missing(what, e.to_string(), alpine::how_to_get_real()),
    }
}

fn tool(program: &str, remedy: &str, wanted: &str) -> Finding {
    match on_path(program) {
        Some(path) => Finding::good(program, path.display().to_string()),
        None => Finding::lacking(program, format!("not installed; for {wanted}"), remedy),
    }
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_read_in_bytes() {
        let info = "MemTotal:        4005144 kB\nMemAvailable:    2048 kB\n";
        assert_eq!(available_memory(info), Some(2 << 20));
        assert_eq!(available_memory("MemTotal: 1 kB"), None);
    }

    #[test]
    fn a_temporary_folder_must_have_a_short_name() {
        let long = PathBuf::from(format!("/{}", "x".repeat(100)));
        assert!(temporary_files(&long).remedy.unwrap().contains("TMPDIR"));
    }
}
