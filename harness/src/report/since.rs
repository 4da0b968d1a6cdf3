//! What differs between a run that did not pass and the last one before it that did.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{PartVersion, Report};

/// What differs since the last run of the same scenario on the same board that passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SincePassed {
    /// That run's folder, by its name.
    pub run: String,
    /// When it began, for example `2026-11-24T23:15:00Z`.
    pub started: String,
    /// The parts that differ; none if all are the same.
    pub parts: Vec<PartChange>,
}

/// A part that is another one than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PartChange {
    /// For example `u-boot-rpi`.
    pub name: String,
    /// Its version then; nothing if it was not there.
    pub then: Option<String>,
    /// Its version now; nothing if it is not there.
    pub now: Option<String>,
}

impl SincePassed {
    /// What differs between the parts of a run that passed and those of one that did not.
    #[must_use]
    pub fn between(run: &str, passed: &Report, now: &[PartVersion]) -> Self {
        let find = |parts: &'_ [PartVersion], name: &str| {
            let part = parts.iter().find(|part| part.name == name);
            part.map(|part| (part.version.clone(), part.sha256.clone()))
        };
        let names = passed.parts.iter().chain(now).map(|part| &part.name);
        let mut parts: Vec<PartChange> = Vec::new();
        for name in names {
            let (then, now) = (find(&passed.parts, name), find(now, name));
            if then == now || parts.iter().any(|part| part.name == *name) {
                continue;
            }
            // Of one version with another content only the content tells them apart.
            let same_version = match (&then, &now) {
                (Some((then, _)), Some((now, _))) => then == now,
                _ => false,
            };
            let told = |part: Option<(String, String)>| {
                let (version, sha256) = part?;
                let short = sha256.get(..12).unwrap_or(&sha256);
                Some(match same_version {
                    true => format!("{version} (sha256 {short})"),
                    false => version,
                })
            };
            parts.push(PartChange {
                name: name.clone(),
                then: told(then),
                now: told(now),
            });
        }
        Self {
            run: run.into(),
            started: passed.started.clone(),
            parts,
        }
    }

    /// In lines, for people.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let when = self.started.replace('T', " ").replace('Z', " UTC");
        if self.parts.is_empty() {
            return vec![format!("nothing, since the run of {when} that passed")];
        }
        let parts = self.parts.iter().map(|part| {
            let version = |version: &Option<String>| version.clone().unwrap_or("none".into());
            format!(
                "{} {} -> {}",
                part.name,
                version(&part.then),
                version(&part.now)
            )
        });
        let head = format!("since the run of {when} that passed:");
        std::iter::once(head).chain(parts).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::testing::report;
    use super::*;

    #[test]
    fn what_differs_is_named_with_both_versions() {
        let part = |name: &str, version: &str, sha256: &str| PartVersion {
            name: name.into(),
            version: version.into(),
            sha256: sha256.into(),
        };
        let mut passed = report("s", &[], Verdict::Passed);
        passed.started = "2026-11-24T23:15:00Z".into();
        passed.parts = vec![
            part("linux", "6.12.117", "aa"),
            part("u-boot", "2025.01", "bb"),
            part("container", "3.20", "0123456789abcdef"),
            part("old", "1", "cc"),
        ];
        let now = [
            part("linux", "6.12.118", "ab"),
            part("u-boot", "2025.01", "bb"),
            part("container", "3.20", "fedcba9876543210"),
        ];
        let since = SincePassed::between("7-1-s-b", &passed, &now);
        assert_eq!(
            since.lines(),
            [
                "since the run of 2026-11-24 23:15:00 UTC that passed:",
                "linux 6.12.117 -> 6.12.118",
                "container 3.20 (sha256 0123456789ab) -> 3.20 (sha256 fedcba987654)",
                "old 1 -> none",
            ]
        );
        let same = SincePassed::between("7-1-s-b", &passed, &passed.parts);
        assert_eq!(
            same.lines(),
            ["nothing, since the run of 2026-11-24 23:15:00 UTC that passed"]
        );
    }
}
