//! `[boot]`: how the board boots, and what its boot server hands out.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// How the board boots.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Boot {
    /// How iPXE reaches the boot server.
    pub transport: Transport,
    /// The boot server's name in the LAN's DNS.
    pub server: String,
    /// The boot script, `boot.ipxe`, as the boot server's data root holds it. By default it starts `kernel` and `initramfs` of the data root, with
    /// the run's authority and `arguments`.
    #[serde(default = "usual_script")]
    pub script: String,
    /// What stands in place of `${arguments}` in the script: the kernel's arguments. Line ends count as blanks. A script without such a place has
    /// none of them.
    #[serde(default)]
    pub arguments: String,
    /// Archives of programs that the boot server hands out as `/files/NAME`, to be booted beside the initramfs. The default script does.
    #[serde(default)]
    pub initrds: Vec<Initrd>,
    /// What the boot server puts in place of `${NAME}` in script and secrets, besides what it knows itself.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// What `${secrets_url}` of the boot script leads to, once: the template `secrets` of the board's folder.
    pub secrets: Option<String>,
    /// The container image's name, for example `docker.io/library/alpine:latest`.
    pub container: String,
}

/// The boot script of scenarios that have none.
fn usual_script() -> String {
    "\
#!ipxe
echo Booting ${client_cert_fingerprint} ${platform} ${buildarch}
kernel /files/kernel initrd=b2c initrd=trust console=${console} ${arguments}
initrd --name trust /files/trust
initrd --name b2c /files/initramfs
${initrds}boot
"
    .into()
}

/// An archive of programs that are not in the initramfs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Initrd {
    /// The MinIO client, for `b2c.minio` and volumes that follow a bucket.
    S3Client,
}

impl Initrd {
    /// For example `s3-client`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::S3Client => "s3-client",
        }
    }
}

impl Boot {
    /// The same with its arguments and archives in its script.
    pub(super) fn written_out(mut self) -> Self {
        let mut arguments: Vec<_> = self.arguments.lines().map(str::trim).collect();
        let names = self.initrds.iter().map(|initrd| initrd.name());
        let named: Vec<_> = names.clone().map(|name| format!("initrd={name}")).collect();
        if self.script.contains("${initrds}") {
            arguments.splice(0..0, named.iter().map(String::as_str));
        }
        let fetched: String = names
            .map(|name| format!("initrd --name {name} /files/{name}\n"))
            .collect();
        self.script = self
            .script
            .replace("${arguments}", arguments.join(" ").trim())
            .replace("${initrds}", &fetched);
        self
    }
}

/// How iPXE reaches the boot server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Mutual TLS with the identity on the card.
    Https,
    /// Plain HTTP, told by DHCP.
    Http,
    /// TFTP, told by DHCP: the boot script `boot.ipxe` and every other file.
    Tftp,
}

impl Transport {
    /// The board shows no certificate: the boot server knows it by its hardware address.
    #[must_use]
    pub fn is_plain(self) -> bool {
        self != Self::Https
    }
}
