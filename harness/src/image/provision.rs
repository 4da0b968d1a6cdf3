//! Makes a netboot image of a prebuilt image: adds the machine's identity, the trusted CA and the boot script.
//!
//! The prebuilt image is only read; the result is a new file. What an earlier provisioning left is replaced, and its bytes are
//! overwritten. Only the EFI system partition is touched: [`script::FILE_NAME`] and [`efivar::FILE_NAME`].

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use super::ImageError;
use super::efivar::{self, EfiVarError, Guid, VariableStore};
use super::fat::{FatError, FatVolume};
use super::mbr::{Mbr, Partition, PartitionType, SECTOR};
use super::prebuilt::EFI_BOOT_FILE;
use super::script::{self, BootSource};
use super::sparse::{self, Output};

/// U-Boot keeps its variables in 128 KiB at most.
const STORE_LIMIT: u64 = 1 << 20;

/// Makes `output` from the image `prebuilt`. With `custom_script`, that script runs in place of the usual one.
///
/// # Errors
/// [`ImageError`] that names the file or partition concerned; `output` is then as it was.
pub fn provision(
    prebuilt: &Path,
    source: &BootSource,
    custom_script: Option<&str>,
    output: &Path,
) -> Result<(), ImageError> {
    let (input, mbr) = open(prebuilt)?;
    refuse_same_file(&input, prebuilt, output)?;
    let no_esp = || ImageError::NoPartition {
        path: prebuilt.into(),
        what: "EFI system partition (type 0xef)",
    };
    let (number, esp) = mbr
        .find(|kind| kind == PartitionType::EFI_SYSTEM)
        .ok_or_else(no_esp)?;

    let size = input
        .metadata()
        .map_err(ImageError::io("read", prebuilt))?
        .len();
    // The image will hold a private key.
    let image = Output::create(output, size, 0o600)?;
    sparse::copy(&input, image.file(), 0).map_err(ImageError::io("copy", prebuilt))?;
    write_esp(image.file(), prebuilt, number, &esp, source, custom_script)?;
    image.commit()
}

/// Opens an image for reading and parses its partition table.
pub(crate) fn open(path: &Path) -> Result<(File, Mbr), ImageError> {
    let file = File::open(path).map_err(ImageError::io("open", path))?;
    let size = file.metadata().map_err(ImageError::io("read", path))?.len();
    let mut sector = [0; SECTOR as usize];
    file.read_exact_at(&mut sector, 0)
        .map_err(ImageError::io("read the first sector of", path))?;
    let mbr = Mbr::parse(&sector, size / SECTOR).map_err(|source| ImageError::Mbr {
        path: path.into(),
        source,
    })?;
    Ok((file, mbr))
}

fn refuse_same_file(input: &File, path: &Path, output: &Path) -> Result<(), ImageError> {
    let input = input.metadata().map_err(ImageError::io("read", path))?;
    match output.metadata() {
        Ok(output) if (output.dev(), output.ino()) == (input.dev(), input.ino()) => {
            Err(ImageError::SameFile { path: path.into() })
        }
        _ => Ok(()),
    }
}

fn write_esp(
    image: &File,
    path: &Path,
    number: usize,
    esp: &Partition,
    source: &BootSource,
    custom_script: Option<&str>,
) -> Result<(), ImageError> {
    let fat = ImageError::fat(path, number);
    let efivar = |source| ImageError::EfiVar {
        path: path.into(),
        partition: number,
        file: efivar::FILE_NAME,
        source,
    };
    let volume = FatVolume::open(image, &esp.bytes()).map_err(&fat)?;
    if !volume.has_file(EFI_BOOT_FILE) {
        return Err(ImageError::NotPrebuilt {
            path: path.into(),
            missing: EFI_BOOT_FILE,
        });
    }
    let script = script::autoexec(source, custom_script);
    volume
        .write(script::FILE_NAME, script.as_bytes())
        .map_err(&fat)?;
    let old = match volume.read(efivar::FILE_NAME, STORE_LIMIT) {
        Ok(old) => Some(old),
        Err(FatError::NotFound(_)) => None,
        Err(error) => return Err(fat(error)),
    };
    if let Some(new) = trust(old.as_deref(), source).map_err(efivar)? {
        volume
            .write(efivar::FILE_NAME, new.as_slice())
            .map_err(&fat)?;
    }
    volume.finish().map_err(&fat)
}

