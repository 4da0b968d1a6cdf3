//! `config.txt` as the VideoCore firmware reads it: which settings apply to a given board.
//!
//! [`parse`] is called once per boot with the file's bytes and a way to reach included files; it does no I/O of its own.
//! Source: Raspberry Pi documentation, "config.txt": what it is, boot options, conditional filters. The firmware skips
//! silently what it does not understand; so does this parser, but it keeps a note for people to read.

mod filter;
mod number;
mod settings;

use std::fmt;

use shakedown_base::encoding::is_utf16;
use shakedown_base::untrusted;

pub use filter::{BoardModel, Conditions, Hardware};
pub use settings::{Config, DeviceTreeSetting, Initramfs, Sourced};

use filter::FilterState;

/// Bytes of a line that the firmware reads.
const LINE_LIMIT: usize = 98;
/// Files within files. The documentation gives no limit; this one ends a file that includes itself.
const INCLUDE_DEPTH: usize = 8;
/// Files included in all, each as often as it is. Eight levels alone would not end a file that includes itself twice.
const INCLUDES: usize = 64;
/// Bytes of all files together. Real ones have a few thousand.
const TEXT_LIMIT: usize = 256 * 1024;

/// The filters that `autoboot.txt` has (Raspberry Pi documentation, "autoboot.txt").
const AUTOBOOT_FILTERS: [&str; 3] = ["all", "none", "tryboot"];

/// What editors put in front of UTF-8. The firmware takes it for part of the first line.
const UTF_8: &[u8] = &[0xef, 0xbb, 0xbf];

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The file's name on the firmware partition.
    pub file: String,
    /// Line number, from 1.
    pub line: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", untrusted(&self.file), self.line)
    }
}

/// Why a `config.txt` cannot be read the way the firmware would.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// `initramfs` without a file, or with an address that is none.
    #[error("{at}: expected `initramfs FILE ADDRESS` or `initramfs FILE followkernel`")]
    Initramfs {
        /// Where.
        at: Location,
    },
    /// A section name without its closing bracket.
    #[error("{at}: the filter {} has no closing bracket", untrusted(.text))]
    OpenFilter {
        /// Where.
        at: Location,
        /// The line's text.
        text: String,
    },
    /// Files include each other without end.
    #[error("{at}: files are included more than {INCLUDE_DEPTH} deep; does {} include itself?", untrusted(.file))]
    IncludeDepth {
        /// Where.
        at: Location,
        /// The file that should be included.
        file: String,
    },
    /// Files are included over and over.
    #[error("{at}: more than {INCLUDES} files are included, {} is one too many", untrusted(.file))]
    TooManyIncludes {
        /// Where.
        at: Location,
        /// The file that should be included.
        file: String,
    },
    /// The firmware reads ASCII.
    #[error(
        "{} is UTF-16, and the firmware reads ASCII: save it as UTF-8 without a byte order mark", untrusted(.file)
    )]
    Utf16 {
        /// The file.
        file: String,
    },
    /// Every line ends in a carriage return alone.
    #[error(
        "{} has no line feeds, so that the firmware reads one long line: let its lines end in LF", untrusted(.file)
    )]
    CarriageReturns {
        /// The file.
        file: String,
    },
    /// There is more text than any board has.
    #[error("{}: with this file there are more than {TEXT_LIMIT} bytes of settings", untrusted(.file))]
    TooMuchText {
        /// The file that went over the limit.
        file: String,
    },
}

impl ConfigError {
    /// The file that it is about.
    #[must_use]
    pub fn file(&self) -> &str {
        match self {
            Self::Initramfs { at }
            | Self::OpenFilter { at, .. }
            | Self::IncludeDepth { at, .. }
            | Self::TooManyIncludes { at, .. } => &at.file,
            Self::Utf16 { file } | Self::CarriageReturns { file } | Self::TooMuchText { file } => {
                file
            }
        }
    }
}

/// Gives the contents of the file that an `include` line names, or says why there are none.
type Include<'a> = dyn FnMut(&str) -> Result<Vec<u8>, String> + 'a;

/// Reads `text`, the contents of the file `name`, as the firmware would under these `conditions`. `include` gives the contents of a file
/// that is named by an `include` line, or `None` when there is no such file.
///
/// # Errors
/// What [`ConfigError`] lists. Settings that are merely unknown are kept in [`Config::other`].
pub fn parse(
    text: &[u8],
    name: &str,
    conditions: &Conditions,
    include: &mut dyn FnMut(&str) -> Option<Vec<u8>>,
) -> Result<Config, ConfigError> {
    let mut include =
        |file: &str| include(file).ok_or_else(|| "it does not exist or cannot be read".into());
    parse_including(text, name, conditions, &mut include)
}

/// The same with an `include` that says why a file cannot be read.
pub(crate) fn parse_including(
    text: &[u8],
    name: &str,
    conditions: &Conditions,
    include: &mut Include<'_>,
) -> Result<Config, ConfigError> {
    parse_with(text, name, conditions, include, None)
}

/// The same for `autoboot.txt`, which includes nothing and has few filters.
pub(crate) fn parse_autoboot(
    text: &[u8],
    name: &str,
    conditions: &Conditions,
) -> Result<Config, ConfigError> {
    let filters = Some(&AUTOBOOT_FILTERS[..]);
    let include = &mut |_: &str| Err(format!("{name} includes no files"));
    parse_with(text, name, conditions, include, filters)
}

