//! What is changed in a file. Pure: bytes in, bytes out.

use serde::Deserialize;

use crate::cpio::Archive;
use crate::fault::draw;
use crate::image::uboot_env;

/// A change of a file's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Change {
    /// The file is removed.
    Remove,
    /// It ends after so many bytes.
    Truncate(usize),
    /// All of it is zeros.
    Zero,
    /// Noise in place of what is there.
    Noise {
        /// Where it begins, in bytes.
        at: usize,
        /// How many bytes.
        length: usize,
    },
    /// Every occurrence of a text is replaced.
    Replace {
        /// What must be there.
        find: String,
        /// What takes its place.
        put: String,
    },
    /// The same of bytes, in hexadecimal digits.
    ReplaceBytes {
        /// What must be there.
        find: HexBytes,
        /// What takes its place.
        put: HexBytes,
    },
    /// These bytes stand at the beginning.
    Begin(HexBytes),
    /// The whole file is this text.
    Text(String),
    /// U-Boot's environment has other values.
    Environment(Vec<(String, String)>),
    /// A cpio archive of these files follows, as a later part of an initramfs.
    Overlay(Vec<OverlayFile>),
}

/// A file of an overlay.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OverlayFile {
    /// Its path without a leading slash.
    path: String,
    /// Its permissions, 0o755 by default.
    #[serde(default = "executable")]
    mode: u32,
    /// What it holds.
    text: String,
}

fn executable() -> u32 {
    0o755
}

/// Bytes in hexadecimal digits; blanks do not matter.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct HexBytes(Vec<u8>);

impl TryFrom<String> for HexBytes {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let digits: String = text.split_whitespace().collect();
        hex::decode(digits).map(Self)
    }
}

/// Why a change cannot be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum ChangeError {
    /// What must be replaced is not there.
    #[error("it does not hold {0:?}, so that there is nothing to replace")]
    NotThere(String),
    /// It ends before.
    #[error("it has only {0} bytes")]
    Short(usize),
    /// It is no environment of U-Boot.
    #[error("it is no environment of U-Boot: {0}")]
    Environment(String),
    /// An overlay cannot be packed.
    #[error("{0}")]
    Overlay(String),
}

impl Change {
    /// The bytes after the change; `None` when the file goes.
    ///
    /// # Errors
    /// [`ChangeError`]: a change that changes nothing is none.
    pub(super) fn of(&self, mut bytes: Vec<u8>) -> Result<Option<Vec<u8>>, ChangeError> {
        match self {
            Self::Remove => return Ok(None),
            Self::Truncate(length) if *length >= bytes.len() => {
                return Err(ChangeError::Short(bytes.len()));
            }
            Self::Truncate(length) => bytes.truncate(*length),
            Self::Zero => bytes.fill(0),
            Self::Noise { at, length } => {
                let size = bytes.len();
                let end = at.checked_add(*length);
                let place = end.and_then(|end| bytes.get_mut(*at..end));
                noise(place.ok_or(ChangeError::Short(size))?);
            }
            Self::Replace { find, put } => {
                bytes = replaced(&bytes, find.as_bytes(), put.as_bytes())
                    .ok_or_else(|| ChangeError::NotThere(find.clone()))?;
            }
            Self::ReplaceBytes { find, put } => {
                bytes = replaced(&bytes, &find.0, &put.0)
                    .ok_or_else(|| ChangeError::NotThere(hex::encode(&find.0)))?;
            }
            Self::Begin(begin) => {
                let size = bytes.len();
                let place = bytes.get_mut(..begin.0.len());
                place
                    .ok_or(ChangeError::Short(size))?
                    .copy_from_slice(&begin.0);
            }
            Self::Text(text) => bytes = text.as_bytes().to_vec(),
            Self::Environment(changes) => {
                let wrong = |e: uboot_env::EnvError| ChangeError::Environment(e.to_string());
                let mut variables = uboot_env::decode(&bytes).map_err(wrong)?;
                for (name, value) in changes {
                    variables.retain(|(n, _)| n != name);
                    variables.push((name.clone(), value.clone()));
                }
                bytes = uboot_env::encode(&variables).map_err(wrong)?;
            }
            Self::Overlay(files) => {
                let mut archive = Archive::new();
                for file in files {
                    let added = archive.file(&file.path, file.mode, file.text.as_bytes());
                    added.map_err(|e| ChangeError::Overlay(e.to_string()))?;
                }
                // The kernel takes the next archive at a multiple of four bytes.
                bytes.resize(bytes.len().next_multiple_of(4), 0);
                bytes.extend_from_slice(&archive.to_bytes());
            }
        }
        Ok(Some(bytes))
    }
}

