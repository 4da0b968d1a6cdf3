//! The project's boards and scenarios, for tests.

use std::fs;
use std::path::{Path, PathBuf};

use super::Scenario;
use crate::board::Board;
use crate::input::Library;

/// The project's folder.
pub(crate) fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A board of the project.
pub(crate) fn board(name: &str) -> Board {
    Board::read(&project().join("boards"), name).unwrap()
}

/// The board of most tests.
pub(crate) fn raspi3b() -> Board {
    board("raspi3b")
}

/// The scenario of a file `s.toml` that extends the project's `base` by `more`, on [`raspi3b`]; or what is wrong with it.
pub(crate) fn extended(base: &str, more: &str) -> Result<Scenario, String> {
    extended_on(&raspi3b(), base, more)
}

/// The same on another board.
pub(crate) fn extended_on(board: &Board, base: &str, more: &str) -> Result<Scenario, String> {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("extends = \"{base}\"\n{more}");
    fs::write(folder.path().join("s.toml"), text).unwrap();
    let library = Library::folder(project().join("scenarios")).with_folder(folder.path());
    Scenario::read_from(&library, "s.toml", board).map_err(|error| {
        let text = error.to_string();
        text.replace(&format!("{}/", folder.path().display()), "")
    })
}

/// A board `dut` behind a board `gateway`.
pub(crate) fn farm_in_small() -> Scenario {
    let boards = Board::read_all(&project().join("boards")).unwrap();
    let path = project().join("scenarios/gateway/behind.toml");
    Scenario::read_among(&path, &raspi3b(), Some(&boards)).unwrap()
}
