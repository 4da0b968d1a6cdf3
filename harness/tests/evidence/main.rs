//! Evidence as outside tools see it: pages in Chromium, captures in tshark.
//!
//! A tool that is missing fails its trials where CI is `true`; elsewhere they are ignored, and the reason is said once.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, but not the trials of a test crate"
)]

mod browser;
#[expect(dead_code, reason = "the tests of the LAN use more of the guest")]
#[path = "../../net/tests/lan/guest.rs"]
mod guest;
mod pages;
mod sample;
mod wireshark;

use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    let chromium = Tool {
        programs: &["chromium", "chromedriver"],
        packages: "chromium chromium-driver",
    };
    for (name, trial) in pages::TRIALS {
        trials.push(chromium.trial(&format!("pages::{name}"), *trial));
    }
    let tshark = Tool {
        programs: &["tshark"],
        packages: "tshark",
    };
    trials.push(tshark.trial("wireshark::decrypts", wireshark::decrypts));
    for tool in [chromium, tshark] {
        if let Some(missing) = tool.missing() {
            eprintln!(
                "note: there is no {missing}: apt-get install {}",
                tool.packages
            );
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// What trials need from outside.
struct Tool {
    programs: &'static [&'static str],
    /// Debian's names.
    packages: &'static str,
}

impl Tool {
    fn missing(&self) -> Option<&'static str> {
        let is_missing = |program: &&&str| {
            let asked = Command::new(program).arg("--version").output();
            !asked.is_ok_and(|output| output.status.success())
        };
        self.programs.iter().find(is_missing).copied()
    }

    /// A trial that is ignored where the tool is missing, unless CI must have everything.
    fn trial(&self, name: &str, test: fn()) -> Trial {
        let must = std::env::var("CI").is_ok_and(|ci| ci == "true");
        let missing = self.missing();
        let trial = Trial::test(name, move || {
            if let Some(missing) = missing {
                return Err(format!("there is no {missing}").into());
            }
            test();
            Ok(())
        });
        trial.with_ignored_flag(missing.is_some() && !must)
    }
}
