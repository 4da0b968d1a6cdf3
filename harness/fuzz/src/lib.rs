//! What the fuzz targets do. The tests of the harness include the same file and run every committed seed through it.

pub mod targets;
