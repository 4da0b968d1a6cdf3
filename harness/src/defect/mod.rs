//! Known defects, put in one at a time, to see whether a run finds them: what is damaged, what a run must say of it, and what it said.
//!
//! A catalogue lists them. Each is a scenario with one thing that is wrong: a file of the disk image, the kernel, the initramfs, the container,
//! or what the scenario itself says. Every catalogue needs harmless changes, too: a run that calls one of them a defect is wrong as well.

mod assess;
mod catalogue;
mod change;
mod scenario;
mod tamper;

pub use assess::{Assessment, Observed, assess, table, totals};
pub use catalogue::{Defect, DefectCatalogue, Expected};
pub use tamper::{TamperError, tamper};
