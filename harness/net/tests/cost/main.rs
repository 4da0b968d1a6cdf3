//! What the way to a guest costs in executed instructions, which are the same on a busy host as on an idle one.
//!
//! `cargo test -p shakedown-harness --test cost`.
//!
//! This program runs itself under valgrind twice: once it moves bytes from a server on the LAN to a guest, once it only encrypts the same
//! bytes and sums them up. The ratio is held to a bound, so that neither the host's processor nor the compiler's version matters much.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, but not the helpers of a test crate"
)]

mod adapter;
mod valgrind;
mod work;

use std::env;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

/// How many times as many instructions the whole way may take as the yardstick.
///
/// Measured on x86-64, in the profile of the tests: 3.91, which is 18 instructions for a byte or 26,000 for a full frame; the guest is a
/// tenth of that. The headroom of 30 % is for compilers and libraries: a change that makes the way dearer by more fails here. Who makes it
/// cheaper writes down the new value here.
const BOUND: f64 = 3.91 * 1.3;
/// Set for this program under valgrind: which work it must do.
const WORK: &str = "SHAKEDOWN_COUNTED_WORK";

fn main() -> ExitCode {
    match env::var(WORK).as_deref() {
        Ok("path") => work::path(),
        Ok("yardstick") => work::yardstick(),
        _ => return libtest_mimic::run(&Arguments::from_args(), vec![trial()]).exit_code(),
    }
    ExitCode::SUCCESS
}

/// The trial. Without valgrind it fails in CI; elsewhere it is ignored, and the reason goes to standard error.
fn trial() -> Trial {
    const NAME: &str = "the_way_to_the_guest_is_as_cheap_as_it_was";
    let Some(reason) = valgrind::missing() else {
        return Trial::test(NAME, compare);
    };
    if env::var("CI").as_deref() == Ok("true") {
        return Trial::test(NAME, || Err(reason.into()));
    }
    eprintln!("{NAME} is ignored: {reason}");
    Trial::test(NAME, || Ok(())).with_ignored_flag(true)
}

fn compare() -> Result<(), Failed> {
    let (path, yardstick) = std::thread::scope(|scope| {
        let path = scope.spawn(|| valgrind::instructions("path"));
        (path.join(), valgrind::instructions("yardstick"))
    });
    let path = path.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    let ratio = path as f64 / yardstick? as f64;
    let found = format!(
        "the way to the guest takes {:.1} instructions for a byte, {ratio:.2} times as many as the yardstick; it may be {BOUND:.2} times",
        path as f64 / work::BYTES as f64
    );
    if ratio > BOUND {
        let program = env::current_exe()?;
        return Err(format!(
            "{found}\nto see where they go: {WORK}=path valgrind --tool=callgrind {}; callgrind_annotate",
            program.display()
        )
        .into());
    }
    println!("{found}");
    Ok(())
}
