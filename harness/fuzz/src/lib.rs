//! What the fuzz targets do. The tests of `shakedown-harness` and `shakedown-net` include the same files and run every committed seed through
//! them.

pub mod images;
pub mod network;
pub mod services;
pub mod targets;
