use proptest::prelude::*;

use super::*;

const PI3B: Conditions = Conditions {
    hardware: Hardware {
        model: BoardModel::Pi3B,
        serial: 0x1234_5678,
    },
    partition: 1,
};

fn parse_with(text: &str, files: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let mut include = |name: &str| {
        let found = files.iter().find(|(file, _)| *file == name);
        found.map(|(_, text)| text.as_bytes().to_vec())
    };
    parse(text.as_bytes(), "config.txt", &PI3B, &mut include)
}

fn parsed(text: &str) -> Config {
    parse_with(text, &[]).unwrap()
}

fn notes(config: &Config) -> Vec<String> {
    config
        .notes
        .iter()
        .map(|note| format!("{}: {}", note.at, note.value))
        .collect()
}

#[test]
fn settings_are_typed_and_the_last_one_counts() {
    let config = parsed(
        "# a comment\r\narm_64bit=1\r\nkernel=first.img\r\nenable_uart=1\nkernel=u-boot.bin\n\
         core_freq=250\ngpu_mem=0x10\nupstream_kernel=0\narmstub=stub.bin\ncmdline=c.txt\nos_prefix=new/\nhdmi_mode:1=16\n",
    );
    assert!(config.arm_64bit == Some(true) && config.enable_uart && !config.upstream_kernel);
    assert_eq!((config.core_freq, config.gpu_mem), (Some(250), Some(16)));
    let kernel = config.kernel.unwrap();
    assert_eq!(
        (kernel.value.as_str(), kernel.at.to_string()),
        ("u-boot.bin", "config.txt:5".into())
    );
    assert_eq!(config.other["hdmi_mode:1"].value, "16");
    assert_eq!(config.notes, []);
}

#[test]
fn sections_of_other_boards_are_skipped() {
    let config = parsed(
        "kernel=a\n[pi4]\nkernel=b\narm_64bit=nonsense\n[pi3]\ndevice_tree=d.dtb\n[pi3+]\ndevice_tree=e.dtb\n",
    );
    assert_eq!(config.kernel.unwrap().value, "a");
    assert_eq!(config.device_tree.unwrap().value, "d.dtb");
    let config =
        parsed("[0x12345678]\n[pi3]\nkernel=mine\n[0x1]\nkernel=other\n[all]\ncmdline=all\n");
    assert_eq!(config.kernel.unwrap().value, "mine");
    assert_eq!(config.cmdline.unwrap().value, "all");
}

#[test]
fn included_files_stand_in_place_of_the_line() {
    let files = [
        ("extra.txt", "kernel=included\n[pi4]\n"),
        ("loop.txt", "include loop.txt\n"),
    ];
    let config = parse_with(
        "kernel=before\ninclude extra.txt\nkernel=skipped\n[all]\ninclude gone.txt\n",
        &files,
    )
    .unwrap();
    let kernel = config.kernel.clone().unwrap();
    assert_eq!(
        (kernel.value.as_str(), kernel.at.to_string()),
        ("included", "extra.txt:1".into())
    );
    assert_eq!(
        notes(&config),
        ["config.txt:5: gone.txt is not included: it does not exist or cannot be read"]
    );
    assert_eq!(
        parse_with("[pi4]\ninclude loop.txt\n", &files),
        Ok(Config::default())
    );
    let error = parse_with("include loop.txt\n", &files).unwrap_err();
    assert_eq!(
        error.to_string(),
        "loop.txt:1: files are included more than 8 deep; does loop.txt include itself?"
    );
}

#[test]
fn bombs_end() {
    let error = |text: &str, file: &str| parse_with(text, &[("a", file)]).unwrap_err().to_string();
    // Two includes in each of eight levels would be 255 files, a hundred no machine could read.
    assert_eq!(
        error("include a", &"include a\n".repeat(2)),
        "a:1: files are included more than 8 deep; does a include itself?"
    );
    assert_eq!(
        error(&"include a\n".repeat(100), "kernel=x"),
        "config.txt:65: more than 64 files are included, a is one too many"
    );
    assert_eq!(
        error("include a\ninclude a\n", &"#".repeat(200_000)),
        "a: with this file there are more than 262144 bytes of settings"
    );
}

