//! The name of a run's folder.

use std::fmt;
use std::path::Path;

/// `TIME-PROCESS-SCENARIO-BOARD`, as the folders of runs are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunName {
    /// When the run began, in milliseconds since the epoch.
    pub began: u128,
    /// The process that made it: two commands may begin in the same millisecond, and runs of one command have one.
    pub process: u32,
    /// `SCENARIO-BOARD`.
    pub of: String,
}

impl RunName {
    /// Reads the name of a folder; `None` of one that is not called like a run's.
    #[must_use]
    pub fn of(folder: &Path) -> Option<Self> {
        let mut parts = folder.file_name()?.to_str()?.splitn(3, '-');
        Some(Self {
            began: parts.next()?.parse().ok()?,
            process: parts.next()?.parse().ok()?,
            of: parts.next().unwrap_or_default().to_owned(),
        })
    }
}

impl fmt::Display for RunName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.began, self.process, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_back_and_others_are_none() {
        let name = RunName::of(Path::new("runs/1795999-42-alpine-http-raspi3b")).unwrap();
        assert_eq!((name.began, name.process), (1_795_999, 42));
        assert_eq!(name.of, "alpine-http-raspi3b");
        assert_eq!(name.to_string(), "1795999-42-alpine-http-raspi3b");
        for other in ["checkpoints", "scratch-x", "1795999", "1795999-x-a-b", "/"] {
            assert_eq!(RunName::of(Path::new(other)), None, "{other}");
        }
    }
}
