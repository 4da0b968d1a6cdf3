//! The board's serial ports: captured, time-stamped, merged, and expected upon.
//!
//! Every byte goes through [`Console`] first: raw bytes and a recording into files per UART; whole lines and prompts into the merged
//! transcript, onto the timeline and into a pipe behind which rexpect matches. A slow or broken matcher can therefore never lose a byte
//! of the record. What one run may record is bounded, see `recorder` and `capture`.

mod capture;
mod cast;
mod clean;
mod expect;
mod feed;
mod lines;
mod mend;
mod printk;
mod recorder;
mod style;
mod tap;
mod transcript;

pub use capture::{Console, RawChunk};
pub use cast::{CastEvent, read_cast};
pub use clean::{StyledLine, styled_lines};
pub use expect::{Expectations, Missed, Seen};
pub use mend::{Author, Mended, Mender};
pub use printk::{Printk, printk};
pub use style::{Colour, Style};
pub use transcript::{Clock, Stamps, Transcript};
