//! Shakedown's harness: boots netboot images in emulation, plays everything around the board, and proves by serial console and
//! server journal that the chain reaches its container.
//!
//! One room per concept; [`wire`] and [`timeline`] are all that the rooms on the data path share.

pub mod board;
pub mod console;
pub mod cpio;
pub mod image;
pub mod input;
pub mod lan;
pub mod mac;
pub mod machine;
pub mod pcapng;
pub mod report;
pub mod run;
pub mod scenario;
pub mod schema;
mod scratch;
pub mod services;
pub mod shell;
pub mod survey;
pub mod timeline;
pub mod usb;
pub mod wire;