#[test]
fn other_encodings_are_refused_or_said() {
    let encoded = |bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        let text = "\u{feff}arm_64bit=1\n".encode_utf16();
        text.flat_map(bytes).collect()
    };
    let with_mark = [encoded(u16::to_le_bytes), encoded(u16::to_be_bytes)];
    let without = with_mark.clone().map(|text| text[2..].to_vec());
    for text in with_mark.into_iter().chain(without) {
        let error = parse(&text, "config.txt", &PI3B, &mut |_| None).unwrap_err();
        assert!(
            error.to_string().starts_with("config.txt is UTF-16"),
            "{error}"
        );
    }
    let error = parse_with("arm_64bit=1\rkernel=k\r", &[]).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("config.txt has no line feeds"),
        "{error}"
    );
    // The mark belongs to the first line's name, which nobody knows then.
    let config = parsed("\u{feff}arm_64bit=1\nkernel=k\n");
    assert!(config.arm_64bit.is_none() && config.kernel.is_some());
    assert!(notes(&config)[0].starts_with("config.txt:1: the file begins with a byte order mark"));
}

#[test]
fn values_are_read_as_the_firmware_reads_them() {
    let config = parsed(
        "arm_64bit=1 # 64 bit\nenable_uart=on\ncore_freq=250 MHz\ngpu_mem=-1\nkernel=\"k\"\ncmdline=c # x\ndevice_tree= d\ninitramfs=i 0\n",
    );
    assert_eq!(
        (
            config.arm_64bit,
            config.enable_uart,
            config.core_freq,
            config.gpu_mem
        ),
        (Some(true), false, Some(250), Some(-1))
    );
    assert!(config.initramfs.is_none());
    assert_eq!(config.cmdline.as_ref().unwrap().value, "c # x");
    insta::assert_snapshot!(notes(&config).join("\n"), @r#"
    config.txt:1: the firmware reads arm_64bit=1 and passes over ` # 64 bit`
    config.txt:2: `on` is no number, the firmware reads enable_uart=0
    config.txt:3: the firmware reads core_freq=250 and passes over ` MHz`
    config.txt:5: quotes are part of the name `"k"`
    config.txt:6: comments stand on lines of their own; this one is part of the name `c # x`
    config.txt:7: spaces behind = are part of the name ` d`
    config.txt:8: `initramfs` takes a space in place of =; the firmware loads nothing for this line
    "#);
}

#[test]
fn initramfs_has_its_own_syntax() {
    let initramfs = |text: &str| {
        parsed(text)
            .initramfs
            .map(|initramfs| (initramfs.value.files.join("+"), initramfs.value.address))
    };
    assert_eq!(
        initramfs("initramfs a.gz followkernel"),
        Some(("a.gz".into(), None))
    );
    assert_eq!(
        initramfs("initramfs a.gz,b.gz 0x00800000"),
        Some(("a.gz+b.gz".into(), Some(0x80_0000)))
    );
    assert_eq!(initramfs("ramfsfile=a.gz"), Some(("a.gz".into(), None)));
    let error = parse_with("\ninitramfs a.gz nowhere", &[]).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("config.txt:2: expected `initramfs"),
        "{error}"
    );
}

#[test]
fn device_tree_settings_keep_their_order() {
    let config = parsed("dtparam=audio=on\ndtoverlay=w1,pin=4\ndtparam=pull\ndtoverlay=\n");
    let settings: Vec<_> = config
        .device_tree_settings
        .into_iter()
        .map(|setting| setting.value)
        .collect();
    let overlay = |text: &str| DeviceTreeSetting::Overlay(text.into());
    let parameter = |text: &str| DeviceTreeSetting::Parameter(text.into());
    assert_eq!(
        settings,
        [
            parameter("audio=on"),
            overlay("w1,pin=4"),
            parameter("pull"),
            overlay("")
        ]
    );
}

