//! Runs every seed of the network's fuzz targets through its target, regressions included. Fuzzing itself: harness/fuzz/README.md.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, but not the helpers of a test crate"
)]

#[path = "../../fuzz/src/network.rs"]
#[expect(
    unreachable_pub,
    reason = "the fuzz targets are another crate, this one has only tests"
)]
mod network;

use std::path::Path;

use proptest::prelude::*;

/// What a fuzzer calls.
type Target = fn(&[u8]);

/// Runs the seeds of a target, of which there must be some.
fn replay(target: &str, run: Target) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/seeds")
        .join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        run(&std::fs::read(&path).unwrap());
        count += 1;
    }
    assert!(count > 0, "no seeds in {}", folder.display());
}

#[test]
fn usbredir() {
    replay("usbredir", network::usbredir);
}

#[test]
fn transmit() {
    replay("transmit", network::transmit);
}

#[test]
fn lan() {
    replay("lan", network::lan);
}

#[test]
fn frames() {
    replay("frames", network::frames);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A little fuzzing with every test run: seeds with some bytes changed.
    #[test]
    fn changed_seeds_do_no_harm(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20)) {
        let targets: [(&str, Target); 4] = [
            ("usbredir", network::usbredir), ("transmit", network::transmit), ("lan", network::lan), ("frames", network::frames),
        ];
        for (target, run) in targets {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(target);
            for entry in std::fs::read_dir(&folder).unwrap() {
                let mut bytes = std::fs::read(entry.unwrap().path()).unwrap();
                for (at, byte) in &changes {
                    let at = at.index(bytes.len());
                    bytes[at] = *byte;
                }
                run(&bytes);
            }
        }
    }
}
