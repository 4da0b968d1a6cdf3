//! U-Boot's environment file, `uboot.env` on the firmware partition.
//!
//! Source: U-Boot's documentation, "Environment Variables", and tools/mkenvimage(1): a CRC-32 of the rest, little endian, then
//! `name=value` strings that end in NUL, an empty one last, zeros up to the size that U-Boot was built with. A file that U-Boot
//! accepts replaces the environment built into it, so ours is made of that, with changes.

/// `CONFIG_ENV_SIZE` of U-Boot's Raspberry Pi boards, in bytes.
const SIZE: usize = 0x4000;

/// The file's name.
pub const FILE_NAME: &str = "uboot.env";

/// Why there is no environment file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvError {
    /// The boot loader has no built-in environment.
    #[error("no built-in environment in the boot loader: it should begin with `bootcmd=`")]
    NotFound,
    /// The environment does not fit.
    #[error("the environment has {0} bytes and U-Boot takes {SIZE}")]
    TooLarge(usize),
    /// The file is too short to be one.
    #[error("the file has {0} bytes and U-Boot reads {SIZE}; is it truncated?")]
    Truncated(usize),
    /// The contents were changed without their checksum.
    #[error(
        "the CRC-32 of the environment is {found:#010x}, the file says {recorded:#010x}: U-Boot falls back to its own"
    )]
    Checksum {
        /// CRC-32 at the start of the file.
        recorded: u32,
        /// CRC-32 of the rest.
        found: u32,
    },
    /// A string is no `name=value`.
    #[error("the string at byte {0} is no name=value")]
    NotAVariable(usize),
    /// The last string has no end, or none is empty.
    #[error("the environment has no end")]
    Endless,
}

/// The variables of a file, in its order.
///
/// # Errors
/// What is wrong with the file; U-Boot ignores one with a wrong length or checksum, and a part of one that is wrong otherwise.
pub fn decode(file: &[u8]) -> Result<Vec<(String, String)>, EnvError> {
    let file = file.get(..SIZE).ok_or(EnvError::Truncated(file.len()))?;
    let (recorded, data) = file.split_first_chunk().ok_or(EnvError::Endless)?;
    let recorded = u32::from_le_bytes(*recorded);
    let found = crc32fast::hash(data);
    if found != recorded {
        return Err(EnvError::Checksum { recorded, found });
    }
    let mut variables = Vec::new();
    let mut rest = data;
    loop {
        let length = rest.iter().position(|byte| *byte == 0);
        let (string, behind) = rest.split_at(length.ok_or(EnvError::Endless)?);
        if string.is_empty() {
            return Ok(variables);
        }
        let text = String::from_utf8_lossy(string);
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => variables.push((name.into(), value.into())),
            _ => return Err(EnvError::NotAVariable(SIZE - rest.len())),
        }
        rest = behind.get(1..).unwrap_or_default();
    }
}

/// The environment built into a U-Boot binary, with `changes` made to it, as a file.
///
/// # Errors
/// The binary has no environment, or the changed one is too large.
pub fn with_changes(u_boot: &[u8], changes: &[(&str, &str)]) -> Result<Vec<u8>, EnvError> {
    let mut variables = built_in(u_boot).ok_or(EnvError::NotFound)?;
    for (name, value) in changes {
        let is_it = |variable: &Vec<u8>| variable.starts_with(format!("{name}=").as_bytes());
        variables.retain(|variable| !is_it(variable));
        variables.push(format!("{name}={value}").into_bytes());
    }
    pack(&variables)
}

/// A file of these variables.
///
/// # Errors
/// [`EnvError::TooLarge`].
pub fn encode(variables: &[(String, String)]) -> Result<Vec<u8>, EnvError> {
    let strings = variables
        .iter()
        .map(|(name, value)| format!("{name}={value}").into_bytes());
    pack(&strings.collect::<Vec<_>>())
}

