//! Reading a bundle, which somebody else may have made.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use super::{BundleError, IMAGE, MANIFEST, Manifest, RUN};

/// The longest that a file of a bundle may be, its image apart.
const LONGEST: u64 = 1 << 30;
/// What a Zstandard frame begins with.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A bundle in memory, without its image.
#[derive(Debug)]
pub struct Bundle {
    /// What the run was made of.
    pub manifest: Manifest,
    path: PathBuf,
    files: BTreeMap<String, Vec<u8>>,
}

impl Bundle {
    /// Whether bytes look like a bundle's first ones.
    #[must_use]
    pub fn is_one(bytes: &[u8]) -> bool {
        bytes.starts_with(&MAGIC)
    }

    /// Reads a bundle.
    ///
    /// # Errors
    /// The file is no bundle, is damaged, or was made by a newer harness.
    pub fn read(path: &Path) -> Result<Self, BundleError> {
        let damaged = |e: io::Error| BundleError::damaged(path, e);
        let mut files = BTreeMap::new();
        let mut archive = open(path)?;
        for entry in archive.entries().map_err(damaged)? {
            let entry = entry.map_err(damaged)?;
            let name = plain_name(&entry.path().map_err(damaged)?).ok_or_else(|| {
                BundleError::damaged(path, "a file in it has a path that leads out of it")
            })?;
            if name == IMAGE {
                continue;
            }
            let mut bytes = Vec::new();
            entry
                .take(LONGEST)
                .read_to_end(&mut bytes)
                .map_err(damaged)?;
            files.insert(name, bytes);
        }
        let manifest = files
            .remove(MANIFEST)
            .ok_or_else(|| BundleError::damaged(path, format!("it has no {MANIFEST}")))?;
        let manifest: Manifest = serde_json::from_slice(&manifest)
            .map_err(|e| BundleError::damaged(path, format!("{MANIFEST}: {e}")))?;
        if manifest.format > Manifest::FORMAT {
            let newer = format!("a newer Shakedown made it ({})", manifest.shakedown);
            return Err(BundleError::damaged(path, newer));
        }
        Ok(Self {
            manifest,
            path: path.into(),
            files,
        })
    }

    /// A file of the run's folder.
    #[must_use]
    pub fn run_file(&self, name: &str) -> Option<&[u8]> {
        self.files.get(&format!("{RUN}/{name}")).map(Vec::as_slice)
    }

    /// Every file, by its path in the bundle.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(n, b)| (n.as_str(), b.as_slice()))
    }

    /// Writes the board's and the scenario's files into the folders `boards` and `scenarios` of `folder`, as a project has them.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn write_project(&self, folder: &Path) -> Result<(), BundleError> {
        for (name, bytes) in &self.files {
            if name.starts_with("boards/") || name.starts_with("scenarios/") {
                let path = folder.join(name);
                let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
                made.and_then(|()| std::fs::write(&path, bytes))
                    .map_err(BundleError::io("write", &path))?;
            }
        }
        Ok(())
    }

    /// Writes the disk image to `to`.
    ///
    /// # Errors
    /// There is none in the bundle, or it cannot be written.
    pub fn write_image(&self, to: &Path) -> Result<(), BundleError> {
        let damaged = |e: io::Error| BundleError::damaged(&self.path, e);
        for entry in open(&self.path)?.entries().map_err(damaged)? {
            let mut entry = entry.map_err(damaged)?;
            if entry.path().map_err(damaged)? == Path::new(IMAGE) {
                let failed = |e| BundleError::io("write", to)(e);
                let mut file = File::create(to).map_err(failed)?;
                io::copy(&mut entry, &mut file).map_err(failed)?;
                return Ok(());
            }
        }
        Err(BundleError::NoImage {
            path: self.path.clone(),
        })
    }
}

fn open(path: &Path) -> Result<tar::Archive<impl Read>, BundleError> {
    let file = File::open(path).map_err(BundleError::io("open", path))?;
    let unpacker = zstd::Decoder::new(file).map_err(|e| BundleError::damaged(path, e))?;
    Ok(tar::Archive::new(unpacker))
}

