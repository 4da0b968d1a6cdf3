//! `[dhcp]`: which boot file DHCP names, by the architecture of the client.
//!
//! Sources: RFC 2132, section 9.5 (option 67); RFC 4578, section 2.1, and RFC 5970, section 3.3 (option 93), whose numbers IANA keeps in the
//! registry "Processor Architecture Types".

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::Transport;
use crate::input::{Document, InputError, Span};

/// The longest name in bytes: it fits the `file` field of a BOOTP message (RFC 2131, section 2) with its NUL.
const LONGEST: usize = 127;

/// Architectures that have a name here, with their numbers in IANA's registry. Others go by their number.
const NAMES: &[(&str, u16)] = &[
    ("x86-bios", 0),
    ("x86-uefi", 6),
    ("x64-uefi", 7),
    // RFC 4578 had 7 and 9 the other way round, and some firmware still sends 9 for x64.
    ("ebc", 9),
    ("arm32-uefi", 10),
    ("arm64-uefi", 11),
    ("arm32-uboot", 21),
    ("arm64-uboot", 22),
    ("riscv32-uefi", 25),
    ("riscv64-uefi", 27),
    ("loongarch64-uefi", 39),
    ("arm-rpiboot", 41),
];

/// Which boot file DHCP names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DhcpFiles {
    /// For clients whose architecture has none of its own.
    pub file: Option<String>,
    /// By the client's architecture, its number in IANA's registry.
    pub by_architecture: BTreeMap<u16, String>,
}

/// A client's architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Architecture(u16);

/// Which boot file DHCP names (option 67) to clients that are no iPXE, for boot by TFTP. iPXE is always told the boot script.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DhcpTable {
    /// For clients whose architecture has none of its own. The TFTP server has `boot.ipxe`, and below `files/` what the boot server has there.
    #[schemars(with = "Option<String>")]
    file: Option<Span<String>>,
    /// By the client's architecture (option 93): `x86-bios`, `x86-uefi`, `x64-uefi`, `ebc`, `arm32-uefi`, `arm64-uefi`, `arm32-uboot`,
    /// `arm64-uboot`, `riscv32-uefi`, `riscv64-uefi`, `loongarch64-uefi`, `arm-rpiboot`, or its number in IANA's registry of processor
    /// architecture types.
    #[serde(default)]
    #[schemars(with = "BTreeMap<Architecture, String>")]
    by_architecture: BTreeMap<Span<String>, Span<String>>,
}

impl DhcpTable {
    /// Checks what the types cannot.
    pub(super) fn check(
        this: Span<Self>,
        transport: Transport,
        document: &Document,
    ) -> Result<DhcpFiles, InputError> {
        let place = this.span();
        let Self {
            file,
            by_architecture,
        } = this.into_inner();
        let wrong = |span, message: &str| Err(document.error_at(span, message));
        if transport != Transport::Tftp {
            let message = "these files are read by TFTP, which this scenario does not serve: say transport = \"tftp\" in [boot], or leave [dhcp] out";
            return wrong(place, message);
        }
        if file.is_none() && by_architecture.is_empty() {
            let message = "this names no file: say file or by_architecture, or leave [dhcp] out";
            return wrong(place, message);
        }
        for file in file.iter().chain(by_architecture.values()) {
            let name = file.get_ref();
            if name.is_empty() || name.len() > LONGEST || name.contains('\0') {
                let message =
                    format!("a boot file has 1 to {LONGEST} bytes and no NUL: take another name");
                return wrong(file.span(), &message);
            }
        }
        let mut files = BTreeMap::new();
        for (name, file) in by_architecture {
            let Architecture(number) = match name.get_ref().parse::<Architecture>() {
                Ok(architecture) => architecture,
                Err(error) => return wrong(name.span(), &error.to_string()),
            };
            if files.insert(number, file.into_inner()).is_some() {
                let message =
                    format!("architecture {number} has a file already: leave one of them out");
                return wrong(name.span(), &message);
            }
        }
        Ok(DhcpFiles {
            file: file.map(Span::into_inner),
            by_architecture: files,
        })
    }
}

/// A text that is no architecture.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no architecture \"{0}\": take its number in IANA's registry of processor architecture types, 0 to 65535, or one of {names}",
    names = names()
)]
struct UnknownArchitecture(String);

fn names() -> String {
    let names: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

impl FromStr for Architecture {
    type Err = UnknownArchitecture;

    fn from_str(text: &str) -> Result<Self, UnknownArchitecture> {
        let named = NAMES.iter().find(|(name, _)| *name == text);
        let number = named
            .map(|(_, number)| *number)
            .or_else(|| text.parse().ok());
        number
            .map(Self)
            .ok_or_else(|| UnknownArchitecture(text.into()))
    }
}

impl JsonSchema for Architecture {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ClientArchitecture".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
        json_schema!({ "type": "string", "pattern": format!("^([0-9]+|{})$", names.join("|")) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::testing::extended;

    fn read(base: &str, more: &str) -> Result<DhcpFiles, String> {
        extended(base, more).map(|scenario| scenario.dhcp)
    }

    #[test]
    fn names_and_numbers_say_the_same() {
        let named =
            "[dhcp]\nfile = \"a\"\nby_architecture = { arm64-uefi = \"b\", x64-uefi = \"c\" }";
        let numbered = "[dhcp]\nfile = \"a\"\n[dhcp.by_architecture]\n7 = \"c\"\n11 = \"b\"";
        let files = read("tftp", named).unwrap();
        assert_eq!(files.file.as_deref(), Some("a"));
        assert_eq!(files.by_architecture[&11], "b");
        assert_eq!(files, read("tftp", numbered).unwrap());
        assert_eq!(read("tftp", "").unwrap(), DhcpFiles::default());
    }

    #[test]
    fn errors_point_at_the_place() {
        let long = format!("[dhcp]\nfile = \"{}\"", "x".repeat(128));
        let errors = [
            read("tftp", "[dhcp]\nby_architecture = { arm64 = \"a\" }"),
            read("tftp", "[dhcp.by_architecture]\n65536 = \"a\""),
            read(
                "tftp",
                "[dhcp.by_architecture]\n11 = \"a\"\narm64-uefi = \"b\"",
            ),
            read("tftp", "[dhcp.by_architecture]\n11 = \"\""),
            read("tftp", &long),
            read("tftp", "[dhcp]"),
            read("tftp", "[dhcp]\nnext_server = \"10.42.0.1\""),
            read("alpine-http", "[dhcp]\nfile = \"a\""),
        ];
        let errors = errors.map(Result::unwrap_err);
        insta::assert_snapshot!(errors.join("\n"));
    }
}
