//! A program that boards of another architecture do not start.
//!
//! Source: Microsoft's PE format, sections "MS-DOS stub", "COFF file header", "Optional header" and "Section table".

/// Where the code is in the file, and in memory.
const CODE_AT: u32 = 0x200;
const LOADED_AT: u32 = 0x1000;

/// A program for UEFI on x86-64 that returns at once.
pub(super) fn foreign_program() -> Vec<u8> {
    const X86_64: u16 = 0x8664;
    const EXECUTABLE: u16 = 0x22;
    const WITH_64_BIT_ADDRESSES: u16 = 0x20b;
    const EFI_APPLICATION: u16 = 10;
    const DIRECTORIES: u32 = 16;
    const CODE: u32 = 0x6000_0020;
    /// `xor eax, eax; ret`
    const RETURNS: [u8; 3] = [0x31, 0xc0, 0xc3];
    let mut file = Vec::new();
    file.extend(*b"MZ");
    file.resize(0x3c, 0);
    file.extend(0x40_u32.to_le_bytes());
    file.extend(*b"PE\0\0");
    let sections = 1;
    let optional = 112 + 8 * DIRECTORIES as u16;
    for half in [X86_64, sections, 0, 0, 0, 0, 0, 0, optional, EXECUTABLE] {
        file.extend(half.to_le_bytes());
    }
    let begin = file.len();
    file.extend(WITH_64_BIT_ADDRESSES.to_le_bytes());
    file.extend([0; 2]); // version of the linker
    // Bytes of code and of data, the entry, and where the code is loaded.
    for word in [CODE_AT, 0, 0, LOADED_AT, LOADED_AT] {
        file.extend(word.to_le_bytes());
    }
    file.extend(0x40_0000_u64.to_le_bytes()); // the address that it is made for
    // Alignment in memory and in the file; versions; bytes in memory and of the headers; checksum.
    for word in [0x1000, CODE_AT, 0, 0, 0, 0, 2 * LOADED_AT, CODE_AT, 0] {
        file.extend(word.to_le_bytes());
    }
    file.extend(EFI_APPLICATION.to_le_bytes());
    file.resize(begin + 108, 0);
    file.extend(DIRECTORIES.to_le_bytes());
    file.resize(begin + usize::from(optional), 0);
    file.extend(*b".text\0\0\0");
    let bytes = RETURNS.len() as u32;
    for word in [bytes, LOADED_AT, CODE_AT, CODE_AT, 0, 0, 0, CODE] {
        file.extend(word.to_le_bytes());
    }
    file.resize(CODE_AT as usize, 0);
    file.extend(RETURNS);
    file.resize(2 * CODE_AT as usize, 0);
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_program_for_x86_64() {
        let program = foreign_program();
        let word = |at: usize| u32::from_le_bytes(program[at..at + 4].try_into().unwrap());
        assert_eq!(
            (&program[..2], &program[0x40..0x46]),
            (&b"MZ"[..], &b"PE\0\0\x64\x86"[..])
        );
        // The entry is where the only section is loaded, and its code is in the file.
        let optional = 0x58;
        let section = optional + 240;
        assert_eq!(
            (word(optional + 16), word(section + 12)),
            (LOADED_AT, LOADED_AT)
        );
        assert_eq!(&program[section..section + 5], b".text");
        let code = word(section + 20) as usize;
        assert_eq!(&program[code..code + 3], [0x31, 0xc0, 0xc3]);
        assert_eq!(program.len(), code + word(section + 16) as usize);
    }
}
