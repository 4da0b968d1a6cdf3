//! `cargo xtask bench fixtures`: what it costs to have the parts of a board's runs, from a cache that has them and from downloads alone.
//!
//! Three kinds of cache: the user's own, with everything in it (warm); one with the downloads of that one and nothing else (cold); and the
//! second with everything made but one artefact, for each of them. The network is not used.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use shakedown_fixtures::{Kit, KitOptions};
use shakedown_harness::board::Board;
use tempfile::TempDir;

use super::cost::{Args, Cost, Costs};
use super::host::Observation;
use shakedown_common::outln;
use shakedown_harness::project::Project;

/// Folders of a cache that do not hold downloads.
const NOT_DOWNLOADED: [&str; 3] = [DERIVED, "locks", "tmp"];
/// What is made of downloads, a folder for each artefact.
const DERIVED: &str = "derived";

/// Runs the command.
pub(super) fn run(args: &Args, project: &Project) -> Result<ExitCode> {
    let board = project.board(&args.board)?;
    let kit = kit(None)?;
    // Whatever the user's cache lacks is no part of what is measured.
    kit.parts(board)?;
    let observation = Observation::begin()?;
    let (mut cold, mut warm) = (Costs::new("cold"), Costs::new("warm"));
    let mut made: Vec<Costs> = Vec::new();
    for _ in 0..args.runs {
        let cache = downloads_of(kit.cache())?;
        cold.each.push(parts(board, Some(cache.path()))?);
        warm.each.push(parts(board, None)?);
        for (name, artefact) in artefacts(cache.path())? {
            fs::remove_dir_all(&artefact)?;
            let cost = parts(board, Some(cache.path()))?;
            match made.iter_mut().find(|costs| costs.name == name) {
                Some(costs) => costs.each.push(cost),
                None => made.push(Costs {
                    name,
                    each: vec![cost],
                }),
            }
        }
    }
    let host = observation.end()?;
    let others: Vec<_> = std::iter::once(warm).chain(made).collect();
    outln!(
        "\ncold: from downloads alone; warm: everything is there; else: everything but this is there"
    );
    let subject = format!("the parts of {}", board.name);
    args.report("fixtures", subject, &cold, &others, host)?;
    Ok(ExitCode::SUCCESS)
}

fn kit(cache: Option<&Path>) -> Result<Kit> {
    Ok(Kit::open(KitOptions {
        offline: true,
        cache: cache.map(Path::to_path_buf),
        ..KitOptions::default()
    })?)
}

/// What it costs to have a board's parts from a cache.
fn parts(board: &Board, cache: Option<&Path>) -> Result<Cost> {
    let (_, cost) = Cost::of(|| Ok(kit(cache)?.parts(board)?))?;
    Ok(cost)
}

/// A cache that has the downloads of another, and nothing that is made of them. It lies where the other writes what is unfinished, and so on
/// the same disk.
fn downloads_of(cache: &Path) -> Result<TempDir> {
    let link_all = || {
        let folder = tempfile::Builder::new()
            .prefix("bench-")
            .tempdir_in(cache.join("tmp"))?;
        for entry in cache.read_dir()? {
            let entry = entry?;
            if !NOT_DOWNLOADED.iter().any(|name| entry.file_name() == *name) {
                symlink(entry.path(), folder.path().join(entry.file_name()))?;
            }
        }
        anyhow::Ok(folder)
    };
    link_all().with_context(|| format!("cannot make a cache in {}", cache.display()))
}

/// The artefacts of a cache: what each is called, and its folder.
fn artefacts(cache: &Path) -> Result<Vec<(String, PathBuf)>> {
    let folder = cache.join(DERIVED);
    let mut artefacts = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Behind the name is the digest of what it was made of.
        let (name, _) = name.rsplit_once('-').unwrap_or((&name, ""));
        artefacts.push((name.to_owned(), path));
    }
    artefacts.sort();
    Ok(artefacts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cold_cache_has_the_downloads_alone() {
        let cache = tempfile::tempdir().unwrap();
        for name in ["blobs/sha256", "sets", "derived/ipxe-0123", "locks", "tmp"] {
            fs::create_dir_all(cache.path().join(name)).unwrap();
        }
        fs::write(cache.path().join("blobs/sha256/abc"), "package").unwrap();
        let cold = downloads_of(cache.path()).unwrap();
        let read = fs::read(cold.path().join("blobs/sha256/abc")).unwrap();
        assert_eq!(read, b"package");
        assert_eq!(cold.path().read_dir().unwrap().count(), 2);
        drop(cold);
        assert!(cache.path().join("blobs/sha256/abc").exists());
        assert_eq!(cache.path().join("tmp").read_dir().unwrap().count(), 0);
    }

    #[test]
    fn artefacts_are_called_what_they_are() {
        let cache = tempfile::tempdir().unwrap();
        for name in ["u-boot-fb60", "Image.gz-2c57"] {
            fs::create_dir_all(cache.path().join(DERIVED).join(name)).unwrap();
        }
        let names: Vec<_> = artefacts(cache.path()).unwrap();
        let names: Vec<_> = names.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["Image.gz", "u-boot"]);
    }
}
