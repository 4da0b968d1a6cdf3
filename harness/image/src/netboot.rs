//! What provisioning has put onto an image, read back: identity, trust, boot script.
//!
//! Life cycle: [`Netboot::read`] once per image. Images that other generators have made are read too, as far as they keep to the
//! specification: the identity is set in the script by `set cert:…` and `set privkey:…` in one of iPXE's forms of hex digits.

use std::fmt;
use std::fs::File;

use super::disk::Disk;
use super::efivar::{self, VariableStore};
use super::fat::{FatError, FatVolume};
use super::guid::Guid;
use super::script::{self, Identity, Server};
use super::{ImageError, LIMITS};

/// What stands in for a key wherever a script is shown.
const NOT_SHOWN: &str = "(a private key, not shown)";

/// The parts of a netboot image that a prebuilt image does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Netboot {
    /// `autoexec.ipxe`.
    pub script: BootScript,
    /// The certificates that iPXE trusts, in DER.
    pub trusted: Vec<Vec<u8>>,
}

impl Netboot {
    /// Reads what is on the EFI system partition; `None` when there is no script, which is what makes an image a prebuilt one.
    ///
    /// # Errors
    /// [`ImageError`] that names the file concerned.
    pub fn read(disk: &Disk) -> Result<Option<Self>, ImageError> {
        let esp = disk.esp()?;
        let volume = disk.volume(esp)?;
        let fat = ImageError::fat(disk.path(), esp.number);
        let Some(script) = optional(&volume, script::FILE_NAME).map_err(&fat)? else {
            return Ok(None);
        };
        let store = optional(&volume, efivar::FILE_NAME).map_err(&fat)?;
        let trusted = store.map_or(Ok(Vec::new()), |store| trusted(&store));
        Ok(Some(Self {
            script: BootScript::new(&script),
            trusted: trusted.map_err(|source| ImageError::EfiVar {
                path: disk.path().into(),
                partition: esp.number,
                file: efivar::FILE_NAME,
                source,
            })?,
        }))
    }
}

/// The certificates that a variable store makes iPXE trust.
///
/// # Errors
/// The store or the signature list in it is damaged.
pub fn trusted(store: &[u8]) -> Result<Vec<Vec<u8>>, efivar::EfiVarError> {
    let store = VariableStore::decode(store)?;
    match store.get(Guid::TLS_CA_CERTIFICATE, efivar::TLS_CA_CERTIFICATE) {
        Some(variable) => efivar::x509_certificates(&variable.data),
        None => Ok(Vec::new()),
    }
}

/// A file that need not be there.
pub(crate) fn optional(volume: &FatVolume<&File>, path: &str) -> Result<Option<Vec<u8>>, FatError> {
    match volume.read(path, LIMITS.small_file) {
        Ok(contents) => Ok(Some(contents)),
        Err(FatError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A boot script. Its debug output has no key.
#[derive(Clone, PartialEq, Eq)]
pub struct BootScript {
    text: String,
}

/// What is wrong with the identity in a script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptIdentityError {
    /// The value is no hex.
    #[error(
        "line {line}: the value of {setting} is not hex digits, as in `set {setting}:hexraw 3082…`"
    )]
    NotHex {
        /// From 1.
        line: usize,
        /// `cert` or `privkey`.
        setting: &'static str,
    },
    /// One without the other.
    #[error("the script sets {set} and not {missing}")]
    Half {
        /// What is there.
        set: &'static str,
        /// What is not.
        missing: &'static str,
    },
}

impl BootScript {
    /// The script in a file. What is no UTF-8 in it is no matter: iPXE's commands are ASCII.
    #[must_use]
    pub fn new(file: &[u8]) -> Self {
        Self {
            text: String::from_utf8_lossy(file).into_owned(),
        }
    }

    /// Whether iPXE takes the file for a script.
    #[must_use]
    pub fn has_magic(&self) -> bool {
        let magic = self.text.strip_prefix("#!ipxe");
        magic.is_some_and(|rest| rest.starts_with(char::is_whitespace))
    }

    /// The identity that it sets, the last of each setting as iPXE does it.
    ///
    /// # Errors
    /// [`ScriptIdentityError`].
    pub fn identity(&self) -> Result<Option<Identity>, ScriptIdentityError> {
        let (cert, key) = (self.setting("cert")?, self.setting("privkey")?);
        match (cert, key) {
            (Some(certificate), Some(private_key)) => Ok(Some(Identity {
                certificate,
                private_key,
            })),
            (None, None) => Ok(None),
            (Some(_), None) => Err(ScriptIdentityError::Half {
                set: "cert",
                missing: "privkey",
            }),
            (None, Some(_)) => Err(ScriptIdentityError::Half {
                set: "privkey",
                missing: "cert",
            }),
        }
    }

