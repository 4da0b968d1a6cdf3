//! Runs every seed of the fuzz targets through its target, regressions included. Fuzzing itself: harness/fuzz/README.md.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, but not the helpers of a test crate"
)]

#[path = "../fuzz/src/targets.rs"]
#[expect(
    unreachable_pub,
    reason = "the fuzz targets are another crate, this one has only tests"
)]
mod targets;

#[path = "../fuzz/src/images.rs"]
#[expect(
    unreachable_pub,
    reason = "the fuzz targets are another crate, this one has only tests"
)]
mod images;

#[path = "../fuzz/src/services.rs"]
#[expect(
    unreachable_pub,
    reason = "the fuzz targets are another crate, this one has only tests"
)]
mod services;

use std::path::Path;
use std::time::{Duration, Instant};

/// The seeds of a target, of which there must be some.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/seeds")
        .join(target);
    let entries = std::fs::read_dir(&folder).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "no seeds in {}", folder.display());
    paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

/// Runs the seeds of a target, and changed ones for as long as `SHAKEDOWN_FUZZ_SECONDS` says: a poor man's fuzzer, without knowledge of what an
/// input reaches, where there is no time to build a real one.
fn replay(target: &str, run: fn(&[u8])) {
    let seeds = seeds(target);
    for seed in &seeds {
        run(seed);
    }
    let seconds = std::env::var("SHAKEDOWN_FUZZ_SECONDS");
    let Some(seconds) = seconds.ok().and_then(|text| text.parse().ok()) else {
        return;
    };
    let (started, whole) = (Instant::now(), Duration::from_secs(seconds));
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let mut runs = 0_u64;
    while started.elapsed() < whole {
        let input = chance.changed(&seeds);
        let result = std::panic::catch_unwind(|| run(&input));
        if result.is_err() {
            let path = std::env::temp_dir().join(format!("finding-{target}"));
            std::fs::write(&path, &input).unwrap();
            panic!(
                "{target}: a finding after {runs} inputs: {}",
                path.display()
            );
        }
        runs += 1;
    }
    println!("{target}: {runs} changed seeds");
}

/// Numbers by chance, the same in every run (xorshift64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }

    /// A seed with up to eight changes: bytes set, removed, doubled, or taken from another seed.
    fn changed(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        const EDGES: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, b'.', b'/', b'\n'];
        let mut input = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(8) {
            let at = self.below(input.len());
            let end = (at + 1 + self.below(16)).min(input.len());
            match self.below(6) {
                0 if !input.is_empty() => input[at] = self.below(256) as u8,
                1 if !input.is_empty() => input[at] = EDGES[self.below(EDGES.len())],
                2 if !input.is_empty() => input[at] ^= 1 << self.below(8),
                3 if at < end => drop(input.drain(at..end)),
                4 if at < end => input.extend_from_within(at..end),
                _ => {
                    let other = &seeds[self.below(seeds.len())];
                    let from = self.below(other.len());
                    let to = (from + 1 + self.below(32)).min(other.len());
                    let piece = other.get(from..to).unwrap_or_default().to_vec();
                    input.splice(at..at, piece);
                }
            }
        }
        input.truncate(64 << 10);
        input
    }
}

#[test]
fn packed() {
    replay("packed", images::packed);
}

#[test]
fn disk() {
    replay("disk", images::disk);
}

#[test]
fn device_tree() {
    replay("device_tree", images::device_tree);
}

#[test]
fn script() {
    replay("script", images::script);
}

#[test]
fn key_material() {
    replay("key_material", images::key_material);
}

#[test]
fn partitions() {
    replay("partitions", targets::partitions);
}

#[test]
fn fat() {
    replay("fat", targets::fat);
}

#[test]
fn efivar() {
    replay("efivar", targets::efivar);
}

#[test]
fn config_txt() {
    replay("config_txt", targets::config_txt);
}

#[test]
fn uboot_env() {
    replay("uboot_env", targets::uboot_env);
}

#[test]
fn registry() {
    replay("registry", services::registry);
}

#[test]
fn boot_server() {
    replay("boot_server", services::boot_server);
}

#[test]
fn bundle() {
    replay("bundle", services::bundle);
}

#[test]
fn transcript() {
    replay("transcript", services::transcript);
}

#[test]
fn nbd() {
    replay("nbd", services::nbd);
}

#[test]
fn qmp() {
    replay("qmp", services::qmp);
}

#[test]
fn tls() {
    replay("tls", services::tls);
}

#[test]
fn x509() {
    replay("x509", services::x509);
}

#[test]
fn ext() {
    replay("ext", services::ext);
}

#[test]
fn manifest() {
    replay("manifest", services::manifest);
}
