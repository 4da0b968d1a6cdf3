//! The rules R-ESP, R-FAT, R-MAN, R-IPXE, R-VAR and R-SCRIPT: what is on the EFI system partition.

use std::fs::File;

use super::{Findings, volume};
use crate::binary;
use crate::efivar::VariableStore;
use crate::fat::{FatError, FatVolume};
use crate::home::{IpxeHome, loader_name};
use crate::manifest::{self, Manifest};
use crate::netboot::{self, BootScript};
use crate::partitions::{Partition, PartitionType};
use crate::survey::rules::{self, Rule};
use crate::survey::violation::Place;
use crate::{Disk, LIMITS, efivar, script};

/// Bytes that identity, trust and script may take.
const ROOM: u64 = 64 * 1024;

/// Places where a script ends that are told, of one that has many.
const MOST_ENDS: usize = 4;
/// What to do about a boot script that cannot be read.
const SCRIPT_REMEDY: &str = "let /autoexec.ipxe be a text file of 1 MiB at most, or remove it";

/// The EFI system partition, as far as the other rules need it.
pub(super) struct Esp<'a> {
    pub(super) partition: &'a Partition,
    pub(super) volume: FatVolume<&'a File>,
    pub(super) script: Option<BootScript>,
    /// The certificates that iPXE trusts; none when the store cannot be read.
    pub(super) trusted: Vec<Vec<u8>>,
    has_https: bool,
}

pub(super) fn check<'a>(disk: &'a Disk, found: &mut Findings) -> Option<Esp<'a>> {
    let mut all = disk.table.find(PartitionType::is_esp);
    let home = IpxeHome::find(disk);
    let partition = match (all.next(), &home) {
        (Some(partition), _) => partition,
        (None, Ok(home)) => home_partition(disk, home)?,
        (None, Err(_)) => {
            let what = "there is no EFI system partition, and no iPXE on another FAT partition";
            found.add(rules::ESP_1, Place::byte(446), what);
            return None;
        }
    };
    for other in all {
        let what = format!(
            "it is an EFI system partition, and so is partition {}",
            partition.number
        );
        found.add(rules::ESP_1, Place::entry(other), what);
    }
    let volume = volume::open(disk, partition, rules::ESP_2, found)?;
    let mut esp = Esp {
        partition,
        volume,
        script: None,
        trusted: Vec::new(),
        has_https: false,
    };
    esp.check_volume(found);
    let manifest = esp.manifest(found);
    // A manifest that cannot be read has broken a rule of its own.
    let path = home.as_ref().map_or(&manifest.ipxe, |home| &home.path);
    esp.check_ipxe(path, found);
    if let Ok(home) = &home {
        found.remarks.extend(home.remark());
    }
    esp.read_variables(found);
    esp.read_script(found);
    Some(esp)
}

/// The partition of the table that iPXE was found on.
fn home_partition<'a>(disk: &'a Disk, home: &IpxeHome) -> Option<&'a Partition> {
    let mut all = disk.table.partitions.iter();
    all.find(|partition| **partition == home.partition)
}

