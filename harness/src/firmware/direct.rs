//! The machine's own ROM, which reads the disk; or a boot loader that is input to the emulator.

use super::{Handover, Input, Started};
use crate::board::PartFile;
use crate::error::RunError;

pub(super) fn start(
    input: &Input<'_>,
    rom: Option<&PartFile>,
    kernel: Option<&PartFile>,
) -> Result<Handover, RunError> {
    let file = |file: Option<&PartFile>| {
        file.map(|file| input.parts.file(file).map(ToOwned::to_owned))
            .transpose()
    };
    let program = kernel.or(rom);
    Ok(Handover {
        rom: file(rom)?,
        kernel: file(kernel)?,
        started: Started {
            program: program.map_or_else(|| "the machine's ROM".into(), |file| file.path.clone()),
            device_tree: String::new(),
        },
        ..Handover::default()
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;
    use crate::image::script::BootSource;

    #[test]
    fn a_boot_loader_is_given_as_the_machines_rom() {
        let bench = Bench::new("virt-uboot", b"U-Boot");
        let handover = bench.start(&BootSource::Dhcp).unwrap();
        assert_eq!(handover.rom, Some(bench.part("u-boot.bin")));
        assert_eq!((handover.kernel, handover.flash), (None, None));
    }

    #[test]
    fn a_machine_with_a_rom_of_its_own_needs_nothing() {
        let bench = Bench::new("bpim2u", b"");
        let handover = bench.start(&BootSource::Dhcp).unwrap();
        assert_eq!(
            handover.started.event(),
            crate::timeline::Event::Firmware {
                kernel: "the machine's ROM".into(),
                device_tree: String::new(),
            }
        );
        assert_eq!((handover.rom, handover.kernel), (None, None));
    }

    #[test]
    fn a_file_that_is_not_among_the_parts_is_named() {
        let mut bench = Bench::new("virt-uboot", b"U-Boot");
        bench.parts.firmware.clear();
        let error = bench.start(&BootSource::Dhcp).unwrap_err().to_string();
        assert!(
            error.contains("qemu_arm64/u-boot.bin of the package set u-boot-qemu"),
            "{error}"
        );
    }
}
