//! Writing a bundle.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::secrets::hold_private_key;
use super::unpacked::plain_name;
use super::{BundleError, FILE_NAME, IMAGE, MANIFEST, Manifest, RUN, limits};
use crate::input::SourceText;

/// Bytes that are kept for the definitions and the manifest.
const DEFINITIONS: u64 = 16 << 20;
/// Entries that are kept for them and the image.
const OTHERS: usize = 32;

/// What goes into a bundle.
#[derive(Debug)]
pub struct Contents<'a> {
    /// What the run was made of; what is left out is added to it.
    pub manifest: Manifest,
    /// The board's file and its chain's.
    pub boards: &'a [SourceText],
    /// The scenario's file.
    pub scenario: &'a SourceText,
    /// The run's folder, where the bundle is written too.
    pub folder: &'a Path,
    /// Names in the run's folder that do not go into it.
    pub without: &'a [&'a str],
    /// The disk image, if it is wanted.
    pub image: Option<&'a Path>,
}

/// Writes the bundle of a run into its folder; there is a whole one or none. Returns its path.
///
/// # Errors
/// A file cannot be read, or the folder cannot be written to.
pub fn write(mut contents: Contents<'_>) -> Result<PathBuf, BundleError> {
    let folder = contents.folder;
    let target = folder.join(FILE_NAME);
    let failed = |e| BundleError::io("write", &target)(e);
    let file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    let packer = zstd::Encoder::new(file, zstd::DEFAULT_COMPRESSION_LEVEL).map_err(failed)?;
    let mut archive = Archive(tar::Builder::new(packer));

    for source in contents.boards {
        let path = format!("boards/{}", source.file);
        archive.add(&path, source.text.as_bytes()).map_err(failed)?;
    }
    let path = format!("scenarios/{}", contents.scenario.file);
    let text = contents.scenario.text.as_bytes();
    archive.add(&path, text).map_err(failed)?;
    // The smallest first: what a bundle has no room for is a capture, not the report.
    let mut found = Vec::new();
    for (name, path) in files(folder, contents.without)? {
        let size = fs::metadata(&path)
            .map_err(BundleError::io("read", &path))?
            .len();
        found.push((size, name, path));
    }
    found.sort();
    let mut room = limits::TOTAL - DEFINITIONS;
    for (count, (size, name, path)) in found.into_iter().enumerate() {
        let has_room = size <= room.min(limits::FILE) && count < limits::ENTRIES - OTHERS;
        if !has_room || plain_name(format!("{RUN}/{name}").as_ref()).is_none() {
            contents.manifest.left_out.push(name);
            continue;
        }
        room -= size;
        let bytes = fs::read(&path).map_err(BundleError::io("read", &path))?;
        if hold_private_key(&bytes) {
            contents.manifest.left_out.push(name);
            continue;
        }
        archive
            .add(&format!("{RUN}/{name}"), &bytes)
            .map_err(failed)?;
    }
    if let Some(image) = contents.image {
        // An image that was provisioned before has somebody's key on it.
        let size = fs::metadata(image)
            .map_err(BundleError::io("read", image))?
            .len();
        if size > limits::IMAGE || file_holds_private_key(image)? {
            contents.manifest.left_out.push(IMAGE.into());
        } else {
            contents.manifest.image_included = true;
            archive.add_file(IMAGE, image).map_err(failed)?;
        }
    }
    let manifest = serde_json::to_vec_pretty(&contents.manifest).map_err(|e| failed(e.into()))?;
    archive.add(MANIFEST, &manifest).map_err(failed)?;
    let file = archive.0.into_inner().and_then(zstd::Encoder::finish);
    let mut file = file.map_err(failed)?;
    file.flush().map_err(failed)?;
    file.persist(&target).map_err(|e| failed(e.error))?;
    Ok(target)
}

/// The archive in the making.
struct Archive<W: Write>(tar::Builder<W>);

impl<W: Write> Archive<W> {
    fn add(&mut self, path: &str, bytes: &[u8]) -> std::io::Result<()> {
        self.append(path, bytes.len() as u64, bytes)
    }

    fn add_file(&mut self, name: &str, path: &Path) -> std::io::Result<()> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        self.append(name, size, file)
    }

    fn append(&mut self, path: &str, size: u64, bytes: impl Read) -> std::io::Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_size(size);
        header.set_mode(0o644);
        header.set_entry_type(tar::EntryType::Regular);
        self.0.append_data(&mut header, path, bytes)
    }
}

/// The files of a run's folder and of the folders in it, by name, sorted.
fn files(folder: &Path, without: &[&str]) -> Result<Vec<(String, PathBuf)>, BundleError> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).map_err(BundleError::io("read", folder))?;
    for entry in entries {
        let path = entry.map_err(BundleError::io("read", folder))?.path();
        let name = path.file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        if name == FILE_NAME || name.starts_with('.') || without.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            let inner = files(&path, without)?;
            found.extend(inner.into_iter().map(|(n, p)| (format!("{name}/{n}"), p)));
        } else if path.is_file() {
            found.push((name, path));
        }
    }
    found.sort();
    Ok(found)
}

/// The same as [`hold_private_key`] for a file that may be large.
fn file_holds_private_key(path: &Path) -> Result<bool, BundleError> {
    /// Longer than every mark of a key.
    const OVERLAP: usize = 64;
    let io = |e| BundleError::io("read", path)(e);
    let file = File::open(path).map_err(io)?;
    let mut window = Vec::new();
    loop {
        let read = (&file).take(1 << 20).read_to_end(&mut window);
        if read.map_err(io)? == 0 {
            return Ok(false);
        }
        if hold_private_key(&window) {
            return Ok(true);
        }
        window.drain(..window.len().saturating_sub(OVERLAP));
    }
}
