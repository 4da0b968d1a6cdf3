//! The clients, as programs of the host.

use std::fmt;
use std::process::{Command, Output, Stdio};

/// A program that plays a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    Curl,
    OpenSsl,
    Git,
    S3cmd,
}

impl Tool {
    fn name(self) -> &'static str {
        match self {
            Self::Curl => "curl",
            Self::OpenSsl => "openssl",
            Self::Git => "git",
            Self::S3cmd => "s3cmd",
        }
    }

    pub(crate) fn version_flag(self) -> &'static str {
        match self {
            Self::OpenSsl => "version",
            _ => "--version",
        }
    }

    /// The program, with nothing of the user's settings.
    pub(crate) fn command(self) -> Command {
        let mut command = Command::new(self.name());
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy().to_ascii_lowercase();
            if text.starts_with("git_") || text.ends_with("_proxy") || text.starts_with("aws_") {
                command.env_remove(name);
            }
        }
        command
            .env("HOME", "/nonexistent")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        command
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The programs that do not run here.
pub(crate) fn missing() -> Vec<Tool> {
    let all = [Tool::Curl, Tool::OpenSsl, Tool::Git, Tool::S3cmd];
    let runs = |tool: &Tool| {
        let output = tool.command().arg(tool.version_flag()).output();
        output.is_ok_and(|output| output.status.success())
    };
    all.into_iter().filter(|tool| !runs(tool)).collect()
}

/// How a program ended and what it printed.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    pub(crate) fn of(command: &mut Command) -> Self {
        let Output {
            status,
            stdout,
            stderr,
        } = command.output().unwrap();
        Self {
            code: status.code(),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        }
    }

    /// What it printed, if it succeeded.
    #[track_caller]
    pub(crate) fn success(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }
}