/// A relative path without `..`, as text.
fn plain_name(path: &Path) -> Option<String> {
    let is_plain = path.components().all(|c| matches!(c, Component::Normal(_)));
    (is_plain && path.components().next().is_some()).then(|| path.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::super::{ContainerItem, Contents, FILE_NAME, Item, write};
    use super::*;
    use crate::input::SourceText;

    fn item() -> Item {
        Item {
            sha256: "00".into(),
            size: 0,
            source: "test".into(),
        }
    }

    fn manifest() -> Manifest {
        Manifest {
            format: Manifest::FORMAT,
            shakedown: "0".into(),
            scenario: "s".parse().unwrap(),
            board: "b".parse().unwrap(),
            mac: None,
            image: item(),
            image_included: false,
            kernel: item(),
            initramfs: item(),
            container: ContainerItem {
                source: "test".into(),
                stand_in: true,
                layers: vec![],
            },
            qemu: "10.0".into(),
            reproduce: "cargo xtask e2e s".into(),
            left_out: vec![],
        }
    }

    /// A run's folder, bundled.
    fn bundled(folder: &Path, image: Option<&Path>) -> Bundle {
        let source = |file: &str| SourceText {
            file: file.into(),
            text: format!("title = \"{file}\"\n"),
        };
        let contents = Contents {
            manifest: manifest(),
            boards: &[source("b.toml"), source("c.chain.toml")],
            scenario: &source("s.toml"),
            folder,
            without: &["work"],
            image,
        };
        Bundle::read(&write(contents).unwrap()).unwrap()
    }

    #[test]
    fn what_goes_in_comes_out_and_keys_stay_behind() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("work")).unwrap();
        fs::create_dir_all(at("screens")).unwrap();
        fs::write(at("work/card.img"), "key").unwrap();
        fs::write(at("screens/1.png"), "png").unwrap();
        fs::write(at("transcript.log"), "U-Boot").unwrap();
        fs::write(at("leak.pem"), "-----BEGIN PRIVATE KEY-----").unwrap();
        fs::write(at(FILE_NAME), "the last one").unwrap();
        let bundle = bundled(folder.path(), None);
        let names: Vec<_> = bundle.files().map(|(name, _)| name).collect();
        assert_eq!(
            names,
            [
                "boards/b.toml",
                "boards/c.chain.toml",
                "run/screens/1.png",
                "run/transcript.log",
                "scenarios/s.toml"
            ]
        );
        assert_eq!(bundle.manifest.left_out, ["leak.pem"]);
        assert_eq!(bundle.run_file("transcript.log").unwrap(), b"U-Boot");
        let project = tempfile::tempdir().unwrap();
        bundle.write_project(project.path()).unwrap();
        assert!(project.path().join("boards/c.chain.toml").exists());
        assert!(matches!(
            bundle.write_image(&project.path().join("i")),
            Err(BundleError::NoImage { .. })
        ));
    }

    #[test]
    fn an_image_goes_in_unless_somebodys_key_is_on_it() {
        let folder = tempfile::tempdir().unwrap();
        let image = tempfile::NamedTempFile::new().unwrap();
        let mut bytes = vec![0; 3 << 20];
        fs::write(image.path(), &bytes).unwrap();
        let bundle = bundled(folder.path(), Some(image.path()));
        assert!(bundle.manifest.image_included);
        let out = folder.path().join("out.img");
        bundle.write_image(&out).unwrap();
        assert!(fs::read(out).unwrap() == bytes);
        // Across the border of what is looked at in one piece.
        let mark = b"-----BEGIN PRIVATE KEY-----";
        bytes[(1 << 20) - 10..][..mark.len()].copy_from_slice(mark);
        fs::write(image.path(), &bytes).unwrap();
        let bundle = bundled(folder.path(), Some(image.path()));
        assert!(!bundle.manifest.image_included);
        assert_eq!(bundle.manifest.left_out, [IMAGE]);
    }

    #[test]
    fn paths_that_lead_out_are_none() {
        assert_eq!(plain_name(Path::new("run/a")).as_deref(), Some("run/a"));
        for path in ["/etc/passwd", "run/../../a", "", "."] {
            assert_eq!(plain_name(Path::new(path)), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn foreign_bytes_are_refused(bytes: Vec<u8>, framed: bool) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("b");
            let bytes = if framed { zstd::encode_all(bytes.as_slice(), 1).unwrap() } else { bytes };
            fs::write(&path, bytes).unwrap();
            prop_assert!(Bundle::read(&path).is_err());
        }
    }
}
