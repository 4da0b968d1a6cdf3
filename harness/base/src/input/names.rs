//! Names that become part of a path, a command line or a line on a terminal: each is a type with an alphabet, checked where it is read.
//!
//! Boards, scenarios, chains and bundles may come from somebody else. Only names of these types reach a file name or an
//! argument. Source for machines and properties: QEMU's invocation manual, `-machine` and `-global`, whose option parser gives commas and
//! equals signs a meaning.

/// The longest name.
const LONGEST: usize = 64;

/// Declares a type for names: what it is for, which text it takes, and how a mistake is answered.
macro_rules! name_type {
    ($(#[$doc:meta])* $type:ident, $schema:literal, $takes:path, $wanted:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// The name as it was written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $type {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                if text.len() <= LONGEST && $takes(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(NameError { text: text.into(), wanted: $wanted })
                }
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }

        impl std::ops::Deref for $type {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<std::path::Path> for $type {
            fn as_ref(&self) -> &std::path::Path {
                self.0.as_ref()
            }
        }

        impl PartialEq<str> for $type {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }

        impl PartialEq<&str> for $type {
            fn eq(&self, other: &&str) -> bool {
                self.0 == *other
            }
        }

        impl PartialEq<String> for $type {
            fn eq(&self, other: &String) -> bool {
                self.0 == *other
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $schema, "maxLength": LONGEST })
            }
        }
    };
}

name_type!(
    /// A board: `NAME` of `boards/NAME.toml`.
    BoardName,
    "^[A-Za-z0-9][A-Za-z0-9_-]*$",
    is_file_name,
    "the name of a board, of letters, digits, - and _, such as raspi3b"
);
name_type!(
    /// A scenario: `NAME` of `scenarios/NAME.toml`.
    ScenarioName,
    "^[A-Za-z0-9][A-Za-z0-9_-]*$",
    is_file_name,
    "the name of a scenario, of letters, digits, - and _, such as alpine-http"
);
name_type!(
    /// A chain: `NAME` of `boards/NAME.chain.toml`.
    ChainName,
    "^[A-Za-z0-9][A-Za-z0-9_-]*$",
    is_file_name,
    "the name of a chain, of letters, digits, - and _, such as netboot"
);
name_type!(
    /// A board or a scenario, where it may be either.
    DefinitionName,
    "^[A-Za-z0-9][A-Za-z0-9_-]*$",
    is_file_name,
    "the name of a board or a scenario, of letters, digits, - and _, such as alpine-http"
);
name_type!(
    /// A deployment: `NAME` of `[deployment.NAME]`.
    DeploymentName,
    "^[A-Za-z0-9][A-Za-z0-9_-]*$",
    is_file_name,
    "the name of a deployment, of letters, digits, - and _, such as broken"
);
name_type!(
    /// A machine of QEMU: the first word of `-M`, without properties.
    MachineType,
    "^[a-z0-9][a-z0-9._-]*$",
    is_machine,
    "a machine of QEMU without properties, of a-z, 0-9, -, _ and ., such as raspi3b"
);
name_type!(
    /// A property of a device class of QEMU, as `driver.property`.
    DeviceProperty,
    "^[A-Za-z0-9][A-Za-z0-9_-]*\\.[A-Za-z0-9][A-Za-z0-9_-]*$",
    is_property,
    "a property of QEMU as driver.property, such as bcm2837.enabled-cpus"
);

name_type!(
    /// A name in an option of QEMU: a device, a processor, without properties.
    QemuName,
    "^[A-Za-z0-9][A-Za-z0-9_.-]*$",
    is_qemu_name,
    "a name of QEMU without properties, of letters, digits, -, _ and ., such as virtio-net-pci"
);
name_type!(
    /// A set of packages of the fixtures.
    SetName,
    "^[A-Za-z0-9][A-Za-z0-9_-]*$",
    is_file_name,
    "the name of a package set, of letters, digits, - and _, such as u-boot"
);
name_type!(
    /// What a board can do, for scenarios that need it.
    CapabilityName,
    "^[A-Za-z0-9][A-Za-z0-9_-]*$",
    is_file_name,
    "the name of a capability, of letters, digits, - and _, such as sd-card"
);

/// A text that is no name of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {wanted}")]
pub struct NameError {
    /// What was written.
    text: String,
    /// What is wanted there.
    wanted: &'static str,
}

/// The first character is a letter or a digit, so that no name is an option; no dot, so that none leads out of a folder.
fn is_file_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

fn is_machine(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    text.bytes().next().is_some_and(plain) && text.bytes().all(|b| plain(b) || b"._-".contains(&b))
}

fn is_qemu_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

fn is_property(text: &str) -> bool {
    text.split_once('.')
        .is_some_and(|(driver, property)| is_file_name(driver) && is_file_name(property))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_nowhere_else() {
        for good in ["raspi3b", "raspi3b-plus", "my_board2", "A"] {
            assert_eq!(good.parse::<BoardName>().unwrap(), good);
        }
        for bad in [
            "",
            "..",
            "../b",
            "/etc/passwd",
            "a/b",
            "a.b",
            "-x",
            "a b",
            "a\u{1b}[2J",
            "b\0",
            &"a".repeat(65),
        ] {
            assert!(bad.parse::<BoardName>().is_err(), "{bad:?}");
            assert!(bad.parse::<ScenarioName>().is_err(), "{bad:?}");
            assert!(bad.parse::<ChainName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_machine_has_no_properties_of_its_own() {
        for good in ["raspi3b", "virt-10.0", "xilinx-zcu102", "sifive_u"] {
            assert_eq!(good.parse::<MachineType>().unwrap(), good);
        }
        for bad in [
            "",
            "raspi3b,dumpdtb=/tmp/x",
            "virt accel",
            "RASPI",
            "-M",
            "virt=on",
        ] {
            assert!(bad.parse::<MachineType>().is_err(), "{bad:?}");
        }
        assert!("virtio-net-pci".parse::<QemuName>().is_ok());
        for bad in ["", "max,pmu=off", "-cpu", "a b", "a=b", "é"] {
            assert!(bad.parse::<QemuName>().is_err(), "{bad:?}");
        }
        assert!("bcm2837.enabled-cpus".parse::<DeviceProperty>().is_ok());
        for bad in ["", "a", "a.", ".a", "a.b=1,c.d", "a.b,x", "a.b.c"] {
            assert!(bad.parse::<DeviceProperty>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_mistake_is_shown_escaped() {
        let error = "a\u{1b}]0;x\u{7}".parse::<BoardName>().unwrap_err();
        insta::assert_snapshot!(error, @r#""a\u{1b}]0;x\u{7}" is not the name of a board, of letters, digits, - and _, such as raspi3b"#);
    }
}
