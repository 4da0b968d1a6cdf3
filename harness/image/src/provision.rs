//! Makes a netboot image of a prebuilt image: adds the machine's identity, the trusted CA and the boot script.
//!
//! The given image is only read; the result is a new file. What an earlier provisioning left is replaced, and its bytes are
//! overwritten, those in clusters that belong to no file any more included. Only the EFI system partition is touched, and there
//! only [`script::FILE_NAME`], [`efivar::FILE_NAME`], a script beside iPXE that would run in place of ours, and free space.
//! Equal inputs give equal bytes.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::efivar::{self, EfiVarError, VariableStore};
use super::fat::{ClusterMap, FatError, FatVolume};
use super::guid::Guid;
use super::home::IpxeHome;
use super::home::optional;
use super::key_material::Traces;
use super::netboot::Netboot;
use super::script::{self, BootSource, CustomScript};
use super::source::Source;
use super::sparse::{self, Output};
use super::{Disk, ImageError};

/// Makes `output` from the image `source`. With `custom_script`, that script runs in place of the usual one.
///
/// # Errors
/// [`ImageError`] that names the file or partition concerned; `output` is then as it was.
pub fn provision(
    source: &Source,
    boot: &BootSource,
    custom_script: Option<&CustomScript>,
    output: &Path,
) -> Result<(), ImageError> {
    let script = script::autoexec(boot, custom_script);
    let trust = match boot {
        BootSource::Https { trusted_ca, .. } => Some(&trusted_ca[..]),
        BootSource::Dhcp => None,
    };
    edit(source, output, &|esp| {
        esp.remove_shadow()?;
        esp.write_script(&script)?;
        esp.write_trust(trust)
    })
}

/// Makes `output` from the netboot image `source`: another CA is trusted, identity and script stay as they are.
///
/// # Errors
/// As for [`provision`].
pub fn replace_trust(source: &Source, trusted_ca: &[u8], output: &Path) -> Result<(), ImageError> {
    edit(source, output, &|esp| esp.write_trust(Some(trusted_ca)))
}

