//! The stages that a scenario goes through, on each of its boards.

use crate::board::Stage;

/// What is wrong with a name that some board's stages do not have, with those that there are.
pub(super) fn no_stage(name: &str, stages_of_boards: &[Vec<Stage>]) -> Option<String> {
    let has = |stages: &&Vec<Stage>| stages.iter().any(|stage| stage.name == name);
    let lacks = stages_of_boards.iter().find(|stages| !has(stages))?;
    Some(format!(
        "this scenario goes through no stage \"{name}\"; it goes through: {}",
        names(lacks)
    ))
}

/// The names of stages, for people.
pub(super) fn names(stages: &[Stage]) -> String {
    let names: Vec<_> = stages.iter().map(|stage| stage.name.as_str()).collect();
    names.join(", ")
}
