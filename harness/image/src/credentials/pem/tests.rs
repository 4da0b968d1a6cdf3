use proptest::prelude::*;

use super::*;

fn of(file: impl AsRef<[u8]>) -> PemFault {
    PemFault::of(file.as_ref(), Wanted::Key)
}

#[test]
fn a_file_is_called_what_it_is() {
    use PemFault::{
        Base64, ByteOrderMark, Damaged, Der, Empty, Encrypted, EscapedLines, Indented, Jwk,
        OpenSsh, OtherKey, Pgp, Pkcs12, PublicKey, Putty, Request, Unknown, Utf16,
    };
    let key = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n";
    let utf16: Vec<u8> = key.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(of(utf16), Utf16);
    let cases: [(&str, PemFault); 18] = [
        ("", Empty),
        (" \n", Empty),
        ("some words", Unknown),
        (key, Damaged),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE", Damaged),
        ("\u{feff}-----BEGIN PRIVATE KEY-----\n", ByteOrderMark),
        ("  -----BEGIN PRIVATE KEY-----\n", Indented),
        ("-----BEGIN PRIVATE KEY-----\\nMIIE\\n", EscapedLines),
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----\n", Encrypted),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n",
            Encrypted,
        ),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\n", OpenSsh),
        ("-----BEGIN DSA PRIVATE KEY-----\n", OtherKey),
        ("-----BEGIN PGP PRIVATE KEY BLOCK-----\n", Pgp),
        ("PuTTY-User-Key-File-3: ssh-rsa\n", Putty),
        ("{\"kty\":\"RSA\"}\n", Jwk),
        ("-----BEGIN PUBLIC KEY-----\n", PublicKey),
        ("ssh-rsa AAAA\n", PublicKey),
        ("-----BEGIN CERTIFICATE REQUEST-----\n", Request),
    ];
    for (file, expected) in cases {
        assert_eq!(of(file), expected, "{file:?}");
    }
    assert_eq!(of("QUJD".repeat(20)), Base64);
    assert_eq!(of([0x30, 0x82, 4, 0, 2, 1, 0, 0x30, 0x0d]), Der);
    assert_eq!(of([0x30, 0x82, 4, 0, 2, 1, 3, 0x30, 0x82]), Pkcs12);
}

#[test]
fn what_a_file_is_depends_on_what_is_wanted() {
    let certificate = "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----\n";
    let key = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n";
    let with = |file: &str, wanted| PemFault::of(file.as_bytes(), wanted);
    assert_eq!(with(certificate, Wanted::Key), PemFault::Certificate);
    assert_eq!(with(certificate, Wanted::Certificate), PemFault::Damaged);
    assert_eq!(with(key, Wanted::Certificate), PemFault::PrivateKey);
    // A file of both is damaged in the part that is wanted.
    let both = format!("{certificate}{key}");
    assert_eq!(with(&both, Wanted::Key), PemFault::Damaged);
    assert_eq!(with(&both, Wanted::Certificate), PemFault::Damaged);
    for (label, expected) in [
        ("PKCS7", PemFault::Pkcs7),
        ("TRUSTED CERTIFICATE", PemFault::OtherLabel),
        ("X509 CERTIFICATE", PemFault::OtherLabel),
    ] {
        let file = format!("-----BEGIN {label}-----\n");
        assert_eq!(with(&file, Wanted::Certificate), expected);
    }
}

#[test]
fn a_message_names_the_file_and_the_command() {
    let said = |fault: PemFault, wanted| fault.said(wanted).to_string();
    let of_key = |fault| said(fault, Wanted::Key);
    assert_eq!(
        of_key(PemFault::Encrypted),
        "the file of the key is encrypted with a passphrase: decrypt it by `openssl rsa -in FILE`"
    );
    assert!(of_key(PemFault::OpenSsh).ends_with("`ssh-keygen -p -m PEM -f FILE`"));
    assert!(of_key(PemFault::Pkcs12).contains("openssl pkcs12 -in FILE -nodes -nocerts"));
    assert!(of_key(PemFault::Der).contains("openssl rsa -inform DER -in FILE"));
    assert!(of_key(PemFault::Unknown).contains("BEGIN PRIVATE KEY"));
    let of_certificate = |fault| said(fault, Wanted::Certificate);
    assert!(of_certificate(PemFault::Der).contains("openssl x509 -inform DER -in FILE"));
    assert!(of_certificate(PemFault::Pkcs7).contains("openssl pkcs7 -in FILE -print_certs"));
    assert!(
        of_certificate(PemFault::Damaged)
            .starts_with("the file of the certificate has the BEGIN line")
    );
}

proptest! {
    #[test]
    fn any_bytes_are_called_something(file in proptest::collection::vec(any::<u8>(), 0..200)) {
        for wanted in [Wanted::Key, Wanted::Certificate] {
            let said = PemFault::of(&file, wanted).said(wanted).to_string();
            prop_assert!(said.starts_with("the file of the"));
        }
    }
}
