//! What every room of the harness shares, and nothing that belongs to one of them.

pub mod architecture;
mod class;
pub mod digest;
pub mod encoding;
pub mod fault;
pub mod fingerprint;
pub mod folder;
pub mod input;
pub mod mac;
mod run_name;
pub mod scratch;
pub mod shell;
mod syntax;
pub mod timeline;
mod untrusted;
pub mod wire;

pub use class::Class;
pub use syntax::SyntaxError;
pub use untrusted::{Untrusted, untrusted, untrusted_json, untrusted_lines};