    /// The boot servers that it names in `https://` URLs, each once, in their order. Those behind a setting, as in `${server}`,
    /// are known only when it runs.
    #[must_use]
    pub fn servers(&self) -> Vec<Server> {
        let mut servers: Vec<Server> = Vec::new();
        for (_, line) in self.commands() {
            for (start, _) in line.match_indices("https://") {
                let url = line.get(start..).unwrap_or_default();
                let end = url
                    .match_indices(['/', ' ', '\t', '?', '"'])
                    .map(|(end, _)| end)
                    .find(|end| *end >= "https://".len());
                let server = url.get(..end.unwrap_or(url.len()));
                if let Some(server) = server.and_then(|url| url.parse().ok())
                    && !servers.contains(&server)
                {
                    servers.push(server);
                }
            }
        }
        servers
    }

    /// Whether it sets the clock, which iPXE otherwise believes to stand at 1970.
    #[must_use]
    pub fn sets_clock(&self) -> bool {
        self.commands()
            .any(|(_, line)| line.split_whitespace().next() == Some("ntp"))
    }

    /// The text for people: without the key.
    #[must_use]
    pub fn redacted(&self) -> String {
        let mut text = String::new();
        for line in self.text.lines() {
            match line.find("privkey") {
                Some(at) if line.trim_start().starts_with("set") => {
                    let setting = line.get(..at).unwrap_or_default();
                    text.push_str(&format!("{setting}privkey {NOT_SHOWN}"));
                }
                _ => text.push_str(line),
            }
            text.push('\n');
        }
        text
    }

    /// Lines that are no comment, with their numbers from 1.
    fn commands(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..)
            .zip(self.text.lines())
            .map(|(number, line)| (number, line.trim_start()))
            .filter(|(_, line)| !line.starts_with('#'))
    }

    /// The value of `set SETTING:hexraw …` or one of iPXE's other forms of hex.
    fn setting(&self, setting: &'static str) -> Result<Option<Vec<u8>>, ScriptIdentityError> {
        let mut value = None;
        for (line, text) in self.commands() {
            let mut words = text.split_whitespace();
            let (Some("set"), Some(name)) = (words.next(), words.next()) else {
                continue;
            };
            let (name, kind) = name.split_once(':').unwrap_or((name, ""));
            if name != setting {
                continue;
            }
            let digits = words.next().unwrap_or_default();
            let digits = match kind {
                "hexraw" => digits.to_owned(),
                "hex" => digits.replace(':', ""),
                "hexhyp" => digits.replace('-', ""),
                _ => return Err(ScriptIdentityError::NotHex { line, setting }),
            };
            let bytes = hex::decode(digits);
            value = Some(bytes.map_err(|_| ScriptIdentityError::NotHex { line, setting })?);
        }
        Ok(value)
    }
}

impl fmt::Debug for BootScript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BootScript").field(&self.redacted()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{BootSource, autoexec};

    fn script(text: &str) -> BootScript {
        BootScript::new(text.as_bytes())
    }

    #[test]
    fn what_provisioning_writes_is_read_back() {
        let identity = Identity {
            certificate: b"certificate".to_vec(),
            private_key: b"private key".to_vec(),
        };
        let source = BootSource::Https {
            server: "https://boot.example:8443".parse().unwrap(),
            identity: Some(identity.clone()),
            trusted_ca: vec![],
        };
        let script = script(&autoexec(&source, None));
        assert!(script.has_magic() && !script.sets_clock());
        assert_eq!(script.identity(), Ok(Some(identity)));
        assert_eq!(
            script.servers(),
            ["https://boot.example:8443".parse().unwrap()]
        );
        let shown = format!("{script:?}{}", script.redacted());
        assert!(!shown.contains(&hex::encode("private key")), "{shown}");
        assert!(shown.contains(&hex::encode("certificate")));
    }

    #[test]
    fn other_forms_are_read() {
        let script = script(
            "#!ipxe\n  set cert:hex 01:ff\nset privkey:hexhyp 02-03\nntp pool\n# https://comment\nchain https://${server}/x || chain https://a/b?c || imgfetch https://a:1 x\n",
        );
        let identity = script.identity().unwrap().unwrap();
        assert_eq!(
            (identity.certificate, identity.private_key),
            (vec![1, 255], vec![2, 3])
        );
        let servers: Vec<_> = script.servers().iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["https://a", "https://a:1"]);
        assert!(script.sets_clock());
    }

    #[test]
    fn halves_and_garbage_are_named() {
        let refused = |text| script(text).identity().unwrap_err().to_string();
        insta::assert_snapshot!(refused("set cert:hexraw 00"), @"the script sets cert and not privkey");
        insta::assert_snapshot!(refused("\nset privkey:hexraw 0"), @"line 2: the value of privkey is not hex digits, as in `set privkey:hexraw 3082…`");
        insta::assert_snapshot!(refused("set cert file"), @"line 1: the value of cert is not hex digits, as in `set cert:hexraw 3082…`");
        assert_eq!(script("#!ipxe\nset net0/ip 1").identity(), Ok(None));
        assert!(!script("#!ipxes").has_magic());
    }
}