/// Makes `output` from `source` with a change to the EFI system partition.
fn edit(
    source: &Source,
    output: &Path,
    change: &dyn Fn(&Esp<'_>) -> Result<(), ImageError>,
) -> Result<(), ImageError> {
    let disk = Disk::of(source)?;
    let path = disk.path();
    refuse_same_file(disk.file(), path, output)?;
    if let Some(fault) = disk.table.faults.first() {
        return Err(ImageError::table(path)(fault.clone().into()));
    }
    let home = IpxeHome::find(&disk)?;
    let failed = ImageError::io("copy", path);
    let size = disk.file().metadata().map_err(&failed)?.len();
    // The image will hold a private key.
    let image = Output::create(output, size, 0o600)?;
    sparse::copy(disk.file(), image.file(), 0).map_err(&failed)?;

    change_esp(image.file(), path, &home, change)?;
    refuse_old_key(&disk, image.file())?;
    image.commit()
}

/// Changes the EFI system partition of `image`, and leaves nothing in the clusters that are free then.
fn change_esp(
    image: &File,
    path: &Path,
    home: &IpxeHome,
    change: &dyn Fn(&Esp<'_>) -> Result<(), ImageError>,
) -> Result<(), ImageError> {
    let partition = &home.partition;
    let window = partition.bytes();
    let fat = ImageError::fat(path, partition.number);
    let esp = Esp {
        volume: FatVolume::open(image, &window).map_err(&fat)?,
        path,
        partition: partition.number,
        home,
    };
    esp.require_ipxe()?;
    change(&esp)?;
    esp.volume.finish().map_err(&fat)?;
    let map = ClusterMap::read(image, &window).map_err(&fat)?;
    let free = map.free().map_err(&fat)?;
    wipe(image, &free).map_err(ImageError::io("write", path))
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

fn wipe(image: &File, ranges: &[Range<u64>]) -> io::Result<()> {
    ranges
        .iter()
        .try_for_each(|range| sparse::zero(image, range))
}

/// The key of an earlier identity may be where no generator looks, as in the unused end of another file's last cluster.
fn refuse_old_key(old: &Disk, new: &File) -> Result<(), ImageError> {
    let key = |disk: &Disk| match Netboot::read(disk)? {
        None => Ok(None),
        Some(netboot) => match netboot.script.private_key() {
            Ok(key) => Ok(key),
            Err(source) => Err(ImageError::UnknownKey {
                path: old.path().into(),
                what: source.to_string(),
            }),
        },
    };
    let failed = ImageError::io("read", old.path());
    let handle = new.try_clone().map_err(&failed)?;
    let current = key(&Disk::from_file(handle, old.path())?)?;
    let Some(former) = key(old)?.filter(|former| Some(former) != current.as_ref()) else {
        return Ok(());
    };
    let traces = Traces::of(&former).map_err(|error| ImageError::UnknownKey {
        path: old.path().into(),
        what: error.to_string(),
    })?;
    match traces.find(new, &[]).map_err(&failed)?.first() {
        Some(byte) => Err(ImageError::OldKey {
            path: old.path().into(),
            byte: *byte,
        }),
        None => Ok(()),
    }
}

/// The EFI system partition of the image that is made.
struct Esp<'a> {
    volume: FatVolume<&'a File>,
    /// The image that it is made from, for messages.
    path: &'a Path,
    partition: u32,
    home: &'a IpxeHome,
}

impl Esp<'_> {
    fn fat(&self) -> impl Fn(FatError) -> ImageError {
        ImageError::fat(self.path, self.partition)
    }

    fn require_ipxe(&self) -> Result<(), ImageError> {
        match self.volume.has_file(&self.home.path) {
            true => Ok(()),
            false => Err(ImageError::NotPrebuilt {
                path: self.path.into(),
                missing: self.home.path.clone(),
            }),
        }
    }

    /// Removes a script that iPXE would find before ours.
    fn remove_shadow(&self) -> Result<(), ImageError> {
        match self.home.folder() {
            "" => Ok(()),
            folder => self
                .volume
                .remove(&format!("{folder}/{}", script::FILE_NAME))
                .map_err(self.fat()),
        }
    }

    fn write_script(&self, script: &str) -> Result<(), ImageError> {
        self.volume
            .write(script::FILE_NAME, script.as_bytes())
            .map_err(self.fat())
    }

    /// Makes iPXE trust `authority` and no other, or none.
    fn write_trust(&self, authority: Option<&[u8]>) -> Result<(), ImageError> {
        if !self.home.has_variables {
            return match authority {
                Some(_) => Err(ImageError::NoVariables {
                    path: self.path.into(),
                }),
                None => Ok(()),
            };
        }
        let old = optional(&self.volume, efivar::FILE_NAME).map_err(self.fat())?;
        let new = trust(old.as_deref(), authority).map_err(|source| ImageError::EfiVar {
            path: self.path.into(),
            partition: self.partition,
            file: efivar::FILE_NAME,
            source,
        })?;
        match new {
            Some(new) => self
                .volume
                .write(efivar::FILE_NAME, &new[..])
                .map_err(self.fat()),
            None => Ok(()),
        }
    }
}

/// The variable store that trusts `authority` and nothing else, or `None` when `old` needs no change.
fn trust(old: Option<&[u8]>, authority: Option<&[u8]>) -> Result<Option<Vec<u8>>, EfiVarError> {
    let mut store = old.map_or_else(|| Ok(VariableStore::default()), VariableStore::decode)?;
    let changed = match authority {
        Some(authority) => {
            store.set(efivar::tls_ca_certificate(authority)?);
            true
        }
        None => store.remove(Guid::TLS_CA_CERTIFICATE, efivar::TLS_CA_CERTIFICATE),
    };
    changed.then(|| store.encode()).transpose()
}

#[cfg(test)]
mod tests;