impl Esp<'_> {
    fn check_volume(&self, found: &mut Findings) {
        let place = || Place::partition(self.partition);
        match self.volume.free_bytes() {
            Ok(free) if free < ROOM && !self.volume.has_file(script::FILE_NAME) => {
                found.add(rules::ESP_3, place(), format!("{free} bytes are free"));
            }
            Ok(_) => {}
            Err(error) => found.add(rules::FAT_1, place(), error),
        }
    }

    /// A file that need not be there. One that is a directory or too large breaks `rule`.
    fn optional(
        &self,
        path: &str,
        limit: u64,
        rule: Rule,
        found: &mut Findings,
    ) -> Option<Vec<u8>> {
        match self.volume.read(path, limit) {
            Ok(contents) => Some(contents),
            Err(FatError::NotFound(_)) => None,
            Err(error) => {
                found.unreadable(rule, self.partition, path, error);
                None
            }
        }
    }

    fn manifest(&self, found: &mut Findings) -> Manifest {
        let file = self.optional(manifest::FILE_NAME, manifest::LIMIT, rules::MAN_1, found);
        match file.as_deref().map(Manifest::parse) {
            Some(Ok(manifest)) => manifest,
            Some(Err(error)) => {
                let place = Place::file(self.partition, manifest::FILE_NAME);
                found.add(rules::MAN_1, place, error);
                Manifest::default()
            }
            None => Manifest::default(),
        }
    }

    fn check_ipxe(&mut self, path: &str, found: &mut Findings) {
        let place = || Place::file(self.partition, path);
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let beside = format!("{folder}/{}", script::FILE_NAME);
        if !folder.is_empty() && self.volume.has_file(&beside) {
            let what = "iPXE looks for its script in its own folder first";
            found.add(rules::IPXE_5, Place::file(self.partition, &beside), what);
        }
        let file = match self.optional(path, LIMITS.program, rules::IPXE_1, found) {
            Some(file) if !file.is_empty() => file,
            Some(_) => return found.add(rules::IPXE_1, place(), "the file is empty"),
            // One that cannot be read has broken the rule already.
            None if found.broken(rules::IPXE_1) => return,
            None => return found.add(rules::IPXE_1, place(), "there is no such file"),
        };
        let (machine, processor) = binary::machine_of_path(path);
        match binary::efi_machine(&file) {
            Some(found) if found == machine => {}
            Some(other) => {
                let what = format!(
                    "it is an EFI program for machine {other:#06x}, not for {processor} ({machine:#06x})"
                );
                found.add(rules::IPXE_2, place(), what);
            }
            None => found.add(rules::IPXE_2, place(), "it is no EFI program (PE32+)"),
        }
        match binary::ipxe(&file) {
            Some(ipxe) => self.has_https = ipxe.features.contains(&"HTTPS"),
            None => {
                let what = match loader_name(&file) {
                    Some(loader) => format!("it is {loader}, and no iPXE is on the partition"),
                    None => "it does not call itself iPXE".into(),
                };
                found.add(rules::IPXE_3, place(), what);
            }
        }
    }

    fn read_variables(&mut self, found: &mut Findings) {
        if let Some(store) =
            self.optional(efivar::FILE_NAME, LIMITS.small_file, rules::VAR_1, found)
        {
            let store = VariableStore::decode(&store);
            if let Ok(store) = &store {
                let remarks = store.remarks().into_iter();
                let remarks = remarks.map(|remark| format!("/{}: {remark}", efivar::FILE_NAME));
                found.remarks.extend(remarks);
            }
            match store.and_then(|store| netboot::trusted_in(&store)) {
                Ok(trusted) => self.trusted = trusted,
                Err(error) => {
                    let place = Place::file(self.partition, efivar::FILE_NAME);
                    found.add(rules::VAR_1, place, error);
                }
            }
        }
    }

    fn read_script(&mut self, found: &mut Findings) {
        let file = self.optional(
            script::FILE_NAME,
            LIMITS.small_file,
            rules::SCRIPT_1.with(SCRIPT_REMEDY),
            found,
        );
        let Some(script) = file.as_deref().map(BootScript::new) else {
            return;
        };
        if !script.has_magic() {
            let place = Place::file(self.partition, script::FILE_NAME);
            let fault = file.as_deref().and_then(BootScript::encoding_fault);
            found.add(
                rules::SCRIPT_1,
                place,
                fault.unwrap_or("it does not begin with #!ipxe"),
            );
        }
        for (line, command) in script.naps() {
            let what = format!(
                "line {line} has `{command}`, from which iPXE does not wake on U-Boot: no interrupt is switched on there"
            );
            let place = Place::file(self.partition, script::FILE_NAME);
            found.add(rules::SCRIPT_2, place, what);
        }
        for end in script.ends().iter().take(MOST_ENDS) {
            found.remarks.push(format!(
                "/{}: {end}: that leaves iPXE; the board then goes on with what U-Boot has next, and asks the boot server again only after \
                 a power cycle",
                script::FILE_NAME
            ));
        }
        if !script.servers().is_empty() && !self.has_https {
            let what = "the boot script needs HTTPS, which iPXE does not name among its features";
            found.add(rules::IPXE_4, Place::partition(self.partition), what);
        }
        self.script = Some(script);
    }
}
