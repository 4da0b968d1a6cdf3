//! The page that `cargo xtask serve` prints: what a person types to use the servers. Every command on it can be typed as it is.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

use shakedown_harness::scenario::{Auth, Scenario};
use shakedown_harness::services::Credentials;
use shakedown_harness::world::{Account, Servers};

use super::{CLIENT, Each, LOGIN, REGISTRIES_CONF};

/// What the page is about.
pub(super) struct Usage<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) folder: &'a Path,
    pub(super) addresses: Each<SocketAddr>,
    pub(super) servers: &'a Servers<'a>,
    pub(super) has_identity: bool,
}

impl fmt::Display for Usage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scenario = self.scenario;
        writeln!(f, "Serving {}: {}", scenario.name, scenario.title)?;
        writeln!(f, "Certificates and keys are in a folder; go there first:")?;
        writeln!(f, "  cd {}", self.folder.display())?;
        self.boot_server(f)?;
        self.registry(f)?;
        self.mirror(f)?;
        self.scratch(f)?;
        writeln!(f, "Ctrl-C stops.")
    }
}

impl Usage<'_> {
    fn boot_server(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let boot = self.addresses.boot;
        if self.scenario.boot.transport.is_plain() {
            writeln!(f, "Boot server, at http://{boot}:")?;
            writeln!(f, "  curl http://{boot}/boot/{CLIENT}/boot.ipxe")?;
            return writeln!(f, "  curl http://{boot}/files/kernel -o kernel");
        }
        let (curl, openssl) = match self.has_identity {
            true => (
                " --cert client.cert --key client.key",
                " -cert client.cert -key client.key",
            ),
            false => ("", ""),
        };
        let host = &self.scenario.boot.server;
        let curl = format!("curl --cacert ca.crt{curl} https://{boot}");
        writeln!(f, "Boot server, at https://{boot} and as {host}:")?;
        writeln!(f, "  {curl}/boot/ipxe")?;
        writeln!(f, "  {curl}/files/kernel -o kernel")?;
        writeln!(
            f,
            "  openssl s_client -connect {boot} -servername {host} -CAfile ca.crt{openssl}"
        )
    }

    fn registry(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let registry = self.addresses.registry;
        let name = &self.scenario.boot.container;
        let path = name.split_once('/').map_or(name.as_str(), |(_, path)| path);
        let repository = path.rsplit_once(':').map_or(path, |(name, _)| name);
        // Of an index, tools take what fits the machine that they are on.
        let (skopeo, podman) = match self.scenario.registry.index {
            true => ("skopeo --override-arch arm64", "podman pull --arch arm64"),
            false => ("skopeo", "podman pull"),
        };
        writeln!(f, "Registry, at https://{registry}:")?;
        let account = self.servers.account();
        if let Some(Account { user, password }) = account {
            // No scenario's password has a quote in it.
            writeln!(
                f,
                "  skopeo login --cert-dir . --authfile {LOGIN} -u {user} -p '{password}' {registry}"
            )?;
        }
        if self.scenario.registry.auth == Auth::WrongLogin {
            writeln!(f, "  (the board has another password)")?;
        }
        let login = match account {
            Some(_) => format!(" --authfile {LOGIN}"),
            None => String::new(),
        };
        let (certificates, from) = (
            format!("--cert-dir .{login}"),
            format!("--src-cert-dir .{login}"),
        );
        let digest = self.servers.digest();
        let image = format!("docker://{registry}/{path}");
        let by_digest = format!("docker://{registry}/{repository}@{digest}");
        writeln!(f, "  {skopeo} inspect {certificates} {image}")?;
        writeln!(f, "  {skopeo} copy {from} {image} oci:by-tag:it")?;
        writeln!(f, "  {skopeo} copy {from} {by_digest} oci:by-digest:it")?;
        if self.scenario.registry.auth != Auth::Token {
            writeln!(
                f,
                "  skopeo copy --dest-cert-dir .{login} oci:by-tag:it docker://{registry}/farm/pushed:1"
            )?;
        }
        writeln!(f, "  {podman} {certificates} {registry}/{path}")?;
        writeln!(f, "The same image under its real name:")?;
        writeln!(
            f,
            "  {skopeo} --registries-conf {REGISTRIES_CONF} inspect --no-tags {certificates} docker://{name}"
        )
    }

    fn mirror(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(address), Some(mirror)) = (self.addresses.mirror, &self.scenario.registry.mirror)
        else {
            return Ok(());
        };
        let has = match mirror.holds {
            true => "has the image",
            false => "does not have the image",
        };
        writeln!(
            f,
            "Mirror {}, at https://{address}: it {has} and is asked first with {REGISTRIES_CONF}.",
            mirror.host
        )
    }

    fn scratch(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scratch = self.addresses.scratch;
        let Credentials {
            access_key_id,
            access_key,
            bucket,
        } = self.servers.credentials();
        writeln!(f, "Scratch space, at http://{scratch}:")?;
        let s3cmd = format!(
            "s3cmd --no-ssl --host {scratch} --host-bucket {scratch} \\\n    \
             --access_key {access_key_id} --secret_key {access_key}"
        );
        writeln!(f, "  {s3cmd} put {REGISTRIES_CONF} s3://{bucket}/")?;
        writeln!(f, "  {s3cmd} ls s3://{bucket}")
    }
}
