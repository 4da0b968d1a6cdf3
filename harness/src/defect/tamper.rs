//! Puts a defect into the parts of a run. The parts themselves stay as they are: what is changed is a copy.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde_json::{Value, json};

use super::catalogue::{ContainerDefect, Defect, ImageChange, Place};
use super::change::Change;
use crate::digest::Digest;
use crate::image::partitions::Partition;
use crate::image::{Disk, ImageError, fat::FatVolume};
use crate::plan::Parts;
use crate::services::{self, OciImage, Platform};

/// The largest file of an image that is changed, in bytes.
const LARGEST: u64 = 256 << 20;
/// Machine numbers of ELF (System V ABI): what programs are for here, and what they are made to be for.
const AARCH64: [u8; 2] = [0xb7, 0];
const X86_64: [u8; 2] = [0x3e, 0];

/// A defect that cannot be put in.
#[derive(Debug, thiserror::Error)]
pub enum TamperError {
    /// The image cannot be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// It has no such partition.
    #[error("the image has no partition that the firmware reads")]
    NoPartition,
    /// A change cannot be made.
    #[error("{what}: {why}")]
    Change {
        /// The file.
        what: String,
        /// Why.
        why: String,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file system of the image cannot be changed.
    #[error("{what}: {source}")]
    Fat {
        /// The file.
        what: String,
        /// Why.
        source: crate::image::fat::FatError,
    },
    /// The container image is refused, as the same image of a user would be.
    #[error(transparent)]
    Container(services::Error),
}

/// The parts with the defect, whose changed files lie in `folder`.
///
/// # Errors
/// [`TamperError`]; [`TamperError::Container`] is what a user would see of such an image.
pub fn tamper(defect: &Defect, parts: &Parts, folder: &Path) -> Result<Parts, TamperError> {
    let mut parts = parts.clone();
    if defect.changes_image() {
        let copy = folder.join("defect.img");
        fs::copy(&parts.image, &copy).map_err(io_error(&copy))?;
        for change in &defect.image {
            change_image(&copy, change)?;
        }
        parts.image = copy;
        parts.image_source = format!("the image with the defect {}", defect.name);
    }
    for (part, change, name) in [
        (&mut parts.kernel, &defect.kernel, "kernel"),
        (&mut parts.initramfs, &defect.initramfs, "initramfs"),
    ] {
        if let Some(change) = change {
            let path = folder.join(name);
            let bytes = fs::read(&*part).map_err(io_error(part))?;
            let changed = changed(change, bytes, name)?;
            let changed = changed.ok_or_else(|| TamperError::Change {
                what: name.into(),
                why: "this part cannot be removed".into(),
            })?;
            fs::write(&path, changed).map_err(io_error(&path))?;
            *part = path;
        }
    }
    if let Some(defect) = defect.container {
        let layout = folder.join("layout");
        write_layout(&parts.container.image, defect, &layout)?;
        let image = OciImage::from_layout(&layout, &Platform::linux_arm64());
        parts.container.image = image.map_err(TamperError::Container)?;
    }
    Ok(parts)
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> TamperError {
    let path = path.to_owned();
    move |source| TamperError::Io { path, source }
}

fn changed(change: &Change, bytes: Vec<u8>, what: &str) -> Result<Option<Vec<u8>>, TamperError> {
    change.of(bytes).map_err(|error| TamperError::Change {
        what: what.into(),
        why: error.to_string(),
    })
}

fn change_image(image: &Path, wanted: &ImageChange) -> Result<(), TamperError> {
    let disk = Disk::open(image)?;
    let partition: &Partition = match wanted.partition {
        Place::Esp => disk.esp()?,
        Place::Firmware => disk.table.firmware().ok_or(TamperError::NoPartition)?,
    };
    let window = partition.bytes();
    let file = File::options()
        .read(true)
        .write(true)
        .open(image)
        .map_err(io_error(image))?;
    let Some(name) = &wanted.file else {
        let mut bytes = vec![0; usize::try_from(window.end - window.start).unwrap_or(0)];
        let read = file.read_exact_at(&mut bytes, window.start);
        read.map_err(io_error(image))?;
        let bytes = changed(&wanted.change, bytes, "the partition")?.unwrap_or_default();
        let written = file.write_all_at(&bytes, window.start);
        return written.map_err(io_error(image));
    };
    let of_file = |source| TamperError::Fat {
        what: name.clone(),
        source,
    };
    let volume = FatVolume::open(&file, &window).map_err(of_file)?;
    let bytes = match &wanted.change {
        // There may be no such file yet.
        Change::Text(_) => Vec::new(),
        _ => volume.read(name, LARGEST).map_err(of_file)?,
    };
    match changed(&wanted.change, bytes, name)? {
        Some(bytes) => volume.write(name, &*bytes).map_err(of_file)?,
        None => volume.remove(name).map_err(of_file)?,
    }
    volume.finish().map_err(of_file)
}

/// Writes an image of one layer in OCI's layout, with what is wrong with it.
fn write_layout(
    image: &OciImage,
    defect: ContainerDefect,
    folder: &Path,
) -> Result<(), TamperError> {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).map_err(io_error(&blobs))?;
    let mut layers = Vec::new();
    for layer in image.layers() {
        let mut bytes = Vec::new();
        let reader = layer.blob().reader().map_err(TamperError::Container)?;
        let mut unpacked = MultiGzDecoder::new(reader);
        unpacked.read_to_end(&mut bytes).map_err(io_error(folder))?;
        if defect == ContainerDefect::ForeignPrograms {
            make_foreign(&mut bytes);
        }
        layers.push(bytes);
    }
    let put = |bytes: &[u8], kind: &str| -> Result<Value, TamperError> {
        let digest = Digest::of(bytes);
        let path = blobs.join(digest.hex());
        fs::write(&path, bytes).map_err(io_error(&path))?;
        Ok(json!({
            "mediaType": format!("application/vnd.oci.image.{kind}"),
            "digest": digest.to_string(),
            "size": bytes.len(),
        }))
    };
    let mut diff_ids: Vec<_> = layers.iter().map(|l| Digest::of(l).to_string()).collect();
    if let (ContainerDefect::WrongDiffId, Some(first)) = (defect, diff_ids.first_mut()) {
        *first = Digest::of(b"another layer").to_string();
    }
    let mut config: Value = serde_json::from_slice(&image.config().bytes).unwrap_or_default();
    config["rootfs"] = json!({ "type": "layers", "diff_ids": diff_ids });
    if defect == ContainerDefect::OtherArchitecture {
        config["architecture"] = json!("amd64");
    }
    let layers = layers
        .iter()
        .map(|layer| put(layer, "layer.v1.tar"))
        .collect::<Result<Vec<_>, _>>()?;
    if defect == ContainerDefect::DamagedLayer
        && let Some(name) = layers.first().and_then(|layer| layer["digest"].as_str())
    {
        let path = blobs.join(name.trim_start_matches("sha256:"));
        let mut bytes = fs::read(&path).map_err(io_error(&path))?;
        let middle = bytes.len() / 2;
        if let Some(byte) = bytes.get_mut(middle) {
            *byte ^= 0xff;
        }
        fs::write(&path, bytes).map_err(io_error(&path))?;
    }
    let config = put(config.to_string().as_bytes(), "config.v1+json")?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config,
        "layers": layers,
    });
    let manifest = put(manifest.to_string().as_bytes(), "manifest.v1+json")?;
    let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
    for (name, text) in [
        ("index.json", index.to_string()),
        (
            "oci-layout",
            json!({ "imageLayoutVersion": "1.0.0" }).to_string(),
        ),
    ] {
        let path = folder.join(name);
        fs::write(&path, text).map_err(io_error(&path))?;
    }
    Ok(())
}

