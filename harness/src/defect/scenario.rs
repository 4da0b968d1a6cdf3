//! The scenario with the defect in it.

use std::fs;
use std::path::Path;

use super::Defect;
use crate::board::Board;
use crate::input::{InputError, Library};
use crate::scenario::Scenario;

impl Defect {
    /// The scenario with what the defect says of it, as a file in `folder`.
    ///
    /// # Errors
    /// The scenario is refused, which may be what the defect must come to.
    pub fn scenario(
        &self,
        library: &Library,
        folder: &Path,
        board: &Board,
    ) -> Result<Scenario, InputError> {
        let base = Scenario::read_from(library, &format!("{}.toml", self.base), board)?;
        let mut table = self.scenario.clone();
        table.insert("extends".into(), self.base.clone().into());
        table.insert("title".into(), self.title.clone().into());
        table.insert("boards".into(), vec![board.name.to_string()].into());
        if !self.script.is_empty() {
            let mut script = spelled_out(&base);
            for (find, put) in &self.script {
                script = script.replace(find, put);
            }
            let boot = table
                .entry("boot")
                .or_insert_with(|| toml::Table::new().into());
            if let Some(boot) = boot.as_table_mut() {
                boot.insert("script".into(), script.into());
            }
        }
        let file = format!("{}.toml", self.name);
        let path = folder.join(&file);
        let unwritable = |source| InputError::Unreadable {
            path: path.clone(),
            source,
        };
        fs::write(&path, table.to_string()).map_err(unwritable)?;
        Scenario::read_from(&library.clone().with_folder(folder), &file, board)
    }
}

/// The boot script with its variables in it.
fn spelled_out(scenario: &Scenario) -> String {
    let mut script = scenario.boot.script.clone();
    for (name, value) in &scenario.boot.variables {
        script = script.replace(&format!("${{{name}}}"), value);
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::defect::DefectCatalogue;

    /// Every defect of the project makes a scenario, or is one that must be refused; and no replacement misses its text.
    #[test]
    fn every_defect_of_the_project_makes_a_scenario() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let board = Board::read(&root.join("boards"), "raspi3b").unwrap();
        let library = Library::folder(root.join("scenarios"));
        let catalogue = root.join("scenarios/defects/catalogue.toml");
        for defect in DefectCatalogue::read(&catalogue).unwrap().defects {
            let folder = tempfile::tempdir().unwrap();
            let base = format!("{}.toml", defect.base);
            let base = Scenario::read_from(&library, &base, &board).unwrap();
            for (find, _) in &defect.script {
                let name = &defect.name;
                assert!(spelled_out(&base).contains(find), "{name}: no \"{find}\"");
            }
            let scenario = defect.scenario(&library, folder.path(), &board);
            match (&defect.expect, scenario) {
                (super::super::Expected::Refused, _) => {}
                (_, Err(error)) => panic!("{}: {error}", defect.name),
                (_, Ok(scenario)) => {
                    let changes_script = scenario.boot.script != base.boot.script;
                    assert_eq!(changes_script, !defect.script.is_empty(), "{}", defect.name);
                }
            }
        }
    }
}
