//! From whatever the user has to a raw image.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use liblzma::read::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};
use rustix::stdio;

use super::format::{Format, MAGIC_LENGTH, VHD_FOOTER, foreign};
use super::gzip::GzipMembers;
use super::{place, qcow2};
use crate::sparse::{self, Output, StreamLimits};
use crate::{ImageError, LIMITS};

/// What stands for standard input on a command line.
pub const STDIN: &str = "-";

/// Formats that may be in each other, for example `disk.qcow2.xz`.
const MAX_DEPTH: usize = 3;
/// Memory that a decoder may take: xz at its highest preset wants 65 MiB, zstd with `--long` 128 MiB.
const DECODER_MEMORY: u64 = 256 << 20;

/// An image that was opened.
#[derive(Debug)]
pub struct Source {
    file: File,
    /// What messages call it.
    pub name: PathBuf,
    /// How it was packed, outermost first; empty for a raw image.
    pub formats: Vec<Format>,
    /// The file itself is the raw image.
    is_original: bool,
}

impl Source {
    /// The raw image, open for reading.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Writes the raw image to `output`, which appears when it is complete. Holes stay holes.
    ///
    /// # Errors
    /// [`ImageError::Io`].
    pub fn save(&self, output: &Path, mode: u32) -> Result<(), ImageError> {
        let failed = ImageError::io("copy", &self.name);
        let size = self.file.metadata().map_err(&failed)?.len();
        let image = Output::create(output, size, mode)?;
        sparse::copy(&self.file, image.file(), 0).map_err(&failed)?;
        image.commit()
    }

    /// A path to the raw image, which is good as long as this lives: the file itself, or that of a file without a name.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        match self.is_original {
            true => self.name.clone(),
            false => format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd()).into(),
        }
    }
}

/// Opens an image for reading; the path `-` is standard input.
///
/// # Errors
/// [`ImageError::Io`], [`ImageError::Packed`] for what cannot be unpacked, [`ImageError::Qcow2`].
pub fn open(path: &Path) -> Result<Source, ImageError> {
    let is_stdin = path == Path::new(STDIN);
    let name = if is_stdin {
        "standard input".into()
    } else {
        path.to_path_buf()
    };
    let file = if is_stdin {
        stdio::stdin()
            .try_clone_to_owned()
            .map(|descriptor: OwnedFd| File::from(descriptor))
    } else {
        File::open(path)
    };
    let file = file.map_err(ImageError::io("open", &name))?;
    let metadata = file.metadata().map_err(ImageError::io("read", &name))?;
    // A redirected file may have been read from already, and has no name to give to an emulator.
    let is_original = metadata.is_file() && !is_stdin;
    unpack(file, name, is_original)
}

fn unpack(mut file: File, name: PathBuf, is_original: bool) -> Result<Source, ImageError> {
    let mut formats = Vec::new();
    let mut is_whole = is_original;
    loop {
        let mut start = Vec::new();
        (&file)
            .take(MAGIC_LENGTH as u64)
            .read_to_end(&mut start)
            .map_err(ImageError::io("read", &name))?;
        let format = Format::of(&start);
        if format == Format::Raw {
            refuse_foreign(&start, &name, &formats)?;
            if is_whole {
                refuse_vhd(&file, &name, &formats)?;
                break;
            }
        }
        if formats.len() == MAX_DEPTH {
            return Err(ImageError::Packed {
                path: name,
                format,
                source: io::Error::other("it is packed more than three times over"),
            });
        }
        if format == Format::Qcow2 && is_whole {
            file = convert(&file, &name)?;
            formats.push(format);
            continue;
        }
        let input: Box<dyn Read> = match is_whole {
            true => {
                file.rewind().map_err(ImageError::io("read", &name))?;
                Box::new(file)
            }
            // What has been taken from a pipe does not come again.
            false => Box::new(Cursor::new(start).chain(file)),
        };
        file = decode(input, format, &name)?;
        if format != Format::Raw {
            formats.push(format);
        }
        is_whole = true;
    }
    Ok(Source {
        is_original: is_original && formats.is_empty(),
        file,
        name,
        formats,
    })
}