#[test]
fn what_the_firmware_passes_over_is_noted() {
    // The limit is one of bytes: 45 letters of two bytes each and a half one.
    let umlauts = parsed(&format!("kernel={}", "\u{e4}".repeat(60)));
    assert_eq!(umlauts.kernel.unwrap().value.chars().count(), 46);
    let long = format!("kernel={}", "k".repeat(120));
    let config = parsed(&format!(
        "{long}\n[pie]\n[all]\njust words\nkernel =x\n#{long}\n"
    ));
    assert_eq!(config.kernel.as_ref().unwrap().value, "k".repeat(98 - 7));
    insta::assert_snapshot!(notes(&config).join("\n"), @r"
    config.txt:1: the firmware reads only the first 98 bytes of a line
    config.txt:2: unknown filter [pie]; nothing below it applies
    config.txt:4: the line `just words` is no setting
    config.txt:5: no setting is called `kernel `; take the spaces before = away
    ");
}

/// Characters that look like spaces and are not.
#[test]
fn spaces_beyond_ascii_are_bytes_like_any_other() {
    let config = parsed(
        "arm_64bit=\u{a0}1\nkernel=u-boot.bin\u{a0}\ngpu_mem\u{2003}=16\ninitramfs a\u{a0}b 0\n# caf\u{e9}\n[pi4]\ncmdline=\u{e4}\n[pi3\u{a0}]\n",
    );
    assert_eq!(config.arm_64bit, Some(false));
    assert_eq!(config.kernel.as_ref().unwrap().value, "u-boot.bin\u{a0}");
    assert_eq!(config.gpu_mem, None);
    let initramfs = &config.initramfs.as_ref().unwrap().value;
    assert_eq!(initramfs.files, ["a\u{a0}b"]);
    let said = notes(&config).join("\n").replace('\u{a0}', "~");
    insta::assert_snapshot!(said, @r"
    config.txt:1: byte 11 of the line is beyond ASCII (a no-break space (U+00A0)); the firmware takes it for part of a name or a value
    config.txt:1: `~1` is no number, the firmware reads arm_64bit=0
    config.txt:2: byte 18 of the line is beyond ASCII (a no-break space (U+00A0)); the firmware takes it for part of a name or a value
    config.txt:3: byte 8 of the line is beyond ASCII (U+2003); the firmware takes it for part of a name or a value
    config.txt:4: byte 12 of the line is beyond ASCII (a no-break space (U+00A0)); the firmware takes it for part of a name or a value
    config.txt:8: byte 5 of the line is beyond ASCII (a no-break space (U+00A0)); the firmware takes it for part of a name or a value
    ");
    let latin = parse(b"kernel=caf\xe9\n", "config.txt", &PI3B, &mut |_| None).unwrap();
    assert!(notes(&latin)[0].contains("byte 11 of the line is beyond ASCII (not even UTF-8)"));
    // ASCII has its spaces, tabs among them.
    assert_eq!(parsed("\tarm_64bit=\t1\t\r\n").arm_64bit, Some(true));
}

#[test]
fn include_takes_no_equals_sign() {
    let config = parse_with("include=usercfg.txt\n", &[("usercfg.txt", "kernel=k\n")]).unwrap();
    assert_eq!(config.kernel, None);
    assert_eq!(
        notes(&config),
        [
            "config.txt:1: `include` takes a space in place of =; the firmware loads nothing for this line"
        ]
    );
}

#[test]
fn autoboot_has_few_filters() {
    let number = |text: &str| {
        let config = parse_autoboot(text.as_bytes(), "autoboot.txt", &PI3B).unwrap();
        (config.number("boot_partition"), notes(&config).join("\n"))
    };
    let text = "[none]\nboot_partition=4\n[all]\nboot_partition=2\n[tryboot]\nboot_partition=3\n";
    assert_eq!(number(text), (Some(2), String::new()));
    let (partition, said) = number("[pi3]\nboot_partition=2\n");
    assert_eq!(partition, None);
    assert_eq!(
        said,
        "autoboot.txt:1: autoboot.txt has the filters [all], [none], [tryboot] alone; nothing below [pi3] applies"
    );
}

#[test]
fn errors_say_file_and_line() {
    let error = |text: &str| parse_with(text, &[]).unwrap_err().to_string();
    assert_eq!(
        error("[pi3\nkernel=a"),
        "config.txt:1: the filter [pi3 has no closing bracket"
    );
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic(text in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut include = |_: &str| Some(text.clone());
        let _ = parse(&text, "config.txt", &PI3B, &mut include);
    }

    #[test]
    fn arbitrary_lines_do_not_panic(text in "([\\[]?(pi3|all|gpio|0x|include a|initramfs |kernel|arm_64bit)[\\]=, ]{0,2}[ -~ä]{0,120}\n){0,8}") {
        let _ = parse(text.as_bytes(), "config.txt", &PI3B, &mut |_| None);
    }
}
