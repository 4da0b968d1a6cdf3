//! `scenarios/defects/catalogue.toml`: defects, and what a run must say of each.

use std::path::Path;

use serde::Deserialize;

use super::change::Change;
use crate::input::{Document, InputError, ScenarioName, Span};
use crate::report::Class;

/// Defects to put in.
#[derive(Debug, Clone)]
pub struct DefectCatalogue {
    /// In the order of the file.
    pub defects: Vec<Defect>,
}

/// One defect, or a harmless change.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Defect {
    /// Lower-case letters, digits and dashes.
    pub name: ScenarioName,
    /// What is wrong, in a few words.
    pub title: String,
    /// The scenario that it is put into.
    #[serde(default = "Defect::usual_base")]
    pub base: String,
    /// What the scenario says instead, key by key.
    #[serde(default)]
    pub scenario: toml::Table,
    /// What is replaced in its boot script: each text, and what takes its place.
    #[serde(default)]
    pub script: Vec<(String, String)>,
    /// What is changed on the disk image.
    #[serde(default)]
    pub(super) image: Vec<ImageChange>,
    /// What is changed in the kernel that the boot server hands out.
    pub(super) kernel: Option<Change>,
    /// What is changed in the initramfs that it hands out.
    pub(super) initramfs: Option<Change>,
    /// What is wrong with the container image.
    pub(super) container: Option<ContainerDefect>,
    /// What a run must say.
    pub expect: Expected,
}

/// A change on the disk image.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ImageChange {
    /// Where.
    pub(super) partition: Place,
    /// The file; without one the partition as a whole.
    pub(super) file: Option<String>,
    /// What becomes of it.
    pub(super) change: Change,
}

/// A partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Place {
    /// What the board's firmware reads.
    Firmware,
    /// The EFI system partition.
    Esp,
}

/// What is wrong with a container image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ContainerDefect {
    /// A byte of its layer is another one.
    DamagedLayer,
    /// Its configuration names another digest of the unpacked layer.
    WrongDiffId,
    /// It is for another architecture, and says so.
    OtherArchitecture,
    /// Its programs are for another architecture, and it does not say so.
    ForeignPrograms,
}

/// What a run must say.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Expected {
    /// Nothing: the change is harmless.
    Passed,
    /// The input is refused before anything runs.
    Refused,
    /// The run fails.
    Failed {
        /// The first stage that is not reached; without one all are reached.
        before: Option<String>,
        /// Whose fault it is.
        class: Class,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogueFile {
    defect: Vec<Span<Defect>>,
}

impl Defect {
    fn usual_base() -> String {
        "alpine-http".into()
    }

    /// Whether the run is of an image that is not one of ours.
    #[must_use]
    pub fn changes_image(&self) -> bool {
        !self.image.is_empty()
    }
}

impl DefectCatalogue {
    /// Reads a catalogue.
    ///
    /// # Errors
    /// The file is wrong; the error names file, line and column.
    pub fn read(path: &Path) -> Result<Self, InputError> {
        Self::of(&Document::read(path)?)
    }

    /// The same of text that comes with the program; `path` names it in errors.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn of_text(path: &Path, text: &str) -> Result<Self, InputError> {
        Self::of(&Document::of(path, text))
    }

    fn of(document: &Document) -> Result<Self, InputError> {
        let file: CatalogueFile = document.parse()?;
        let mut defects: Vec<Defect> = Vec::new();
        for defect in file.defect {
            let span = defect.span();
            let defect = defect.into_inner();
            let is_changed = defect.changes_image()
                || defect.kernel.is_some()
                || defect.initramfs.is_some()
                || defect.container.is_some()
                || !defect.script.is_empty()
                || !defect.scenario.is_empty();
            let problem = if defects.iter().any(|d| d.name == defect.name) {
                "another defect has this name"
            } else if !is_changed {
                "this changes nothing: say what is wrong in image, kernel, initramfs, container, script or scenario"
            } else {
                defects.push(defect);
                continue;
            };
            return Err(document.error_at(span, problem));
        }
        Ok(Self { defects })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        match DefectCatalogue::of_text(Path::new("c.toml"), text) {
            Ok(catalogue) => format!("{:?}", catalogue.defects),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_catalogue_of_the_project_is_right() {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/defects/catalogue.toml");
        let catalogue = DefectCatalogue::read(&path).unwrap();
        let harmless = |d: &&Defect| d.expect == Expected::Passed;
        let harmless = catalogue.defects.iter().filter(harmless).count();
        assert!(catalogue.defects.len() - harmless >= 57);
        assert!(harmless >= 8, "only {harmless} harmless changes");
    }

    #[test]
    fn errors_point_at_the_place() {
        let defect = "[[defect]]\nname = \"a\"\ntitle = \"t\"\nexpect = \"passed\"\n";
        insta::assert_snapshot!(
            [
                read(defect),
                read(&format!(
                    "{defect}kernel = \"zero\"\n{defect}kernel = \"zero\"\n"
                )),
                read(&format!("{defect}kernel = {{ truncate = \"x\" }}\n")),
                read(&format!("{defect}kernel = {{ begin = \"xy\" }}\n")),
            ]
            .join("\n")
        );
    }
}
