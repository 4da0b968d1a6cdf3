//! The targets of the image room beside those of [`super::targets`]: what is packed, what is on a disk, and what stands in its files.

use std::io::Write;

use shakedown_harness::image::boot::{self, device_tree};
use shakedown_harness::image::config_txt::{BoardModel, Hardware};
use shakedown_harness::image::key_material::holds_private_key;
use shakedown_harness::image::netboot::BootScript;
use shakedown_harness::image::{Disk, source};
use shakedown_harness::survey::{VerifyOptions, inspect, verify};

use super::targets::SparseDisk;

/// Bytes that a packed input may become: what is larger says nothing new, and takes its time.
const MOST_PACKED: usize = 64 << 10;

/// Files as people have them. What is opened can be read to the end that it says it has; what is refused is refused twice.
pub fn packed(input: &[u8]) {
    let input = input.get(..MOST_PACKED).unwrap_or(input);
    let Ok(mut file) = tempfile::NamedTempFile::new() else {
        return;
    };
    if file.write_all(input).is_err() {
        return;
    }
    match (source::open(file.path()), source::open(file.path())) {
        (Ok(one), Ok(two)) => {
            let size =
                |source: &source::Source| source.file().metadata().map(|data| data.len()).ok();
            assert_eq!(size(&one), size(&two));
            assert_eq!(one.formats, two.formats);
            assert!(one.formats.len() <= 3, "{:?}", one.formats);
            if one.formats.is_empty() {
                assert_eq!(size(&one), Some(input.len() as u64));
            }
        }
        (Err(_), Err(_)) => {}
        (one, two) => panic!("{one:?}, and then {two:?}"),
    }
}

/// A sparse disk as a whole. `verify` and a start are of one opinion, and nothing that is shown obeys a terminal.
pub fn disk(input: &[u8]) {
    let mut disk = SparseDisk::decode(input);
    let Ok(mut file) = tempfile::NamedTempFile::new() else {
        return;
    };
    if std::io::copy(&mut disk, &mut file).is_err() {
        return;
    }
    let Ok(source) = source::open(file.path()) else {
        return;
    };
    let model = BoardModel::Pi3B;
    let options = VerifyOptions {
        models: &[model],
        rom_reads_mbr_only: false,
        now: std::time::UNIX_EPOCH,
    };
    let Ok(verified) = verify(&source, &options) else {
        return;
    };
    let shown = verified.violations.iter().map(ToString::to_string);
    for line in shown.chain(verified.notes.iter().cloned()) {
        assert!(!line.contains(char::is_control), "{line:?}");
    }
    if let Ok(found) = inspect::inspect(&source) {
        let text = found.to_string();
        assert!(
            text.lines().all(|line| !line.contains(char::is_control)),
            "{text:?}"
        );
    }
    let Ok(disk) = Disk::open(file.path()) else {
        return;
    };
    let hardware = Hardware { model, serial: 0 };
    let evaluation = boot::evaluate(&disk, &hardware);
    let broken = |of: fn(&str) -> bool| verified.violations.iter().any(|v| of(v.rule));
    if evaluation.stops.is_empty() {
        assert!(!broken(says_of_start), "{:?}", verified.violations);
    } else {
        let is_said = broken(|rule| says_of_start(rule) || rule == "R-FAT-1");
        assert!(is_said, "{:?}, and verify finds nothing", evaluation.stops);
    }
    if evaluation.stops.is_empty() {
        assert!(evaluation.kernel.is_some() && evaluation.device_tree.is_some());
    }
}

/// Whether a rule is about what a board starts.
fn says_of_start(rule: &str) -> bool {
    rule.starts_with("R-FW-") && !matches!(rule, "R-FW-2" | "R-FW-8")
}

/// Device trees. What was read is written, and read again; the changes are in it.
pub fn device_tree(input: &[u8]) {
    let edits = device_tree::DeviceTreeEdits {
        bootargs: Some("console=ttyS1".into()),
        ..device_tree::DeviceTreeEdits::default()
    };
    if let Ok(edited) = device_tree::edit(input, &edits) {
        let again = device_tree::edit(&edited, &edits);
        assert_eq!(again.as_ref(), Ok(&edited));
        assert!(edited.windows(14).any(|bytes| bytes == b"console=ttyS1\0"));
    }
}

/// Boot scripts. Nothing of a key is shown, in whichever form the script has it.
pub fn script(input: &[u8]) {
    let script = BootScript::new(input);
    let _ = (script.servers(), script.sets_clock(), script.has_magic());
    let shown = script.redacted();
    if let Ok(Some(key)) = script.private_key()
        && key.len() >= 16
    {
        let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(!shown.to_ascii_lowercase().contains(&digits), "{shown}");
    }
    // A key that is certain to be one, behind whatever stands there.
    let key = "3082".to_owned() + &"30".repeat(40);
    let text = [input, b"\nset privkey:hexraw ", key.as_bytes(), b"\n"].concat();
    assert!(!BootScript::new(&text).redacted().contains(&key));
}

/// Keys among other bytes: one is found in every form, whatever stands around it.
pub fn key_material(input: &[u8]) {
    // What every RSA key in PKCS #8 begins with, and 64 bytes of a key.
    const KEY: &[u8] = b"\x30\x82\x04\xbd\x02\x01\x00\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x04\x82\x04\xa7\x30\x82";
    let key = [KEY, &[0x55; 64]].concat();
    let digits: Vec<String> = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let (front, back) = input.split_at(input.len() / 2);
    for form in [
        &key[..],
        digits.concat().as_bytes(),
        digits.join(":").as_bytes(),
    ] {
        // Digits that happen to stand in front are kept apart from the key's.
        let bytes = [front, b"\n=\n", form, b"\n=\n", back].concat();
        assert!(holds_private_key(&bytes));
    }
    let _ = holds_private_key(input);
}
