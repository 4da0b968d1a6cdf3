//! Names of files: the short one in the entry itself, and the long one in the entries in front of it.

/// Bytes of an entry.
pub(super) const ENTRY: usize = 32;

/// UTF-16 units of a long name in one entry.
const PART: usize = 13;
/// Parts of the longest name.
const MAX_PARTS: u8 = 20;
/// Set in the number of the part that comes first on disk, which is the last one of the name.
const LAST: u8 = 0x40;

/// A part of a long name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LongNamePart {
    number: u8,
    checksum: u8,
    units: [u16; PART],
}

impl LongNamePart {
    pub(super) fn decode(bytes: &[u8; ENTRY]) -> Self {
        const PLACES: [usize; PART] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
        Self {
            number: bytes[0],
            checksum: bytes[13],
            units: PLACES.map(|at| u16::from_le_bytes([bytes[at], bytes[at + 1]])),
        }
    }
}

/// Puts the parts of a long name together as they come.
#[derive(Debug, Default)]
pub(super) struct LongName {
    /// Number of the part that came last; 0 when there was none.
    number: u8,
    checksum: u8,
    units: Vec<u16>,
}

/// Parts of a name that no file follows, or not the right one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Orphaned;

impl LongName {
    /// Takes a part in. After an error the parts so far are forgotten.
    pub(super) fn add(&mut self, part: &LongNamePart) -> Result<(), Orphaned> {
        let number = part.number & !LAST;
        if part.number & LAST != 0 {
            self.end()?;
            if !(1..=MAX_PARTS).contains(&number) {
                return Err(Orphaned);
            }
            self.checksum = part.checksum;
        } else if number == 0 || self.number != number + 1 || self.checksum != part.checksum {
            *self = Self::default();
            return Err(Orphaned);
        }
        self.number = number;
        // The last part of the name comes first.
        self.units.splice(0..0, part.units);
        Ok(())
    }

    /// There is no file behind the parts so far.
    pub(super) fn end(&mut self) -> Result<(), Orphaned> {
        let had_parts = std::mem::take(self).number != 0;
        if had_parts { Err(Orphaned) } else { Ok(()) }
    }

    /// The file's entry has come: its long name, if it has one. What is no Unicode becomes replacement characters.
    pub(super) fn take(&mut self, short_name: &[u8; 11]) -> Result<Option<String>, Orphaned> {
        let Self {
            number,
            checksum,
            mut units,
        } = std::mem::take(self);
        match number {
            0 => return Ok(None),
            1 if checksum == self::checksum(short_name) => {}
            _ => return Err(Orphaned),
        }
        // A NUL ends the name, and the rest is filled up.
        let filling = units.iter().rev();
        let filling = filling.take_while(|unit| matches!(**unit, 0 | 0xffff));
        units.truncate(units.len() - filling.count());
        Ok(Some(String::from_utf16_lossy(&units)))
    }
}

/// What connects the parts of a long name to their entry.
fn checksum(short_name: &[u8; 11]) -> u8 {
    short_name
        .iter()
        .fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte))
}

/// Whether a long name has only what the specification allows, and can be written in a path.
pub(super) fn is_allowed(long_name: &str) -> bool {
    let forbidden = |c: char| c < ' ' || "\"*/:<>?\\|\u{fffd}".contains(c);
    !long_name.is_empty()
        && !matches!(long_name, "." | "..")
        && long_name.encode_utf16().count() <= 255
        && !long_name.contains(forbidden)
}

/// Whether a short name has only what the specification allows.
pub(super) fn is_allowed_short(name: &[u8; 11]) -> bool {
    // 0x05 stands for 0xe5 in first place, which would mark a deleted file.
    let rest = match name {
        [b' ', ..] => return false,
        [0x05, rest @ ..] => rest,
        all => all.as_slice(),
    };
    rest.iter()
        .all(|byte| *byte >= b' ' && !b"\"*+,./:;<=>?[\\]|".contains(byte))
}

/// A short name as people write it. Which code page the bytes above ASCII are in is not recorded; different ones stay different.
pub(super) fn short_text(name: &[u8; 11]) -> String {
    let text = |bytes: &[u8]| -> String {
        let bytes = bytes.trim_ascii_end().iter();
        bytes.map(|byte| char::from(*byte)).collect()
    };
    // 0x05 stands for 0xe5 in first place.
    let base = match name {
        [0x05, rest @ ..] => text(&[&[0xe5], &rest[..7]].concat()),
        _ => text(&name[..8]),
    };
    let extension = text(&name[8..]);
    if extension.is_empty() {
        base
    } else {
        format!("{base}.{extension}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(number: u8, text: &str, checksum: u8) -> LongNamePart {
        let mut units = [0xffff; PART];
        let text = text.encode_utf16().chain([0]);
        for (unit, found) in units.iter_mut().zip(text) {
            *unit = found;
        }
        LongNamePart {
            number,
            checksum,
            units,
        }
    }

    #[test]
    fn long_names_come_back_to_front_and_belong_to_their_entry() {
        let short = b"ARATHE~1TXT";
        let sum = checksum(short);
        let mut name = LongName::default();
        name.add(&part(0x42, "ame.txt", sum)).unwrap();
        name.add(&part(1, "a rather long", sum)).unwrap();
        assert_eq!(
            name.take(short),
            Ok(Some("a rather longame.txt".to_owned()))
        );
        assert_eq!(name.take(short), Ok(None));

        name.add(&part(0x41, "a", sum)).unwrap();
        assert_eq!(name.take(b"OTHER   TXT"), Err(Orphaned));
        name.add(&part(0x42, "a", sum)).unwrap();
        assert_eq!(name.take(short), Err(Orphaned));
        assert_eq!(name.add(&part(1, "a", sum)), Err(Orphaned));
        for number in [0x40, 0x55, 0x7f] {
            assert_eq!(name.add(&part(number, "a", sum)), Err(Orphaned));
        }
        name.add(&part(0x41, "a", sum)).unwrap();
        assert_eq!(name.add(&part(0x41, "b", sum)), Err(Orphaned));
    }

    #[test]
    fn names_that_would_lead_elsewhere_are_not_allowed() {
        for good in ["config.txt", "a rather long name", "ümläut", ".hidden"] {
            assert!(is_allowed(good), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a\\b", "a:b", "nul\0", "\u{fffd}"] {
            assert!(!is_allowed(bad), "{bad}");
        }
        assert!(is_allowed_short(b"CONFIG  TXT") && is_allowed_short(b"\x05ABC       "));
        assert!(!is_allowed_short(b"A/B     TXT") && !is_allowed_short(b" A      TXT"));
        assert_eq!(short_text(b"CONFIG  TXT"), "CONFIG.TXT");
        assert_eq!(short_text(b"BOOT       "), "BOOT");
        assert_eq!(short_text(b"\x05BCDEFGHTXT"), "\u{e5}BCDEFGH.TXT");
    }
}