/// Makes every program of an archive one of another architecture, by the machine number in its ELF header. A file of a tar archive begins at a
/// multiple of 512 bytes.
fn make_foreign(tar: &mut [u8]) {
    for block in tar.chunks_exact_mut(512) {
        if block.starts_with(b"\x7fELF")
            && let Some(machine) = block.get_mut(18..20)
            && machine == AARCH64
        {
            machine.copy_from_slice(&X86_64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::defect::DefectCatalogue;
    use crate::plan::testing;

    fn defect(text: &str) -> Defect {
        let head = "[[defect]]\nname = \"d\"\ntitle = \"t\"\nexpect = \"passed\"\n";
        let catalogue = DefectCatalogue::of_text(Path::new("c.toml"), &format!("{head}{text}\n"));
        catalogue.unwrap().defects.remove(0)
    }

    #[test]
    fn what_is_changed_is_a_copy() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("part");
        fs::write(&file, "abcdef").unwrap();
        let parts = testing::parts(&file);
        let work = tempfile::tempdir().unwrap();
        let changed = tamper(&defect("kernel = { truncate = 3 }"), &parts, work.path()).unwrap();
        assert_eq!(fs::read(&changed.kernel).unwrap(), b"abc");
        assert_eq!(fs::read(&file).unwrap(), b"abcdef");
        assert_eq!(changed.initramfs, file);
    }

    #[test]
    fn containers_are_damaged_as_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("part");
        fs::write(&file, "abcdef").unwrap();
        let parts = testing::parts(&file);
        let of = |kind: &str| {
            let work = tempfile::tempdir().unwrap();
            tamper(
                &defect(&format!("container = \"{kind}\"")),
                &parts,
                work.path(),
            )
        };
        let wrong = of("wrong-diff-id").unwrap();
        let ids = |parts: &Parts| {
            parts
                .container
                .image
                .layers()
                .iter()
                .map(|l| l.diff_id())
                .collect::<Vec<_>>()
        };
        assert_ne!(ids(&wrong), ids(&parts));
        for kind in ["damaged-layer", "other-architecture"] {
            let error = of(kind).unwrap_err();
            assert!(matches!(error, TamperError::Container(_)), "{error}");
        }
        let mut tar = vec![0; 1024];
        tar[512..516].copy_from_slice(b"\x7fELF");
        tar[530..532].copy_from_slice(&AARCH64);
        make_foreign(&mut tar);
        assert_eq!(tar[530..532], X86_64);
    }
}
