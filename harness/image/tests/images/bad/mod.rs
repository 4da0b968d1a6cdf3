//! Broken images: for each a clear error, no panic, bounded time and memory.
//!
//! The cases start from a good image and change some of its bytes. What is said of them is one snapshot, printed as a table.

mod cases;
mod image;

use std::fmt::Write;
use std::fs::DirEntry;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use libtest_mimic::Trial;
use shakedown_image::survey::Violation;

use cases::{CASES, Case};
use image::Good;

use crate::memory;
use crate::parts;

/// Catches what never ends; a case takes some milliseconds.
const DEADLINE: Duration = Duration::from_secs(120);
/// What a case may take: the caches, the largest file that is read, and a bit for every cluster.
const MEMORY: usize = 96 << 20;

pub(crate) fn trial() -> Trial {
    Trial::test("bad::images", || {
        all();
        Ok(())
    })
}

fn all() {
    let directory = tempfile::tempdir().unwrap();
    let good = Good::build(directory.path());
    let path = directory.path().join("good.img");
    for image in [&good.mbr, &good.gpt, &good.hybrid] {
        image.write(&path);
        assert_eq!(violations(&path), [""; 0], "the good image is bad");
    }
    let mut table = String::new();
    let mut largest = (0, "");
    for case in CASES {
        let (said, memory) = judged(case, &good, directory.path());
        largest = largest.max((memory, case.name));
        writeln!(table, "{}\n{said}", case.name).unwrap();
    }
    println!(
        "{table}{} broken images, each with a clear error; the most memory, {} KiB, for {}",
        CASES.len(),
        largest.0 >> 10,
        largest.1
    );
    insta::assert_snapshot!("bad_images", table);
    assert!(CASES.len() >= 40, "{} cases", CASES.len());
}

/// What is said of a case, and the memory that took.
fn judged(case: &'static Case, good: &Good, directory: &Path) -> (String, usize) {
    let path = directory.join("bad.img");
    (case.write)(good, &path);
    let (sender, receiver) = mpsc::channel();
    let shown = path.display().to_string();
    let directory = directory.to_owned();
    std::thread::spawn(move || {
        let judged = memory::peak(|| judge(&path, &directory));
        let _ = sender.send(judged);
    });
    let (said, memory) = match receiver.recv_timeout(DEADLINE) {
        Ok(judged) => judged,
        Err(mpsc::RecvTimeoutError::Timeout) => {
            panic!("{} takes more than {DEADLINE:?}", case.name)
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => panic!("{} panics", case.name),
    };
    let said = said.unwrap_or_else(|| panic!("{} is taken for a good image", case.name));
    assert!(memory < MEMORY, "{} takes {memory} bytes", case.name);
    (said.replace(&shown, "IMAGE"), memory)
}

/// What those are told who verify an image, and who provision it. Nothing when it is a good one.
fn judge(image: &Path, directory: &Path) -> Option<String> {
    let broken = violations(image);
    let output = directory.join("out.img");
    let refused = parts::provision(image, &output).err();
    match &refused {
        Some(_) => assert!(!output.exists(), "half an image is left behind"),
        None => std::fs::remove_file(&output).unwrap(),
    }
    let hidden = |entry: std::io::Result<DirEntry>| {
        let name = entry.unwrap().file_name();
        name.to_string_lossy().starts_with('.')
    };
    let left = std::fs::read_dir(directory).unwrap().any(hidden);
    assert!(!left, "a temporary file is left behind");
    let first = match &broken[..] {
        [] => return None,
        [one] => format!("  verify: {one}"),
        [first, others @ ..] => format!("  verify: {first} (and {} more)", others.len()),
    };
    Some(match refused {
        Some(error) => format!("{first}\n  provision: {error}")
            .trim_end()
            .to_owned(),
        None => first,
    })
}

/// The violations of an image, as text. That they are too small for a cache is what all images here have in common.
fn violations(image: &Path) -> Vec<String> {
    let all = match parts::violations(image) {
        Ok(all) => all,
        Err(error) => return vec![error.to_string()],
    };
    all.into_iter()
        .filter(|violation| !["R-CACHE-2", "R-CACHE-3"].contains(&violation.rule))
        .map(|violation| {
            let Violation {
                rule, place, what, ..
            } = violation;
            format!("{rule} {place}: {}", what.trim_end())
        })
        .collect()
}
