//! The servers as real clients see them: curl, openssl, git and s3cmd, over the loopback interface.
//!
//! A trial whose client is not installed is ignored, with the reason on standard error; on CI, which installs them all, it fails.
#![expect(
    clippy::unwrap_used,
    reason = "a panic here is a failed trial, and says where"
)]

mod boot;
mod checkout;
mod pki;
mod scratch;
mod site;
mod tls;
mod tool;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

use tool::Tool;

/// A trial: its name, the clients that it needs, and what it does.
type Case = (String, &'static [Tool], Box<dyn FnOnce() + Send>);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let cases = [
        boot::cases(),
        checkout::cases(),
        scratch::cases(),
        tls::cases(),
    ];
    let missing = tool::missing();
    for tool in &missing {
        eprintln!(
            "note: trials that need {tool} are left out: `{tool} {}` does not run",
            tool.version_flag()
        );
    }
    let trials = cases.into_iter().flatten().map(|(name, tools, case)| {
        let lacking = tools.iter().find(|tool| missing.contains(tool));
        let on_ci = std::env::var("CI").as_deref() == Ok("true");
        let trial = Trial::test(name, move || match lacking {
            Some(tool) => Err(format!("{tool} is not installed").into()),
            None => {
                case();
                Ok(())
            }
        });
        trial.with_ignored_flag(lacking.is_some() && !on_ci)
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// A case without a matrix.
fn case(name: &str, tools: &'static [Tool], run: fn()) -> Case {
    (name.into(), tools, Box::new(run))
}