fn parse_with(
    text: &[u8],
    name: &str,
    conditions: &Conditions,
    include: &mut Include<'_>,
    allowed_filters: Option<&[&str]>,
) -> Result<Config, ConfigError> {
    let mut parser = Parser {
        conditions,
        include,
        allowed_filters,
        filters: FilterState::default(),
        config: Config::default(),
        includes: 0,
        bytes: 0,
    };
    parser.file(text, name, 0)?;
    Ok(parser.config)
}

struct Parser<'a> {
    conditions: &'a Conditions,
    include: &'a mut Include<'a>,
    /// The filters of this file, where it has not all of them.
    allowed_filters: Option<&'a [&'a str]>,
    filters: FilterState,
    config: Config,
    /// Files included so far.
    includes: usize,
    /// Bytes read so far.
    bytes: usize,
}

impl Parser<'_> {
    fn file(&mut self, text: &[u8], name: &str, depth: usize) -> Result<(), ConfigError> {
        self.bytes = self.bytes.saturating_add(text.len());
        if self.bytes > TEXT_LIMIT {
            return Err(ConfigError::TooMuchText { file: name.into() });
        }
        let file = || name.to_owned();
        if is_utf16(text) {
            return Err(ConfigError::Utf16 { file: file() });
        }
        if text.contains(&b'\r') && !text.contains(&b'\n') {
            return Err(ConfigError::CarriageReturns { file: file() });
        }
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let at = Location {
                file: file(),
                line: index + 1,
            };
            if index == 0 && line.starts_with(UTF_8) {
                let note = "the file begins with a byte order mark, which the firmware takes for part of this line";
                self.note(&at, note.into());
            }
            self.line(line, at, depth)?;
        }
        Ok(())
    }

    fn line(&mut self, raw: &[u8], at: Location, depth: usize) -> Result<(), ConfigError> {
        let raw = raw.trim_ascii_end();
        let (raw, ignored) = raw.split_at_checked(LINE_LIMIT).unwrap_or((raw, &[]));
        // Comments may be in any encoding; the settings that matter are ASCII.
        let text = String::from_utf8_lossy(raw);
        let line = text.trim_ascii();
        if line.is_empty() {
            return Ok(());
        }
        if line.starts_with('#') {
            if ignored.contains(&b'=') {
                let note = "firmware of 2021 and before reads what is behind byte 98 of this comment as a line of its own";
                self.note(&at, note.into());
            }
            return Ok(());
        }
        if !ignored.is_empty() {
            let note = format!("the firmware reads only the first {LINE_LIMIT} bytes of a line");
            self.note(&at, note);
        }
        if let Some(rest) = line.strip_prefix('[') {
            let Some((filter, _)) = rest.split_once(']') else {
                return Err(ConfigError::OpenFilter {
                    at,
                    text: line.into(),
                });
            };
            self.note_beyond_ascii(raw, &at);
            self.filter(filter, &at);
            return Ok(());
        }
        if !self.filters.passes() {
            return Ok(());
        }
        self.note_beyond_ascii(raw, &at);
        if let Some(file) = line.strip_prefix("include ") {
            return self.include(file.trim_ascii(), at, depth);
        }
        if let Some(arguments) = line.strip_prefix("initramfs ") {
            return self.config.set_initramfs(arguments, at);
        }
        match line.split_once('=') {
            Some((key, value)) => self.config.set(key, value, at),
            None => self.note(&at, format!("the line `{line}` is no setting")),
        }
        Ok(())
    }

    /// Takes in a filter. One that this file does not have lets nothing through.
    fn filter(&mut self, filter: &str, at: &Location) {
        let allowed = self.allowed_filters.filter(|all| !all.contains(&filter));
        let note = match allowed {
            Some(all) => {
                self.filters.apply("", self.conditions);
                format!(
                    "{} has the filters [{}] alone; nothing below [{filter}] applies",
                    at.file,
                    all.join("], [")
                )
            }
            None if self.filters.apply(filter, self.conditions) => return,
            None => format!("unknown filter [{filter}]; nothing below it applies"),
        };
        self.note(at, note);
    }

    /// Says that a setting has bytes beyond ASCII: a no-break space looks like a space and is part of the name or the value.
    fn note_beyond_ascii(&mut self, line: &[u8], at: &Location) {
        let place = line.iter().position(|byte| !byte.is_ascii());
        let Some((place, rest)) = place.and_then(|place| Some((place, line.get(place..)?))) else {
            return;
        };
        // The mark has a note of its own.
        if rest.starts_with(UTF_8) {
            return;
        }
        let text = String::from_utf8_lossy(rest);
        let what = match text.chars().next() {
            Some('\u{a0}') => "a no-break space (U+00A0)".into(),
            Some(char::REPLACEMENT_CHARACTER) | None => "not even UTF-8".into(),
            Some(first) => format!("U+{:04X}", u32::from(first)),
        };
        let note = format!(
            "byte {} of the line is beyond ASCII ({what}); the firmware takes it for part of a name or a value",
            place + 1
        );
        self.note(at, note);
    }

    fn include(&mut self, file: &str, at: Location, depth: usize) -> Result<(), ConfigError> {
        if depth == INCLUDE_DEPTH {
            return Err(ConfigError::IncludeDepth {
                at,
                file: file.into(),
            });
        }
        self.includes += 1;
        if self.includes > INCLUDES {
            return Err(ConfigError::TooManyIncludes {
                at,
                file: file.into(),
            });
        }
        match (self.include)(file) {
            Ok(text) => self.file(&text, file, depth + 1),
            Err(why) => {
                self.note(&at, format!("{file} is not included: {why}"));
                Ok(())
            }
        }
    }

    fn note(&mut self, at: &Location, text: String) {
        let at = at.clone();
        self.config.notes.push(Sourced { value: text, at });
    }
}

#[cfg(test)]
mod tests;
