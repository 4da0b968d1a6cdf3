//! Work that is done several at a time: each item once, or again and again; and load beside it.
//!
//! Life cycle: a command makes a [`Policy`] of its options, and [`series`] takes items from one queue until the policy has had enough.

mod load;
mod policy;
mod series;

pub use load::Load;
pub use policy::Policy;
pub use series::{Series, each, series};
