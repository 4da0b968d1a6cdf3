//! `autoexec.ipxe`: what iPXE runs from the file system that it was started from.
//!
//! The script gives iPXE its identity and then asks for a boot script until one boots, whatever state the server is in.
//!
//! iPXE never wakes from `sleep`, `prompt` or a shell on U-Boot: it stops the core with `wfi`, and U-Boot has no interrupt switched on.
//! Commands that wait for the network poll it instead. So the pause between two attempts is a `ping` of the DHCP server, which sends
//! one packet a second whether an answer comes or not; where iPXE has no `ping`, the next DHCP exchange takes its time. A server that
//! goes silent in the middle of an answer is given up by `--timeout`, which counts from the last progress.
//!
//! Commands: the iPXE command reference. A line may have any length, iPXE allocates it; the longest here is the private key, 2.4
//! thousand digits for RSA 2048.

use std::fmt::{self, Write};
use std::str::FromStr;

use shakedown_base::encoding::{NotText, decode};

/// Name of the script in the root directory of the EFI system partition.
pub const FILE_NAME: &str = "autoexec.ipxe";

/// Seconds between two attempts.
const PAUSE: u32 = 5;

/// Echo requests, one a second, that take this long.
const PINGS: u32 = PAUSE + 1;

/// Milliseconds without progress after which iPXE gives a download up.
const STALL: u32 = 30_000;

/// The address of a boot server: a host name or IPv4 address, and a port where it is not the scheme's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server(String);

/// A server's address that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no boot server: give https://HOST or https://HOST:PORT")]
pub struct BadServer(String);

impl FromStr for Server {
    type Err = BadServer;

    /// Accepts `https://host[:port]`, with or without a last slash. The address becomes part of a script, so it may hold
    /// nothing that iPXE would take for more than that.
    fn from_str(url: &str) -> Result<Self, BadServer> {
        let bad = || BadServer(url.into());
        let authority = url.strip_prefix("https://").ok_or_else(bad)?;
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, port.parse::<u16>().is_ok_and(|port| port != 0)),
            None => (authority, true),
        };
        let host_is_good = host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
        if host.is_empty() || !host_is_good || !port {
            return Err(bad());
        }
        Ok(Self(authority.into()))
    }
}

impl Server {
    /// Host name or IPv4 address.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.split_once(':').map_or(&self.0, |(host, _)| host)
    }

    /// The port, by default that of HTTPS.
    #[must_use]
    pub fn port(&self) -> u16 {
        let port = self
            .0
            .split_once(':')
            .and_then(|(_, port)| port.parse().ok());
        port.unwrap_or(443)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.0)
    }
}

/// Who a machine is: the two halves of its TLS client identity. Its debug output has no key.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// X.509 certificate, DER. iPXE has no clock: it must be valid in 1970.
    pub certificate: Vec<u8>,
    /// Its private key, PKCS#8, DER. RSA: iPXE has nothing else.
    pub private_key: Vec<u8>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("certificate", &hex::encode(&self.certificate))
            .finish_non_exhaustive()
    }
}

/// A boot script in place of the usual one, without the line `#!ipxe`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomScript(String);

/// Why a file is no boot script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadScript {
    /// Another encoding, or no text.
    #[error(transparent)]
    NotText(#[from] NotText),
    /// Nothing that iPXE would do.
    #[error("it has no command in it")]
    Empty,
}

impl CustomScript {
    /// The script in a file. A byte order mark, behind which iPXE would not see `#!ipxe`, is left out.
    ///
    /// # Errors
    /// [`BadScript`].
    pub fn parse(file: &[u8]) -> Result<Self, BadScript> {
        let text = decode(file)?;
        let commands = text.strip_prefix("#!ipxe").unwrap_or(text).trim_start();
        let is_command =
            |line: &str| !line.trim_start().starts_with('#') && !line.trim().is_empty();
        match commands.lines().any(is_command) {
            true => Ok(Self(commands.to_owned())),
            false => Err(BadScript::Empty),
        }
    }

    /// What upstream's generator embeds into iPXE, step by step: the clock is set first, every failure starts over at once, and a boot script that
    /// comes back is asked for again after a minute, for ever.
    ///
    /// It is there to be compared with ours. iPXE needs the command `ntp`, which Debian's builds lack: they never come to the boot server. And on
    /// U-Boot no iPXE wakes from the `sleep`.
    #[must_use]
    pub fn like_upstream(server: &Server) -> Self {
        Self(format!(
            "\
:start
echo Netboot client of {server}
dhcp || goto start
echo Network: ${{netX/ip}}/${{netX/netmask}}
ntp pool.ntp.org || goto start
echo Time: ${{unixtime}}
chain {server}/boot/ipxe?mac=${{netX/mac}}&platform=${{platform}}&buildarch=${{buildarch}} || goto start
echo The boot script came back: starting over in a minute
sleep 60
goto start
"
        ))
    }
}

