//! `config.txt` as the VideoCore firmware reads it: which settings apply to a given board.
//!
//! [`parse`] is called once per boot with the file's bytes and a way to reach included files; it does no I/O of its own.
//! Source: Raspberry Pi documentation, "config.txt": what it is, boot options, conditional filters. The firmware skips
//! silently what it does not understand; so does this parser, but it keeps a note for people to read.

mod filter;
mod settings;

use std::fmt;

pub use filter::{BoardModel, Hardware};
pub use settings::{Config, DeviceTreeSetting, Initramfs, Sourced};

use filter::FilterState;

/// Characters of a line that the firmware reads.
const LINE_LIMIT: usize = 98;
/// Files within files. The documentation gives no limit; this one ends a file that includes itself.
const INCLUDE_DEPTH: usize = 8;
/// Files included in all, each as often as it is. Eight levels alone would not end a file that includes itself twice.
const INCLUDES: usize = 64;
/// Bytes of all files together. Real ones have a few thousand.
const TEXT_LIMIT: usize = 256 * 1024;

/// What editors put in front of UTF-16.
const UTF_16: &[u8] = &[0xff, 0xfe];

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
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Why a `config.txt` cannot be read the way the firmware would.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// A setting that must be a number is none.
    #[error("{at}: {key}={value} is not a number")]
    NotANumber {
        /// Where.
        at: Location,
        /// The setting.
        key: String,
        /// What it was set to.
        value: String,
    },
    /// `initramfs` without a file, or with an address that is none.
    #[error("{at}: expected `initramfs FILE ADDRESS` or `initramfs FILE followkernel`")]
    Initramfs {
        /// Where.
        at: Location,
    },
    /// A section name without its closing bracket.
    #[error("{at}: the filter {text} has no closing bracket")]
    OpenFilter {
        /// Where.
        at: Location,
        /// The line's text.
        text: String,
    },
    /// Files include each other without end.
    #[error("{at}: files are included more than {INCLUDE_DEPTH} deep; does {file} include itself?")]
    IncludeDepth {
        /// Where.
        at: Location,
        /// The file that was to be included.
        file: String,
    },
    /// Files are included over and over.
    #[error("{at}: more than {INCLUDES} files are included, {file} is one too many")]
    TooManyIncludes {
        /// Where.
        at: Location,
        /// The file that was to be included.
        file: String,
    },
    /// There is more text than any board has.
    #[error("{file}: with this file there are more than {TEXT_LIMIT} bytes of settings")]
    TooMuchText {
        /// The file that went over the limit.
        file: String,
    },
}

/// Reads `text`, the contents of the file `name`, as the firmware of `hardware` would. `include` gives the contents of a file
/// that is named by an `include` line, or `None` when there is no such file.
///
/// # Errors
/// What [`ConfigError`] lists. Settings that are merely unknown are kept in [`Config::other`].
pub fn parse(
    text: &[u8],
    name: &str,
    hardware: &Hardware,
    include: &mut dyn FnMut(&str) -> Option<Vec<u8>>,
) -> Result<Config, ConfigError> {
    let mut parser = Parser {
        hardware,
        include,
        filters: FilterState::default(),
        config: Config::default(),
        includes: 0,
        bytes: 0,
    };
    parser.file(text, name, 0)?;
    Ok(parser.config)
}

struct Parser<'a> {
    hardware: &'a Hardware,
    include: &'a mut dyn FnMut(&str) -> Option<Vec<u8>>,
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
        if text.starts_with(UTF_16) {
            let at = Location {
                file: name.into(),
                line: 1,
            };
            self.note(&at, "the file is UTF-16, the firmware reads ASCII".into());
        }
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let at = Location {
                file: name.into(),
                line: index + 1,
            };
            // Comments may be in any encoding; the settings that matter are ASCII.
            self.line(&String::from_utf8_lossy(line), at, depth)?;
        }
        Ok(())
    }

    fn line(&mut self, line: &str, at: Location, depth: usize) -> Result<(), ConfigError> {
        let line = line.trim_start();
        if line.starts_with('#') || line.trim().is_empty() {
            return Ok(());
        }
        let line = match line.trim_end().char_indices().nth(LINE_LIMIT) {
            Some((limit, _)) => {
                self.note(
                    &at,
                    format!("the firmware reads only the first {LINE_LIMIT} characters of a line"),
                );
                line.get(..limit).unwrap_or(line)
            }
            None => line.trim_end(),
        };
        if let Some(rest) = line.strip_prefix('[') {
            let Some((filter, _)) = rest.split_once(']') else {
                return Err(ConfigError::OpenFilter {
                    at,
                    text: line.into(),
                });
            };
            if !self.filters.apply(filter, self.hardware) {
                self.note(
                    &at,
                    format!("unknown filter [{filter}]; nothing below it applies"),
                );
            }
            return Ok(());
        }
        if !self.filters.passes() {
            return Ok(());
        }
        if let Some(file) = line.strip_prefix("include ") {
            return self.include(file.trim(), at, depth);
        }
        if let Some(arguments) = line.strip_prefix("initramfs ") {
            return self.config.set_initramfs(arguments, at);
        }
        match line.split_once('=') {
            Some((key, value)) => self.config.set(key, value, at),
            None => {
                self.note(&at, format!("the line `{line}` is no setting"));
                Ok(())
            }
        }
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
            Some(text) => self.file(&text, file, depth + 1),
            None => {
                self.note(&at, format!("the included file {file} does not exist"));
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
