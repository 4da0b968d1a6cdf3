//! Where the project keeps its boards and scenarios, which of them are meant, and what they are run with.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use shakedown_fixtures::{Kit, KitOptions};
use shakedown_harness::board::Board;
use shakedown_harness::scenario::{Scenario, Tier};
use shakedown_harness::shell;
use tempfile::TempDir;

/// Every board and scenario of the project, read and checked.
pub(crate) struct Project {
    root: PathBuf,
    boards: Vec<Board>,
    scenarios: Vec<Scenario>,
}

/// Options that say where the parts come from.
#[derive(Clone, clap::Args)]
pub(crate) struct PartsArgs {
    /// Use only what has been fetched before.
    #[arg(long)]
    offline: bool,
    /// An initramfs to boot instead of ours, as in upstream's boot2container.
    #[arg(long, value_name = "FILE")]
    initramfs: Option<PathBuf>,
    /// A disk image to boot instead of the generated one: prebuilt or provisioned; raw, xz, zstd, gzip or qcow2; `-` for a pipe. It is
    /// never written to.
    #[arg(long, value_name = "FILE")]
    pub(crate) image: Option<PathBuf>,
    /// A folder in OCI image layout to serve as the container image.
    #[arg(long, value_name = "FOLDER")]
    container: Option<PathBuf>,
}

impl PartsArgs {
    /// The options as they are typed, each with a space before it.
    pub(crate) fn words(&self) -> String {
        let files = [
            ("--initramfs", &self.initramfs),
            ("--container", &self.container),
            ("--image", &self.image),
        ];
        let words: String = files
            .iter()
            .filter_map(|(option, path)| {
                let path = path.as_ref()?.to_string_lossy();
                Some(format!(" {option} {}", shell::word(&path)))
            })
            .collect();
        // What came through a pipe has to come through one again.
        match self.image.as_deref() {
            Some(image) if image == Path::new("-") => words + " < IMAGE",
            _ => words,
        }
    }

    /// Opens the kit of parts that these options describe.
    pub(crate) fn kit(&self) -> Result<Kit> {
        Ok(Kit::open(KitOptions {
            offline: self.offline,
            initramfs: self.initramfs.clone(),
            image: self.image.clone(),
            container: self.container.clone(),
            ..KitOptions::default()
        })?)
    }
}

