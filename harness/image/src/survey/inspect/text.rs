//! An inspection as text.

use std::fmt;

use shakedown_base::Untrusted;

use super::{BoardFacts, Inspection, NetbootFacts, PartitionFacts};
use crate::config_txt::{Config, DeviceTreeSetting};
use crate::survey::certificate::Certificate;

/// The settings that decide what is started, as `config.txt` would say them for this board alone.
pub(super) fn settings(config: &Config) -> Vec<String> {
    let flag = |key: &str, on: bool| on.then(|| format!("{key}=1"));
    let number = |key: &str, value: Option<i64>| value.map(|value| format!("{key}={value}"));
    let named = [
        ("kernel", &config.kernel),
        ("device_tree", &config.device_tree),
        ("armstub", &config.armstub),
        ("cmdline", &config.cmdline),
        ("os_prefix", &config.os_prefix),
    ];
    let named = named.into_iter().filter_map(|(key, setting)| {
        let value = &setting.as_ref()?.value;
        Some(format!("{key}={value}"))
    });
    let initramfs = config.initramfs.as_ref();
    let initramfs = initramfs.map(|setting| format!("initramfs {}", setting.value.files.join(",")));
    let tree = config
        .device_tree_settings
        .iter()
        .map(|setting| match &setting.value {
            DeviceTreeSetting::Overlay(text) => format!("dtoverlay={text}"),
            DeviceTreeSetting::Parameter(text) => format!("dtparam={text}"),
        });
    let other = config
        .other
        .iter()
        .map(|(key, setting)| format!("{key}={}", setting.value));
    [
        number("arm_64bit", config.arm_64bit.map(i64::from)),
        flag("enable_uart", config.enable_uart),
        flag("upstream_kernel", config.upstream_kernel),
        number("core_freq", config.core_freq),
        number("gpu_mem", config.gpu_mem),
        number("gpu_mem_1024", config.gpu_mem_1024),
    ]
    .into_iter()
    .flatten()
    .chain(named)
    .chain(initramfs)
    .chain(tree)
    .chain(other)
    .collect()
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let packed = match self.packed.is_empty() {
            true => String::new(),
            false => format!(", packed as {}", self.packed.join(" in ")),
        };
        writeln!(
            f,
            "disk       {} {}, {}{packed}",
            self.table,
            self.disk,
            size(self.size)
        )?;
        for partition in &self.partitions {
            show_partition(f, partition)?;
        }
        for board in &self.boards {
            show_board(f, board)?;
        }
        if let Some(ipxe) = &self.ipxe {
            let version = ipxe.version.as_deref().unwrap_or("of unknown version");
            writeln!(
                f,
                "\niPXE       {} for {} in {}",
                Untrusted::new(version),
                ipxe.architecture,
                Untrusted::new(&ipxe.path[..])
            )?;
            writeln!(f, "features   {}", ipxe.features.join(" "))?;
        }
        match &self.netboot {
            Some(netboot) => show_netboot(f, netboot)?,
            None => writeln!(
                f,
                "\nprebuilt   no boot script: no identity, no boot server"
            )?,
        }
        if !self.problems.is_empty() {
            writeln!(f, "\nproblems")?;
            self.problems
                .iter()
                .try_for_each(|problem| writeln!(f, "  {}", Untrusted::new(&problem[..])))?;
        }
        Ok(())
    }
}

fn show_partition(f: &mut fmt::Formatter<'_>, partition: &PartitionFacts) -> fmt::Result {
    let PartitionFacts {
        number,
        kind,
        start,
        size: bytes,
        ..
    } = partition;
    let name = partition
        .type_name
        .map_or_else(|| kind.clone(), |name| format!("{name} ({kind})"));
    let end = start + bytes;
    writeln!(
        f,
        "\npartition {number:<2} {name}, {} at byte {start} to {end}",
        size(*bytes)
    )?;
    let Some(file_system) = &partition.file_system else {
        return writeln!(f, "  {}", partition.unread.unwrap_or("not looked into"));
    };
    writeln!(f, "  {} {:?}", file_system.kind, file_system.label)?;
    file_system
        .files
        .iter()
        .try_for_each(|file| writeln!(f, "  {:>12}  {}", file.size, Untrusted::new(&file.path[..])))
}

fn show_board(f: &mut fmt::Formatter<'_>, board: &BoardFacts) -> fmt::Result {
    writeln!(f, "\n{}", board.board)?;
    writeln!(
        f,
        "  config.txt   {}",
        Untrusted::new(board.config.join(" "))
    )?;
    let kernel = board.kernel.as_deref().unwrap_or("missing");
    let version = board.boot_loader.as_deref().unwrap_or("of unknown version");
    let kernel = Untrusted::new(kernel);
    writeln!(f, "  boot loader  {kernel}: {version}")?;
    let tree = board.device_tree.as_deref().unwrap_or("missing");
    writeln!(f, "  device tree  {}", Untrusted::new(tree))
}

fn show_netboot(f: &mut fmt::Formatter<'_>, netboot: &NetbootFacts) -> fmt::Result {
    let servers = match netboot.servers.is_empty() {
        true => "named by DHCP, or only when the script runs".into(),
        false => netboot.servers.join(" "),
    };
    writeln!(f, "\nnetboot    boot server: {servers}")?;
    match &netboot.identity {
        Some(certificate) => show_certificate(f, "identity", certificate)?,
        None => writeln!(f, "identity   none")?,
    }
    for certificate in &netboot.trusted {
        show_certificate(f, "trusts", certificate)?;
    }
    writeln!(f, "script")?;
    netboot
        .script
        .lines()
        .try_for_each(|line| writeln!(f, "  {}", Untrusted::new(line).at_most(120)))
}

fn show_certificate(f: &mut fmt::Formatter<'_>, what: &str, c: &Certificate) -> fmt::Result {
    let authority = if c.authority { ", a CA" } else { "" };
    let subject = Untrusted::new(&c.subject[..]);
    writeln!(f, "{what:10} {subject}, {}{authority}", c.key)?;
    writeln!(
        f,
        "           signed by {}, valid {} to {}",
        Untrusted::new(&c.issuer[..]),
        c.not_before,
        c.not_after
    )?;
    writeln!(f, "           SHA-1   {}", c.sha1)?;
    writeln!(f, "           SHA-256 {}", c.sha256)
}

/// Bytes in the largest unit that divides them.
fn size(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = units
        .iter()
        .find(|(bits, _)| bytes != 0 && bytes.is_multiple_of(1 << bits));
    match whole {
        Some((bits, unit)) => format!("{} {unit}", bytes >> bits),
        None => format!("{bytes} bytes"),
    }
}
