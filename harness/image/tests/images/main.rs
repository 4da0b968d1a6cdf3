//! Images that other tools made, our images in the hands of other tools, and images that are broken.
//!
//! `cargo test -p shakedown-harness --test images`. The tools are those that people make images with: fdisk, gdisk, dosfstools,
//! mtools, e2fsprogs, openssl. A trial whose tools are missing is skipped and says so; where `CI` is `true` it fails.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, but not the helpers of a test crate"
)]

mod bad;
mod documented;
mod foreign;
mod memory;
mod ours;
mod parts;
mod tools;
mod volume;

use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = foreign::trials();
    trials.extend(ours::trials());
    trials.extend(documented::trials());
    trials.push(bad::trial());
    libtest_mimic::run(&arguments, trials).exit_code()
}
