//! The names of a kernel's functions, as its `System.map` has them: what `nm -n vmlinux` prints.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How far behind the last symbol an address may be: a function is no longer.
const LONGEST: u64 = 1 << 20;

/// Functions by their addresses.
#[derive(Clone)]
pub struct Symbols(Vec<(u64, String)>);

/// Why a file is no `System.map`.
#[derive(Debug, thiserror::Error)]
pub enum SymbolsError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line has another form.
    #[error("{}:{line}: this is no line of a System.map, which has an address, a type and a name; give the one that was built with the kernel", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// It is what Debian's kernel packages have in its place.
    #[error("{} only says where the real one is: in the package linux-image-…-dbg; give that one's", path.display())]
    StandIn {
        /// The file.
        path: PathBuf,
    },
    /// It has no symbol.
    #[error("{} has no symbol; give the System.map that was built with the kernel", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

impl Symbols {
    /// Reads a `System.map`.
    ///
    /// # Errors
    /// The file cannot be read, or is something else.
    pub fn read(path: &Path) -> Result<Self, SymbolsError> {
        let text = fs::read_to_string(path).map_err(|source| SymbolsError::Unreadable {
            path: path.into(),
            source,
        })?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, SymbolsError> {
        if text.contains("The real System.map") {
            return Err(SymbolsError::StandIn { path: path.into() });
        }
        let mut all = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let mut words = line.split_ascii_whitespace();
            let found = match (words.next(), words.next(), words.next()) {
                (Some(address), Some(kind), Some(name)) if kind.len() == 1 => {
                    let address = u64::from_str_radix(address, 16);
                    address.ok().map(|address| (address, name.to_owned()))
                }
                _ => None,
            };
            all.push(found.ok_or_else(|| SymbolsError::Line {
                path: path.into(),
                line: number + 1,
            })?);
        }
        if all.is_empty() {
            return Err(SymbolsError::Empty { path: path.into() });
        }
        all.sort_by_key(|(address, _)| *address);
        Ok(Self(all))
    }

    /// Where an address is, for example `cpu_do_idle+0x8`; `None` outside of the kernel.
    #[must_use]
    pub fn place(&self, address: u64) -> Option<String> {
        let behind = self.0.partition_point(|(start, _)| *start <= address);
        let (start, name) = self.0.get(behind.checked_sub(1)?)?;
        let offset = address - start;
        (offset < LONGEST).then(|| format!("{name}+{offset:#x}"))
    }
}

impl fmt::Debug for Symbols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} symbols", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Symbols, String> {
        Symbols::parse(text, Path::new("System.map")).map_err(|error| error.to_string())
    }

    #[test]
    fn an_address_is_in_the_function_before_it() {
        let symbols = parse("ffff800080010000 T _text\nffff800080010100 t cpu_do_idle\n").unwrap();
        let place = |address| symbols.place(address);
        assert_eq!(place(0xffff_8000_8001_0108).unwrap(), "cpu_do_idle+0x8");
        assert_eq!(place(0xffff_8000_8001_0000).unwrap(), "_text+0x0");
        assert_eq!(place(0x3b36_a1c4), None);
        assert_eq!(place(0xffff_8000_9001_0108), None);
    }

    #[test]
    fn another_file_is_named_with_what_to_do() {
        insta::assert_snapshot!(parse("ffff T _text\nCONFIG_X=y\n").unwrap_err(), @"System.map:2: this is no line of a System.map, which has an address, a type and a name; give the one that was built with the kernel");
        let debian = "ffffffffffffffff B The real System.map is in the linux-image-6.12.117+deb13-arm64-dbg package\n";
        assert!(
            parse(debian)
                .unwrap_err()
                .contains("only says where the real one is")
        );
        assert!(parse("").unwrap_err().contains("has no symbol"));
        let missing = Symbols::read(Path::new("/nonexistent/System.map"));
        assert!(
            missing
                .unwrap_err()
                .to_string()
                .starts_with("cannot read /nonexistent/System.map")
        );
    }
}