/// Where a machine gets its boot script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootSource {
    /// From a boot server that knows machines by their certificates.
    Https {
        /// The server.
        server: Server,
        /// The machine's identity; one without is refused.
        identity: Option<Identity>,
        /// The X.509 certificate (DER) that has signed the server's.
        trusted_ca: Vec<u8>,
    },
    /// From the URL that the DHCP server gives as boot file name; the machine has no identity.
    Dhcp,
}

/// The script for `source`. With `custom`, that script follows the identity in place of the usual loop.
#[must_use]
pub fn autoexec(source: &BootSource, custom: Option<&CustomScript>) -> String {
    let mut script = String::from("#!ipxe\n");
    if let BootSource::Https {
        identity: Some(identity),
        ..
    } = source
    {
        line(
            &mut script,
            format_args!("set cert:hexraw {}", hex::encode(&identity.certificate)),
        );
        line(
            &mut script,
            format_args!("set privkey:hexraw {}", hex::encode(&identity.private_key)),
        );
    }
    match (custom, source) {
        (Some(custom), _) => script.push_str(&custom.0),
        (None, BootSource::Https { server, .. }) => {
            let url = format!(
                "{server}/boot/ipxe?mac=${{netX/mac}}&platform=${{platform}}&buildarch=${{buildarch}}"
            );
            push_loop(&mut script, &format!("echo Boot server: {server}\n"), &url);
        }
        (None, BootSource::Dhcp) => push_loop(
            &mut script,
            "isset ${filename} || echo The DHCP server names no boot file\nisset ${filename} || goto again\necho Boot file: ${filename}\n",
            "${filename}",
        ),
    }
    script
}

/// The loop around `chain URL`. Images of a try that failed are freed first, or they would pile up in memory.
fn push_loop(script: &mut String, announce: &str, url: &str) {
    line(
        script,
        format_args!(
            "\
:start
imgfree
echo Network: asking for an address
ifconf --configurator dhcp || goto failed
echo Network: ${{netX/mac}} has ${{netX/ip}}
{announce}chain --autofree --timeout {STALL} {url} || goto failed
echo The boot script came back without booting
goto again
:failed
echo Failed with error ${{errno}}
:again
echo Trying again in {PAUSE} seconds
ping --quiet --count {PINGS} --timeout 1000 ${{dhcp-server}} ||
goto start"
        ),
    );
}

