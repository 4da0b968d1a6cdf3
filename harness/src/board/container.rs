//! How the initramfs shows on the console where the container speaks, and how its pipeline ended.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::input::Pattern;

/// `[container]`: the marks that the initramfs prints around what a container says.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContainerMarks {
    /// A line after which the container speaks on that UART.
    pub begins: Pattern,
    /// A line after which it does not.
    pub ends: Pattern,
    /// A line that says how the pipeline of containers ended; its first group is the status, 0 for success.
    pub status: Pattern,
}

impl ContainerMarks {
    /// The status that a line says, if it does.
    #[must_use]
    pub fn status_of(&self, line: &str) -> Option<i32> {
        let groups = self.status.regex().captures(line)?;
        groups.get(1)?.as_str().parse().ok()
    }
}
