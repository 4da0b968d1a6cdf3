//! Reading a bundle, which somebody else may have made.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::unpacked::{self, copy_with_holes};
use super::{BundleError, IMAGE, MANIFEST, Manifest, RUN, limits};

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
    /// The file is no bundle, is damaged, is larger than a bundle may be, or was made by a newer harness.
    pub fn read(path: &Path) -> Result<Self, BundleError> {
        let file = File::open(path).map_err(BundleError::io("open", path))?;
        Self::parse(path, file)
    }

    /// Reads a bundle from its bytes; `path` is named in errors, and is where an image is read from later.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub fn parse(path: &Path, packed: impl Read) -> Result<Self, BundleError> {
        let mut files = BTreeMap::new();
        let mut total = 0;
        let mut archive = unpacked::archive(path, packed)?;
        unpacked::each(path, &mut archive, |name, size, entry| {
            if name == IMAGE {
                return Ok(true);
            }
            total += size;
            if total > limits::TOTAL {
                let most = limits::TOTAL;
                return Err(BundleError::damaged(
                    path,
                    format!("its files have more than {most} bytes"),
                ));
            }
            let mut bytes = Vec::new();
            let read = entry.read_to_end(&mut bytes);
            if read.map_err(|e| BundleError::damaged(path, e))? as u64 != size {
                return Err(BundleError::damaged(path, format!("{name} is cut short")));
            }
            match files.insert(name.to_owned(), bytes) {
                None => Ok(true),
                Some(_) => Err(BundleError::damaged(path, format!("{name} is in it twice"))),
            }
        })?;
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
        let path = &self.path;
        let packed = File::open(path).map_err(BundleError::io("open", path))?;
        let mut archive = unpacked::archive(path, packed)?;
        let mut found = false;
        unpacked::each(path, &mut archive, |name, _, entry| {
            if name == IMAGE {
                let file = File::create(to).map_err(BundleError::io("create", to))?;
                copy_with_holes(entry, &file).map_err(BundleError::io("write", to))?;
                found = true;
            }
            Ok(!found)
        })?;
        match found {
            true => Ok(()),
            false => Err(BundleError::NoImage { path: path.clone() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::Scenario;
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
            seed: Some(7),
            is_chaos: true,
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
            without: &["work", "memory.elf"],
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
        fs::write(at("screens/memory.elf"), "somebody's").unwrap();
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
    fn a_plan_of_chance_is_made_again_and_bundles_of_before_have_none() {
        let scenario = crate::scenario::testing::extended("alpine-http", "").unwrap();
        let faults = |scenario: &Scenario| format!("{:?}", scenario.faults);
        let manifest = manifest();
        let again = manifest.with_faults_of(scenario.clone());
        assert_eq!(faults(&again), faults(&scenario.with_chaos(7)));
        let mut before = serde_json::to_value(&manifest).unwrap();
        for key in ["seed", "is_chaos"] {
            before.as_object_mut().unwrap().remove(key).unwrap();
        }
        let before: Manifest = serde_json::from_value(before).unwrap();
        assert!(before.with_faults_of(scenario).faults.is_empty());
    }

    /// An archive with these entries: header type, name, size that the header says, content.
    fn archive(entries: &[(tar::EntryType, &str, u64, &[u8])]) -> Vec<u8> {
        let mut plain = Vec::new();
        for (kind, name, size, content) in entries {
            let mut header = tar::Header::new_ustar();
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(*size);
            header.set_entry_type(*kind);
            header.set_cksum();
            plain.extend_from_slice(header.as_bytes());
            plain.extend_from_slice(content);
            plain.resize(plain.len().next_multiple_of(512), 0);
        }
        plain.resize(plain.len() + 1024, 0);
        zstd::encode_all(plain.as_slice(), 1).unwrap()
    }

    #[test]
    fn what_a_bundle_must_not_have_is_an_error() {
        use tar::EntryType as T;
        let manifest = serde_json::to_string(&manifest()).unwrap();
        let whole = (
            T::Regular,
            MANIFEST,
            manifest.len() as u64,
            manifest.as_bytes(),
        );
        let read = |entries: &[(T, &str, u64, &[u8])]| {
            Bundle::parse(Path::new("b"), archive(entries).as_slice())
        };
        let refused = |more: &[(T, &str, u64, &[u8])]| {
            let entries = [&[whole][..], more].concat();
            read(&entries).unwrap_err().to_string()
        };
        assert!(read(&[whole]).is_ok());
        let many: Vec<_> = (0..limits::ENTRIES).map(|i| format!("run/{i}")).collect();
        let many: Vec<_> = many
            .iter()
            .map(|n| (T::Regular, n.as_str(), 0, &b""[..]))
            .collect();
        for (error, wanted) in [
            (refused(&[(T::Regular, "../x", 0, b"")]), "leads out"),
            (refused(&[(T::Regular, "/etc/x", 0, b"")]), "leads out"),
            (
                refused(&[(T::Symlink, "run/x", 0, b"")]),
                "something else than a plain file",
            ),
            (
                refused(&[(T::GNULongName, "././@LongLink", 1 << 40, b"")]),
                "something else",
            ),
            (
                refused(&[(T::XHeader, "x", 1 << 30, b"")]),
                "something else",
            ),
            (
                refused(&[(T::Regular, "run/x", limits::FILE + 1, b"")]),
                "may have",
            ),
            (
                refused(&[(T::Regular, "image.img", limits::IMAGE + 1, b"")]),
                "may have",
            ),
            (
                refused(&[(T::Regular, "run/timeline.jsonl", 5000, b"{}")]),
                "cut short",
            ),
            (
                refused(&[(T::Regular, "run/x", 0, b""), (T::Regular, "run/x", 0, b"")]),
                "twice",
            ),
            (refused(&many), "more than 1024 files"),
        ] {
            assert!(error.contains(wanted), "{error}");
        }
        let foreign = manifest.replace("\"scenario\":\"s\"", "\"scenario\":\"../../etc/x\"");
        let entry = (
            T::Regular,
            MANIFEST,
            foreign.len() as u64,
            foreign.as_bytes(),
        );
        let error = read(&[entry]).unwrap_err().to_string();
        assert!(error.contains("is not the name of a scenario"), "{error}");
    }

    #[test]
    fn what_does_not_fit_stays_out() {
        let folder = tempfile::tempdir().unwrap();
        let large = File::create(folder.path().join("lan.pcapng")).unwrap();
        large.set_len(limits::FILE + 1).unwrap();
        fs::write(folder.path().join("transcript.log"), "U-Boot").unwrap();
        let bundle = bundled(folder.path(), None);
        assert_eq!(bundle.manifest.left_out, ["lan.pcapng"]);
        assert!(bundle.run_file("transcript.log").is_some());
    }

    proptest! {
        #[test]
        fn foreign_bytes_are_refused(bytes: Vec<u8>, framed: bool) {
            let bytes = if framed { zstd::encode_all(bytes.as_slice(), 1).unwrap() } else { bytes };
            prop_assert!(Bundle::parse(Path::new("b"), bytes.as_slice()).is_err());
        }

        /// A damaged bundle is an error, or every name in it is a plain one.
        #[test]
        fn a_damaged_bundle_names_nothing_outside(at in 0usize..3000, byte: u8) {
            let manifest = serde_json::to_string(&manifest()).unwrap();
            let entries = [
                (tar::EntryType::Regular, MANIFEST, manifest.len() as u64, manifest.as_bytes()),
                (tar::EntryType::Regular, "run/a", 3, b"abc"),
            ];
            let mut plain = zstd::decode_all(archive(&entries).as_slice()).unwrap();
            let at = at % plain.len();
            plain[at] = byte;
            let packed = zstd::encode_all(plain.as_slice(), 1).unwrap();
            if let Ok(bundle) = Bundle::parse(Path::new("b"), packed.as_slice()) {
                let mut names = bundle.files().map(|(name, _)| name);
                prop_assert!(names.all(|name| !name.contains("..") && !name.starts_with('/')));
            }
        }
    }
}