/// The `name=value` strings of the environment built into a U-Boot binary: they follow each other and begin with `bootcmd`.
fn built_in(u_boot: &[u8]) -> Option<Vec<Vec<u8>>> {
    const FIRST: &[u8] = b"\0bootcmd=";
    let start = u_boot.windows(FIRST.len()).position(|w| w == FIRST)? + 1;
    let strings = u_boot.get(start..)?.split(|byte| *byte == 0);
    let variables: Vec<_> = strings
        .take_while(|s| s.iter().position(|byte| *byte == b'=') > Some(0))
        .map(<[u8]>::to_vec)
        .collect();
    // A lone string that begins like a variable is text of a message.
    (variables.len() > 1).then_some(variables)
}

fn pack(variables: &[Vec<u8>]) -> Result<Vec<u8>, EnvError> {
    let mut data = Vec::with_capacity(SIZE);
    for variable in variables {
        data.extend_from_slice(variable);
        data.push(0);
    }
    data.push(0);
    if data.len() > SIZE - 4 {
        return Err(EnvError::TooLarge(data.len() + 4));
    }
    data.resize(SIZE - 4, 0);
    let mut file = crc32fast::hash(&data).to_le_bytes().to_vec();
    file.append(&mut data);
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BINARY: &[u8] = b"code\0bootcmd=bootflow scan\0bootdelay=2\0baudrate=115200\0\0more code";

    #[test]
    fn a_change_replaces_and_the_rest_stays() {
        let file = with_changes(BINARY, &[("bootdelay", "0"), ("silent", "1")]).unwrap();
        assert_eq!(file.len(), SIZE);
        let (crc, data) = file.split_at(4);
        assert_eq!(crc, crc32fast::hash(data).to_le_bytes());
        let text: Vec<_> = data
            .split(|b| *b == 0)
            .take_while(|s| !s.is_empty())
            .collect();
        let expected: [&[u8]; 4] = [
            b"bootcmd=bootflow scan",
            b"baudrate=115200",
            b"bootdelay=0",
            b"silent=1",
        ];
        assert_eq!(text, expected);
    }

    #[test]
    fn a_binary_without_environment_is_an_error() {
        for binary in [&b""[..], b"bootcmd=x", b"\0bootcmd=only a message\0done"] {
            assert_eq!(with_changes(binary, &[]), Err(EnvError::NotFound));
        }
    }

    /// A file with a correct checksum.
    fn sealed(text: &[u8]) -> Vec<u8> {
        let mut file = vec![0; SIZE];
        file[4..4 + text.len()].copy_from_slice(text);
        let crc = crc32fast::hash(&file[4..]);
        file[..4].copy_from_slice(&crc.to_le_bytes());
        file
    }

    #[test]
    fn files_are_read_back_and_damaged_ones_refused() {
        let file = with_changes(BINARY, &[("bootdelay", "0")]).unwrap();
        let variables = decode(&file).unwrap();
        assert_eq!(variables.len(), 3);
        assert_eq!(variables[2], ("bootdelay".into(), "0".into()));

        assert_eq!(decode(&file[..100]), Err(EnvError::Truncated(100)));
        let mut wrong = file.clone();
        wrong[9] ^= 1;
        assert!(matches!(decode(&wrong), Err(EnvError::Checksum { .. })));
        assert_eq!(
            decode(&sealed(b"a=b\0only words\0")),
            Err(EnvError::NotAVariable(8))
        );
        assert_eq!(decode(&sealed(b"=b\0")), Err(EnvError::NotAVariable(4)));
        let endless = sealed(&vec![b'='; SIZE - 4]);
        assert_eq!(decode(&endless), Err(EnvError::Endless));
        assert_eq!(decode(&sealed(b"")), Ok(vec![]));
    }

    #[test]
    fn an_environment_that_does_not_fit_is_an_error() {
        let long = "x".repeat(SIZE);
        assert!(matches!(
            with_changes(BINARY, &[("a", &long)]),
            Err(EnvError::TooLarge(_))
        ));
    }
}