fn line(script: &mut String, text: fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(script, "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn https() -> BootSource {
        BootSource::Https {
            server: "https://boot.example:8443/".parse().unwrap(),
            identity: Some(Identity {
                certificate: b"certificate".to_vec(),
                private_key: b"private key".to_vec(),
            }),
            trusted_ca: b"ca".to_vec(),
        }
    }

    /// The order that contracts with the real one: a lease, the clock, the script; then a minute, and from the beginning.
    #[test]
    fn upstreams_script_sets_the_clock_first_and_never_ends() {
        let server: Server = "https://boot.example".parse().unwrap();
        let script = autoexec(&https(), Some(&CustomScript::like_upstream(&server)));
        let place = |what: &str| {
            script
                .find(what)
                .unwrap_or_else(|| panic!("{what}: {script}"))
        };
        let steps = [
            "set privkey:hexraw ",
            "\n:start\n",
            "\ndhcp || goto start\n",
            "\nntp pool.ntp.org || goto start\n",
            "\nchain https://boot.example/boot/ipxe?mac=${netX/mac}&platform=${platform}&buildarch=${buildarch} || goto start\n",
            "\nsleep 60\ngoto start\n",
        ];
        let places = steps.map(place);
        assert!(places.is_sorted(), "{places:?}");
        assert!(script.ends_with("goto start\n"));
        assert_eq!(script.matches("#!ipxe").count(), 1);
    }

    #[test]
    fn with_a_boot_server() {
        insta::assert_snapshot!(autoexec(&https(), None), @r"
        #!ipxe
        set cert:hexraw 6365727469666963617465
        set privkey:hexraw 70726976617465206b6579
        :start
        imgfree
        echo Network: asking for an address
        ifconf --configurator dhcp || goto failed
        echo Network: ${netX/mac} has ${netX/ip}
        echo Boot server: https://boot.example:8443
        chain --autofree --timeout 30000 https://boot.example:8443/boot/ipxe?mac=${netX/mac}&platform=${platform}&buildarch=${buildarch} || goto failed
        echo The boot script came back without booting
        goto again
        :failed
        echo Failed with error ${errno}
        :again
        echo Trying again in 5 seconds
        ping --quiet --count 6 --timeout 1000 ${dhcp-server} ||
        goto start
        ");
    }

    #[test]
    fn with_a_boot_file_from_dhcp() {
        insta::assert_snapshot!(autoexec(&BootSource::Dhcp, None), @r"
        #!ipxe
        :start
        imgfree
        echo Network: asking for an address
        ifconf --configurator dhcp || goto failed
        echo Network: ${netX/mac} has ${netX/ip}
        isset ${filename} || echo The DHCP server names no boot file
        isset ${filename} || goto again
        echo Boot file: ${filename}
        chain --autofree --timeout 30000 ${filename} || goto failed
        echo The boot script came back without booting
        goto again
        :failed
        echo Failed with error ${errno}
        :again
        echo Trying again in 5 seconds
        ping --quiet --count 6 --timeout 1000 ${dhcp-server} ||
        goto start
        ");
    }

    #[test]
    fn a_custom_script_follows_the_identity() {
        let custom = CustomScript::parse(b"#!ipxe\necho mine\nshell\n").unwrap();
        let script = autoexec(&https(), Some(&custom));
        insta::assert_snapshot!(script, @r"
        #!ipxe
        set cert:hexraw 6365727469666963617465
        set privkey:hexraw 70726976617465206b6579
        echo mine
        shell
        ");
    }

    #[test]
    fn custom_scripts_are_text() {
        let commands = |file: &[u8]| CustomScript::parse(file).map(|script| script.0);
        for same in [
            &b"#!ipxe\ndhcp\n"[..],
            b"dhcp\n",
            b"\xef\xbb\xbf#!ipxe\r\ndhcp\n",
            b"\xef\xbb\xbfdhcp\n",
        ] {
            assert_eq!(commands(same), Ok("dhcp\n".into()), "{same:?}");
        }
        let utf16 = |mark: &[u8], order: fn(u16) -> [u8; 2]| {
            let text = "#!ipxe\ndhcp\n".encode_utf16().flat_map(order);
            [mark.to_vec(), text.collect()].concat()
        };
        for file in [
            utf16(&[0xff, 0xfe], u16::to_le_bytes),
            utf16(&[0xfe, 0xff], u16::to_be_bytes),
            utf16(&[], u16::to_le_bytes),
            utf16(&[], u16::to_be_bytes),
        ] {
            assert_eq!(commands(&file), Err(NotText::Utf16.into()));
        }
        for noise in [&b"\xff\xd8\xff\xe0"[..], b"dhcp\0"] {
            assert_eq!(commands(noise), Err(NotText::Other.into()));
        }
        for nothing in [
            &b""[..],
            b"#!ipxe\n",
            b"#!ipxe\n# dhcp\n \n",
            b"\xef\xbb\xbf",
        ] {
            assert_eq!(commands(nothing), Err(BadScript::Empty));
        }
    }

    #[test]
    fn the_key_is_not_in_debug_output() {
        let text = format!("{:?}", https());
        assert!(
            text.contains(&hex::encode("certificate")) && !text.contains(&hex::encode("private")),
            "{text}"
        );
        assert!(!text.contains("112"), "the key's bytes as numbers: {text}");
    }

    #[test]
    fn servers_are_checked() {
        for good in [
            "https://ci-gateway",
            "https://boot.example:443/",
            "https://10.42.0.1:8443",
        ] {
            assert!(good.parse::<Server>().is_ok(), "{good}");
        }
        let server: Server = "https://10.42.0.1:8443/".parse().unwrap();
        assert_eq!((server.host(), server.port()), ("10.42.0.1", 8443));
        let server: Server = "https://ci-gateway".parse().unwrap();
        assert_eq!((server.host(), server.port()), ("ci-gateway", 443));
        for bad in [
            "http://a",
            "boot.example",
            "https://",
            "https://a/b",
            "https://a:0",
            "https://a b",
            "https://${x}",
            "https://a\nshell",
        ] {
            assert!(bad.parse::<Server>().is_err(), "{bad}");
        }
    }
}
