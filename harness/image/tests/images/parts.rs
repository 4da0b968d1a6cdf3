//! What the images of these tests are made of: small stand-ins that have the marks of the real files.

use std::path::Path;
use std::sync::LazyLock;
use std::time::SystemTime;

use dtoolkit::model::{DeviceTree, DeviceTreeProperty};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize, date_time_ymd};
use shakedown_image::config_txt::BoardModel;
use shakedown_image::prebuilt::{EFI_BOOT_FILE, SourceFile, default_config_txt};
use shakedown_image::script::{BootSource, Identity};
use shakedown_image::survey::{VerifyOptions, Violation, verify};
use shakedown_image::{ImageError, provision, source};
use shakedown_services::Authority;

/// Machine code of 64-bit ARM in a PE header.
pub(crate) const AARCH64: u16 = 0xaa64;

/// Machine code of x86.
pub(crate) const X86_64: u16 = 0x8664;

/// An EFI application that calls itself iPXE, for machines of this code.
pub(crate) fn ipxe(machine: u16, length: usize) -> Vec<u8> {
    let mut file: Vec<u8> = (0..length).map(|n| (n % 253) as u8).collect();
    file[..2].copy_from_slice(b"MZ");
    file[0x3c..0x40].copy_from_slice(&0x80_u32.to_le_bytes());
    file[0x80..0x84].copy_from_slice(b"PE\0\0");
    file[0x84..0x86].copy_from_slice(&machine.to_le_bytes());
    file[0x98..0x9a].copy_from_slice(&0x20b_u16.to_le_bytes());
    let marks = b"\0iPXE\0iPXE initialising devices\0ipxe,1,iPXE,ipxe.efi,1.21.1,https://ipxe.org\n\0DNS\0HTTP\0HTTPS\0EFI\0";
    file[0x200..0x200 + marks.len()].copy_from_slice(marks);
    file
}

/// The files of a firmware partition and their contents.
pub(crate) fn firmware_files() -> Vec<(&'static str, Vec<u8>)> {
    let u_boot =
        b"\x0a\0\0\x14\0U-Boot 2025.01 (Jan 06 2025 - 12:00:00 +0000)\0bootcmd=bootflow scan\0bootdelay=2\0\0";
    vec![
        ("config.txt", default_config_txt().into_bytes()),
        ("bootcode.bin", vec![0xb0; 5_000]),
        ("start.elf", vec![0xe1; 70_000]),
        ("fixup.dat", vec![0xf1; 700]),
        ("u-boot.bin", u_boot.repeat(100)),
        (
            "bcm2837-rpi-3-b.dtb",
            device_tree("raspberrypi,3-model-b", 9_000),
        ),
        (
            "bcm2837-rpi-3-b-plus.dtb",
            device_tree("raspberrypi,3-model-b-plus", 9_100),
        ),
        (
            "overlays/a device tree overlay with a long name.dtbo",
            vec![0x01; 1_500],
        ),
    ]
}

/// A device tree for a board, with a property of this length.
fn device_tree(compatible: &str, length: usize) -> Vec<u8> {
    let mut tree = DeviceTree::new();
    let names = format!("{compatible}\0");
    for (name, value) in [
        ("compatible", names.as_bytes()),
        ("padding", &vec![0x5d; length]),
    ] {
        let property = DeviceTreeProperty::new_unchecked(name, value);
        tree.root.add_property(property);
    }
    tree.to_dtb()
}

/// Files for the builder, kept in `directory`.
pub(crate) fn sources(directory: &Path, files: &[(&str, Vec<u8>)]) -> Vec<SourceFile> {
    let source = |(path, contents): &(&str, Vec<u8>)| {
        let file = directory.join(path.replace('/', "_"));
        std::fs::write(&file, contents).unwrap();
        SourceFile::new(*path, file)
    };
    files.iter().map(source).collect()
}

/// The files of an EFI system partition.
pub(crate) fn esp_files() -> Vec<(&'static str, Vec<u8>)> {
    vec![(EFI_BOOT_FILE, ipxe(AARCH64, 40_000))]
}

/// The authority of these tests. Its keys take a second to make.
static AUTHORITY: LazyLock<Authority> =
    LazyLock::new(|| Authority::generate("test authority").unwrap());

/// Makes a netboot image.
pub(crate) fn provision(image: &Path, output: &Path) -> Result<(), ImageError> {
    provision_with(image, &boot_source(), output)
}

/// Makes a netboot image with this identity and trust.
pub(crate) fn provision_with(
    image: &Path,
    boot: &BootSource,
    output: &Path,
) -> Result<(), ImageError> {
    provision::provision(&source::open(image)?, boot, None, output)
}

/// What is wrong with an image today, for a board that reads a GPT.
pub(crate) fn violations(image: &Path) -> Result<Vec<Violation>, ImageError> {
    violations_for(image, false)
}

fn violations_for(image: &Path, rom_reads_mbr_only: bool) -> Result<Vec<Violation>, ImageError> {
    let options = VerifyOptions {
        models: BoardModel::ALL,
        rom_reads_mbr_only,
        now: SystemTime::now(),
    };
    let verification = verify(&source::open(image)?, &options)?;
    Ok(verification.violations)
}

/// Whether the ROM of a Raspberry Pi 3 finds the firmware.
pub(crate) fn is_found_by_rom(image: &Path) -> bool {
    let broken = violations_for(image, true).unwrap();
    broken.iter().all(|violation| violation.rule != "R-ROM-1")
}

/// An identity to provision with.
pub(crate) fn boot_source() -> BootSource {
    static SOURCE: LazyLock<BootSource> = LazyLock::new(|| {
        let client = AUTHORITY.issue_client("test machine").unwrap();
        BootSource::Https {
            server: "https://boot.example".parse().unwrap(),
            identity: Some(Identity {
                certificate: client.certificate_der().to_vec(),
                private_key: client.key_pkcs8_der().secret_pkcs8_der().to_vec(),
            }),
            trusted_ca: AUTHORITY.certificate_der().to_vec(),
        }
    });
    SOURCE.clone()
}

/// An identity whose certificate is no longer valid.
pub(crate) fn expired() -> Identity {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let mut params = CertificateParams::new([]).unwrap();
    params.not_before = date_time_ymd(1970, 1, 1);
    params.not_after = date_time_ymd(2001, 1, 1);
    Identity {
        certificate: params.self_signed(&key).unwrap().der().to_vec(),
        private_key: key.serialize_der(),
    }
}
