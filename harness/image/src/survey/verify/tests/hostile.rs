//! Text of an image that would do something to a terminal.

use super::*;
use crate::config_txt::Hardware;
use crate::script::CustomScript;
use crate::{ImageError, boot as firmware};
use shakedown_base::untrusted_json;

/// Sets a window's title, clears the screen, turns what follows round.
const HOSTILE: &str = "\u{1b}]0;x\u{7}\u{9b}2J\u{202e}\u{7f}";
/// The same without what FAT allows in no name.
const NAME: &str = "a\u{9b}2J\u{202e}b.efi";

fn is_harmless(text: &str) -> bool {
    let deceives =
        |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
    !text.contains(deceives)
}

/// Everything that is said of an image: as text, as JSON, and as errors.
fn said(image: &Path) -> Vec<String> {
    let opened = source::open(image).unwrap();
    let verified = verify(&opened, &ANY).unwrap();
    let inspected = inspect(&opened).unwrap();
    let json = [
        serde_json::to_string(&verified).unwrap(),
        serde_json::to_string(&inspected).unwrap(),
    ];
    let mut said = json.map(|json| untrusted_json(&json)).to_vec();
    said.push(inspected.to_string());
    said.extend(verified.violations.iter().map(ToString::to_string));
    said.extend(verified.notes);
    let directory = tempfile::tempdir().unwrap();
    for model in BoardModel::ALL {
        let hardware = Hardware {
            model: *model,
            serial: 1,
        };
        match firmware::start(image, &hardware, directory.path()) {
            Ok(handover) => said.extend(handover.notes),
            Err(error) => said.push(error.to_string()),
        }
    }
    said
}

#[test]
fn nothing_of_an_image_reaches_a_terminal_as_it_is() {
    let mut bench = Bench::new();
    bench.firmware(NAME, b"x");
    bench.esp(NAME, b"x");
    let usual = bench.spec.config_txt.clone();
    for line in [
        "kernel=",
        "device_tree=",
        "armstub=",
        "os_prefix=",
        "cmdline=",
        "include ",
        "dtoverlay=",
        "dtparam=",
        "initramfs ",
        "start_file=",
        "[",
        "gpu_mem=1",
        "",
        "[pi3",
        "kernel_old=",
        "device_tree_address=",
    ] {
        bench.spec.config_txt = format!("{usual}{line}{HOSTILE}\n");
        for text in said(&bench.prebuilt()) {
            assert!(is_harmless(&text), "{line:?}: {text:?}");
        }
    }
    bench.spec.config_txt = usual;

    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, HOSTILE);
    let certificate = params
        .self_signed(&rcgen::KeyPair::generate().unwrap())
        .unwrap();
    let boot = boot_trusting(certificate.der());
    let script = CustomScript::parse(
        format!("#!ipxe\necho {HOSTILE}\nexit {HOSTILE}\nsleep 1 {HOSTILE}\n").as_bytes(),
    )
    .unwrap();
    let netboot = bench.directory.path().join("netboot.img");
    provision::provision(
        &source::open(&bench.prebuilt()).unwrap(),
        &boot,
        Some(&script),
        &netboot,
    )
    .unwrap();
    let all = said(&netboot);
    assert!(
        all.iter().any(|text| text.contains("\\u{9b}2J")),
        "the names are shown"
    );
    for text in all {
        assert!(is_harmless(&text), "{text:?}");
    }

    for manifest in [
        format!("specification = 1\nipxe = \"/{NAME}x\"\n"),
        format!("specification = 1\nipxe = '/a/{HOSTILE}/../b'\n"),
        format!("specification = 1 {HOSTILE}\n"),
    ] {
        bench.esp(crate::manifest::FILE_NAME, manifest.as_bytes());
        let prebuilt = bench.prebuilt();
        let error: ImageError =
            provision::provision(&source::open(&prebuilt).unwrap(), &boot, None, &netboot)
                .unwrap_err();
        assert!(is_harmless(&error.to_string()), "{:?}", error.to_string());
        for text in said(&prebuilt) {
            assert!(is_harmless(&text), "{text:?}");
        }
    }
}
