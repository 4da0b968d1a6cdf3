//! What client and server agree on before the first request.

use bytes::{Buf, BufMut, BytesMut};

use super::message::{LONGEST, NbdError};

const SERVER_MAGIC: u64 = 0x4e42_444d_4147_4943;
const OPTION_MAGIC: u64 = 0x4948_4156_454f_5054;
const OPTION_REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
/// `NBD_FLAG_FIXED_NEWSTYLE`.
const FIXED_NEWSTYLE: u16 = 1;

/// Options of a client.
const EXPORT_NAME: u32 = 1;
const ABORT: u32 = 2;
const INFO: u32 = 6;
const GO: u32 = 7;

/// Answers to options.
const REPLY_ACK: u32 = 1;
const REPLY_INFO: u32 = 3;
const REPLY_UNSUPPORTED: u32 = (1 << 31) + 1;

/// What an information is about.
const INFO_EXPORT: u16 = 0;
const INFO_BLOCK_SIZE: u16 = 3;

/// What the disk can do: `NBD_FLAG_HAS_FLAGS`, `NBD_FLAG_READ_ONLY`, `NBD_FLAG_SEND_FLUSH`.
const HAS_FLAGS: u16 = 1;
const READ_ONLY: u16 = 1 << 1;
const SEND_FLUSH: u16 = 1 << 2;

/// The smallest piece that is read or written: a sector of a card.
const SECTOR: u32 = 512;
/// What a client does best to read or write at once.
const PREFERRED: u32 = 4096;
/// The most bytes of an option. The longest that QEMU sends names an export.
const LONGEST_OPTION: u32 = 64 << 10;

/// The side of the server.
#[derive(Debug)]
pub(super) struct Negotiation {
    size: u64,
    is_read_only: bool,
    /// The client has said which kind of negotiation it knows.
    has_flags: bool,
}

/// How far a negotiation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// More must come.
    More,
    /// The client sends requests from here on.
    Agreed,
    /// The client goes.
    Ended,
}

impl Negotiation {
    /// Greets a client of a disk.
    pub(super) fn begin(size: u64, is_read_only: bool, out: &mut BytesMut) -> Self {
        out.put_u64(SERVER_MAGIC);
        out.put_u64(OPTION_MAGIC);
        out.put_u16(FIXED_NEWSTYLE);
        Self {
            size,
            is_read_only,
            has_flags: false,
        }
    }

    /// Answers what has come.
    pub(super) fn take(
        &mut self,
        input: &mut BytesMut,
        out: &mut BytesMut,
    ) -> Result<Step, NbdError> {
        /// Bytes of an option without its data.
        const HEAD: usize = 16;
        if !self.has_flags {
            if input.len() < 4 {
                return Ok(Step::More);
            }
            input.advance(4);
            self.has_flags = true;
        }
        loop {
            let mut head = &input[..];
            if head.len() < HEAD {
                return Ok(Step::More);
            }
            if head.get_u64() != OPTION_MAGIC {
                return Err(NbdError::Protocol("an option does not begin as one"));
            }
            let (option, length) = (head.get_u32(), head.get_u32());
            if length > LONGEST_OPTION {
                return Err(NbdError::Protocol("an option is longer than 64 KiB"));
            }
            if head.len() < length as usize {
                return Ok(Step::More);
            }
            input.advance(HEAD + length as usize);
            match option {
                GO | INFO => {
                    self.inform(option, out);
                    if option == GO {
                        return Ok(Step::Agreed);
                    }
                }
                ABORT => {
                    answer(option, REPLY_ACK, &[], out);
                    return Ok(Step::Ended);
                }
                EXPORT_NAME => {
                    return Err(NbdError::Protocol("the client is older than NBD_OPT_GO"));
                }
                _ => answer(option, REPLY_UNSUPPORTED, &[], out),
            }
        }
    }

