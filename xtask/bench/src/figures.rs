//! What is made of measured values: medians, and the file that `bench compare` reads.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::host::Conditions;

/// Whether more of something is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Better {
    Less,
    More,
}

/// A figure that counts: a median, or a ratio of medians.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Figure {
    /// For example `chain, iPXE`.
    pub(super) name: String,
    /// As in `CPU s`; empty for a ratio.
    pub(super) unit: String,
    /// `None` for what could not be measured.
    pub(super) value: Option<f64>,
    pub(super) better: Better,
}

impl Figure {
    /// A figure; one that is not a number could not be measured.
    pub(super) fn new(name: impl Into<String>, unit: &str, value: f64, better: Better) -> Self {
        Self {
            name: name.into(),
            unit: unit.into(),
            value: value.is_finite().then_some(value),
            better,
        }
    }
}

/// What an invocation has measured.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Measured {
    /// The kind of benchmark, for example `boot`.
    pub(super) bench: String,
    /// What was measured, for example `alpine-https on raspi3b`.
    pub(super) subject: String,
    /// Ratios first.
    pub(super) figures: Vec<Figure>,
    pub(super) host: Conditions,
    /// Every single value.
    pub(super) details: Value,
}

impl Measured {
    /// Writes everything as JSON; readers see the whole file or the one before it.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let write = || -> Result<()> {
            let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
            let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
            serde_json::to_writer_pretty(&mut file, self)?;
            file.persist(path)?;
            Ok(())
        };
        write().with_context(|| format!("cannot write the figures to {}", path.display()))
    }

    /// Reads what was written.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path);
        let text = text.with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| {
            format!(
                "{}: this is no file that `bench … --json` has written",
                path.display()
            )
        })
    }
}

/// The middle value, or the mean of the two in the middle; not a number without values.
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match (values.get(half.wrapping_sub(1)), values.get(half)) {
        (Some(below), Some(above)) if values.len().is_multiple_of(2) => {
            f64::midpoint(*below, *above)
        }
        (_, Some(middle)) => *middle,
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 100.0]), 3.0);
        assert_eq!(median([7.0]), 7.0);
        assert!(median([]).is_nan());
    }

    #[test]
    fn figures_replace_those_of_the_last_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("figures.json");
        let measured = |value| Measured {
            bench: "boot".into(),
            subject: "a on b".into(),
            figures: vec![Figure::new("c", "s", value, Better::Less)],
            host: Conditions::default(),
            details: Value::Null,
        };
        measured(1.5).write(&path).unwrap();
        measured(f64::NAN).write(&path).unwrap();
        assert_eq!(Measured::read(&path).unwrap().figures[0].value, None);
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
        let error = measured(1.0).write(Path::new("/nonexistent/figures"));
        assert!(
            error
                .unwrap_err()
                .to_string()
                .contains("/nonexistent/figures")
        );
    }
}
