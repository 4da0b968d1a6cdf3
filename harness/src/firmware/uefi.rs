//! UEFI firmware in flash memory: EDK2, and a copy of its variables for each run.
//!
//! The firmware's variables are in flash, not on the disk. Where an image is provisioned to trust a CA, `ubootefi.var` on its EFI system
//! partition says so; the owner of a UEFI machine enrols that CA in the firmware. The harness does it for the run.

use std::fs;

use super::{Handover, Input, Started, in_folder};
use crate::board::PartFile;
use crate::error::RunError;
use crate::image::home::IpxeHome;
use crate::image::{Disk, edk2_variables, efivar};

pub(super) fn start(
    input: &Input<'_>,
    code: &PartFile,
    variables: &PartFile,
) -> Result<Handover, RunError> {
    let disk = Disk::open(input.disk)?;
    let home = IpxeHome::find(&disk)?;
    let template = input.parts.file(variables)?;
    let mut store = fs::read(template).map_err(in_folder(template))?;
    let mut notes = Vec::new();
    if let Some(authority) = home.authority(&disk)? {
        let failed = |source| RunError::Variables {
            path: template.to_path_buf(),
            source,
        };
        edk2_variables::add(&mut store, &authority).map_err(failed)?;
        notes.push(format!(
            "{} of the image's {} is enrolled in the machine's firmware, as the machine's owner would",
            authority.name,
            efivar::FILE_NAME
        ));
    }
    let copy = input.folder.join("variables.fd");
    fs::write(&copy, store).map_err(in_folder(input.folder))?;
    Ok(Handover {
        flash: Some((input.parts.file(code)?.to_path_buf(), copy)),
        started: Started {
            program: code.path.clone(),
            device_tree: String::new(),
        },
        notes,
        ..Handover::default()
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::testing::Bench;
    use super::*;
    use crate::image::script::{BootSource, Identity};

    /// An erased flash chip with an empty store of variables.
    fn chip() -> Vec<u8> {
        let mut chip = vec![0xff; 8192];
        let volume = "8d2bf1ff96768b4ca9852747075b4f50";
        let store = "782cf3aa7b949a43a1802e144ec37792";
        chip[16..32].copy_from_slice(&hex::decode(volume).unwrap());
        chip[40..44].copy_from_slice(b"_FVH");
        chip[48..50].copy_from_slice(&72_u16.to_le_bytes());
        chip[72..88].copy_from_slice(&hex::decode(store).unwrap());
        chip[88..92].copy_from_slice(&8000_u32.to_le_bytes());
        chip
    }

    fn variables(boot: &BootSource) -> (Vec<u8>, Handover, Vec<u8>) {
        let bench = Bench::new("virt-uefi", &chip());
        let handover = bench.start(boot).unwrap();
        let (_, copy) = handover.flash.clone().unwrap();
        let template = fs::read(bench.part("AAVMF_VARS.fd")).unwrap();
        (fs::read(copy).unwrap(), handover, template)
    }

    #[test]
    fn the_ca_of_the_image_is_enrolled_in_a_copy_of_the_variables() {
        let https = BootSource::Https {
            server: "https://boot.example".parse().unwrap(),
            identity: Some(Identity {
                certificate: b"certificate".to_vec(),
                private_key: b"private key".to_vec(),
            }),
            trusted_ca: b"the authority's certificate".to_vec(),
        };
        let (copy, handover, template) = variables(&https);
        let has = |bytes: &[u8], text: &[u8]| bytes.windows(text.len()).any(|w| w == text);
        assert!(has(&copy, b"the authority's certificate"));
        assert_eq!(template, chip(), "the template is only read");
        assert!(handover.notes[0].starts_with("TlsCaCertificate of the image's ubootefi.var"));
        assert_eq!((handover.kernel, handover.device_tree), (None, None));
        let (code, _) = handover.flash.unwrap();
        assert_eq!(
            code.file_name(),
            Path::new("AAVMF_CODE.no-secboot.fd").file_name()
        );
    }

    #[test]
    fn an_image_that_trusts_nobody_leaves_the_variables_alone() {
        let (copy, handover, template) = variables(&BootSource::Dhcp);
        assert_eq!(copy, template);
        assert!(handover.notes.is_empty());
    }

    #[test]
    fn firmware_without_variables_is_named() {
        let bench = Bench::new("virt-uefi", b"no variables");
        let https = BootSource::Https {
            server: "https://boot.example".parse().unwrap(),
            identity: None,
            trusted_ca: b"authority".to_vec(),
        };
        let error = bench.start(&https).unwrap_err().to_string();
        assert!(
            error.ends_with("AAVMF_VARS.fd: it holds no EFI variables of EDK2"),
            "{error}"
        );
    }
}