/// Names what is no disk image, as far as its beginning shows it.
fn refuse_foreign(start: &[u8], name: &Path, formats: &[Format]) -> Result<(), ImageError> {
    match foreign(start) {
        None => Ok(()),
        Some((what, remedy)) => Err(ImageError::Foreign {
            path: name.into(),
            formats: formats.to_vec(),
            what,
            remedy,
        }),
    }
}

/// A fixed VHD shows itself only at its end.
fn refuse_vhd(file: &File, name: &Path, formats: &[Format]) -> Result<(), ImageError> {
    let failed = ImageError::io("read", name);
    let size = file.metadata().map_err(&failed)?.len();
    let mut footer = [0; VHD_FOOTER.len()];
    let Some(at) = size.checked_sub(512) else {
        return Ok(());
    };
    file.read_exact_at(&mut footer, at).map_err(&failed)?;
    match footer == VHD_FOOTER {
        true => Err(ImageError::Foreign {
            path: name.into(),
            formats: formats.to_vec(),
            what: "a VHD disk of fixed size",
            remedy: "convert it with `qemu-img convert -O raw`",
        }),
        false => Ok(()),
    }
}

/// The disk in a qcow2 file in a new file.
fn convert(file: &File, name: &Path) -> Result<File, ImageError> {
    let output = place::unnamed().map_err(ImageError::io("unpack", name))?;
    qcow2::convert(file, &output).map_err(|source| ImageError::Qcow2 {
        path: name.into(),
        source,
    })?;
    rewound(output, name)
}

/// The contents of `input` in a new file.
fn decode(input: Box<dyn Read>, format: Format, name: &Path) -> Result<File, ImageError> {
    let failed = |source| ImageError::Packed {
        path: name.into(),
        format,
        source,
    };
    let taken = Rc::new(Cell::new(0));
    let input = Counted {
        input,
        taken: taken.clone(),
    };
    let mut plain: Box<dyn Read> = match format {
        Format::Raw => Box::new(input),
        Format::Qcow2 => {
            let whole = decode(Box::new(input), Format::Raw, name)?;
            return convert(&whole, name);
        }
        Format::Gzip => Box::new(GzipMembers::new(BufReader::new(input))),
        Format::Zstd => Box::new(zstd::Decoder::new(input).map_err(failed)?),
        Format::Xz => {
            let stream = Stream::new_stream_decoder(DECODER_MEMORY, CONCATENATED)
                .map_err(|error| failed(error.into()))?;
            Box::new(XzDecoder::new_stream(input, stream))
        }
    };
    let output = place::unnamed().map_err(ImageError::io("unpack", name))?;
    let limits = StreamLimits {
        size: LIMITS.image,
        data: LIMITS.image_data,
        taken: (format != Format::Raw).then_some(&*taken),
    };
    let copied = sparse::copy_stream(&mut plain, &output, &limits);
    copied.map_err(|error| match format {
        Format::Zstd => failed(behind_zstd(error)),
        _ => failed(error),
    })?;
    rewound(output, name)
}

/// What the decoder says of bytes that begin no frame. The first frame began as one, so they follow it.
fn behind_zstd(error: io::Error) -> io::Error {
    match error.to_string().contains("Unknown frame descriptor") {
        true => io::Error::other(
            "what follows its last frame is no Zstandard, for example zeros that pad the file: cut it off, or pack the image again",
        ),
        false => error,
    }
}

/// Counts what is taken from an input.
struct Counted {
    input: Box<dyn Read>,
    taken: Rc<Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.taken.set(self.taken.get() + count as u64);
        Ok(count)
    }
}

fn rewound(mut file: File, name: &Path) -> Result<File, ImageError> {
    file.rewind().map_err(ImageError::io("read", name))?;
    Ok(file)
}

#[cfg(test)]
mod tests;
