//! The registry in the hands of real clients, skopeo and curl, on the loopback interface, over TLS.

use std::io::Write;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use flate2::write::GzEncoder;
use libtest_mimic::{Arguments, Failed};
use serde_json::Value;
use shakedown_harness::services::{
    Authority, Compression, ConfigSpec, Digest, Identity, Journal, Layer, OciImage, Platform,
    RateLimit, Registry, Server, TlsListener, TlsOptions, TokenAuth, serve,
};
use shakedown_harness::timeline::{Event, RequestEvent, ServiceId, Timeline};
use shakedown_tests::{Tool, trial_with};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;

const SKOPEO: Tool = Tool {
    program: "skopeo",
    package: "skopeo",
};

const CURL: Tool = Tool {
    program: "curl",
    package: "curl",
};

/// Longest time for one command; a limited registry makes it wait for seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// RSA keys are slow to make.
static PKI: LazyLock<Result<(Authority, Identity)>> = LazyLock::new(|| {
    let authority = Authority::generate("Test authority")?;
    let server = authority.issue_server(&["127.0.0.1"])?;
    Ok((authority, server))
});

fn main() -> ExitCode {
    type Case = fn(&Rig) -> Result<()>;
    let cases: &[(&str, Tool, Case)] = &[
        (
            "skopeo_inspects_by_tag_and_digest",
            SKOPEO,
            inspects_by_tag_and_digest,
        ),
        (
            "skopeo_copies_from_by_tag_and_digest",
            SKOPEO,
            copies_from_by_tag_and_digest,
        ),
        (
            "skopeo_copies_to_and_between",
            SKOPEO,
            copies_to_and_between,
        ),
        ("skopeo_gets_its_tokens", SKOPEO, gets_its_tokens),
        (
            "skopeo_pushes_with_a_password",
            SKOPEO,
            pushes_with_a_password,
        ),
        (
            "skopeo_waits_when_it_is_told_to",
            SKOPEO,
            waits_when_it_is_told_to,
        ),
        ("curl_resumes_a_blob", CURL, curl_resumes_a_blob),
        ("skopeo_copies_zstd_layers", SKOPEO, copies_zstd_layers),
        (
            "skopeo_is_told_what_is_not_there",
            SKOPEO,
            is_told_what_is_not_there,
        ),
    ];
    let trials = cases.iter().map(|(name, tool, case)| {
        trial_with(&[*tool], name, || {
            let outcome = Rig::new().and_then(|rig| case(&rig));
            outcome.map_err(|error| Failed::from(format!("{error:#}")))
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

/// What every case needs: an image behind an index, a folder, a runtime.
struct Rig {
    image: OciImage,
    folder: TempDir,
    runtime: tokio::runtime::Runtime,
}

/// A registry that is being served.
struct Served {
    /// `127.0.0.1:PORT`.
    host: String,
    timeline: Timeline,
    _server: Server,
}

impl Rig {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (authority, _) = PKI.as_ref().map_err(|error| anyhow::anyhow!("{error:#}"))?;
        std::fs::create_dir(folder.path().join("certificates"))?;
        let pem = authority.certificate_pem();
        std::fs::write(folder.path().join("certificates/ca.crt"), pem)?;
        std::fs::create_dir(folder.path().join("pushed"))?;
        // Random, so that compression makes it no shorter; skopeo does not look inside.
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&rand::random::<[u8; 65536]>().repeat(48))?;
        let layer = Layer::from_tar_gz("test", Bytes::from(encoder.finish()?).into())?;
        let image = OciImage::new(vec![layer], &ConfigSpec::new(Platform::linux_arm64()))?;
        Ok(Self {
            image: image.with_index()?,
            folder,
            runtime: tokio::runtime::Runtime::new()?,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A registry with the image that can be pushed to.
    fn registry(&self) -> Result<Registry> {
        let mut registry = Registry::new();
        registry.add("library/alpine", "latest", &self.image)?;
        registry.add("library/alpine", "3.20", &self.image)?;
        Ok(registry.accept_pushes(self.path("pushed")))
    }

    fn serve(&self, registry: Registry) -> Result<Served> {
        self.serve_with(|_| Ok(registry))
    }

    /// Serves a registry that knows where it is served.
    fn serve_with(&self, registry: impl FnOnce(&str) -> Result<Registry>) -> Result<Served> {
        let (_, identity) = PKI.as_ref().map_err(|error| anyhow::anyhow!("{error:#}"))?;
        let timeline = Timeline::start();
        self.runtime.block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let host = listener.local_addr()?.to_string();
            let journal = Journal::new(ServiceId::Registry, timeline.clone());
            let options = TlsOptions::new(identity);
            let listener = TlsListener::start(listener, &options, journal.clone())?;
            let router = registry(&host)?.router();
            Ok(Served {
                host,
                timeline: timeline.clone(),
                _server: serve(listener, router, journal),
            })
        })
    }

    /// What a tool prints. It sees no configuration and no credentials but those in `arguments`.
    fn run(&self, tool: Tool, arguments: &[&str]) -> Result<String> {
        let (program, home) = (tool.program, self.folder.path());
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(home)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home)
            .env("XDG_RUNTIME_DIR", home)
            .env("TMPDIR", home)
            .kill_on_drop(true);
        let output = async { timeout(PATIENCE, command.output()).await };
        let output = self.runtime.block_on(output);
        let output = output.with_context(|| format!("{program} {arguments:?} does not end"))??;
        if output.status.success() {
            return Ok(String::from_utf8(output.stdout)?);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{program} {arguments:?}: {said}")
    }

    fn skopeo(&self, arguments: &[&str]) -> Result<String> {
        let machine = [
            "--insecure-policy",
            "--override-os=linux",
            "--override-arch=arm64",
        ];
        self.run(SKOPEO, &[&machine, arguments].concat())
    }

    /// `skopeo inspect` of an image, with more options.
    fn inspect(&self, served: &Served, image: &str, more: &[&str]) -> Result<String> {
        let certificates = "--cert-dir=certificates";
        let image = format!("docker://{}/{image}", served.host);
        let mut arguments = vec!["inspect", certificates];
        arguments.extend(more);
        arguments.push(&image);
        self.skopeo(&arguments)
    }

    /// `skopeo copy`, with more options. Registries are written `docker://HOST/…`, layouts `oci:…` relative to the folder.
    fn copy(&self, from: &str, to: &str, more: &[&str]) -> Result<String> {
        let mut arguments = vec!["copy", "--quiet"];
        arguments.extend([
            "--src-cert-dir=certificates",
            "--dest-cert-dir=certificates",
        ]);
        arguments.extend(more);
        arguments.extend([from, to]);
        self.skopeo(&arguments)
    }

    /// The layout that a copy has made holds the image to the byte; reading it checks every digest.
    fn is_image(&self, layout: &str) -> Result<()> {
        let copied = OciImage::from_layout(&self.path(layout), &Platform::linux_arm64())?;
        ensure!(
            copied.manifest() == self.image.manifest(),
            "another manifest was copied"
        );
        ensure!(
            copied.config() == self.image.config(),
            "another config was copied"
        );
        Ok(())
    }
}

impl Served {
    fn image(&self, name: &str) -> String {
        format!("docker://{}/{name}", self.host)
    }

    fn requests(&self) -> Vec<RequestEvent> {
        let records = self.timeline.snapshot().into_iter();
        let requests = records.filter_map(|record| match record.event {
            Event::Request(request) => Some(request),
            _ => None,
        });
        requests.collect()
    }

    /// How many requests were answered with this status.
    fn answered(&self, status: u16) -> usize {
        self.requests()
            .iter()
            .filter(|r| r.status == status)
            .count()
    }
}

/// The command was refused, and said why in one of these words.
fn refused(outcome: Result<String>, words: &[&str]) -> Result<()> {
    match outcome {
        Ok(_) => bail!("it was let in"),
        Err(error) => {
            let text = format!("{error:#}");
            let said = words.iter().any(|word| text.contains(word));
            ensure!(said, "none of {words:?} in: {text}");
            Ok(())
        }
    }
}

fn inspects_by_tag_and_digest(rig: &Rig) -> Result<()> {
    let served = rig.serve(rig.registry()?)?;
    let by_digest = format!("library/alpine@{}", rig.image.digest());
    for name in ["library/alpine:latest", &by_digest] {
        let seen: Value = serde_json::from_str(&rig.inspect(&served, name, &[])?)?;
        ensure!(seen["Digest"] == rig.image.digest().to_string(), "{seen}");
        ensure!(seen["Architecture"] == "arm64", "{seen}");
        ensure!(
            seen["RepoTags"] == serde_json::json!(["3.20", "latest"]),
            "{seen}"
        );
        let layer = rig.image.layers()[0].digest().to_string();
        ensure!(seen["Layers"] == serde_json::json!([layer]), "{seen}");
    }
    let raw = rig.inspect(&served, "library/alpine:latest", &["--raw"])?;
    ensure!(
        raw.as_bytes() == rig.image.top().bytes,
        "not the exact bytes: {raw}"
    );
    let config = rig.inspect(&served, "library/alpine:latest", &["--raw", "--config"])?;
    ensure!(
        config.trim_end().as_bytes() == rig.image.config().bytes,
        "not the exact bytes: {config}"
    );
    Ok(())
}

fn copies_from_by_tag_and_digest(rig: &Rig) -> Result<()> {
    let served = rig.serve(rig.registry()?)?;
    rig.copy(&served.image("library/alpine:3.20"), "oci:by-tag:it", &[])?;
    rig.is_image("by-tag")?;
    let manifest = format!("library/alpine@{}", rig.image.manifest().digest);
    rig.copy(
        &served.image(&manifest),
        "oci:by-digest:it",
        &["--preserve-digests"],
    )?;
    rig.is_image("by-digest")?;
    rig.copy(
        &served.image("library/alpine:latest"),
        "oci:all:it",
        &["--all", "--preserve-digests"],
    )?;
    rig.is_image("all")?;
    let index = rig
        .path("all/blobs")
        .join(rig.image.digest().to_string().replace(':', "/"));
    ensure!(
        std::fs::read(index)? == rig.image.top().bytes,
        "another index was copied"
    );
    Ok(())
}

fn copies_to_and_between(rig: &Rig) -> Result<()> {
    let served = rig.serve(rig.registry()?)?;
    rig.copy(
        &served.image("library/alpine:latest"),
        "oci:here:it",
        &["--all"],
    )?;
    rig.copy(
        "oci:here:it",
        &served.image("farm/tool:1.0"),
        &["--all", "--preserve-digests"],
    )?;
    let pushed = served
        .requests()
        .into_iter()
        .filter(|r| r.method == "PATCH" || r.method == "PUT");
    ensure!(pushed.count() > 0, "nothing was uploaded");
    let raw = rig.inspect(&served, "farm/tool:1.0", &["--raw"])?;
    ensure!(
        raw.as_bytes() == rig.image.top().bytes,
        "another index came back: {raw}"
    );
    rig.copy(&served.image("farm/tool:1.0"), "oci:back:it", &[])?;
    rig.is_image("back")?;
    // The registry has the blobs already, in another repository.
    rig.copy(
        &served.image("farm/tool:1.0"),
        &served.image("farm/other:1.0"),
        &["--preserve-digests"],
    )?;
    let mounted = served
        .requests()
        .into_iter()
        .filter(|r| r.target.contains("mount=") && r.status == 201);
    ensure!(mounted.count() == 2, "config and layer were not taken over");
    rig.copy(&served.image("farm/other:1.0"), "oci:other:it", &[])?;
    rig.is_image("other")
}

/// A registry with a token server, which lets pull whom `rules` say.
fn guarded(rig: &Rig, rules: fn(TokenAuth) -> TokenAuth) -> Result<Served> {
    let registry = rig.registry()?;
    rig.serve_with(|host| {
        let auth = TokenAuth::new(&format!("https://{host}/token"), "registry.example")?;
        Ok(registry.authenticate(rules(auth)))
    })
}

fn gets_its_tokens(rig: &Rig) -> Result<()> {
    let served = guarded(rig, TokenAuth::public)?;
    rig.copy(&served.image("library/alpine:latest"), "oci:public:it", &[])?;
    rig.is_image("public")?;
    ensure!(served.answered(401) > 0, "nobody was refused");
    let tokens = served
        .requests()
        .into_iter()
        .filter(|r| r.target.starts_with("/token?"));
    ensure!(tokens.count() > 0, "nobody asked for a token");

    let served = guarded(rig, |auth| auth.account("farm", "secret"))?;
    let private = served.image("library/alpine:latest");
    refused(
        rig.copy(&private, "oci:private:it", &[]),
        &["authentication required", "unauthorized"],
    )?;
    let wrong = rig.copy(&private, "oci:private:it", &["--src-creds=farm:guess"]);
    refused(
        wrong,
        &[
            "invalid username/password",
            "authentication required",
            "unauthorized",
        ],
    )?;
    rig.copy(&private, "oci:private:it", &["--src-creds=farm:secret"])?;
    rig.is_image("private")
}

fn pushes_with_a_password(rig: &Rig) -> Result<()> {
    let served = guarded(rig, |auth| auth.public().account("farm", "secret"))?;
    rig.copy(&served.image("library/alpine:latest"), "oci:here:it", &[])?;
    let target = served.image("farm/tool:1.0");
    let words = ["authentication required", "unauthorized", "denied"];
    refused(rig.copy("oci:here:it", &target, &[]), &words)?;
    let written = std::fs::read_dir(rig.path("pushed"))?.count();
    ensure!(written == 0, "{written} files came in all the same");
    rig.copy("oci:here:it", &target, &["--dest-creds=farm:secret"])?;
    rig.copy(&target, "oci:back:it", &[])?;
    rig.is_image("back")
}

fn waits_when_it_is_told_to(rig: &Rig) -> Result<()> {
    let limit = RateLimit {
        requests: 1,
        retry_after: Duration::from_secs(1),
    };
    let served = rig.serve(rig.registry()?.limit(limit))?;
    rig.copy(
        &served.image("library/alpine:latest"),
        "oci:limited:it",
        &[],
    )?;
    rig.is_image("limited")?;
    ensure!(served.answered(429) > 0, "nobody was told to wait");
    Ok(())
}

/// skopeo resumes in newer versions only; podman does in the scenario `blob-resumed`.
fn curl_resumes_a_blob(rig: &Rig) -> Result<()> {
    let (after, layer) = (2 << 20, &rig.image.layers()[0]);
    let served = rig.serve(rig.registry()?.break_off(after))?;
    let blob = format!(
        "https://{}/v2/library/alpine/blobs/{}",
        served.host,
        layer.digest()
    );
    let fetch = |more: &[&str]| {
        let always = [
            "--silent",
            "--show-error",
            "--cacert=certificates/ca.crt",
            "--output=blob",
        ];
        let always = always.iter().flat_map(|option| option.split('='));
        let arguments: Vec<_> = always
            .chain(more.iter().copied())
            .chain([blob.as_str()])
            .collect();
        rig.run(CURL, &arguments)
    };
    refused(fetch(&[]), &["curl: (18)", "curl: (56)"])?;
    let offset = std::fs::metadata(rig.path("blob"))?.len();
    ensure!(
        offset > 0 && offset <= after,
        "{offset} bytes came before it broke off"
    );
    fetch(&["--continue-at", "-"])?;
    let requests = served.requests();
    let resumed = requests
        .iter()
        .find(|r| r.status == 206)
        .context("nothing was resumed")?;
    ensure!(resumed.offset == Some(offset), "{resumed:?}");
    let fetched = Digest::of(&std::fs::read(rig.path("blob"))?);
    ensure!(fetched == layer.digest(), "another blob was put together");
    Ok(())
}

fn copies_zstd_layers(rig: &Rig) -> Result<()> {
    let image = rig.image.repacked(Compression::Zstd, rig.folder.path())?;
    let mut registry = Registry::new();
    registry.add("farm/new", "latest", &image)?;
    let served = rig.serve(registry)?;
    rig.copy(&served.image("farm/new:latest"), "oci:zstd:it", &[])?;
    let copied = OciImage::from_layout(&rig.path("zstd"), &Platform::linux_arm64())?;
    ensure!(
        copied.layers()[0].digest() == image.layers()[0].digest(),
        "the layer was packed anew"
    );
    ensure!(copied.layers()[0].media_type().ends_with("+zstd"));
    Ok(())
}

fn is_told_what_is_not_there(rig: &Rig) -> Result<()> {
    let served = rig.serve(rig.registry()?)?;
    let tag = rig.inspect(&served, "library/alpine:edge", &[]);
    refused(tag, &["manifest unknown"])?;
    let repository = rig.inspect(&served, "library/none:latest", &[]);
    refused(repository, &["name unknown", "repository name not known"])
}
