//! The targets of what comes over HTTP, TLS, QEMU's monitor and its disk connection, and of records that somebody sends: bundles and serial logs. Each panics when a
//! promise is broken; that it ends is for the fuzzer to watch.

use std::future::{Future, pending};
use std::io::{self, Cursor, Write};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Component, Path};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::serve::Listener;
use bytes::Bytes;
use shakedown_harness::console::Transcript;
use shakedown_harness::machine::Monitor;
use shakedown_harness::report::bundle::Bundle;
use shakedown_harness::services::{
    BootServer, Client, DataRoot, Folder, Journal, Registry, serve, sniffed,
};
use shakedown_harness::survey::Certificate;
use shakedown_harness::timeline::{Event, ServiceId, Timeline};
use shakedown_target::disk::{Answer, Disk, serve as serve_disk};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

/// Bytes of an answer that are read.
const LONGEST: u64 = 1 << 20;
/// Bytes of a file that the boot server has.
const FILE: usize = 1000;

/// One connection, and never another.
struct One(Option<DuplexStream>);

impl Listener for One {
    type Io = DuplexStream;
    type Addr = SocketAddrV4;

    async fn accept(&mut self) -> (DuplexStream, SocketAddrV4) {
        match self.0.take() {
            Some(connection) => (connection, SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1)),
            None => pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddrV4> {
        Ok(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 80))
    }
}

/// What a client sends on one connection to a registry that takes pushes. It is never the registry's fault that a request is not answered as
/// the client wants.
pub fn registry(input: &[u8]) {
    let Ok(folder) = tempfile::tempdir() else {
        return;
    };
    let registry = Registry::new().accept_pushes(folder.path());
    converse(registry.router(), ServiceId::Registry, input);
}

/// The same of the boot server, whose machine has a file, of which parts may be asked for, under conditions.
pub fn boot_server(input: &[u8]) {
    let mut folder = Folder::default();
    let inserted = [
        folder.insert("boot.ipxe", "#!ipxe\necho ${net0/mac} ${secrets_url}\n"),
        folder.insert("file", Bytes::from_static(&[7; FILE])),
    ];
    assert!(inserted.iter().all(Result::is_ok));
    let Ok(machine) = "b8:27:eb:00:00:01".parse() else {
        return;
    };
    let root = DataRoot::default();
    root.set(Client::Machine(machine), folder);
    // The file belongs to who has fetched the script.
    let fetch = b"GET /boot/b8:27:eb:00:00:01/boot.ipxe HTTP/1.1\r\nHost: boot\r\n\r\n";
    converse(
        BootServer::new(root).http(),
        ServiceId::Boot,
        &[fetch, input].concat(),
    );
}

/// Sends bytes to a service, and looks at what comes back.
fn converse(router: Router, service: ServiceId, sent: &[u8]) {
    let timeline = Timeline::start();
    let journal = Journal::new(service, timeline.clone());
    let answers = run(async {
        let (client, server) = duplex(1 << 16);
        let _server = serve(One(Some(server)), router, journal);
        let (reader, mut writer) = tokio::io::split(client);
        let write = async {
            // The service may close the connection before it has read all.
            let _ = writer.write_all(sent).await;
            let _ = writer.shutdown().await;
        };
        let read = async {
            let mut answers = Vec::new();
            let _ = reader.take(LONGEST).read_to_end(&mut answers).await;
            answers
        };
        tokio::join!(write, read).1
    });
    assert!(answers.is_empty() || answers.starts_with(b"HTTP/1."));
    let mut rest = &answers[..];
    while let Some(end) = rest.windows(4).position(|four| four == b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&rest[..end]).to_ascii_lowercase();
        let Some(length) = checked(&head) else { break };
        rest = rest.get(end + 4 + length..).unwrap_or_default();
    }
    for record in timeline.snapshot() {
        if let Event::Request(request) = record.event {
            assert!(
                request.target.chars().count() <= 2049 && request.method.chars().count() <= 256
            );
            assert_ne!(request.status, 500, "{} {}", request.method, request.target);
        }
    }
}

