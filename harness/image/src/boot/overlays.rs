//! Device tree overlays that `config.txt` names, applied as the firmware does.
//!
//! An overlay that is not on the card, or that does not fit the tree, is passed over by the firmware, which starts the kernel all the
//! same; so it is here, with a note. Source: Raspberry Pi documentation, "Device Trees, overlays, and parameters"; overlays/README of
//! the firmware for `disable-bt` and `miniuart-bt`.

use dtoolkit::model::DeviceTree;
use dtoolkit::model::overlay::OverlayApplier;

use super::device_tree::{self, LIMIT};
use super::files::BootPartition;
use super::{FirmwareError, HeaderUart};
use crate::config_txt::{Config, DeviceTreeSetting, Location, Sourced};

/// Overlays at most: each may make the tree deeper.
const MOST: usize = 32;
/// Overlays that concern parts which the emulated board does not have, and which nothing on the way to a container needs.
const HARMLESS: &[&str] = &["vc4-kms-v3d", "vc4-fkms-v3d", "disable-wifi", "dwc2"];
/// Overlays that give the PL011 to the header, and the mini UART to Bluetooth or to nobody.
const SWAP_UARTS: &[&str] = &["disable-bt", "miniuart-bt"];
/// What the names of the Pi 3's own overlays once began with.
const FORMER_PREFIX: &str = "pi3-";

/// What overlays make of a board.
pub(super) struct Applied {
    /// The device tree.
    pub(super) tree: Vec<u8>,
    /// The UART on the header.
    pub(super) uart: HeaderUart,
    /// What the emulation cannot follow.
    pub(super) refused: Vec<FirmwareError>,
}

/// Applies all overlays of a configuration to the tree `dtb`, which is whole.
pub(super) fn apply(
    boot: &BootPartition<'_>,
    config: &Config,
    os_prefix: &str,
    dtb: Vec<u8>,
    notes: &mut Vec<String>,
) -> Applied {
    let mut applied = Applied {
        tree: dtb,
        uart: HeaderUart::Mini,
        refused: Vec::new(),
    };
    let folder = folder(boot, config, os_prefix);
    let mut count = 0;
    for Sourced { value, at } in &config.device_tree_settings {
        match value {
            DeviceTreeSetting::Parameter(parameter) => {
                notes.push(format!("{at}: dtparam={parameter} is not applied"));
            }
            DeviceTreeSetting::Overlay(text) if !text.is_empty() => {
                count += 1;
                if count > MOST {
                    notes.push(format!(
                        "{at}: more than {MOST} overlays; this one is passed over"
                    ));
                    continue;
                }
                applied.overlay(boot, &folder, text, at, notes);
            }
            DeviceTreeSetting::Overlay(_) => {}
        }
    }
    applied
}

/// Where overlays are: under the prefix only if there is a README.
fn folder(boot: &BootPartition<'_>, config: &Config, os_prefix: &str) -> String {
    let setting = config.other.get("overlay_prefix");
    let overlays = setting.map_or("overlays/", |setting| setting.value.as_str());
    match boot.has(&format!("{os_prefix}{overlays}README")) {
        true => format!("{os_prefix}{overlays}"),
        false => overlays.to_owned(),
    }
}

impl Applied {
    fn overlay(
        &mut self,
        boot: &BootPartition<'_>,
        folder: &str,
        text: &str,
        at: &Location,
        notes: &mut Vec<String>,
    ) {
        let (name, parameters) = text.split_once([',', ':']).unwrap_or((text, ""));
        if HARMLESS.contains(&name) {
            return;
        }
        let current = name.strip_prefix(FORMER_PREFIX).unwrap_or(name);
        let swaps = SWAP_UARTS.contains(&current);
        let paths = [name, current].map(|name| format!("{folder}{name}.dtbo"));
        let Some(path) = paths.iter().find(|path| boot.has(path)) else {
            let [path, _] = &paths;
            let note =
                format!("{at}: there is no {path}; the firmware goes on without the overlay");
            return notes.push(note);
        };
        if !parameters.is_empty() && !swaps {
            let what = format!("the device tree overlay {name} with parameters");
            return self.refused.push(FirmwareError::Unsupported {
                what,
                reason: at.to_string(),
            });
        }
        let overlay = match boot.read_optional(path, LIMIT as u64) {
            Ok(overlay) => overlay.unwrap_or_default(),
            Err(error) => return self.refused.push(error),
        };
        match merged(&self.tree, &overlay) {
            Ok(tree) => {
                self.tree = tree;
                if swaps {
                    self.uart = HeaderUart::Pl011;
                }
            }
            Err(error) => notes.push(format!(
                "{at}: the overlay {path} does not fit the device tree ({error}); the firmware goes on without it"
            )),
        }
    }
}

/// The tree with an overlay in it, or why there is none.
fn merged(dtb: &[u8], overlay: &[u8]) -> Result<Vec<u8>, String> {
    let words = |error: device_tree::DeviceTreeError| error.to_string();
    let overlay = device_tree::parse(overlay).map_err(words)?;
    let mut tree = DeviceTree::from_fdt(&device_tree::parse(dtb).map_err(words)?);
    OverlayApplier::new(&mut tree)
        .apply_overlay(&overlay)
        .map_err(|error| error.to_string())?;
    let merged = tree.to_dtb();
    device_tree::parse(&merged).map_err(words)?;
    Ok(merged)
}
