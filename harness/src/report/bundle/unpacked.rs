//! The entries of a bundle as they come, each checked before any of it is read.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path};

use super::{BundleError, IMAGE, limits};

/// Bytes that are copied at once.
const CHUNK: usize = 64 * 1024;
/// Zeros as long as this become a hole.
const BLOCK: usize = 4096;

/// A bundle's archive, being unpacked.
pub(super) type Archive<R> = tar::Archive<zstd::Decoder<'static, io::BufReader<R>>>;

/// Opens the archive in `packed`; `path` is named in errors.
pub(super) fn archive<R: Read>(path: &Path, packed: R) -> Result<Archive<R>, BundleError> {
    let unpacker = zstd::Decoder::new(packed).map_err(|e| BundleError::damaged(path, e))?;
    Ok(tar::Archive::new(unpacker))
}

/// Hands every entry to `take`, with its name, until that returns `false`.
///
/// # Errors
/// The archive is damaged, has something else than plain files in it, or passes a limit; or `take` fails.
pub(super) fn each<R: Read>(
    path: &Path,
    archive: &mut Archive<R>,
    mut take: impl FnMut(&str, u64, &mut dyn Read) -> Result<bool, BundleError>,
) -> Result<(), BundleError> {
    let damaged = |e: io::Error| BundleError::damaged(path, e);
    let refused = |what: String| BundleError::damaged(path, what);
    // Raw: extended headers are entries of a type that is refused below, and the library never holds a long name in memory.
    let entries = archive.entries().map_err(damaged)?.raw(true);
    for (count, entry) in entries.enumerate() {
        let mut entry = entry.map_err(damaged)?;
        if count >= limits::ENTRIES {
            return Err(refused(format!(
                "it has more than {} files",
                limits::ENTRIES
            )));
        }
        if !entry.header().entry_type().is_file() {
            return Err(refused(
                "there is something else than a plain file in it".into(),
            ));
        }
        let name = plain_name(&entry.path().map_err(damaged)?);
        let name =
            name.ok_or_else(|| refused("a file in it has a path that leads out of it".into()))?;
        let size = entry.header().entry_size().map_err(damaged)?;
        let most = if name == IMAGE {
            limits::IMAGE
        } else {
            limits::FILE
        };
        if size > most {
            return Err(refused(format!(
                "{name:?} has {size} bytes, and may have {most}"
            )));
        }
        if !take(&name, size, &mut entry)? {
            break;
        }
    }
    Ok(())
}

/// Copies `source` to the start of `target`, an empty file; zeros become holes.
pub(super) fn copy_with_holes(source: &mut dyn Read, target: &File) -> io::Result<()> {
    let mut piece = Vec::with_capacity(CHUNK);
    let mut at = 0;
    loop {
        piece.clear();
        if source.take(CHUNK as u64).read_to_end(&mut piece)? == 0 {
            return target.set_len(at);
        }
        for block in piece.chunks(BLOCK) {
            if block.iter().any(|byte| *byte != 0) {
                target.write_all_at(block, at)?;
            }
            at += block.len() as u64;
        }
    }
}

/// A relative path without `..`, as text, whose characters are all printable.
pub(super) fn plain_name(path: &Path) -> Option<String> {
    let is_plain = path.components().all(|c| matches!(c, Component::Normal(_)));
    let name = path.to_str()?;
    let is_shown = |c: char| c.is_ascii_graphic() || c == ' ' || c.is_alphanumeric();
    let fits = !name.is_empty() && name.len() <= limits::NAME && name.chars().all(is_shown);
    (is_plain && fits).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_lead_out_are_none() {
        assert_eq!(plain_name(Path::new("run/a")).as_deref(), Some("run/a"));
        for path in [
            "/etc/passwd",
            "run/../../a",
            "",
            ".",
            "run/a\u{1b}[2J",
            "run/\u{202e}a",
        ] {
            assert_eq!(plain_name(Path::new(path)), None, "{path}");
        }
    }

    #[test]
    fn zeros_become_holes() {
        use std::os::unix::fs::MetadataExt;
        let mut bytes = vec![0; 8 << 20];
        bytes[5 << 20] = 7;
        let file = tempfile::tempfile().unwrap();
        copy_with_holes(&mut bytes.as_slice(), &file).unwrap();
        let mut read = vec![1; bytes.len()];
        file.read_exact_at(&mut read, 0).unwrap();
        assert!(read == bytes);
        let meta = file.metadata().unwrap();
        assert_eq!(meta.len(), 8 << 20);
        assert!(meta.blocks() * 512 < 1 << 20, "{} blocks", meta.blocks());
    }
}
