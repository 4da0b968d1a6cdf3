//! What is made of measured values.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

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

/// Writes `figures` as JSON; readers see the whole file or the one before it.
pub(super) fn write_json(path: &Path, figures: &impl Serialize) -> Result<()> {
    let write = || -> Result<()> {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
        let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
        serde_json::to_writer_pretty(&mut file, figures)?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("cannot write the figures to {}", path.display()))
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
        write_json(&path, &[1.5]).unwrap();
        write_json(&path, &[2.5]).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(serde_json::from_str::<Vec<f64>>(&text).unwrap(), [2.5]);
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
        let error = write_json(Path::new("/nonexistent/figures"), &[1]).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/figures"));
    }
}
