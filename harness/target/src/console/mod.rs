//! The board's serial ports: captured, time-stamped, merged, watched for what must never appear, and expected upon.
//!
//! Every byte goes through [`Console`] first: raw bytes and a recording into files per UART, clean text into the merged transcript and onto the
//! timeline, the same text into a pipe behind which rexpect matches. A slow or broken matcher can therefore never lose a byte of the
//! record.

mod alarm;
mod capture;
mod cast;
mod clean;
mod expect;
mod recorded;
mod style;
mod tap;
mod transcript;

pub use alarm::alarm_name;
pub use capture::{Console, RawChunk};
pub use cast::{CastEvent, read_cast};
pub use clean::{StyledLine, styled_lines};
pub use expect::{Expectations, Missed, Seen};
pub use recorded::recorded;
pub use style::{Colour, Style};
pub use transcript::{Clock, Transcript};
