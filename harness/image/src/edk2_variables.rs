//! The variables of EDK2's firmware, in the flash chip that keeps them: a template of the firmware's package, and a variable more.
//!
//! Source: EDK2, `MdePkg/Include/Pi/PiFirmwareVolume.h` (the volume) and `MdeModulePkg/Include/Guid/VariableFormat.h` (the store and an
//! authenticated variable). Erased flash reads as ones.

use crate::efivar::Variable;
use crate::guid::Guid;

/// The file system of a firmware volume that holds variables.
const NV_DATA: Guid = Guid::new(0xfff1_2b8d, 0x7696, 0x4c8b, 0xa985_2747_075b_4f50);
/// A store of authenticated variables.
const AUTHENTICATED: Guid = Guid::new(0xaaf3_2c78, 0x947b, 0x439a, 0xa180_2e14_4ec3_7792);
/// `_FVH`, at this place of a volume's header.
const SIGNATURE: (usize, &[u8; 4]) = (40, b"_FVH");
/// Where a volume's header has its own length, 16 bits.
const HEADER_LENGTH: usize = 48;
/// Bytes of a store's header; its size is behind its GUID.
const STORE_HEADER: usize = 28;
/// What a variable begins with.
const START: u16 = 0x55aa;
/// Bytes of a variable's header; sizes of name and data are at its end, before the vendor.
const VARIABLE_HEADER: usize = 60;
const NAME_SIZE: usize = 36;
/// The state of a variable that was added.
const ADDED: u8 = 0x3f;
/// Variables begin at multiples of this.
const ALIGNMENT: usize = 4;

/// Why a variable cannot be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Edk2Error {
    /// It is no firmware volume with variables.
    #[error("it holds no EFI variables of EDK2")]
    NotAStore,
    /// A variable in it is cut off.
    #[error("the EFI variable at byte {0} is cut off")]
    CutOff(usize),
    /// The store has no room.
    #[error("an EFI variable of {0} bytes does not fit into it")]
    Full(usize),
}

/// Adds a variable to the flash chip, behind those that are there.
///
/// # Errors
/// [`Edk2Error`]; the bytes are then as they were.
pub fn add(flash: &mut [u8], variable: &Variable) -> Result<(), Edk2Error> {
    let (mut at, end) = store(flash).ok_or(Edk2Error::NotAStore)?;
    while u16_at(flash, at) == Some(START) && at < end {
        let cut_off = Edk2Error::CutOff(at);
        let name = u32_at(flash, at + NAME_SIZE).ok_or(cut_off)?;
        let data = u32_at(flash, at + NAME_SIZE + 4).ok_or(cut_off)?;
        let length = VARIABLE_HEADER.checked_add(name);
        let length = length.and_then(|length| length.checked_add(data));
        at = length
            .and_then(|length| at.checked_add(length))
            .filter(|next| *next <= end)
            .ok_or(cut_off)?
            .next_multiple_of(ALIGNMENT);
    }
    let bytes = encoded(variable).ok_or(Edk2Error::Full(variable.data.len()))?;
    let place = at
        .checked_add(bytes.len())
        .filter(|last| *last <= end)
        .and_then(|last| flash.get_mut(at..last));
    match place {
        Some(place) => place.copy_from_slice(&bytes),
        None => return Err(Edk2Error::Full(bytes.len())),
    }
    Ok(())
}

/// Where the first variable is, and where the store ends.
fn store(flash: &[u8]) -> Option<(usize, usize)> {
    let (place, signature) = SIGNATURE;
    let is_volume = guid_at(flash, 16)? == NV_DATA && flash.get(place..)?.starts_with(signature);
    let store = usize::from(u16_at(flash, HEADER_LENGTH)?);
    if !is_volume || guid_at(flash, store)? != AUTHENTICATED {
        return None;
    }
    let end = store.checked_add(u32_at(flash, store + 16)?)?;
    let first = (store + STORE_HEADER).next_multiple_of(ALIGNMENT);
    (first <= end && end <= flash.len()).then_some((first, end))
}

fn encoded(variable: &Variable) -> Option<Vec<u8>> {
    let name: Vec<u8> = variable
        .name
        .units()
        .chain([0])
        .flat_map(u16::to_le_bytes)
        .collect();
    let mut bytes = Vec::new();
    bytes.extend(START.to_le_bytes());
    bytes.extend([ADDED, 0]);
    bytes.extend(variable.attributes.to_le_bytes());
    // No count, no time and no key: it is not authenticated.
    bytes.extend([0; 8 + 16 + 4]);
    bytes.extend(u32::try_from(name.len()).ok()?.to_le_bytes());
    bytes.extend(u32::try_from(variable.data.len()).ok()?.to_le_bytes());
    bytes.extend(variable.vendor.0);
    bytes.extend(name);
    bytes.extend(&variable.data);
    Some(bytes)
}

fn guid_at(bytes: &[u8], at: usize) -> Option<Guid> {
    bytes.get(at..)?.first_chunk::<16>().copied().map(Guid)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_le_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    usize::try_from(u32::from_le_bytes(*bytes)).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::efivar;

    /// An erased chip of 4 KiB with a store of this size.
    fn chip(size: u32) -> Vec<u8> {
        let mut chip = vec![0xff; 4096];
        chip[..16].fill(0);
        chip[16..32].copy_from_slice(&NV_DATA.0);
        chip[40..44].copy_from_slice(b"_FVH");
        chip[48..50].copy_from_slice(&72_u16.to_le_bytes());
        chip[72..88].copy_from_slice(&AUTHENTICATED.0);
        chip[88..92].copy_from_slice(&size.to_le_bytes());
        chip
    }

    fn variable(data: &[u8]) -> Variable {
        Variable {
            data: data.to_vec(),
            ..efivar::tls_ca_certificate(b"").unwrap()
        }
    }

    #[test]
    fn variables_follow_one_another() {
        let mut chip = chip(1024);
        add(&mut chip, &variable(b"abc")).unwrap();
        add(&mut chip, &variable(b"second")).unwrap();
        let name = 2 * ("TlsCaCertificate".len() + 1);
        let first = 72 + 28;
        let data = first + VARIABLE_HEADER + name;
        assert_eq!(chip[first..first + 4], [0xaa, 0x55, 0x3f, 0]);
        assert_eq!(&chip[data..data + 4], b"abc\xff");
        let second = (data + 3).next_multiple_of(4);
        assert_eq!(chip[second..second + 2], [0xaa, 0x55]);
        let end = second + VARIABLE_HEADER + name + 6;
        assert_eq!(&chip[end - 6..end], b"second");
        assert!(chip[end..].iter().all(|byte| *byte == 0xff));
    }

    #[test]
    fn what_does_not_fit_is_refused_and_changes_nothing() {
        let mut chip = chip(256);
        let before = chip.clone();
        assert_eq!(
            add(&mut chip, &variable(&[1; 200])),
            Err(Edk2Error::Full(VARIABLE_HEADER + 34 + 200))
        );
        assert_eq!(chip, before);
        assert_eq!(
            add(&mut [0; 4096], &variable(b"")),
            Err(Edk2Error::NotAStore)
        );
    }

    proptest! {
        #[test]
        fn foreign_bytes_do_no_harm(store in prop::collection::vec(any::<u8>(), 0..400), size in any::<u32>()) {
            let mut chip = chip(size);
            chip[100..100 + store.len()].copy_from_slice(&store);
            chip[100] = 0xaa;
            let _ = add(&mut chip, &variable(b"data"));
            let mut short = store;
            let _ = add(&mut short, &variable(b"data"));
        }
    }
}
