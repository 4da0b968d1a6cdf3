//! The cases.

use std::path::Path;

use shakedown_image::prebuilt::EFI_BOOT_FILE;
use shakedown_image::script::{BootSource, Identity};
use shakedown_image::{efivar, manifest, script, uboot_env};

use super::image::{Copy, Good, Image, store};
use crate::parts;

/// A broken image.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Writes it to a file.
    pub(crate) write: fn(&Good, &Path),
}

/// A case that is one of the good images with a change.
macro_rules! case {
    ($name:literal, $base:ident, $change:expr) => {
        Case {
            name: $name,
            write: |good, path| {
                let mut image = good.$base.clone();
                let change: fn(&mut Image) = $change;
                change(&mut image);
                image.write(path);
            },
        }
    };
}

const IPXE: &[u8; 11] = b"BOOTAA64EFI";
const STORE: &[u8; 11] = b"UBOOTEFIVAR";
const EFI: &[u8; 11] = b"EFI        ";
const BOOT: &[u8; 11] = b"BOOT       ";

pub(crate) const CASES: &[Case] = &[
    // The file.
    case!("empty file", mbr, |i| i.bytes.clear()),
    case!("a text", mbr, |i| i.bytes = b"This is no image.".to_vec()),
    case!("only the first sector", mbr, |i| i.bytes.truncate(512)),
    case!("cut in the firmware partition", mbr, |i| i
        .bytes
        .truncate(6 << 20)),
    case!("cut in the ESP", mbr, |i| i.bytes.truncate(14 << 20)),
    case!("cut in the last partition", mbr, |i| i
        .bytes
        .truncate(30 << 20)),
    case!("cut inside a sector", mbr, |i| i
        .bytes
        .truncate((32 << 20) - 100)),
    // MBR.
    case!("no signature", mbr, |i| i.bytes[510] = 0),
    case!("no partitions", mbr, |i| i.bytes[446..510].fill(0)),
    case!("a file system in place of a table", mbr, |i| {
        let boot = i.esp().window.start;
        i.bytes.copy_within(boot..boot + 512, 0);
        i.bytes[446..510].copy_from_slice(&[b'x'; 64]);
    }),
    case!("partition of no sectors", mbr, |i| i
        .mbr_extent(2, 40960, 0)),
    case!("partition at sector 0", mbr, |i| i.mbr_extent(2, 0, 100)),
    case!("partition behind the disk", mbr, |i| i
        .mbr_extent(2, 65536, 100)),
    case!("partition that ends behind the disk", mbr, |i| i
        .mbr_extent(2, 60000, u32::MAX)),
    case!("partitions overlap", mbr, |i| i.mbr_extent(2, 30000, 1000)),
    case!("no ESP", mbr, |i| i.mbr_entry(1)[4] = 0x83),
    case!("no firmware partition", mbr, |i| i.mbr_entry(0)[4] = 0x83),
    // Logical partitions.
    case!("extended partition without a table", mbr, |i| i
        .mbr_entry(2)[4] =
        0x05),
    case!("logical partitions in a circle", mbr, |i| {
        i.mbr_entry(2)[4] = 0x05;
        logical(i, 40960, Some((2048, 100)), 0);
    }),
    case!("logical partitions that go back", mbr, |i| {
        i.mbr_entry(2)[4] = 0x05;
        logical(i, 40960, Some((2048, 100)), 4096);
        logical(i, 40960 + 4096, Some((2048, 100)), 4096);
    }),
    case!("logical partition outside of its extended one", mbr, |i| {
        i.mbr_entry(2)[4] = 0x05;
        logical(i, 40960, Some((2048, 1 << 30)), 0);
    }),
    case!(
        "chain of logical partitions that leaves the disk",
        mbr,
        |i| {
            i.mbr_entry(2)[4] = 0x05;
            logical(i, 40960, Some((2048, 100)), 1 << 30);
        }
    ),
    // GPT.
    case!("GPT: no copy is whole", gpt, |i| {
        i.gpt_header(Copy::Primary).fill(0);
        i.gpt_header(Copy::Backup).fill(0);
    }),
    case!("GPT: primary header changed", gpt, |i| i
        .gpt_header(Copy::Primary)[56] ^=
        1),
    case!("GPT: backup header changed", gpt, |i| i
        .gpt_header(Copy::Backup)[56] ^=
        1),
    case!("GPT: primary entries changed", gpt, |i| i
        .gpt_entries(Copy::Primary)[60] ^=
        1),
    case!("GPT: backup entries changed", gpt, |i| i
        .gpt_entries(Copy::Backup)[60] ^=
        1),
    case!("GPT: copies disagree", gpt, |i| {
        i.gpt_entries(Copy::Backup)[56] ^= 1;
        i.seal_gpt(Copy::Backup);
    }),
    case!("GPT: cut before the backup", gpt, |i| i
        .bytes
        .truncate((32 << 20) - (34 << 9))),
    case!("GPT: disk made longer", gpt, |i| i
        .bytes
        .resize(64 << 20, 0)),
    case!("GPT: header of 4 GiB", gpt, |i| i.gpt_header(Copy::Primary)
        [12..16]
        .fill(0xff)),
    case!("GPT: 4 billion entries", gpt, |i| {
        for copy in [Copy::Primary, Copy::Backup] {
            i.gpt_header(copy)[80..84].fill(0xff);
            i.seal_gpt(copy);
        }
    }),
    case!("GPT: entries of one byte", gpt, |i| {
        i.gpt_header(Copy::Primary)[84..88].copy_from_slice(&1_u32.to_le_bytes());
        i.seal_gpt(Copy::Primary);
    }),
    case!("GPT: entries behind the disk", gpt, |i| {
        i.gpt_header(Copy::Primary)[72..80].copy_from_slice(&(u64::MAX / 2).to_le_bytes());
        i.seal_gpt(Copy::Primary);
    }),
    case!("GPT: partitions overlap", gpt, |i| i
        .gpt_extent(2, 30000, 31000)),
    case!("GPT: partition in the table", gpt, |i| i
        .gpt_extent(2, 3, 20)),
    case!("GPT: partition that ends before it begins", gpt, |i| i
        .gpt_extent(2, 50000, 45000)),
    case!("GPT: no ESP", gpt, |i| {
        for copy in [Copy::Primary, Copy::Backup] {
            i.gpt_entries(copy)[128] ^= 1;
            i.seal_gpt(copy);
        }
    }),
    case!(
        "hybrid: MBR entry that the GPT does not have",
        hybrid,
        |i| {
            let index = (0..4)
                .find(|index| !matches!(i.mbr_entry(*index)[4], 0 | 0xee))
                .unwrap();
            i.mbr_extent(index, 50000, 1000);
        }
    ),
    // FAT: boot sector.
    case!("ESP without a file system", mbr, |i| i
        .esp_boot(0, &[0; 512])),
    case!("ESP with exFAT", mbr, |i| i.esp_boot(3, b"EXFAT   ")),
    case!("ESP with NTFS", mbr, |i| i.esp_boot(3, b"NTFS    ")),
    case!("FAT: sectors of 4 KiB", mbr, |i| i
        .esp_boot(11, &[0x00, 0x10])),
    case!("FAT: clusters of no sectors", mbr, |i| i.esp_boot(13, &[0])),
    case!("FAT: 255 tables", mbr, |i| i.esp_boot(16, &[255])),
    case!("FAT: larger than its partition", mbr, |i| {
        i.esp_boot(19, &[0, 0]);
        i.esp_boot(32, &[0xff; 4]);
    }),
    case!("FAT: tables of no sectors", mbr, |i| i
        .esp_boot(22, &[0, 0])),
    case!("FAT: table too small for the clusters", mbr, |i| i
        .esp_boot(22, &[2, 0])),
    // FAT: chains.
    case!("FAT: chain in a circle", mbr, |i| i
        .break_ipxe(5, |_, first| first)),
    case!("FAT: chain of one cluster in a circle", mbr, |i| i
        .break_ipxe(0, |_, first| first)),
    case!("FAT: chain out of the volume", mbr, |i| i
        .break_ipxe(2, |esp, _| esp.end())),
    case!("FAT: chain into the reserved entries", mbr, |i| i
        .break_ipxe(2, |_, _| 1)),
    case!("FAT: chain through a free cluster", mbr, |i| i
        .break_ipxe(2, |_, _| 0)),
    case!("FAT: chain through a bad cluster", mbr, |i| i
        .break_ipxe(2, |_, _| 0xfff7)),
    case!("FAT: chain shorter than the file", mbr, |i| i
        .break_ipxe(2, |_, _| 0xffff)),
    case!("FAT: files share clusters", mbr, |i| {
        let first = i.esp().first_cluster(&i.bytes, IPXE);
        i.esp_entry(STORE, |entry| {
            entry[26..28].copy_from_slice(&first.to_le_bytes())
        });
    }),
    case!("FAT: file that starts nowhere", mbr, |i| i
        .esp_entry(IPXE, |entry| entry[26..28].fill(0xff))),
    case!("FAT: file of 4 GiB", mbr, |i| i
        .esp_entry(IPXE, |entry| entry[28..32].fill(0xff))),
    case!("FAT: tables differ", mbr, |i| {
        let table = i.esp().tables[1];
        i.bytes[table + 9] ^= 0x10;
    }),
    case!("FAT: firmware's chain in a circle", mbr, |i| {
        let firmware = i.firmware();
        let first = firmware.first_cluster(&i.bytes, b"START   ELF");
        firmware.link(&mut i.bytes, first + 3, first);
    }),
    // FAT: directories.
    case!("FAT: directory that contains itself", mbr, |i| {
        let own = i.esp().first_cluster(&i.bytes, EFI);
        i.esp_entry(BOOT, |entry| {
            entry[26..28].copy_from_slice(&own.to_le_bytes())
        });
    }),
    case!("FAT: directory that is the root to some", mbr, |i| i
        .esp_entry(BOOT, |entry| entry[26..28].fill(0))),
    case!("FAT: directory bomb", mbr, bomb),
    case!("FAT: directories nested too deep", mbr, |i| {
        i.put_esp(&("x/".repeat(20) + "file"), b"deep");
    }),
    case!("FAT: directory without an end", mbr, |i| {
        let esp = i.esp();
        let first = esp.first_cluster(&i.bytes, BOOT);
        esp.link(&mut i.bytes, first, first);
    }),
    case!("FAT: two files of one name", mbr, |i| {
        i.esp_entry(STORE, |entry| entry[..11].copy_from_slice(EFI));
    }),
    case!("FAT: name with a slash", mbr, |i| i
        .esp_entry(STORE, |entry| entry[3] = b'/')),
    case!("FAT: attributes of everything", mbr, |i| i
        .esp_entry(STORE, |entry| entry[11] = 0x18)),
    // Files of the EFI system partition.
    case!("no iPXE", mbr, |i| i.remove_esp("EFI/BOOT/BOOTAA64.EFI")),
    case!("no room for the script", mbr, |i| {
        let esp = i.esp();
        esp.fill(&mut i.bytes, 2);
    }),
    case!("variable store: cut off", mbr, |i| i
        .put_esp(efivar::FILE_NAME, &store()[..60])),
    case!("variable store: a byte changed", mbr, |i| {
        let mut store = store();
        store[100] ^= 1;
        i.put_esp(efivar::FILE_NAME, &store);
    }),
    case!("variable store: a text", mbr, |i| i
        .put_esp(efivar::FILE_NAME, b"TlsCaCertificate=no")),
    case!(
        "variable store: a variable that is longer than the file",
        mbr,
        |i| {
            let mut store = store();
            store[24..28].fill(0xff);
            seal_store(&mut store);
            i.put_esp(efivar::FILE_NAME, &store);
        }
    ),
    case!(
        "variable store: a list that is longer than its variable",
        mbr,
        |i| {
            let mut store = store();
            store[106..110].fill(0xff);
            seal_store(&mut store);
            i.put_esp(efivar::FILE_NAME, &store);
        }
    ),
    case!("variable store: more than U-Boot reads", mbr, |i| {
        let mut store = store();
        store.resize(200_000, 0);
        seal_store(&mut store);
        i.put_esp(efivar::FILE_NAME, &store);
    }),
    case!("two ESPs", mbr, |i| i.mbr_entry(2)[4] = 0xef),
    case!("iPXE for x86", mbr, |i| {
        i.put_esp(EFI_BOOT_FILE, &parts::ipxe(parts::X86_64, 40_000));
    }),
    case!("iPXE of no bytes", mbr, |i| i.put_esp(EFI_BOOT_FILE, b"")),
    case!("a text in place of iPXE", mbr, |i| i
        .put_esp(EFI_BOOT_FILE, b"iPXE")),
    case!("manifest: a text", mbr, |i| i
        .put_esp(manifest::FILE_NAME, b"see README")),
    case!("manifest: of another version", mbr, |i| {
        i.put_esp(manifest::FILE_NAME, b"specification = 9");
    }),
    case!("manifest: a path that leads out", mbr, |i| {
        i.put_esp(
            manifest::FILE_NAME,
            b"specification = 1\nipxe = \"../ipxe.efi\"",
        );
    }),
    case!("manifest: iPXE where it is not", mbr, |i| {
        i.put_esp(
            manifest::FILE_NAME,
            b"specification = 1\nipxe = \"/efi/tools/snp.efi\"",
        );
    }),
    case!("script: not for iPXE", mbr, |i| i
        .put_esp(script::FILE_NAME, b"#!/bin/sh\n")),
    case!("script: a certificate without a key", mbr, |i| {
        i.put_esp(script::FILE_NAME, b"#!ipxe\nset cert:hexraw 3000\n");
    }),
    case!("script: a key that is no hex", mbr, |i| {
        i.put_esp(
            script::FILE_NAME,
            b"#!ipxe\nset cert:hexraw 3000\nset privkey:hexraw secret\n",
        );
    }),
    // Identity and trust.
    Case {
        name: "identity: key of another certificate",
        write: |good, path| {
            provisioned(good, path, |identity, _| {
                identity.private_key = parts::expired().private_key;
            });
        },
    },
    Case {
        name: "identity: certificate that has expired",
        write: |good, path| provisioned(good, path, |identity, _| *identity = parts::expired()),
    },
    Case {
        name: "identity: key that is none",
        write: |good, path| {
            provisioned(good, path, |identity, _| {
                identity.private_key = vec![7; 1200]
            });
        },
    },
    Case {
        name: "identity: certificate that is cut off",
        write: |good, path| {
            provisioned(good, path, |identity, _| identity.certificate.truncate(300))
        },
    },
    Case {
        name: "trust: an authority that is none",
        write: |good, path| provisioned(good, path, |_, authority| authority.truncate(100)),
    },
    Case {
        name: "trust: an authority that has expired",
        write: |good, path| {
            provisioned(good, path, |_, authority| {
                *authority = parts::expired().certificate
            });
        },
    },
    // Files of the firmware partition.
    case!("uboot.env: a byte changed", mbr, |i| i
        .put_firmware(uboot_env::FILE_NAME, &[1; 0x4000])),
    case!("uboot.env: cut off", mbr, |i| i
        .put_firmware(uboot_env::FILE_NAME, &[0; 100])),
    case!("no fixup.dat", mbr, |i| i.remove_firmware("fixup.dat")),
    case!("a text in place of a device tree", mbr, |i| {
        i.put_firmware("bcm2837-rpi-3-b-plus.dtb", b"none");
    }),
    case!("no bootcode.bin", mbr, |i| i
        .remove_firmware("bootcode.bin")),
    case!("no boot loader", mbr, |i| i.remove_firmware("u-boot.bin")),
    case!("boot loader of no bytes", mbr, |i| i
        .put_firmware("u-boot.bin", b"")),
    case!("no device tree", mbr, |i| i
        .remove_firmware("bcm2837-rpi-3-b.dtb")),
    case!("config.txt: includes itself", mbr, |i| i
        .put_firmware("config.txt", b"include config.txt\n")),
    case!("config.txt: a bomb of includes", mbr, |i| {
        i.put_firmware("config.txt", &b"include a.txt\n".repeat(100));
        i.put_firmware("a.txt", b"kernel=u-boot.bin\n");
    }),
    case!("config.txt: no number", mbr, |i| i
        .put_firmware("config.txt", b"arm_64bit=yes\n")),
    case!("config.txt: filter without an end", mbr, |i| i
        .put_firmware("config.txt", b"[pi3\nkernel=x\n")),
    case!("config.txt: 900 KiB", mbr, |i| i
        .put_firmware("config.txt", &b"#\n".repeat(450_000))),
];

