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

/// Runs the seeds of a target, of which there must be some.
fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/seeds")
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
