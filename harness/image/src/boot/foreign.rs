//! Files that should be programs and are not: archives, text, or what a download left in their place.
//!
//! Sources: see `magic`; Git LFS, docs/spec.md, for its pointers.

use std::fmt;

use crate::magic;

/// What a Git LFS pointer begins with.
const LFS: &[u8] = b"version https://git-lfs.github.com/spec/";
/// What a web page begins with, in lower case.
const WEB_PAGE: [&[u8]; 4] = [b"<!doctype html", b"<html", b"<head", b"<?xml"];
/// Bytes of the shortest program: one instruction.
const INSTRUCTION: usize = 4;

/// A file that is no program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// What a web server sends in place of a file.
    WebPage,
    /// A pointer that Git LFS leaves where the file itself was not fetched.
    LfsPointer,
    /// An archive, by its name.
    Archive(&'static str),
    /// A script.
    Script,
    /// Any other text.
    Text,
    /// Every byte is 0.
    Zeros,
    /// Every byte is 0xff, as in flash memory that was erased.
    Ones,
    /// Fewer bytes than one instruction has.
    Short,
}

impl Foreign {
    /// What a file is that is no program, or `None` when it may be one.
    pub(super) fn of(file: &[u8]) -> Option<Self> {
        Self::of_firmware(file).or(match file {
            _ if file.len() < INSTRUCTION => Some(Self::Short),
            [b'#', b'!', ..] => Some(Self::Script),
            _ if magic::is_text(file) => Some(Self::Text),
            _ => magic::packed(file).map(Self::Archive),
        })
    }

    /// What a file is that is no firmware of a board, whose format is not public.
    pub(super) fn of_firmware(file: &[u8]) -> Option<Self> {
        match file {
            [] => None,
            _ if file.iter().all(|byte| *byte == 0) => Some(Self::Zeros),
            _ if file.iter().all(|byte| *byte == 0xff) => Some(Self::Ones),
            _ if file.starts_with(LFS) => Some(Self::LfsPointer),
            _ if is_web_page(file) => Some(Self::WebPage),
            _ => {
                let archive = magic::packed(file).filter(|archive| *archive != magic::LZMA);
                archive.map(Self::Archive)
            }
        }
    }

    /// What to do about a boot loader that is this; `None` where the rule knows best.
    pub(super) fn remedy(self) -> Option<&'static str> {
        match self {
            Self::WebPage => Some(
                "download the boot loader again, and look whether the server answers with the file",
            ),
            Self::LfsPointer => Some("fetch the boot loader itself: git lfs pull"),
            Self::Archive(_) => Some("unpack the boot loader; firmware unpacks gzip alone"),
            _ => None,
        }
    }
}

fn is_web_page(file: &[u8]) -> bool {
    let text = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    let text = text.trim_ascii_start();
    let begins = |mark: &[u8]| {
        let start = text.get(..mark.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(mark))
    };
    WEB_PAGE.iter().any(|mark| begins(mark))
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WebPage => "a web page (HTML)",
            Self::LfsPointer => "a Git LFS pointer in place of the file itself",
            Self::Archive(archive) => archive,
            Self::Script => "a script",
            Self::Text => "text",
            Self::Zeros => "a file of zeros",
            Self::Ones => "a file of bytes 0xff",
            Self::Short => "shorter than one instruction",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_program_is_named() {
        let cases: [(&[u8], Foreign); 16] = [
            (b"<!DOCTYPE html><title>404</title>", Foreign::WebPage),
            (b"\xef\xbb\xbf\r\n<HTML>", Foreign::WebPage),
            (
                b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n",
                Foreign::LfsPointer,
            ),
            (b"#!/bin/sh\n", Foreign::Script),
            (b"404: Not Found", Foreign::Text),
            ("Gr\u{fc}\u{df}e".as_bytes(), Foreign::Text),
            (b"\xfd7zXZ\0\0", Foreign::Archive("an xz archive")),
            (
                &[0x28, 0xb5, 0x2f, 0xfd, 1],
                Foreign::Archive("a zstd archive"),
            ),
            (
                &[0x04, 0x22, 0x4d, 0x18, 1],
                Foreign::Archive("an lz4 archive"),
            ),
            (b"BZh91AY&SY\x01", Foreign::Archive("a bzip2 archive")),
            (b"PK\x03\x04\x01", Foreign::Archive("a zip archive")),
            (&[0; 9], Foreign::Zeros),
            (&[0xff; 9], Foreign::Ones),
            (b"x", Foreign::Short),
            (&[1, 2, 3], Foreign::Short),
            (b"", Foreign::Short),
        ];
        for (file, expected) in cases {
            assert_eq!(Foreign::of(file), Some(expected), "{file:?}");
        }
        assert_eq!(Foreign::of(b"\x01\x02\x03\x04 who knows"), None);
    }

    #[test]
    fn firmware_may_be_anything_but_what_a_download_left() {
        for file in [&b"firmware"[..], b"s", b"#!", &[0xe1; 70]] {
            assert_eq!(Foreign::of_firmware(file), None);
        }
        assert_eq!(Foreign::of_firmware(b"<html>"), Some(Foreign::WebPage));
        assert_eq!(Foreign::of_firmware(&[0]), Some(Foreign::Zeros));
    }
}
