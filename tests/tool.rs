//! Programs that tests drive and that a machine may lack.

use std::env;
use std::path::PathBuf;

use libtest_mimic::{Failed, Trial};

/// A program, and where to get it.
#[derive(Debug, Clone, Copy)]
pub struct Tool {
    /// Its name in `PATH`.
    pub program: &'static str,
    /// The Debian package.
    pub package: &'static str,
}

impl Tool {
    /// A program of this name, which is in this package.
    #[must_use]
    pub const fn new(program: &'static str, package: &'static str) -> Self {
        Self { program, package }
    }

    /// Why the program cannot be used, if it cannot.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        let path = env::var_os("PATH").unwrap_or_default();
        // Daemons are where an ordinary user's PATH does not lead.
        let folders = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
        let found = folders
            .into_iter()
            .any(|folder| folder.join(self.program).is_file());
        let Self { program, package } = self;
        (!found).then(|| format!("there is no {program} here: apt-get install {package}"))
    }
}

/// A trial that needs tools. Without them it fails in CI; elsewhere it is ignored and the reason goes to standard error.
pub fn trial_with(
    tools: &[Tool],
    name: &str,
    run: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let Some(reason) = tools.iter().find_map(Tool::missing) else {
        return Trial::test(name, run);
    };
    if env::var("CI").is_ok_and(|ci| ci == "true") {
        return Trial::test(name, || Err(reason.into()));
    }
    eprintln!("{name} is ignored: {reason}");
    Trial::test(name, || Ok(())).with_ignored_flag(true)
}
