//! Why a file has no certificate or key in PEM: what it has in its place, and the command that makes PEM of it.
//!
//! Sources: RFC 7468 (labels of PEM), RFC 1421, section 4.6 (`Proc-Type`); OpenSSH, PROTOCOL.key; PuTTY, appendix C of its manual;
//! RFC 7517 (JWK); RFC 7292 (PKCS #12).

use std::fmt;

use shakedown_base::encoding::is_utf16;

/// What a file should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// A certificate.
    Certificate,
    /// A private key.
    Key,
}

/// What a file has in place of PEM that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PemFault {
    /// No bytes.
    Empty,
    /// Text in UTF-16.
    Utf16,
    /// A byte order mark in front of the first line.
    ByteOrderMark,
    /// Spaces in front of the BEGIN line.
    Indented,
    /// The characters `\n` where lines should end.
    EscapedLines,
    /// The BEGIN line that is wanted, and nothing behind it that can be read.
    Damaged,
    /// A key with a passphrase.
    Encrypted,
    /// A key of OpenSSH's own format.
    OpenSsh,
    /// A key of PuTTY.
    Putty,
    /// A key as JSON.
    Jwk,
    /// A key of OpenPGP.
    Pgp,
    /// A key of another kind than the wanted one, or of DSA.
    OtherKey,
    /// A private key where a certificate is wanted.
    PrivateKey,
    /// A public key.
    PublicKey,
    /// A certificate where a key is wanted.
    Certificate,
    /// A certificate with a label of OpenSSL's own.
    OtherLabel,
    /// A request for a certificate.
    Request,
    /// Certificates in PKCS #7.
    Pkcs7,
    /// Certificate and key in PKCS #12.
    Pkcs12,
    /// DER without a frame of PEM.
    Der,
    /// Base64 without a frame of PEM.
    Base64,
    /// Nothing that is known here.
    Unknown,
}

/// What a line of a file begins with, and what the file then is.
const LINES: &[(&str, PemFault)] = &[
    ("-----BEGIN ENCRYPTED PRIVATE KEY", PemFault::Encrypted),
    ("-----BEGIN OPENSSH PRIVATE KEY", PemFault::OpenSsh),
    ("-----BEGIN DSA PRIVATE KEY", PemFault::OtherKey),
    ("-----BEGIN PGP", PemFault::Pgp),
    ("PuTTY-User-Key-File", PemFault::Putty),
    ("-----BEGIN CERTIFICATE REQUEST", PemFault::Request),
    ("-----BEGIN NEW CERTIFICATE REQUEST", PemFault::Request),
    ("-----BEGIN TRUSTED CERTIFICATE", PemFault::OtherLabel),
    ("-----BEGIN X509 CERTIFICATE", PemFault::OtherLabel),
    ("-----BEGIN PKCS7", PemFault::Pkcs7),
    ("-----BEGIN CMS", PemFault::Pkcs7),
    ("-----BEGIN PUBLIC KEY", PemFault::PublicKey),
    ("-----BEGIN RSA PUBLIC KEY", PemFault::PublicKey),
    ("---- BEGIN SSH2 PUBLIC KEY", PemFault::PublicKey),
    ("ssh-", PemFault::PublicKey),
];
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";
/// The end of every label of a private key.
const PRIVATE_KEY: &str = "PRIVATE KEY-----";

impl PemFault {
    /// Why `file`, from which nothing could be read, has not what is wanted.
    pub(super) fn of(file: &[u8], wanted: Wanted) -> Self {
        if file.trim_ascii().is_empty() {
            return Self::Empty;
        }
        if is_utf16(file) {
            return Self::Utf16;
        }
        if let Some(fault) = binary(file) {
            return fault;
        }
        let text = String::from_utf8_lossy(file);
        let text = match text.strip_prefix('\u{feff}') {
            Some(rest) if rest.starts_with("-----BEGIN") => return Self::ByteOrderMark,
            Some(rest) => rest,
            None => &text,
        };
        framed(text, wanted).unwrap_or_else(|| unframed(text))
    }

    /// What the file is and what to do about it.
    pub(super) fn said(self, wanted: Wanted) -> Said {
        Said {
            fault: self,
            wanted,
        }
    }
}

/// What a file of DER is.
fn binary(file: &[u8]) -> Option<PemFault> {
    // PKCS #12 begins with version 3, and then the type `data` or `signedData` of PKCS #7.
    let is_pkcs12 = |rest: &[u8]| rest.starts_with(&[0x02, 0x01, 0x03, 0x30]);
    match file {
        [0x30, 0x80, rest @ ..] | [0x30, 0x81, _, rest @ ..] | [0x30, 0x82, _, _, rest @ ..] => {
            Some(match is_pkcs12(rest) {
                true => PemFault::Pkcs12,
                false => PemFault::Der,
            })
        }
        _ => None,
    }
}

/// What a file with a line that is known is. What is wanted and is damaged comes first.
fn framed(text: &str, wanted: Wanted) -> Option<PemFault> {
    let lines = || text.lines();
    let is_key = |line: &str| line.starts_with("-----BEGIN ") && line.contains(PRIVATE_KEY);
    let is_certificate = |line: &str| line.starts_with(CERTIFICATE);
    if lines().any(|line| line.starts_with("Proc-Type:") && line.contains("ENCRYPTED")) {
        return Some(PemFault::Encrypted);
    }
    if text.contains("-----BEGIN ") && text.contains("-----\\n") {
        return Some(PemFault::EscapedLines);
    }
    let known = |line: &str| {
        let found = LINES.iter().find(|(start, _)| line.starts_with(start));
        found.map(|(_, fault)| *fault)
    };
    let found = lines().find_map(|line| match (known(line), wanted) {
        (Some(fault), _) => Some(fault),
        (None, Wanted::Key) if is_key(line) => Some(PemFault::Damaged),
        (None, Wanted::Certificate) if is_certificate(line) => Some(PemFault::Damaged),
        _ => None,
    });
    found.or_else(|| {
        lines().find_map(|line| match wanted {
            Wanted::Certificate if is_key(line) => Some(PemFault::PrivateKey),
            Wanted::Key if is_certificate(line) => Some(PemFault::Certificate),
            _ if line.trim_start().starts_with("-----BEGIN ") && !line.starts_with('-') => {
                Some(PemFault::Indented)
            }
            _ => None,
        })
    })
}

