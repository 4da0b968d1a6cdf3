//! Where on a console the container speaks.

use std::collections::BTreeSet;

use crate::board::ContainerMarks;

/// Follows the marks that the initramfs prints around the container's output.
#[derive(Debug, Clone, Default)]
pub(crate) struct Section {
    /// UARTs on which a container may be speaking.
    open: BTreeSet<u8>,
    /// A mark has been seen.
    seen: bool,
}

impl Section {
    /// Takes a whole line. Marks themselves are not the container's.
    pub(crate) fn take(&mut self, marks: &ContainerMarks, uart: u8, line: &str) -> bool {
        if marks.begins.regex().is_match(line) {
            self.open.insert(uart);
            self.seen = true;
            return false;
        }
        if marks.ends.regex().is_match(line) {
            self.open.remove(&uart);
            return false;
        }
        self.is_open(uart)
    }

    pub(crate) fn is_open(&self, uart: u8) -> bool {
        self.open.contains(&uart)
    }

    /// No mark has been seen: an initramfs of another kind may print none.
    pub(super) fn is_unknown(&self) -> bool {
        !self.seen
    }
}