/// The variable store that trusts the CA of `source` and nothing else, or `None` when `old` needs no change.
fn trust(old: Option<&[u8]>, source: &BootSource) -> Result<Option<Vec<u8>>, EfiVarError> {
    let mut store = old.map_or_else(|| Ok(VariableStore::default()), VariableStore::decode)?;
    let changed = match source {
        BootSource::Https { trusted_ca, .. } => {
            store.set(efivar::tls_ca_certificate(trusted_ca)?);
            true
        }
        BootSource::Dhcp => store.remove(Guid::TLS_CA_CERTIFICATE, efivar::TLS_CA_CERTIFICATE),
    };
    changed.then(|| store.encode()).transpose()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::image::Sizes;
    use crate::image::prebuilt::{self, PrebuiltSpec, SourceFile};
    use crate::image::script::Identity;

    struct Bench {
        directory: tempfile::TempDir,
        prebuilt: PathBuf,
    }

    impl Bench {
        fn new(esp_file: &str) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let ipxe = directory.path().join("ipxe.efi");
            std::fs::write(&ipxe, b"iPXE").unwrap();
            let spec = PrebuiltSpec {
                sizes: Sizes {
                    disk: 16 << 20,
                    firmware: 4 << 20,
                    esp: 4 << 20,
                },
                disk_signature: 1,
                config_txt: String::new(),
                firmware_files: vec![],
                esp_files: vec![SourceFile::new(esp_file, &ipxe)],
                cache_image: None,
            };
            let prebuilt = directory.path().join("prebuilt.img");
            prebuilt::build(&spec, &prebuilt).unwrap();
            Self {
                directory,
                prebuilt,
            }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.directory.path().join(name)
        }
    }

    fn https(secret: &str) -> BootSource {
        BootSource::Https {
            server: "https://boot.example".parse().unwrap(),
            identity: Some(Identity {
                certificate: format!("certificate of {secret}").into_bytes(),
                private_key: secret.repeat(200).into_bytes(),
            }),
            trusted_ca: format!("authority of {secret}").into_bytes(),
        }
    }

    fn esp_file(image: &Path, name: &str) -> Result<Vec<u8>, FatError> {
        let (file, mbr) = open(image).unwrap();
        FatVolume::open(&file, &mbr.partitions[1].unwrap().bytes())
            .unwrap()
            .read(name, STORE_LIMIT)
    }

    /// Whether `text`, which has no zeros, is anywhere in the image; across gaps of zeros too, which only makes this stricter.
    fn contains(image: &Path, text: &str) -> bool {
        let mut bytes = std::fs::read(image).unwrap();
        bytes.retain(|byte| *byte != 0);
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    }

    #[test]
    fn a_netboot_image_has_script_and_trust_and_the_prebuilt_one_is_untouched() {
        let bench = Bench::new(EFI_BOOT_FILE);
        let before = std::fs::read(&bench.prebuilt).unwrap();
        let netboot = bench.path("netboot.img");
        provision(&bench.prebuilt, &https("alpha"), None, &netboot).unwrap();
        assert!(std::fs::read(&bench.prebuilt).unwrap() == before);
        assert_eq!(
            esp_file(&netboot, "autoexec.ipxe").unwrap(),
            script::autoexec(&https("alpha"), None).as_bytes()
        );
        let store = VariableStore::decode(&esp_file(&netboot, "ubootefi.var").unwrap()).unwrap();
        let trusted = store
            .get(Guid::TLS_CA_CERTIFICATE, "TlsCaCertificate")
            .unwrap();
        assert!(trusted.data.ends_with(b"authority of alpha"));
        let again = bench.path("again.img");
        provision(&bench.prebuilt, &https("alpha"), None, &again).unwrap();
        assert!(
            std::fs::read(&netboot).unwrap() == std::fs::read(&again).unwrap(),
            "two results differ"
        );
        assert_eq!(netboot.metadata().unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_new_identity_leaves_nothing_of_the_old_one() {
        let bench = Bench::new(EFI_BOOT_FILE);
        let [first, second, third] = ["1.img", "2.img", "3.img"].map(|name| bench.path(name));
        provision(&bench.prebuilt, &https("alpha"), None, &first).unwrap();
        provision(&first, &https("omega"), None, &second).unwrap();
        provision(&second, &BootSource::Dhcp, None, &third).unwrap();
        let traces = |secret: &str| {
            [
                secret.to_owned(),
                hex::encode(secret),
                hex::encode(format!("certificate of {secret}")),
            ]
        };
        for trace in traces("alpha") {
            assert!(
                contains(&first, &trace) && !contains(&second, &trace),
                "{trace}"
            );
        }
        for trace in traces("omega") {
            assert!(
                contains(&second, &trace) && !contains(&third, &trace),
                "{trace}"
            );
        }
        let store = VariableStore::decode(&esp_file(&third, "ubootefi.var").unwrap()).unwrap();
        assert_eq!(store, VariableStore::default());
    }

    #[test]
    fn without_identity_no_variables_are_written() {
        let bench = Bench::new(EFI_BOOT_FILE);
        let output = bench.path("out.img");
        provision(
            &bench.prebuilt,
            &BootSource::Dhcp,
            Some("#!ipxe\nshell\n"),
            &output,
        )
        .unwrap();
        assert_eq!(
            esp_file(&output, "autoexec.ipxe").unwrap(),
            b"#!ipxe\nshell\n"
        );
        assert!(matches!(
            esp_file(&output, "ubootefi.var"),
            Err(FatError::NotFound(_))
        ));
    }

    #[test]
    fn what_is_no_prebuilt_image_is_refused() {
        let bench = Bench::new("EFI/BOOT/BOOTX64.EFI");
        let output = bench.path("out.img");
        let refused = |image: &Path, output: &Path| {
            provision(image, &BootSource::Dhcp, None, output).unwrap_err()
        };
        assert!(matches!(
            refused(&bench.prebuilt, &output),
            ImageError::NotPrebuilt {
                missing: EFI_BOOT_FILE,
                ..
            }
        ));
        assert!(matches!(
            refused(&bench.prebuilt, &bench.prebuilt),
            ImageError::SameFile { .. }
        ));
        let garbage = bench.path("garbage");
        std::fs::write(&garbage, [0; 4096]).unwrap();
        assert!(matches!(refused(&garbage, &output), ImageError::Mbr { .. }));
        std::fs::write(&garbage, b"short").unwrap();
        assert!(refused(&garbage, &output).to_string().contains("garbage"));
        assert!(!output.exists());
    }

    #[test]
    fn a_damaged_variable_store_is_not_thrown_away() {
        let bench = Bench::new(EFI_BOOT_FILE);
        let broken = bench.path("broken.img");
        std::fs::copy(&bench.prebuilt, &broken).unwrap();
        let (_, mbr) = open(&broken).unwrap();
        let file = File::options()
            .read(true)
            .write(true)
            .open(&broken)
            .unwrap();
        let volume = FatVolume::open(&file, &mbr.partitions[1].unwrap().bytes()).unwrap();
        volume.write("ubootefi.var", &b"not a store"[..]).unwrap();
        volume.finish().unwrap();
        let error = provision(&broken, &https("alpha"), None, &bench.path("out.img")).unwrap_err();
        assert!(
            error.to_string().contains("ubootefi.var in partition 2"),
            "{error}"
        );
    }
}