/// Writes the sector that begins a logical partition at `at`: the partition, and where the next such sector is, counted from the
/// extended partition. 0 for none.
fn logical(image: &mut Image, at: usize, partition: Option<(u32, u32)>, next: u32) {
    let sector = &mut image.bytes[512 * at..512 * (at + 1)];
    sector.fill(0);
    let mut entry = |index: usize, kind: u8, first: u32, sectors: u32| {
        let entry = &mut sector[446 + 16 * index..462 + 16 * index];
        entry[4] = kind;
        entry[8..12].copy_from_slice(&first.to_le_bytes());
        entry[12..16].copy_from_slice(&sectors.to_le_bytes());
    };
    if let Some((first, sectors)) = partition {
        entry(0, 0x83, first, sectors);
    }
    entry(1, 0x05, next, 1000);
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
}

/// Fills a directory with entries that are all the directory itself, and its parent.
fn bomb(image: &mut Image) {
    let esp = image.esp();
    let [efi, boot] = [EFI, BOOT].map(|name| esp.first_cluster(&image.bytes, name));
    let at = esp.cluster(boot);
    for (index, entry) in image.bytes[at..at + 512].chunks_mut(32).enumerate().skip(2) {
        entry.fill(0);
        entry[..11].copy_from_slice(b"BOMB       ");
        entry[4] = b'A' + index as u8;
        entry[11] = 0x10;
        let cluster = if index % 2 == 0 { efi } else { boot };
        entry[26..28].copy_from_slice(&cluster.to_le_bytes());
    }
}

/// Makes length and checksum of a variable store right.
fn seal_store(store: &mut [u8]) {
    let length = store.len() as u32;
    store[16..20].copy_from_slice(&length.to_le_bytes());
    let sum = crc32fast::hash(&store[24..]);
    store[20..24].copy_from_slice(&sum.to_le_bytes());
}

/// A netboot image with a changed identity or authority.
fn provisioned(good: &Good, path: &Path, change: fn(&mut Identity, &mut Vec<u8>)) {
    let mut boot = parts::boot_source();
    if let BootSource::Https {
        identity: Some(identity),
        trusted_ca,
        ..
    } = &mut boot
    {
        change(identity, trusted_ca);
    }
    let prebuilt = path.with_extension("prebuilt");
    good.mbr.write(&prebuilt);
    parts::provision_with(&prebuilt, &boot, path).unwrap();
}
