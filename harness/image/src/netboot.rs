//! What provisioning has put onto an image, read back: identity, trust, boot script.
//!
//! Life cycle: [`Netboot::read`] once per image. Images that other generators have made are read too, as far as they keep to the
//! specification: the identity is set in the script by `set cert:…` and `set privkey:…` in one of iPXE's forms of hex digits.

mod syntax;

use std::fmt;

use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::ImageError;
use super::disk::Disk;
use super::efivar::{self, VariableStore};
use super::guid::Guid;
use super::home::{IpxeHome, optional};
use super::script::{self, Identity, Server};

/// What stands in for a key wherever a script is shown.
const NOT_SHOWN: &str = "(a private key, not shown)";
/// Commands that fail when network or server do.
const FAIL: &[&str] = &[
    "autoboot",
    "boot",
    "chain",
    "dhcp",
    "ifconf",
    "ifopen",
    "imgexec",
    "imgextract",
    "imgfetch",
    "imgverify",
    "initrd",
    "kernel",
    "module",
    "nslookup",
    "ntp",
    "ping",
    "sanboot",
];
/// Commands behind which nothing need come.
const LAST: &[&str] = &["exit", "goto", "poweroff", "reboot"];
/// Commands that wait for time or a key: iPXE stops the core meanwhile.
const NAPS: &[&str] = &[
    "sleep", "prompt", "shell", "choose", "login", "read", "config",
];
/// iPXE's name for it.
const PRIVATE_KEY: &str = "privkey";
/// Commands that show text to people.
const SHOWN: [&str; 5] = ["echo", "prompt", "menu", "item", "choose"];
/// Digits that may be a piece of a key.
const LONG_HEX: usize = 32;
const LONG_BASE64: usize = 40;

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
        let esp = &IpxeHome::find(disk)?.partition;
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
    trusted_in(&VariableStore::decode(store)?)
}

