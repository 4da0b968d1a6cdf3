//! The machine: what starts on it, and what it passes on.

pub mod device_tree;
pub mod firmware;
