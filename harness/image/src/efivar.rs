//! U-Boot's file of EFI variables, `ubootefi.var` on the EFI system partition, and the signature list inside one of them.
//!
//! U-Boot reads the file once when its EFI subsystem starts. Provisioning decodes it, replaces one variable and encodes it again.
//! Formats: U-Boot, `include/efi_variable.h` (the file); UEFI specification 2.10, section 32.4.1 "Signature Database".

use std::fmt;

use shakedown_base::Untrusted;

use super::guid::Guid;

/// Name of the file in the root directory of the EFI system partition.
pub const FILE_NAME: &str = "ubootefi.var";

const MAGIC: u64 = 0x0161_5669_6645_6255;
const HEADER_LENGTH: usize = 24;
const ENTRY_HEADER_LENGTH: usize = 32;
/// Bytes that U-Boot reads, `CONFIG_EFI_VAR_BUF_SIZE`; it ignores a file that has more.
pub const FILE_LIMIT: usize = 128 * 1024;
/// Entries start on multiples of this.
const ALIGNMENT: usize = 8;
/// Size of a signature list's own header.
const LIST_HEADER_LENGTH: u32 = 28;
/// Bytes of the GUID in front of each signature.
const OWNER_LENGTH: usize = 16;

/// The attribute without which U-Boot does not take a variable from a file, `EFI_VARIABLE_NON_VOLATILE`.
const NON_VOLATILE: u32 = 1;

/// Survives a reset, and is seen by boot services and by the operating system: the attributes that U-Boot loads from a file.
pub const NON_VOLATILE_BOOT_RUNTIME: u32 = 7;

impl Guid {
    /// The vendor of [`TLS_CA_CERTIFICATE`], `EFI_TLS_CA_CERTIFICATE_GUID`.
    pub const TLS_CA_CERTIFICATE: Self =
        Self::new(0xfd23_40d0, 0x3dab, 0x4349, 0xa6c7_3b4f_12b4_8eae);
    /// The type of a signature list of X.509 certificates, `EFI_CERT_X509_GUID`.
    pub const CERT_X509: Self = Self::new(0xa5c0_59a1, 0x94e4, 0x4aa7, 0x87b5_ab15_5c2b_f072);
}

/// Name of the variable with the certificates that iPXE trusts as roots.
pub const TLS_CA_CERTIFICATE: &str = "TlsCaCertificate";

/// The name of a variable as it is stored, which need not be UTF-16.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VariableName(Vec<u16>);

impl VariableName {
    /// The UTF-16 code units, as they are stored.
    pub(crate) fn units(&self) -> impl Iterator<Item = u16> + '_ {
        self.0.iter().copied()
    }
}

impl From<&str> for VariableName {
    fn from(name: &str) -> Self {
        Self(name.encode_utf16().collect())
    }
}

impl PartialEq<str> for VariableName {
    fn eq(&self, other: &str) -> bool {
        self.0.iter().copied().eq(other.encode_utf16())
    }
}

impl fmt::Display for VariableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Untrusted::new(String::from_utf16_lossy(&self.0)).fmt(f)
    }
}

/// An EFI variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Who defines the variable.
    pub vendor: Guid,
    /// Its name.
    pub name: VariableName,
    /// `EFI_VARIABLE_*` bits.
    pub attributes: u32,
    /// Seconds since 1970; 0 for variables that are not authenticated.
    pub time: u64,
    /// Its value.
    pub data: Vec<u8>,
}

/// The variables of a file, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VariableStore(Vec<Variable>);

/// Why a file is not a variable store.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EfiVarError {
    /// Too short for a header, or the magic number is another.
    #[error("not an EFI variable file of U-Boot")]
    NotAStore,
    /// U-Boot does not read so much.
    #[error("a file of {size} bytes; U-Boot reads {FILE_LIMIT} at most")]
    FileTooLarge {
        /// Length of the file.
        size: usize,
    },
    /// The header's length is not the file's.
    #[error("the header says {header} bytes, the file has {file}; is it truncated?")]
    Length {
        /// Length in the header.
        header: u32,
        /// Length of the file.
        file: usize,
    },
    /// The entries were changed without their checksum.
    #[error("the CRC-32 of the variables is {found:#010x}, the header says {header:#010x}")]
    Checksum {
        /// CRC-32 in the header.
        header: u32,
        /// CRC-32 of the entries.
        found: u32,
    },
    /// An entry is cut off or its name has no end.
    #[error("the variable at byte {offset} is cut off")]
    CutOff {
        /// Where it starts in the file.
        offset: usize,
    },
    /// A signature list in a variable is cut off, or its sizes contradict each other.
    #[error("the signature list at byte {offset} of {TLS_CA_CERTIFICATE} is damaged")]
    SignatureList {
        /// Where it starts in the variable.
        offset: usize,
    },
    /// The variables do not fit into a file of 4 GiB.
    #[error("the variables are too large for one file")]
    TooLarge,
}