/// The certificates of the variable that U-Boot takes.
pub(crate) fn trusted_in(store: &VariableStore) -> Result<Vec<Vec<u8>>, efivar::EfiVarError> {
    match store.get(Guid::TLS_CA_CERTIFICATE, efivar::TLS_CA_CERTIFICATE) {
        Some(variable) => efivar::x509_certificates(&variable.data),
        None => Ok(Vec::new()),
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
        "line {line}: the value of {setting} is not hex digits: write for example `set {setting}:hexraw 3082…`"
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

    /// Why iPXE does not take the file for a script, where its encoding is the reason.
    #[must_use]
    pub fn encoding_fault(file: &[u8]) -> Option<&'static str> {
        match file {
            [0xef, 0xbb, 0xbf, ..] => {
                Some("it begins with a byte order mark, behind which iPXE does not see #!ipxe")
            }
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("it is UTF-16, and iPXE reads ASCII"),
            file if file.contains(&b'\r') && !file.contains(&b'\n') => Some(
                "its lines end with carriage returns alone, so that iPXE takes all of it for the one line #!ipxe",
            ),
            _ => None,
        }
    }

    /// Whether iPXE takes the file for a script.
    #[must_use]
    pub fn has_magic(&self) -> bool {
        let magic = self.text.strip_prefix("#!ipxe");
        let is_one_line = self.text.contains('\r') && !self.text.contains('\n');
        magic.is_some_and(|rest| rest.starts_with(char::is_whitespace)) && !is_one_line
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

    /// The private key that it sets, with a certificate or without one.
    ///
    /// # Errors
    /// [`ScriptIdentityError::NotHex`].
    pub fn private_key(&self) -> Result<Option<Vec<u8>>, ScriptIdentityError> {
        self.setting("privkey")
    }

    /// The boot servers that it names in `https://` URLs, each once, in their order. Those behind a setting, for example `${server}`,
    /// are known only when it runs.
    #[must_use]
    pub fn servers(&self) -> Vec<Server> {
        let mut servers: Vec<Server> = Vec::new();
        let commands = syntax::commands(&self.text);
        let commands = commands
            .iter()
            .filter(|command| !SHOWN.contains(&command.name()));
        for word in commands.flat_map(syntax::Command::arguments) {
            for (start, _) in word.match_indices("https://") {
                let url = word.get(start..).unwrap_or_default();
                let end = url
                    .match_indices(['/', '?', '"'])
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

    /// Whether it may set the clock, which iPXE otherwise believes to stand at 1970.
    #[must_use]
    pub fn sets_clock(&self) -> bool {
        let commands = syntax::commands(&self.text);
        commands.iter().any(|command| command.name() == "ntp")
    }

    /// Where it ends, each place in words: iPXE is left then, and the board goes on with what comes behind it.
    #[must_use]
    pub fn ends(&self) -> Vec<String> {
        let commands = syntax::commands(&self.text);
        let labels: Vec<_> = syntax::labels(&self.text).collect();
        let mut ends: Vec<_> = commands
            .iter()
            .filter_map(|command| {
                let label = command.arguments().next().unwrap_or_default();
                let is_lost = !label.contains("${") && !labels.contains(&label);
                let why = match command.name() {
                    "exit" => "`exit`".to_owned(),
                    "goto" if is_lost => "`goto` to a label that is not there".to_owned(),
                    name if FAIL.contains(&name) && !command.is_caught => {
                        format!("`{name}`, if it fails: no `||` is behind it")
                    }
                    _ => return None,
                };
                Some(format!("line {}: {why}", command.line))
            })
            .collect();
        // Only a command alone in its line is always come to.
        if let Some(last) = commands.last()
            && !(LAST.contains(&last.name())
                && commands.iter().filter(|c| c.line == last.line).count() == 1)
        {
            ends.push(format!("line {}, behind which nothing comes", last.line));
        }
        ends
    }

    /// The commands in it that wait for time or a key, with the numbers of their lines from 1.
    #[must_use]
    pub fn naps(&self) -> Vec<(usize, String)> {
        let commands = syntax::commands(&self.text).into_iter();
        commands
            .filter(|command| NAPS.contains(&command.name()))
            .map(|command| (command.line, command.name().to_owned()))
            .collect()
    }

    /// The text for people: without anything that may be a key. Of lines that mention one, and of those that they go on in, only
    /// that they are there is shown; of the others no long run of digits but those of a certificate.
    #[must_use]
    pub fn redacted(&self) -> String {
        let mut text = String::new();
        let mut goes_on = false;
        for line in self.text.lines() {
            let hides = goes_on || line.contains(PRIVATE_KEY);
            goes_on =
                line.trim_end().ends_with('\\') && (hides || line.trim_start().starts_with("set"));
            match hides {
                true => text.push_str(NOT_SHOWN),
                false => text.push_str(&without_digits(line)),
            }
            text.push('\n');
        }
        text
    }

    /// The value of `set SETTING:hexraw …` or one of iPXE's other forms of hex.
    fn setting(&self, setting: &'static str) -> Result<Option<Vec<u8>>, ScriptIdentityError> {
        let mut value = None;
        for command in syntax::commands(&self.text) {
            let mut arguments = command.arguments();
            let name = arguments.next().unwrap_or_default();
            let (name, kind) = name.split_once(':').unwrap_or((name, ""));
            if name != setting {
                continue;
            }
            match command.name() {
                "set" => {}
                "clear" => {
                    value = None;
                    continue;
                }
                _ => continue,
            }
            let line = command.line;
            let digits = arguments.next().unwrap_or_default();
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

/// The line without words that may be a key in one of its forms.
fn without_digits(line: &str) -> String {
    let words = line.split_inclusive(char::is_whitespace);
    let shown = words.map(|word| {
        let digits: String = word.chars().filter(char::is_ascii_hexdigit).collect();
        let is_hex = word
            .chars()
            .all(|c| c.is_ascii_hexdigit() || c.is_whitespace() || matches!(c, ':' | '-'));
        let is_base64 = word.len() >= LONG_BASE64
            && word
                .trim_end()
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
        let is_certificate = || {
            let der = hex::decode(&digits).unwrap_or_default();
            X509Certificate::from_der(&der).is_ok()
        };
        match (is_hex && digits.len() >= LONG_HEX, is_base64) {
            (true, _) if is_certificate() => word,
            (true, _) | (_, true) => "(digits, not shown) ",
            _ => word,
        }
    });
    shown.collect::<String>().trim_end().to_owned()
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
    fn commands_that_sleep_are_found_and_words_like_them_are_not() {
        let foreign = script(
            "#!ipxe\n:again\nprompt --timeout 5000 Press a key || goto on\n# sleep 1\necho sleep well\n:on\n  isset ${x} && sleep 5 ||\nset shell sleep\n\
             chain a || echo b ; shell\n",
        );
        let naps = [(3, "prompt"), (7, "sleep"), (9, "shell")];
        assert_eq!(
            foreign.naps(),
            naps.map(|(line, name)| (line, name.to_owned()))
        );
        assert!(script(&autoexec(&BootSource::Dhcp, None)).naps().is_empty());
    }

    #[test]
    fn no_form_of_a_key_is_shown() {
        let key = hex::encode([0x30; 40]);
        let colons = vec!["30"; 40].join(":");
        for text in [
            format!("#set privkey:hexraw {key}"),
            format!("isset ${{x}} || set privkey:hexraw {key}"),
            format!("iseq a a && set privkey:hex {colons}"),
            format!("set \\\nprivkey:hexraw \\\n{key}"),
            format!("set p:hexraw {key}\nset privkey ${{p}}"),
            format!("set p:hex {colons}"),
            format!(
                "# {}",
                "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEA".repeat(2)
            ),
        ] {
            let script = script(&text);
            let shown = format!("{script:?}{}", script.redacted());
            for secret in ["30303030", "30:30:30", "MIIEvQ"] {
                assert!(!shown.contains(secret), "{text}: {shown}");
            }
        }
        let harmless = "#!ipxe\nchain https://boot.example/boot/ipxe?mac=${net0/mac:hexhyp}\n";
        assert_eq!(script(harmless).redacted(), harmless);
        let certificate = hex::encode(crate::testing::PKI.client.certificate_der());
        let set = format!("set cert:hexraw {certificate}\n");
        assert_eq!(script(&set).redacted(), set);
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
    fn commands_are_found_wherever_they_stand_in_a_line() {
        for sets in [
            "ifopen && ntp pool",
            "isset ${x} || ntp pool",
            ":again ntp pool ||",
            "ntp \\\n pool",
            "ifopen ; ntp pool",
        ] {
            assert!(script(sets).sets_clock(), "{sets}");
        }
        for sets_not in [
            "# ntp pool",
            "echo a # && ntp pool",
            "echo ntp pool",
            ":ntp pool",
            "ntpd",
        ] {
            assert!(!script(sets_not).sets_clock(), "{sets_not}");
        }
        let servers = |text| {
            let servers = script(text).servers().into_iter();
            servers.map(|server| server.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(
            servers("echo https://a && chain https://b/x # https://c"),
            ["https://b"]
        );
        assert_eq!(
            servers("prompt https://a\nset u https://b:1\nchain ${u}"),
            ["https://b:1"]
        );
        let set = "isset ${cert} || set cert:hexraw 01 && set privkey:hexraw 02";
        assert!(script(set).identity().unwrap().is_some());
        let cleared = format!("{set}\nclear cert ; clear privkey");
        assert_eq!(script(&cleared).identity(), Ok(None));
        let ends = |text: &str| script(text).ends().join("; ");
        assert_eq!(
            ends("chain x || exit 1\n#exit\necho exit\n:a exit"),
            "line 1: `exit`; line 4: `exit`"
        );
        assert_eq!(ends(":a\ndhcp || goto a\nchain x ||\ngoto a"), "");
        assert_eq!(
            ends("dhcp && chain x || goto b"),
            "line 1: `goto` to a label that is not there; line 1, behind which nothing comes"
        );
        assert_eq!(
            ends("dhcp\nchain x"),
            "line 1: `dhcp`, if it fails: no `||` is behind it; line 2: `chain`, if it fails: no `||` is behind it; line 2, behind which nothing comes"
        );
        assert_eq!(ends("goto ${next}"), "");
    }

    #[test]
    fn halves_and_garbage_are_named() {
        let refused = |text| script(text).identity().unwrap_err().to_string();
        insta::assert_snapshot!(refused("set cert:hexraw 00"), @"the script sets cert and not privkey");
        insta::assert_snapshot!(refused("\nset privkey:hexraw 0"), @"line 2: the value of privkey is not hex digits: write for example `set privkey:hexraw 3082…`");
        insta::assert_snapshot!(refused("set cert file"), @"line 1: the value of cert is not hex digits: write for example `set cert:hexraw 3082…`");
        assert_eq!(script("#!ipxe\nset net0/ip 1").identity(), Ok(None));
        assert!(!script("#!ipxes").has_magic());
    }
}
