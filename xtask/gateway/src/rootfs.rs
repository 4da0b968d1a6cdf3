//! An image as a folder (OCI image specification, "Image Layer Filesystem Changeset").

use std::fs;
use std::io::Read;
use std::path::{Component, Path};

use anyhow::{Context, Result, ensure};
use shakedown_services::OciImage;
use tar::EntryType;

const WHITEOUT: &str = ".wh.";

/// Unpacks the image's layers into the empty folder `root`. Owners are left out: the gateway runs as one user here. Device nodes are left out too.
///
/// # Errors
/// A layer is damaged or leads out of the folder.
pub fn unpack(image: &OciImage, root: &Path) -> Result<()> {
    for layer in image.layers() {
        let reader = layer.blob().reader()?;
        let reader: Box<dyn Read> = if layer.media_type().ends_with("zstd") {
            Box::new(zstd::stream::read::Decoder::new(reader)?)
        } else if layer.media_type().ends_with("gzip") {
            Box::new(flate2::read::MultiGzDecoder::new(reader))
        } else {
            reader
        };
        apply(reader, root).with_context(|| format!("layer {}", layer.digest()))?;
    }
    Ok(())
}

fn apply(layer: impl Read, root: &Path) -> Result<()> {
    let mut archive = tar::Archive::new(layer);
    archive.set_preserve_permissions(true);
    archive.set_preserve_mtime(false);
    archive.set_overwrite(true);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let is_plain =
            |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        ensure!(
            path.components().all(is_plain),
            "an entry leads elsewhere: {}",
            path.display()
        );
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if let Some(gone) = name.strip_prefix(WHITEOUT) {
            let folder = root.join(path.parent().unwrap_or(Path::new("")));
            if gone == ".wh..opq" {
                fs::remove_dir_all(&folder).ok();
                fs::create_dir_all(&folder)?;
            } else {
                let target = folder.join(gone);
                if fs::symlink_metadata(&target).is_ok_and(|meta| meta.is_dir()) {
                    fs::remove_dir_all(&target)?;
                } else {
                    fs::remove_file(&target).ok();
                }
            }
            continue;
        }
        if matches!(
            entry.header().entry_type(),
            EntryType::Char | EntryType::Block | EntryType::Fifo
        ) {
            continue;
        }
        // `unpack_in` follows no link out of the folder.
        ensure!(
            entry.unpack_in(root)?,
            "an entry leads elsewhere: {}",
            path.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(files: &[(&str, &str)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, contents) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(contents.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, contents.as_bytes())
                .unwrap();
        }
        tar.into_inner().unwrap()
    }

    #[test]
    fn an_upper_layer_replaces_and_removes() {
        let root = tempfile::tempdir().unwrap();
        apply(
            &*layer(&[("etc/a", "1"), ("etc/b", "1"), ("var/x/y", "1")]),
            root.path(),
        )
        .unwrap();
        apply(
            &*layer(&[
                ("etc/a", "2"),
                ("etc/.wh.b", ""),
                ("var/x/.wh..wh..opq", ""),
                ("var/x/z", "2"),
            ]),
            root.path(),
        )
        .unwrap();
        let read = |path: &str| fs::read_to_string(root.path().join(path)).ok();
        assert_eq!(read("etc/a").as_deref(), Some("2"));
        assert_eq!((read("etc/b"), read("var/x/y")), (None, None));
        assert_eq!(read("var/x/z").as_deref(), Some("2"));
    }
}