impl Project {
    /// The folder of the project that this command was built from.
    pub(crate) fn root() -> Result<PathBuf> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        Ok(root.canonicalize()?)
    }

    /// Reads the project that this command was built from.
    pub(crate) fn read() -> Result<Self> {
        let root = Self::root()?;
        let boards = Board::read_all(&root.join("boards"))?;
        let scenarios = Scenario::read_all(&root.join("scenarios"), &boards)?;
        Ok(Self {
            root,
            boards,
            scenarios,
        })
    }

    /// The pairs of scenario and board that `filters` mean: the scenario of that name, whatever its tier, or every one up to `tier`
    /// whose name contains it; without filters every one up to `tier`.
    pub(crate) fn select(
        &self,
        filters: &[String],
        board: Option<&str>,
        tier: Tier,
    ) -> Result<Vec<(&Scenario, &Board)>> {
        let pairs = self.scenarios.iter().flat_map(|scenario| {
            let on = move |name: &String| {
                self.boards
                    .iter()
                    .find(|b| &b.name == name)
                    .map(|b| (scenario, b))
            };
            scenario.boards.iter().filter_map(on)
        });
        let is_exact = |filter: &String| self.scenarios.iter().any(|s| &s.name == filter);
        let means = |filter: &String, scenario: &Scenario| {
            if is_exact(filter) {
                scenario.name == *filter
            } else {
                scenario.tier <= tier && scenario.name.contains(filter.as_str())
            }
        };
        let is_wanted = |scenario: &Scenario| match filters {
            [] => scenario.tier <= tier,
            _ => filters.iter().any(|f| means(f, scenario)),
        };
        let wanted: Vec<_> = pairs
            .filter(|(_, b)| board.is_none_or(|name| b.name == name))
            .filter(|(s, _)| is_wanted(s))
            .collect();
        if wanted.is_empty() {
            let scenarios: Vec<_> = self.scenarios.iter().map(|s| s.name.as_str()).collect();
            let boards: Vec<_> = self.boards.iter().map(|b| b.name.as_str()).collect();
            bail!(
                "no scenario fits; there is: {} on {} (`--tier full` adds those of the full tier)",
                scenarios.join(", "),
                boards.join(", ")
            );
        }
        Ok(wanted)
    }

    /// The scenario of this name, on `board` or on its first.
    pub(crate) fn one(&self, scenario: &str, board: Option<&str>) -> Result<(&Scenario, &Board)> {
        let pairs = self.select(&[scenario.to_owned()], board, Tier::Full)?;
        let exact = pairs.into_iter().find(|(s, _)| s.name == scenario);
        exact.with_context(|| format!("there is no scenario `{scenario}`, only some like it"))
    }

    /// The board of this name.
    pub(crate) fn board(&self, name: &str) -> Result<&Board> {
        let board = self.boards.iter().find(|board| board.name == name);
        board.with_context(|| {
            let names: Vec<_> = self.boards.iter().map(|b| b.name.as_str()).collect();
            format!("there is no board `{name}`; there is: {}", names.join(", "))
        })
    }

    /// Every board.
    pub(crate) fn boards(&self) -> &[Board] {
        &self.boards
    }

    /// Every scenario.
    pub(crate) fn scenarios(&self) -> &[Scenario] {
        &self.scenarios
    }

    /// The folder for what clients of a scenario's servers need, below `target/shakedown/serve`.
    pub(crate) fn serve_folder(&self, scenario: &Scenario) -> PathBuf {
        self.runs_folder().join("serve").join(&scenario.name)
    }

    /// A new folder for a run, below `target/shakedown`.
    pub(crate) fn run_folder(&self, scenario: &Scenario, board: &Board) -> PathBuf {
        let since_epoch = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        // Two commands may begin in the same millisecond.
        let name = format!(
            "{}-{}-{}-{}",
            since_epoch.as_millis(),
            std::process::id(),
            scenario.name,
            board.name
        );
        self.runs_folder().join(name)
    }

    /// The folder for checkpoints. They are of use to the program that has made them only, so they go with it.
    pub(crate) fn checkpoints_folder(&self) -> PathBuf {
        self.runs_folder().join("checkpoints")
    }

    /// A new folder on the disk of the runs, for what is not to be kept. It goes when it is dropped.
    pub(crate) fn scratch_folder(&self) -> Result<TempDir> {
        let folder = self.root.join("target");
        tempfile::Builder::new()
            .prefix("scratch-")
            .tempdir_in(&folder)
            .with_context(|| format!("cannot make a folder in {}", folder.display()))
    }

    /// The folder that holds the folders of all runs.
    pub(crate) fn runs_folder(&self) -> PathBuf {
        self.root.join("target").join("shakedown")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_that_is_named_is_meant_whatever_its_tier() {
        let project = Project::read().unwrap();
        let names = |filters: &[&str], tier| {
            let filters: Vec<_> = filters.iter().map(ToString::to_string).collect();
            let selected = project.select(&filters, None, tier);
            let names = selected.into_iter().flatten();
            let names: Vec<_> = names.map(|(s, _)| s.name.clone()).collect();
            names
        };
        assert_eq!(names(&["mirror-empty"], Tier::Smoke), ["mirror-empty"]);
        assert_eq!(names(&["mirror-emp"], Tier::Smoke), [""; 0]);
        assert_eq!(names(&["mirror-emp"], Tier::Full), ["mirror-empty"]);
        assert!(names(&[], Tier::Smoke).len() < names(&[], Tier::Full).len());
    }

    #[test]
    fn the_options_are_told_as_a_shell_takes_them() {
        let args = |image: &str| PartsArgs {
            offline: true,
            initramfs: Some("my initramfs".into()),
            image: Some(image.into()),
            container: None,
        };
        assert_eq!(
            args("out/a.img").words(),
            " --initramfs 'my initramfs' --image out/a.img"
        );
        assert_eq!(
            args("-").words(),
            " --initramfs 'my initramfs' --image - < IMAGE"
        );
    }
}