impl VariableStore {
    /// Reads a file, as U-Boot's `efi_var_restore()` does. What U-Boot passes over in a file that it takes is kept here, so that nothing
    /// is lost when the file is written again; [`Self::get`] says what counts.
    ///
    /// # Errors
    /// What [`EfiVarError`] lists; U-Boot ignores a file with any of these faults, or reads beyond the end of one that is cut off.
    pub fn decode(file: &[u8]) -> Result<Self, EfiVarError> {
        let (header, entries) = file
            .split_first_chunk::<HEADER_LENGTH>()
            .ok_or(EfiVarError::NotAStore)?;
        let (reserved, rest) = take_u64(header).ok_or(EfiVarError::NotAStore)?;
        let (magic, rest) = take_u64(rest).ok_or(EfiVarError::NotAStore)?;
        let (length, rest) = take_u32(rest).ok_or(EfiVarError::NotAStore)?;
        let (checksum, _) = take_u32(rest).ok_or(EfiVarError::NotAStore)?;
        if reserved != 0 || magic != MAGIC {
            return Err(EfiVarError::NotAStore);
        }
        if usize::try_from(length) != Ok(file.len()) {
            return Err(EfiVarError::Length {
                header: length,
                file: file.len(),
            });
        }
        if file.len() > FILE_LIMIT {
            return Err(EfiVarError::FileTooLarge { size: file.len() });
        }
        let found = crc32fast::hash(entries);
        if found != checksum {
            return Err(EfiVarError::Checksum {
                header: checksum,
                found,
            });
        }
        let mut variables = Vec::new();
        let mut rest = entries;
        while !rest.is_empty() {
            let offset = file.len() - rest.len();
            let (variable, length) = decode_entry(rest, offset)?;
            variables.push(variable);
            // The last entry may go without its padding.
            rest = rest
                .get(length.next_multiple_of(ALIGNMENT)..)
                .unwrap_or_default();
        }
        Ok(Self(variables))
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// [`EfiVarError::TooLarge`], [`EfiVarError::FileTooLarge`].
    pub fn encode(&self) -> Result<Vec<u8>, EfiVarError> {
        let mut entries = Vec::new();
        for variable in &self.0 {
            let data_length =
                u32::try_from(variable.data.len()).map_err(|_| EfiVarError::TooLarge)?;
            entries.extend(data_length.to_le_bytes());
            entries.extend(variable.attributes.to_le_bytes());
            entries.extend(variable.time.to_le_bytes());
            entries.extend(variable.vendor.0);
            let name = variable.name.0.iter().copied().chain([0]);
            entries.extend(name.flat_map(u16::to_le_bytes));
            entries.extend(&variable.data);
            entries.resize(entries.len().next_multiple_of(ALIGNMENT), 0);
        }
        let size = HEADER_LENGTH + entries.len();
        if size > FILE_LIMIT {
            return Err(EfiVarError::FileTooLarge { size });
        }
        let length = u32::try_from(size).map_err(|_| EfiVarError::TooLarge)?;
        let mut file = Vec::with_capacity(size);
        file.extend(0_u64.to_le_bytes());
        file.extend(MAGIC.to_le_bytes());
        file.extend(length.to_le_bytes());
        file.extend(crc32fast::hash(&entries).to_le_bytes());
        file.extend(entries);
        Ok(file)
    }

    /// The variable `name` of `vendor` that U-Boot takes: the first that is not volatile and not empty.
    #[must_use]
    pub fn get(&self, vendor: Guid, name: &str) -> Option<&Variable> {
        self.named(vendor, name)
            .find(|variable| variable.is_taken())
    }

    /// What U-Boot passes over in a file that it takes, for people to read.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        for (index, variable) in self.0.iter().enumerate() {
            let Variable { vendor, name, .. } = variable;
            let mut before = self.0.iter().take(index).filter(|other| other.is_taken());
            if !variable.is_taken() {
                let why = match variable.data.is_empty() {
                    true => "is empty",
                    false => "has not the attribute NON_VOLATILE",
                };
                remarks.push(format!("{name} {why}, so that U-Boot does not take it"));
            } else if before.any(|other| (other.vendor, &other.name) == (*vendor, name)) {
                remarks.push(format!(
                    "{name} is there more than once; U-Boot takes the first"
                ));
            }
        }
        remarks
    }

    fn named(&self, vendor: Guid, name: &str) -> impl Iterator<Item = &Variable> {
        let all = self.0.iter();
        all.filter(move |variable| variable.vendor == vendor && variable.name == *name)
    }

    /// Puts a variable in, in place of all of the same vendor and name. All others stay as they are.
    pub fn set(&mut self, variable: Variable) {
        let Variable { vendor, name, .. } = &variable;
        self.0
            .retain(|other| (other.vendor, &other.name) != (*vendor, name));
        self.0.push(variable);
    }

    /// Takes a variable out, as often as it is there; `false` when there was none.
    pub fn remove(&mut self, vendor: Guid, name: &str) -> bool {
        let before = self.0.len();
        self.0
            .retain(|variable| variable.vendor != vendor || variable.name != *name);
        self.0.len() != before
    }
}