/// Fills with what looks random and is the same each time.
fn noise(place: &mut [u8]) {
    for (number, piece) in (0..).zip(place.chunks_mut(8)) {
        for (byte, random) in piece.iter_mut().zip(draw(0, 0, number, 0).to_be_bytes()) {
            *byte = random;
        }
    }
}

/// Every occurrence of `find` replaced, or `None` when there is none.
fn replaced(bytes: &[u8], find: &[u8], put: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    let mut found = false;
    while let Some(at) = position_of(rest, find) {
        out.extend_from_slice(rest.get(..at)?);
        out.extend_from_slice(put);
        rest = rest.get(at + find.len()..)?;
        found = true;
    }
    out.extend_from_slice(rest);
    found.then_some(out)
}

fn position_of(bytes: &[u8], find: &[u8]) -> Option<usize> {
    if find.is_empty() {
        return None;
    }
    bytes.windows(find.len()).position(|window| window == find)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replace(find: &str, put: &str) -> Change {
        Change::Replace {
            find: find.into(),
            put: put.into(),
        }
    }

    #[test]
    fn each_change_changes_the_bytes() {
        let of = |change: Change| change.of(b"one two one".to_vec());
        assert_eq!(of(Change::Remove), Ok(None));
        assert_eq!(of(Change::Truncate(3)), Ok(Some(b"one".to_vec())));
        assert_eq!(of(replace("one", "1")), Ok(Some(b"1 two 1".to_vec())));
        let hex = |digits: &str| HexBytes::try_from(digits.to_owned()).unwrap();
        let begin = of(Change::Begin(hex("4f 4e")));
        assert_eq!(begin, Ok(Some(b"ONe two one".to_vec())));
        let noisy = of(Change::Noise { at: 4, length: 3 }).unwrap().unwrap();
        assert!(noisy.starts_with(b"one ") && noisy.ends_with(b" one"));
        assert_ne!(noisy, b"one two one");
        let overlay = of(Change::Overlay(vec![OverlayFile {
            path: "init".into(),
            mode: 0o755,
            text: "exit 0".into(),
        }]));
        let overlay = overlay.unwrap().unwrap();
        assert_eq!(overlay.get(12..18), Some(b"070701".as_slice()));
    }

    #[test]
    fn a_change_that_changes_nothing_is_an_error() {
        let of = |change: Change| change.of(b"one".to_vec()).unwrap_err().to_string();
        insta::assert_snapshot!(
            [
                of(Change::Truncate(3)),
                of(replace("two", "")),
                of(Change::Noise { at: 1, length: 3 }),
                of(Change::Environment(vec![])),
            ]
            .join("\n")
        );
    }

    #[test]
    fn an_environment_keeps_its_other_values() {
        let file = uboot_env::encode(&[("a".into(), "1".into()), ("b".into(), "2".into())]);
        let changed = Change::Environment(vec![("a".into(), "3".into())])
            .of(file.unwrap())
            .unwrap();
        let mut variables = uboot_env::decode(&changed.unwrap()).unwrap();
        variables.sort();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(variables, [pair("a", "3"), pair("b", "2")]);
    }
}