/// What an answer says of itself is true. Gives the length of its body, if it says so; an answer to `HEAD` has none, and so ends the check.
fn checked(head: &str) -> Option<usize> {
    let field = |name: &str| {
        let mut lines = head.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    let length: usize = field("content-length")?.parse().ok()?;
    if head.starts_with("http/1.1 206") {
        let range = field("content-range").unwrap_or_default();
        let range = range
            .strip_prefix("bytes ")
            .and_then(|range| range.split_once('/'));
        let Some((range, whole)) = range else {
            panic!("206 without a range: {head}")
        };
        let ends = range
            .split_once('-')
            .map(|(first, last)| (first.parse::<usize>(), last.parse::<usize>()));
        let Some((Ok(first), Ok(last))) = ends else {
            panic!("{head}")
        };
        assert!(first <= last && last - first + 1 == length, "{head}");
        assert!(
            whole.parse::<usize>().is_ok_and(|whole| last < whole),
            "{head}"
        );
    }
    Some(length)
}

/// Bundles, packed and as the archive inside. What is read has only names that stay inside, and is written below the folder that it is to
/// be written to.
pub fn bundle(input: &[u8]) {
    let packed = zstd::encode_all(input, 1).unwrap_or_default();
    for bytes in [input, &packed] {
        let Ok(bundle) = Bundle::parse(Path::new("bundle"), bytes) else {
            continue;
        };
        for (name, _) in bundle.files() {
            let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
            assert!(Path::new(name).components().all(is_plain), "{name:?}");
        }
        let manifest = &bundle.manifest;
        for name in [&*manifest.board, &*manifest.scenario] {
            assert!(!name.contains(['/', '\\']) && name != "..", "{name:?}");
        }
    }
}

/// Serial logs as anybody records them. Nothing that a terminal obeys is left in a line, and there are no more lines than bytes: recordings in
/// JSON write a line end as an escape.
pub fn transcript(input: &[u8]) {
    let read = Transcript::read(input);
    let most = 2 * (input.len() + 1);
    let mut lines = 0;
    for record in &read.records {
        if let Event::Serial { line, .. } = &record.event {
            lines += 1;
            assert!(
                !line.contains(|c: char| c.is_control() && c != '\t'),
                "{line:?}"
            );
        }
    }
    assert!(lines <= most, "{lines} lines of {} bytes", input.len());
    let stamps = read.stamps.to_string();
    assert!(
        !stamps.contains(|c: char| c.is_control() && c != '\n'),
        "{stamps:?}"
    );
}

/// What QEMU's monitor says behind its greeting: each command has an answer or an error, and no event comes that was not sent.
pub fn qmp(input: &[u8]) {
    let said = [b"{\"QMP\": {}}\n{\"return\": {}, \"id\": 0}\n", input].concat();
    let most = said.iter().filter(|byte| **byte == b'\n').count() + 1;
    run(async {
        let stream = tokio::io::join(Cursor::new(said), tokio::io::sink());
        let Ok((monitor, mut events)) = Monitor::connect(stream).await else {
            return;
        };
        let answers = tokio::join!(monitor.pause(), monitor.resume());
        if let Err(error) = answers.0 {
            assert!(!error.to_string().is_empty());
        }
        let mut count = 0;
        while events.recv().await.is_some() {
            count += 1;
        }
        assert!(count <= most, "{count} events");
    });
}

/// A disk of a few sectors. Slicing it panics where a server does not check what it is asked for.
struct Memory(Vec<u8>);

impl Memory {
    /// Bytes of it.
    const SIZE: usize = 4096;

    fn at(&mut self, at: u64, bytes: usize) -> &mut [u8] {
        &mut self.0[at as usize..][..bytes]
    }
}

impl Disk for Memory {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn is_read_only(&self) -> bool {
        false
    }

    fn read(&mut self, bytes: &mut [u8], at: u64) -> Answer {
        bytes.copy_from_slice(self.at(at, bytes.len()));
        Answer::DONE
    }

    fn write(&mut self, bytes: &[u8], at: u64) -> Answer {
        // Kept, it could look like an answer when it is read.
        let _ = self.at(at, bytes.len());
        Answer::DONE
    }

    fn flush(&mut self) -> Answer {
        Answer::DONE
    }
}

/// What a client of a board's disk says, from its first byte on and once it has agreed with the server. Each answer is one, and data is as long as it
/// was asked for.
pub fn nbd(input: &[u8]) {
    /// Which negotiation the client knows, and `NBD_OPT_GO` of the default export.
    const AGREED: &[u8] = b"\0\0\0\x01IHAVEOPT\0\0\0\x07\0\0\0\x06\0\0\0\0\0\0";
    /// Bytes that a server says until then: its greeting and three answers.
    const GREETING: usize = 18 + 32 + 34 + 20;
    for begin in [b"".as_slice(), AGREED] {
        let said = run(async {
            let (client, server) = duplex(1 << 20);
            let disk = Arc::new(Mutex::new(Memory(vec![7; Memory::SIZE])));
            let (mut reader, mut writer) = tokio::io::split(client);
            let ask = async {
                // The server may go before it has read all.
                let _ = writer.write_all(&[begin, input].concat()).await;
                let _ = writer.shutdown().await;
            };
            let read = async {
                let mut said = Vec::new();
                let _ = reader.read_to_end(&mut said).await;
                said
            };
            tokio::join!(serve_disk(server, disk), ask, read).2
        });
        assert!(said.starts_with(b"NBDMAGICIHAVEOPT"));
        if begin.is_empty() {
            continue;
        }
        let mut answers = &said[GREETING..];
        while let Some((head, rest)) = answers.split_first_chunk::<16>() {
            assert_eq!(head[..4], [0x67, 0x44, 0x66, 0x98]);
            // Data is all 7.
            let data = rest.windows(4).position(|four| four == &head[..4]);
            let data = data.unwrap_or(rest.len());
            assert!(head[4..8] == [0; 4] || data == 0, "an error with data");
            answers = &rest[data..];
        }
        assert!(answers.is_empty());
    }
}

/// What can be seen of a TLS connection: the same, however its bytes come.
pub fn tls(input: &[u8]) {
    let whole = sniffed([input]);
    assert_eq!(sniffed(input.chunks(1)), whole);
    let (head, tail) = input.split_at(input.len() / 3);
    assert_eq!(sniffed([head, tail]), whole);
    if let (Some(name), _) = &whole {
        assert!(!name.is_empty() && name.len() <= input.len(), "{name:?}");
    }
}

/// Certificates, and lists of them as EFI has them. What is read is read again, and is nothing with a byte more.
pub fn x509(input: &[u8]) {
    if let Ok(certificate) = Certificate::of(input) {
        assert_eq!(Certificate::of(input).as_ref(), Ok(&certificate));
        assert_eq!((certificate.sha1.len(), certificate.sha256.len()), (40, 64));
        assert!(Certificate::of(&[input, &[0]].concat()).is_err());
    }
    let lists = shakedown_harness::image::efivar::x509_certificates(input);
    if let Ok(certificates) = lists {
        let bytes: usize = certificates.iter().map(Vec::len).sum();
        assert!(bytes <= input.len());
    }
}

/// The superblock of an ext file system, and the manifest of an image.
pub fn ext(input: &[u8]) {
    let Ok(mut file) = tempfile::tempfile() else {
        return;
    };
    if file.write_all(&[&[0; 1024], input].concat()).is_err() {
        return;
    }
    let window = 0..1024 + input.len() as u64;
    if let Some(found) = shakedown_harness::image::ext::read(&file, &window) {
        assert!(
            found.label.chars().count() <= 16 && !found.label.contains('\0'),
            "{found:?}"
        );
        assert!(matches!(found.kind, "ext2" | "ext3" | "ext4"));
    }
}

/// The manifest of an image. A path in it leads to a file on its partition, and what is wrong with it is safe to show.
pub fn manifest(input: &[u8]) {
    use shakedown_harness::image::manifest::Manifest;
    match Manifest::parse(input) {
        Ok(manifest) => {
            let mut parts = manifest.ipxe.trim_start_matches('/').split('/');
            assert!(!parts.any(|part| matches!(part, "" | "." | "..")));
        }
        Err(error) => {
            let text = error.to_string();
            assert!(
                !text.contains(|c: char| c.is_control() && c != '\n'),
                "{text:?}"
            );
        }
    }
}

/// Time stands still but for those who wait for it, so that no time-out takes its time.
fn run<T>(task: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    match builder.enable_time().start_paused(true).build() {
        Ok(runtime) => runtime.block_on(task),
        Err(error) => panic!("{error}"),
    }
}