impl Variable {
    /// Whether U-Boot takes it from a file.
    fn is_taken(&self) -> bool {
        self.attributes & NON_VOLATILE != 0 && !self.data.is_empty()
    }
}

/// The variable that makes iPXE trust what `certificate` (X.509, DER) has signed.
///
/// # Errors
/// [`EfiVarError::TooLarge`].
pub fn tls_ca_certificate(certificate: &[u8]) -> Result<Variable, EfiVarError> {
    Ok(Variable {
        vendor: Guid::TLS_CA_CERTIFICATE,
        name: TLS_CA_CERTIFICATE.into(),
        attributes: NON_VOLATILE_BOOT_RUNTIME,
        time: 0,
        data: x509_signature_list(certificate)?,
    })
}

/// An `EFI_SIGNATURE_LIST` with one X.509 certificate (DER).
fn x509_signature_list(certificate: &[u8]) -> Result<Vec<u8>, EfiVarError> {
    // Each signature begins with the GUID of its owner, which nobody looks at here.
    let owner = [0; OWNER_LENGTH];
    let signature_length =
        u32::try_from(owner.len() + certificate.len()).map_err(|_| EfiVarError::TooLarge)?;
    let list_length = signature_length
        .checked_add(LIST_HEADER_LENGTH)
        .ok_or(EfiVarError::TooLarge)?;
    let mut list = Vec::new();
    list.extend(Guid::CERT_X509.0);
    list.extend(list_length.to_le_bytes());
    list.extend(0_u32.to_le_bytes());
    list.extend(signature_length.to_le_bytes());
    list.extend(owner);
    list.extend(certificate);
    Ok(list)
}

/// The X.509 certificates (DER) of the signature lists in a variable. Signatures of other types are passed over.
///
/// # Errors
/// [`EfiVarError::SignatureList`].
pub fn x509_certificates(lists: &[u8]) -> Result<Vec<Vec<u8>>, EfiVarError> {
    let mut certificates = Vec::new();
    let mut rest = lists;
    while !rest.is_empty() {
        let offset = lists.len() - rest.len();
        let length =
            decode_list(rest, &mut certificates).ok_or(EfiVarError::SignatureList { offset })?;
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(certificates)
}

/// Adds the certificates of the list at the start of `bytes`, and gives its length.
fn decode_list(bytes: &[u8], certificates: &mut Vec<Vec<u8>>) -> Option<usize> {
    let (kind, rest) = bytes.split_first_chunk::<16>()?;
    let (length, rest) = take_u32(rest)?;
    let (header_length, rest) = take_u32(rest)?;
    let (signature_length, _) = take_u32(rest)?;
    let list = bytes.get(LIST_HEADER_LENGTH as usize..usize::try_from(length).ok()?)?;
    let signatures = list.get(usize::try_from(header_length).ok()?..)?;
    let signature_length = usize::try_from(signature_length).ok()?;
    if signature_length <= OWNER_LENGTH || signatures.len() % signature_length != 0 {
        return None;
    }
    if Guid(*kind) == Guid::CERT_X509 {
        let signatures = signatures.chunks_exact(signature_length);
        certificates.extend(signatures.filter_map(|s| Some(s.get(OWNER_LENGTH..)?.to_vec())));
    }
    usize::try_from(length).ok()
}

/// The entry at the start of `bytes`, and its length without padding.
fn decode_entry(bytes: &[u8], offset: usize) -> Result<(Variable, usize), EfiVarError> {
    let cut_off = || EfiVarError::CutOff { offset };
    let (data_length, rest) = take_u32(bytes).ok_or_else(cut_off)?;
    let (attributes, rest) = take_u32(rest).ok_or_else(cut_off)?;
    let (time, rest) = take_u64(rest).ok_or_else(cut_off)?;
    let (vendor, rest) = rest.split_first_chunk::<16>().ok_or_else(cut_off)?;
    let units = rest
        .as_chunks::<2>()
        .0
        .iter()
        .map(|unit| u16::from_le_bytes(*unit));
    let name_units: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
    let data_offset = 2 * (name_units.len() + 1);
    let data_length = usize::try_from(data_length).map_err(|_| cut_off())?;
    let data_end = data_offset.checked_add(data_length).ok_or_else(cut_off)?;
    let data = rest.get(data_offset..data_end).ok_or_else(cut_off)?;
    let variable = Variable {
        vendor: Guid(*vendor),
        name: VariableName(name_units),
        attributes,
        time,
        data: data.to_vec(),
    };
    Ok((variable, ENTRY_HEADER_LENGTH + data_end))
}

fn take_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    bytes
        .split_first_chunk()
        .map(|(head, rest)| (u32::from_le_bytes(*head), rest))
}

fn take_u64(bytes: &[u8]) -> Option<(u64, &[u8])> {
    bytes
        .split_first_chunk()
        .map(|(head, rest)| (u64::from_le_bytes(*head), rest))
}

#[cfg(test)]
mod tests;
