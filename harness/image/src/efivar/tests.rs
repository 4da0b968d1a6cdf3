use proptest::prelude::*;

use super::*;

fn variable(name: &str, data: &[u8]) -> Variable {
    Variable {
        vendor: Guid([3; 16]),
        name: name.into(),
        attributes: 7,
        time: 0,
        data: data.into(),
    }
}

#[test]
fn guids_have_their_first_three_fields_little_endian() {
    assert_eq!(
        hex::encode(Guid::TLS_CA_CERTIFICATE.0),
        "d04023fdab3d4943a6c73b4f12b48eae"
    );
    assert_eq!(
        hex::encode(Guid::CERT_X509.0),
        "a159c0a5e494a74a87b5ab155c2bf072"
    );
}

#[test]
fn a_store_with_the_trusted_certificate() {
    let mut store = VariableStore::default();
    store.set(tls_ca_certificate(b"certificate").unwrap());
    let file = store.encode().unwrap();
    let dump: Vec<String> = file.chunks(16).map(hex::encode).collect();
    insta::assert_snapshot!(dump.join("\n"), @r"
    00000000000000005562456669566101
    98000000c0cd80ee3700000007000000
    0000000000000000d04023fdab3d4943
    a6c73b4f12b48eae54006c0073004300
    61004300650072007400690066006900
    63006100740065000000a159c0a5e494
    a74a87b5ab155c2bf072370000000000
    00001b00000000000000000000000000
    00000000000063657274696669636174
    6500000000000000
    ");
}

#[test]
fn one_variable_is_replaced_and_the_others_stay() {
    let others = [
        variable("BootOrder", b"\0\0"),
        variable("PlatformLang", b"en\0"),
    ];
    let mut store = VariableStore(others.to_vec());
    store.set(tls_ca_certificate(b"old").unwrap());
    store.set(tls_ca_certificate(b"new one").unwrap());
    let decoded = VariableStore::decode(&store.encode().unwrap()).unwrap();
    assert_eq!(decoded.0[..2], others);
    assert_eq!(decoded.0.len(), 3);
    let trusted = decoded
        .get(Guid::TLS_CA_CERTIFICATE, TLS_CA_CERTIFICATE)
        .unwrap();
    assert!(trusted.data.ends_with(b"new one"));
    assert!(store.remove(Guid::TLS_CA_CERTIFICATE, TLS_CA_CERTIFICATE));
    assert!(!store.remove(Guid::TLS_CA_CERTIFICATE, "BootOrder"));
    assert_eq!(store.0, others);
}

#[test]
fn damaged_files_are_refused() {
    let good = VariableStore(vec![variable("A", b"data")])
        .encode()
        .unwrap();
    let damaged = |index: usize| {
        let mut bytes = good.clone();
        bytes[index] ^= 1;
        VariableStore::decode(&bytes).unwrap_err()
    };
    assert_eq!(damaged(0), EfiVarError::NotAStore);
    assert_eq!(damaged(8), EfiVarError::NotAStore);
    assert!(matches!(damaged(16), EfiVarError::Length { .. }));
    assert!(matches!(damaged(20), EfiVarError::Checksum { .. }));
    assert!(matches!(
        damaged(good.len() - 1),
        EfiVarError::Checksum { .. }
    ));
    assert_eq!(
        VariableStore::decode(&good[..20]),
        Err(EfiVarError::NotAStore)
    );
    assert!(matches!(
        VariableStore::decode(&good[..30]),
        Err(EfiVarError::Length { .. })
    ));
}

#[test]
fn well_formed_files_that_u_boot_does_not_take_are_refused() {
    let refused = |variables: &[Variable]| {
        let entries = variables.iter().flat_map(|variable| {
            let file = VariableStore(vec![variable.clone()]).encode().unwrap();
            file[HEADER_LENGTH..].to_vec()
        });
        VariableStore::decode(&sealed(&entries.collect::<Vec<_>>())).unwrap_err()
    };
    let large = variable("Large", &[0; 100_000]);
    let other = variable("Other", &[0; 100_000]);
    assert!(matches!(
        refused(&[large.clone(), other.clone()]),
        EfiVarError::FileTooLarge { size: 200_120 }
    ));
    assert!(matches!(
        VariableStore(vec![large, other]).encode(),
        Err(EfiVarError::FileTooLarge { .. })
    ));
}

/// U-Boot, `efi_var_restore()`: of two the first, none that is volatile or empty, and it looks at no name.
#[test]
fn odd_files_that_u_boot_takes_are_taken_as_it_takes_them() {
    let volatile = Variable {
        attributes: 6,
        ..variable("A", b"volatile")
    };
    let not_utf16 = Variable {
        name: VariableName(vec![0xd800]),
        ..variable("", b"x")
    };
    let all = [
        volatile,
        variable("A", b""),
        variable("A", b"first"),
        variable("A", b"second"),
        variable("", b"nameless"),
        not_utf16,
    ];
    let store = VariableStore(all.to_vec());
    let mut read = VariableStore::decode(&store.encode().unwrap()).unwrap();
    assert_eq!(read, store, "nothing is lost");
    assert_eq!(read.get(Guid([3; 16]), "A").unwrap().data, b"first");
    insta::assert_snapshot!(read.remarks().join("\n"), @r"
    A has not the attribute NON_VOLATILE, so that U-Boot does not take it
    A is empty, so that U-Boot does not take it
    A is there more than once; U-Boot takes the first
    ");
    read.set(variable("A", b"new"));
    assert_eq!(read.0.len(), 3);
    assert_eq!(read.get(Guid([3; 16]), "A").unwrap().data, b"new");
    assert_eq!(read.remarks(), [""; 0]);
}

/// A file with correct header around arbitrary entries.
fn sealed(entries: &[u8]) -> Vec<u8> {
    let mut file = VariableStore::default().encode().unwrap();
    file[16..20].copy_from_slice(&((24 + entries.len()) as u32).to_le_bytes());
    file[20..24].copy_from_slice(&crc32fast::hash(entries).to_le_bytes());
    file.extend(entries);
    file
}

proptest! {
    #[test]
    fn stores_survive_a_round_trip(variables in proptest::collection::vec(
        (any::<[u8; 16]>(), "[^\0]{1,20}", any::<u32>(), any::<u64>(), proptest::collection::vec(any::<u8>(), 0..60)), 0..6
    )) {
        let store = VariableStore(variables.into_iter().map(|(vendor, name, attributes, time, data)| Variable {
            vendor: Guid(vendor), name: name.as_str().into(), attributes, time, data,
        }).collect());
        prop_assert_eq!(VariableStore::decode(&store.encode().unwrap()), Ok(store));
    }

    #[test]
    fn arbitrary_entries_do_not_panic(entries in proptest::collection::vec(any::<u8>(), 0..200), cut in 0_usize..300) {
        let file = sealed(&entries);
        let _ = VariableStore::decode(&file);
        let _ = VariableStore::decode(file.get(..cut).unwrap_or(&file));
    }

    #[test]
    fn small_lengths_do_not_panic(length in 0_u32..64, tail in proptest::collection::vec(0_u8..2, 0..80)) {
        let mut entries = length.to_le_bytes().to_vec();
        entries.extend(tail);
        let _ = VariableStore::decode(&sealed(&entries));
    }
}

#[test]
fn certificates_are_read_back_from_their_lists() {
    let one = tls_ca_certificate(b"first").unwrap().data;
    let two = tls_ca_certificate(b"second one").unwrap().data;
    let mut other = one.clone();
    other[0] ^= 1;
    let lists = [&one[..], &other, &two].concat();
    let expected = [b"first".to_vec(), b"second one".to_vec()];
    assert_eq!(x509_certificates(&lists), Ok(expected.to_vec()));
    assert_eq!(x509_certificates(&[]), Ok(vec![]));
    for cut in [1, 20, 30, one.len() - 1] {
        assert_eq!(
            x509_certificates(&one[..cut]),
            Err(EfiVarError::SignatureList { offset: 0 })
        );
    }
}

proptest! {
    #[test]
    fn any_signature_list_is_read_without_panic(mut lists in proptest::collection::vec(any::<u8>(), 0..200), small: bool) {
        if small {
            // Sizes that could be true.
            for at in [17, 18, 19, 21, 22, 23, 25, 26, 27] {
                if let Some(byte) = lists.get_mut(at) {
                    *byte = 0;
                }
            }
        }
        let _ = x509_certificates(&lists);
    }
}