    /// Says what the disk is.
    fn inform(&self, option: u32, out: &mut BytesMut) {
        let read_only = if self.is_read_only { READ_ONLY } else { 0 };
        let mut export = BytesMut::new();
        export.put_u16(INFO_EXPORT);
        export.put_u64(self.size);
        export.put_u16(HAS_FLAGS | SEND_FLUSH | read_only);
        answer(option, REPLY_INFO, &export, out);
        let mut blocks = BytesMut::new();
        blocks.put_u16(INFO_BLOCK_SIZE);
        blocks.put_u32(SECTOR);
        blocks.put_u32(PREFERRED);
        blocks.put_u32(LONGEST);
        answer(option, REPLY_INFO, &blocks, out);
        answer(option, REPLY_ACK, &[], out);
    }
}

fn answer(option: u32, kind: u32, data: &[u8], out: &mut BytesMut) {
    out.put_u64(OPTION_REPLY_MAGIC);
    out.put_u32(option);
    out.put_u32(kind);
    out.put_u32(data.len() as u32);
    out.put_slice(data);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option(option: u32, data: &[u8]) -> BytesMut {
        let mut bytes = BytesMut::new();
        bytes.put_u64(OPTION_MAGIC);
        bytes.put_u32(option);
        bytes.put_u32(data.len() as u32);
        bytes.put_slice(data);
        bytes
    }

    /// The kinds of the answers to options, and the data of the first.
    fn answers(mut out: BytesMut) -> (Vec<u32>, BytesMut) {
        let (mut kinds, mut first) = (Vec::new(), BytesMut::new());
        while out.has_remaining() {
            assert_eq!(out.get_u64(), OPTION_REPLY_MAGIC);
            let (_, kind, length) = (out.get_u32(), out.get_u32(), out.get_u32());
            let data = out.split_to(length as usize);
            if kinds.is_empty() {
                first = data;
            }
            kinds.push(kind);
        }
        (kinds, first)
    }

    fn begun(is_read_only: bool) -> (Negotiation, BytesMut) {
        let mut out = BytesMut::new();
        let negotiation = Negotiation::begin(1 << 20, is_read_only, &mut out);
        assert_eq!(&out[..], b"NBDMAGICIHAVEOPT\0\x01");
        (negotiation, BytesMut::from(&[0, 0, 0, 1][..]))
    }

    #[test]
    fn a_client_is_told_what_the_disk_is() {
        for (is_read_only, flags) in [(false, 0b101), (true, 0b111)] {
            let (mut negotiation, mut input) = begun(is_read_only);
            input.unsplit(option(8, &[]));
            input.unsplit(option(GO, &[0; 6]));
            let whole = input.clone();
            let mut out = BytesMut::new();
            let step = negotiation.take(&mut input, &mut out).unwrap();
            assert_eq!((step, input.len()), (Step::Agreed, 0));
            let (kinds, _) = answers(out.clone());
            assert_eq!(
                kinds,
                [REPLY_UNSUPPORTED, REPLY_INFO, REPLY_INFO, REPLY_ACK]
            );
            out.advance(20 + 20);
            let mut export = out;
            let told = (export.get_u16(), export.get_u64(), export.get_u16());
            assert_eq!(told, (INFO_EXPORT, 1 << 20, flags));
            // Byte by byte it comes to the same.
            let (mut negotiation, _) = begun(is_read_only);
            let (mut input, mut out) = (BytesMut::new(), BytesMut::new());
            let mut steps = whole.iter().map(|byte| {
                input.put_u8(*byte);
                negotiation.take(&mut input, &mut out).unwrap()
            });
            assert_eq!(steps.find(|step| *step != Step::More), Some(Step::Agreed));
            assert_eq!(answers(out).0, kinds);
        }
    }

    #[test]
    fn a_client_may_go_and_an_old_one_is_named() {
        let (mut negotiation, mut input) = begun(false);
        input.unsplit(option(ABORT, &[]));
        let step = negotiation.take(&mut input, &mut BytesMut::new());
        assert_eq!(step.unwrap(), Step::Ended);
        let (mut negotiation, mut input) = begun(false);
        input.unsplit(option(EXPORT_NAME, b""));
        let error = negotiation.take(&mut input, &mut BytesMut::new());
        assert!(error.unwrap_err().to_string().contains("NBD_OPT_GO"));
    }
}
