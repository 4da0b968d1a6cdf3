//! The device tree inside of a boot loader.
//!
//! Source: U-Boot, doc/develop/devicetree/control.rst (`CONFIG_OF_EMBED`, `CONFIG_OF_SEPARATE`): the blob is part of the binary or
//! follows it.

use super::device_tree::{self, MAGIC};
use crate::config_txt::BoardModel;

/// Places at most that begin like a device tree and are looked at.
const MOST: usize = 64;

/// The device tree in `binary` that is one for a board of the family, and that board. U-Boot takes its own tree whichever board it is on.
pub(super) fn find(binary: &[u8]) -> Option<(&[u8], BoardModel)> {
    let mut places = binary
        .windows(MAGIC.len())
        .enumerate()
        .filter(|(_, bytes)| *bytes == MAGIC)
        .map(|(at, _)| at)
        .take(MOST);
    places.find_map(|at| {
        let blob = device_tree::whole(binary.get(at..)?);
        let tree = device_tree::parse(blob).ok()?;
        let names = device_tree::compatible(&tree);
        let mut models = BoardModel::ALL.iter();
        let model = models.find(|model| names.iter().any(|name| name == model.compatible()))?;
        Some((blob, *model))
    })
}
