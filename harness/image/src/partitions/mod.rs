//! Partition tables of every kind that a netboot image may have, behind one [`PartitionTable`].
//!
//! Reading never stops at the first fault: [`PartitionTable::read`] gives what can be made out, with a list of faults that each
//! say their byte offset; [`PartitionTable::checked`] is for those who want a table without any. What is read is bounded: at most
//! 64 logical partitions, at most 1 MiB of GPT entries. The GPT reader is our own because a reader of hostile tables must
//! say where a fault is and look at the backup too, which the crate `gpt` does not.

mod error;
mod extended;
mod gpt;
mod mbr;
mod partition;
mod sectors;
mod table;
mod write;

pub use error::{GptProblem, TableError, TableFault, TableProblem};
pub use partition::{Partition, PartitionType, SECTOR};
pub use table::{PartitionTable, Scheme};
pub use write::{Extent, NewTable, Role};
