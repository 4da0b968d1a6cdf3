//! The rules of docs/image-spec.md, version 1, by number. Their text and rationale are there; here is what to do about a violation.

use serde::Serialize;

/// How much a rule binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// An image that breaks the rule does not conform.
    Must,
    /// There may be reasons to break it, and they should be known.
    Should,
}

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Its number, for example `R-ESP-2`.
    pub id: &'static str,
    /// How much it binds.
    pub level: Level,
    /// What to do about a violation.
    pub remedy: &'static str,
}

impl Rule {
    /// The same rule with another remedy.
    pub(super) const fn with(self, remedy: &'static str) -> Self {
        Self { remedy, ..self }
    }
}

macro_rules! rules {
    ($($name:ident $id:literal $level:ident $remedy:literal;)*) => {
        $(pub(super) const $name: Rule = Rule { id: $id, level: Level::$level, remedy: $remedy };)*
        /// Every rule, by number.
        pub const ALL: &[Rule] = &[$($name),*];
    };
}

rules! {
    DISK_1 "R-DISK-1" Must "get the image again; it was cut off or is no disk image";
    TABLE_1 "R-TABLE-1" Must "give the disk an MBR, a GPT or both";
    TABLE_2 "R-TABLE-2" Must "make the partitions lie inside the disk and apart from each other, with fdisk or gdisk";
    TABLE_3 "R-TABLE-3" Must "write the logical partitions again, with fdisk";
    TABLE_4 "R-TABLE-4" Must "write the GPT again from its backup: in gdisk, r and then b";
    TABLE_5 "R-TABLE-5" Must "write the backup GPT again at the end of the disk: sgdisk -e";
    TABLE_6 "R-TABLE-6" Must "make the hybrid MBR again from the GPT, as for R-ROM-1";
    TABLE_7 "R-TABLE-7" Should "start every partition at a multiple of 1 MiB, better 4 MiB";
    TABLE_8 "R-TABLE-8" Should "give every partition a GUID of its own (sgdisk -G gives all new ones), and write the GPT again: in sgdisk, -e";
    ROM_1 "R-ROM-1" Must "name the firmware partition in the MBR too, with a FAT type: build with --table mbr or --table hybrid; or sgdisk -h 1:EE IMAGE, and, since sgdisk gives it type 0x07, sfdisk --label-nested dos --part-type IMAGE 1 c";
    FW_1 "R-FW-1" Must "make the first FAT partition hold a FAT file system with the board's firmware";
    FW_2 "R-FW-2" Should "format the firmware partition as FAT16: mkfs.vfat -F 16";
    FW_3 "R-FW-3" Must "copy bootcode.bin and the start and fixup files from the firmware release";
    FW_4 "R-FW-4" Must "correct config.txt";
    FW_5 "R-FW-5" Must "copy the boot loader to the name that config.txt gives";
    FW_6 "R-FW-6" Must "copy the board's device tree, or name it in config.txt under the board's filter";
    FW_7 "R-FW-7" Must "put enable_uart=1 into config.txt";
    FW_8 "R-FW-8" Should "write uboot.env again, with mkenvimage, or remove it; U-Boot ignores one like this";
    FW_9 "R-FW-9" Must "put arm_64bit=1 into config.txt, and start a program for 64-bit ARM";
    FW_10 "R-FW-10" Should "take the setting out where it is not needed, or try this image on a board";
    ESP_1 "R-ESP-1" Must "give exactly one partition the type of an EFI system partition: 0xef in an MBR, C12A7328-… in a GPT";
    ESP_2 "R-ESP-2" Must "make a FAT file system on the EFI system partition";
    ESP_3 "R-ESP-3" Must "make room on the EFI system partition: a generator needs 64 KiB";
    FAT_1 "R-FAT-1" Must "repair the file system: fsck.vfat";
    FAT_2 "R-FAT-2" Should "put the file system in order: fsck.vfat";
    MAN_1 "R-MAN-1" Must "correct netboot-image.toml, or remove it";
    IPXE_1 "R-IPXE-1" Must "copy iPXE to /EFI/BOOT/BOOTAA64.EFI, or name its path in netboot-image.toml";
    IPXE_2 "R-IPXE-2" Must "take iPXE's EFI build for 64-bit ARM: bin-arm64-efi";
    IPXE_3 "R-IPXE-3" Must "put iPXE itself where the image says it is";
    IPXE_4 "R-IPXE-4" Must "build iPXE with DOWNLOAD_PROTO_HTTPS";
    IPXE_5 "R-IPXE-5" Must "remove the script beside iPXE, which would run in place of /autoexec.ipxe; provisioning does";
    VAR_1 "R-VAR-1" Must "remove ubootefi.var, or write it again; U-Boot ignores one like this";
    SCRIPT_1 "R-SCRIPT-1" Must "begin the script with a line `#!ipxe`";
    SCRIPT_2 "R-SCRIPT-2" Should "wait by a command that waits for the network, such as `ping --count 6 ${dhcp-server}`, or build iPXE without its CPU nap";
    ID_1 "R-ID-1" Must "provision the image again, with an RSA key of at least 2048 bits and its certificate";
    ID_2 "R-ID-2" Must "provision the image again, with the key that belongs to the certificate";
    ID_3 "R-ID-3" Must "provision the image again with a new certificate";
    ID_4 "R-ID-4" Must "provision a prebuilt image anew: this one has the key in a second place, where a new identity would leave it";
    TRUST_1 "R-TRUST-1" Must "provision the image again with the CA that signs the boot server's certificate";
    TRUST_2 "R-TRUST-2" Must "let the CA be valid from 1970-01-01, for iPXE has no clock, or set the clock by `ntp` in the script";
    CACHE_1 "R-CACHE-1" Must "leave one file system with the label B2C_CACHE, on a Linux partition";
    CACHE_2 "R-CACHE-2" Should "add a Linux partition of 256 MiB or more for containers that do not fit into memory";
    CACHE_3 "R-CACHE-3" Should "make the file system, mkfs.ext4 -L B2C_CACHE, lest a boot2container format the card as a whole";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rules that docs/image-spec.md has, with their levels, in its order.
    fn specified() -> Vec<(String, Level)> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/image-spec.md");
        let text = std::fs::read_to_string(path).unwrap();
        let rules = text.lines().filter_map(|line| line.strip_prefix("**R-"));
        rules
            .map(|line| {
                let (id, rest) = line.split_once("**").unwrap();
                let level = match rest.split_whitespace().next() {
                    Some("(must)") => Level::Must,
                    Some("(should)") => Level::Should,
                    other => panic!("R-{id}: {other:?} is no level"),
                };
                (format!("R-{id}"), level)
            })
            .collect()
    }

    #[test]
    fn code_and_specification_have_the_same_rules() {
        let implemented: Vec<_> = ALL
            .iter()
            .map(|rule| (rule.id.to_owned(), rule.level))
            .collect();
        assert_eq!(specified(), implemented);
    }
}
