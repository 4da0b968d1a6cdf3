//! The VideoCore: what `config.txt` makes the board start, taken out of the image, and the device tree as the firmware hands it over.

use std::fs;

use super::{Handover, Input, Started, in_folder};
use crate::error::RunError;
use crate::image::boot::HeaderUart;
use crate::image::boot::device_tree::{self, DeviceTreeEdits};
use crate::image::boot::start as evaluate;
use crate::image::config_txt::{BoardModel, Hardware};

pub(super) fn start(
    input: &Input<'_>,
    model: BoardModel,
    revision: Option<u32>,
) -> Result<Handover, RunError> {
    let Input {
        board,
        scenario,
        mac,
        folder,
        ..
    } = *input;
    let hardware = Hardware {
        model,
        serial: u32::from_be_bytes([0, mac.0[3], mac.0[4], mac.0[5]]),
    };
    let handover = evaluate(input.disk, &hardware, folder)?;
    let cores = board.quirks.park_secondaries.as_ref();
    let edits = DeviceTreeEdits {
        cores: cores.map(|quirk| quirk.enabled as usize),
        bootargs: handover.cmdline,
        mac: (!scenario.firmware.leaves_address_out).then_some(mac.0),
        revision,
        ..DeviceTreeEdits::default()
    };
    let tree = fs::read(&handover.device_tree).map_err(in_folder(folder))?;
    let device_tree = folder.join("board.dtb");
    fs::write(&device_tree, device_tree::edit(&tree, &edits)?).map_err(in_folder(folder))?;
    let mut notes = handover.notes;
    if handover.uart == HeaderUart::Pl011 {
        notes.push("the overlay puts the PL011 on the header: Linux gets ttyAMA0, and what the mini UART says cannot be seen on a board".into());
    }
    Ok(Handover {
        kernel: Some(handover.kernel),
        device_tree: Some(device_tree),
        initrd: handover.initramfs,
        started: Started {
            program: handover.kernel_name,
            device_tree: handover.device_tree_name,
        },
        header: Some(handover.uart),
        notes,
        ..Handover::default()
    })
}
