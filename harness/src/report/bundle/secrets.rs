//! Whether bytes hold a private key, in any form that an image, a run or a person writes one in: [`crate::image::key_material`].

pub(super) use crate::image::key_material::holds_private_key as hold_private_key;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::Authority;

    #[test]
    fn a_key_is_found_in_every_form_and_certificates_are_none() {
        let authority = Authority::generate("test").unwrap();
        let client = authority.issue_client("board").unwrap();
        let der = client.key_pkcs8_der().secret_pkcs8_der();
        let script = format!("set privkey:hexraw {}\n", hex::encode(der));
        let pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n";
        assert!(hold_private_key(&[b"card", der, b"rest"].concat()));
        assert!(hold_private_key(script.as_bytes()));
        assert!(hold_private_key(script.to_uppercase().as_bytes()));
        let colons: Vec<_> = der.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(hold_private_key(colons.join(":").as_bytes()));
        assert!(hold_private_key(pem.as_bytes()));
        assert!(!hold_private_key(client.certificate_der()));
        assert!(!hold_private_key(authority.certificate_pem().as_bytes()));
    }
}
