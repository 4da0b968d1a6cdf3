use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::*;
use crate::LIMITS;
use crate::Sizes;
use crate::partitions::Scheme;
use crate::prebuilt::{self, EFI_BOOT_FILE, PrebuiltSpec, SourceFile};
use crate::script::Identity;
use crate::source;

struct Bench {
    directory: tempfile::TempDir,
    spec: PrebuiltSpec,
    prebuilt: PathBuf,
}

impl Bench {
    fn new(esp_file: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let ipxe = directory.path().join("ipxe.efi");
        std::fs::write(&ipxe, b"iPXE").unwrap();
        let spec = PrebuiltSpec {
            sizes: Sizes::SMALL,
            esp_files: vec![SourceFile::new(esp_file, &ipxe)],
            ..PrebuiltSpec::default()
        };
        let prebuilt = directory.path().join("disk.img");
        prebuilt::build(&spec, &prebuilt).unwrap();
        Self {
            directory,
            spec,
            prebuilt,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

fn provision_file(
    image: &Path,
    boot: &BootSource,
    custom_script: Option<&str>,
    output: &Path,
) -> Result<(), ImageError> {
    let script = custom_script.map(|text| CustomScript::parse(text.as_bytes()).unwrap());
    provision(&source::open(image)?, boot, script.as_ref(), output)
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
    let disk = Disk::open(image).unwrap();
    let volume = disk.volume(disk.esp().unwrap()).unwrap();
    volume.read(name, LIMITS.small_file)
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
    provision_file(&bench.prebuilt, &https("alpha"), None, &netboot).unwrap();
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
    provision_file(&bench.prebuilt, &https("alpha"), None, &again).unwrap();
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
    provision_file(&bench.prebuilt, &https("alpha"), None, &first).unwrap();
    provision_file(&first, &https("omega"), None, &second).unwrap();
    provision_file(&second, &BootSource::Dhcp, None, &third).unwrap();
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
    provision_file(
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
        provision_file(image, &BootSource::Dhcp, None, output).unwrap_err()
    };
    assert!(matches!(
        refused(&bench.prebuilt, &output),
        ImageError::NotPrebuilt {
            missing,
            ..
        } if missing == "/EFI/BOOT/BOOTAA64.EFI"
    ));
    assert!(matches!(
        refused(&bench.prebuilt, &bench.prebuilt),
        ImageError::SameFile { .. }
    ));
    let garbage = bench.path("garbage");
    std::fs::write(&garbage, [0; 4096]).unwrap();
    assert!(matches!(
        refused(&garbage, &output),
        ImageError::Table { .. }
    ));
    std::fs::write(&garbage, b"short").unwrap();
    assert!(refused(&garbage, &output).to_string().contains("garbage"));
    assert!(!output.exists());
}

#[test]
fn a_damaged_variable_store_is_not_thrown_away() {
    let bench = Bench::new(EFI_BOOT_FILE);
    let broken = bench.path("broken.img");
    std::fs::copy(&bench.prebuilt, &broken).unwrap();
    let esp = Disk::open(&broken).unwrap().esp().unwrap().bytes();
    let file = File::options()
        .read(true)
        .write(true)
        .open(&broken)
        .unwrap();
    let volume = FatVolume::open(&file, &esp).unwrap();
    volume.write("ubootefi.var", &b"not a store"[..]).unwrap();
    volume.finish().unwrap();
    let error = provision_file(&broken, &https("alpha"), None, &bench.path("out.img")).unwrap_err();
    assert!(
        error.to_string().contains("ubootefi.var in partition 2"),
        "{error}"
    );
}

/// An identity with a key that is long enough to be looked for.
fn with_key(seed: u8) -> BootSource {
    let BootSource::Https {
        server, trusted_ca, ..
    } = https("omega")
    else {
        unreachable!("it is one")
    };
    let key = (0..38).flat_map(|block| Sha256::digest([seed, block]));
    BootSource::Https {
        server,
        trusted_ca,
        identity: Some(Identity {
            certificate: vec![seed; 100],
            private_key: key.collect(),
        }),
    }
}

fn digits(boot: &BootSource) -> String {
    match boot {
        BootSource::Https {
            identity: Some(identity),
            ..
        } => hex::encode(&identity.private_key),
        _ => String::new(),
    }
}

/// Writes into the EFI system partition of an image as another tool would.
fn tamper(image: &Path, change: impl Fn(&FatVolume<&File>)) {
    let esp = Disk::open(image).unwrap().esp().unwrap().bytes();
    let file = File::options().read(true).write(true).open(image).unwrap();
    let volume = FatVolume::open(&file, &esp).unwrap();
    change(&volume);
    volume.finish().unwrap();
}

/// Where `text` is in an image.
fn position(image: &Path, text: &str) -> Option<usize> {
    let bytes = std::fs::read(image).unwrap();
    bytes
        .windows(text.len())
        .position(|window| window == text.as_bytes())
}

#[test]
fn free_clusters_hold_nothing_of_an_old_key() {
    let bench = Bench::new(EFI_BOOT_FILE);
    let (first, second) = (bench.path("1.img"), bench.path("2.img"));
    let old = with_key(1);
    provision_file(&bench.prebuilt, &old, None, &first).unwrap();
    // A tool that deletes without wiping leaves the file's clusters as they were: here far behind everything.
    let esp = Disk::open(&first).unwrap().esp().unwrap().bytes();
    let file = File::options().write(true).open(&first).unwrap();
    file.write_all_at(digits(&old).as_bytes(), esp.end - 40_000)
        .unwrap();
    provision_file(&first, &with_key(2), None, &second).unwrap();
    for piece in digits(&old).as_bytes().chunks(32) {
        let piece = std::str::from_utf8(piece).unwrap();
        assert_eq!(position(&second, piece), None);
    }
    // What was a hole is one still.
    assert!(second.metadata().unwrap().blocks() <= first.metadata().unwrap().blocks());
}

#[test]
fn an_old_key_in_a_place_that_is_in_use_is_an_error_with_its_place() {
    let bench = Bench::new(EFI_BOOT_FILE);
    let (first, second) = (bench.path("1.img"), bench.path("2.img"));
    let old = with_key(1);
    provision_file(&bench.prebuilt, &old, None, &first).unwrap();
    tamper(&first, |volume| {
        volume.write("backup.txt", digits(&old).as_bytes()).unwrap();
    });
    let error = provision_file(&first, &with_key(2), None, &second).unwrap_err();
    // The first digits that no certificate has, in the second of the two files.
    let private = digits(&old).as_bytes()[608..640].to_vec();
    let bytes = std::fs::read(&first).unwrap();
    let place = bytes.windows(32).rposition(|window| window == private);
    assert!(
        matches!(error, ImageError::OldKey { byte, .. } if Some(byte as usize) == place),
        "{error}"
    );
    assert!(!error.to_string().contains(&digits(&old)[..32]) && !second.exists());
    // The same identity again may stay where it is.
    provision_file(&first, &old, None, &second).unwrap();
}

#[test]
fn a_manifest_names_ipxe_and_a_script_beside_it_is_removed() {
    let bench = Bench::new("efi/tools/snp.efi");
    let manifest = b"specification = 1\nipxe = \"/efi/tools/snp.efi\"\n";
    let (named, output) = (bench.path("named.img"), bench.path("out.img"));
    std::fs::copy(&bench.prebuilt, &named).unwrap();
    tamper(&named, |volume| {
        volume.write("netboot-image.toml", &manifest[..]).unwrap();
        volume
            .write("efi/tools/autoexec.ipxe", &b"#!ipxe\nshell\n"[..])
            .unwrap();
    });
    provision_file(&named, &https("alpha"), None, &output).unwrap();
    assert!(esp_file(&output, "autoexec.ipxe").is_ok());
    assert!(matches!(
        esp_file(&output, "efi/tools/autoexec.ipxe"),
        Err(FatError::NotFound(_))
    ));
    assert_eq!(esp_file(&output, "netboot-image.toml").unwrap(), manifest);
    tamper(&named, |volume| {
        volume
            .write("netboot-image.toml", &b"ipxe = 1"[..])
            .unwrap()
    });
    let error = provision_file(&named, &https("alpha"), None, &output).unwrap_err();
    assert!(matches!(error, ImageError::Manifest { .. }), "{error}");
}

#[test]
fn trust_is_replaced_and_the_rest_stays() {
    let bench = Bench::new(EFI_BOOT_FILE);
    let (first, second) = (bench.path("1.img"), bench.path("2.img"));
    provision_file(
        &bench.prebuilt,
        &https("alpha"),
        Some("#!ipxe\nshell\n"),
        &first,
    )
    .unwrap();
    let before = std::fs::read(&first).unwrap();
    replace_trust(
        &source::open(&first).unwrap(),
        b"another authority",
        &second,
    )
    .unwrap();
    assert!(
        std::fs::read(&first).unwrap() == before,
        "the given file is never written to"
    );
    assert_eq!(
        esp_file(&second, "autoexec.ipxe").unwrap(),
        esp_file(&first, "autoexec.ipxe").unwrap()
    );
    let trusted = crate::netboot::trusted(&esp_file(&second, "ubootefi.var").unwrap()).unwrap();
    assert_eq!(trusted, [b"another authority"]);
    assert_eq!(second.metadata().unwrap().mode() & 0o777, 0o600);
}

#[test]
fn every_table_and_every_packing_gives_a_netboot_image() {
    let mut bench = Bench::new(EFI_BOOT_FILE);
    for scheme in [Scheme::Gpt, Scheme::Hybrid] {
        bench.spec.scheme = scheme;
        prebuilt::build(&bench.spec, &bench.prebuilt).unwrap();
        let (plain, packed) = (bench.path("plain.img"), bench.path("packed.img"));
        provision_file(&bench.prebuilt, &https("alpha"), None, &plain).unwrap();
        assert!(Disk::open(&plain).unwrap().table.faults.is_empty());
        let zstd = bench.path("prebuilt.img");
        std::fs::write(
            &zstd,
            zstd::encode_all(&std::fs::read(&bench.prebuilt).unwrap()[..], 1).unwrap(),
        )
        .unwrap();
        provision_file(&zstd, &https("alpha"), None, &packed).unwrap();
        assert!(std::fs::read(&plain).unwrap() == std::fs::read(&packed).unwrap());
        prebuilt::build(&bench.spec, &bench.prebuilt).unwrap();
    }
}

#[test]
fn a_faulty_table_is_refused_with_its_place() {
    let mut bench = Bench::new(EFI_BOOT_FILE);
    bench.spec.scheme = Scheme::Gpt;
    prebuilt::build(&bench.spec, &bench.prebuilt).unwrap();
    let size = bench.prebuilt.metadata().unwrap().len();
    let file = File::options().write(true).open(&bench.prebuilt).unwrap();
    file.write_all_at(b"x", size - 512).unwrap();
    let error =
        provision_file(&bench.prebuilt, &https("alpha"), None, &bench.path("o")).unwrap_err();
    let place = format!("byte {}", size - 512);
    assert!(error.to_string().contains(&place), "{error}");
}
