//! The rules R-ID and R-TRUST: who the machine says it is, and whom it believes.

use std::time::{SystemTime, UNIX_EPOCH};

use super::Findings;
use super::esp::Esp;
use crate::credentials::{self, CredentialError};
use crate::fat::ClusterMap;
use crate::key_material::Traces;
use crate::netboot::BootScript;
use crate::script::Identity;
use crate::survey::certificate::Certificate;
use crate::survey::rules;
use crate::survey::violation::Place;
use crate::{Disk, ImageError, efivar, script};

pub(super) fn check(
    disk: &Disk,
    esp: &Esp<'_>,
    now: SystemTime,
    found: &mut Findings,
) -> Result<(), ImageError> {
    let Some(boot_script) = &esp.script else {
        return Ok(());
    };
    let place = || Place::file(esp.partition, script::FILE_NAME);
    match boot_script.identity() {
        Ok(Some(identity)) => {
            check_identity(&identity, &place(), now, found);
            check_traces(disk, esp, &identity, found)?;
        }
        Ok(None) => {}
        Err(error) => found.add(rules::ID_1, place(), error),
    }
    check_trust(esp, boot_script, now, found);
    Ok(())
}

fn check_identity(identity: &Identity, place: &Place, now: SystemTime, found: &mut Findings) {
    match Certificate::of(&identity.certificate) {
        Ok(certificate) if !certificate.is_valid_at(now) => {
            let what = format!(
                "the certificate of {} is valid from {} to {} only",
                certificate.subject, certificate.not_before, certificate.not_after
            );
            found.add(rules::ID_3, place.clone(), what);
        }
        Ok(_) => {}
        Err(error) => return found.add(rules::ID_1, place.clone(), error),
    }
    match credentials::check(identity) {
        Ok(()) => {}
        Err(error @ CredentialError::Mismatch) => found.add(rules::ID_2, place.clone(), error),
        Err(error) => found.add(rules::ID_1, place.clone(), error),
    }
}

/// The key is in the clusters of the script and nowhere else.
fn check_traces(
    disk: &Disk,
    esp: &Esp<'_>,
    identity: &Identity,
    found: &mut Findings,
) -> Result<(), ImageError> {
    let traces = match Traces::of(&identity.private_key) {
        Ok(traces) => traces,
        Err(error) => {
            let place = Place::file(esp.partition, script::FILE_NAME);
            found.add(
                rules::ID_4,
                place,
                format!("its pieces cannot be looked for: {error}"),
            );
            return Ok(());
        }
    };
    let window = esp.partition.bytes();
    let fat = ImageError::fat(disk.path(), esp.partition.number);
    let allowed = match esp.volume.first_byte(script::FILE_NAME).map_err(&fat)? {
        Some(first) => {
            ClusterMap::read(disk.file(), &window).and_then(|map| map.chain(window.start + first))
        }
        None => Ok(Vec::new()),
    };
    let allowed = match allowed {
        Ok(allowed) => allowed,
        Err(error) => {
            found.add(rules::FAT_1, Place::partition(esp.partition), error);
            return Ok(());
        }
    };
    let places = traces
        .find(disk.file(), &allowed)
        .map_err(ImageError::io("read", disk.path()))?;
    if let Some(first) = places.first() {
        let what = format!(
            "{} pieces of the private key are outside of the script",
            places.len()
        );
        found.add(rules::ID_4, Place::byte(*first), what);
    }
    Ok(())
}

fn check_trust(esp: &Esp<'_>, script: &BootScript, now: SystemTime, found: &mut Findings) {
    let place = || Place::file(esp.partition, efivar::FILE_NAME);
    let needs_trust = !script.servers().is_empty();
    if needs_trust && esp.trusted.is_empty() {
        let what = format!(
            "the boot script needs HTTPS, and no CA is in {}",
            efivar::TLS_CA_CERTIFICATE
        );
        found.add(rules::TRUST_1, place(), what);
    }
    for der in &esp.trusted {
        let certificate = match Certificate::of(der) {
            Ok(certificate) => certificate,
            Err(error) => {
                found.add(rules::TRUST_1, place(), error);
                continue;
            }
        };
        let Certificate {
            subject,
            not_before,
            not_after,
            ..
        } = &certificate;
        if let Err(error) = credentials::check_authority(&certificate) {
            found.add(rules::TRUST_1, place(), error);
        }
        let clock = if script.sets_clock() { now } else { UNIX_EPOCH };
        if !certificate.is_valid_at(clock) || !certificate.is_valid_at(now) {
            let what = format!("the CA {subject} is valid from {not_before} to {not_after} only");
            found.add(rules::TRUST_2, place(), what);
        }
    }
}