/// What a file without such a line is.
fn unframed(text: &str) -> PemFault {
    let text = text.trim_ascii();
    let is_base64 =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '\r' | '\n');
    match text {
        text if text.starts_with('{') && text.contains("\"kty\"") => PemFault::Jwk,
        text if text.len() >= 64 && text.chars().all(is_base64) => PemFault::Base64,
        _ => PemFault::Unknown,
    }
}

/// A fault as a message says it.
pub(super) struct Said {
    fault: PemFault,
    wanted: Wanted,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, expected) = match self.wanted {
            Wanted::Certificate => (
                "the file of the certificate",
                "expected a PEM file with BEGIN CERTIFICATE",
            ),
            Wanted::Key => (
                "the file of the key",
                "expected a PEM file with BEGIN PRIVATE KEY or BEGIN RSA PRIVATE KEY, not encrypted",
            ),
        };
        match words(self.fault, self.wanted) {
            Some((what, remedy)) => write!(f, "{file} {what}: {remedy}"),
            None => write!(f, "{file} has none: {expected}"),
        }
    }
}

/// What a file is, and the command that makes of it what is wanted.
fn words(fault: PemFault, wanted: Wanted) -> Option<(&'static str, &'static str)> {
    let by = |certificate, key| match wanted {
        Wanted::Certificate => certificate,
        Wanted::Key => key,
    };
    const ANOTHER: &str = "give the file that holds it";
    const REQUEST: &str = "let the CA sign it, and give the certificate that comes back";
    const NEW_KEY: &str =
        "make an RSA key by `openssl genrsa -out FILE 2048`, and a certificate for it";
    const PEM_OF_SSH: &str = "make PEM of a copy by `ssh-keygen -p -m PEM -f FILE`";
    Some(match fault {
        PemFault::Empty => ("is empty", ANOTHER),
        PemFault::Utf16 => ("is UTF-16", "save it as ASCII or UTF-8"),
        PemFault::ByteOrderMark => (
            "begins with a byte order mark",
            "save it without, by `sed '1s/^\\xef\\xbb\\xbf//' FILE`",
        ),
        PemFault::Indented => (
            "has spaces in front of its BEGIN line",
            "take them away, by `sed 's/^ *//' FILE`",
        ),
        PemFault::EscapedLines => (
            "has the characters \\n where its lines should end",
            "end the lines, by `printf '%b' \"$(cat FILE)\"`",
        ),
        PemFault::Damaged => (
            "has the BEGIN line, and what follows it is damaged or cut off",
            "copy the file again as a whole, to its END line",
        ),
        PemFault::Encrypted => (
            "is encrypted with a passphrase",
            "decrypt it by `openssl rsa -in FILE`",
        ),
        PemFault::OpenSsh => ("is a key in the format of OpenSSH", PEM_OF_SSH),
        PemFault::Putty => (
            "is a key of PuTTY (PPK)",
            "convert it by `puttygen FILE -O private-openssh -o KEY`, and then by `ssh-keygen -p -m PEM -f KEY`",
        ),
        PemFault::Jwk => (
            "is a JSON Web Key",
            "convert it to PEM with the tool that made it",
        ),
        PemFault::Pgp => ("is a key of OpenPGP", NEW_KEY),
        PemFault::OtherKey => ("is no RSA key, and iPXE has no other kind", NEW_KEY),
        PemFault::PrivateKey => ("is a private key", ANOTHER),
        PemFault::PublicKey => (
            "is a public key",
            by(ANOTHER, "give the private key that it was made from"),
        ),
        PemFault::Certificate => ("is a certificate", ANOTHER),
        PemFault::OtherLabel => (
            "is a certificate with another label",
            by("write it again by `openssl x509 -in FILE`", ANOTHER),
        ),
        PemFault::Request => ("is a request for a certificate (CSR)", by(REQUEST, ANOTHER)),
        PemFault::Pkcs7 => (
            "is PKCS #7",
            by(
                "take the certificate out by `openssl pkcs7 -in FILE -print_certs`",
                ANOTHER,
            ),
        ),
        PemFault::Pkcs12 => (
            "is PKCS #12",
            by(
                "take the certificate out by `openssl pkcs12 -in FILE -nodes -clcerts -nokeys`",
                "take the key out by `openssl pkcs12 -in FILE -nodes -nocerts`",
            ),
        ),
        PemFault::Der => (
            "is DER",
            by(
                "make PEM of it by `openssl x509 -inform DER -in FILE`, or of PKCS #7 by `openssl pkcs7 -inform DER -in FILE -print_certs`",
                "make PEM of it by `openssl rsa -inform DER -in FILE`",
            ),
        ),
        PemFault::Base64 => (
            "is base64 without a BEGIN line",
            "decode it by `base64 -d FILE`, which gives PEM, or DER to convert",
        ),
        PemFault::Unknown => return None,
    })
}

#[cfg(test)]
mod tests;
