//! Reading what people write: TOML files with errors that name file, line and column.
//!
//! Boards and scenarios are read and checked through here before anything starts. Source: TOML 1.0.

mod document;
mod error;
mod extends;
mod library;
mod names;
mod part;
mod size;
mod values;

pub use document::{Document, SourceText};
pub use error::InputError;
pub use library::{BuiltinFile, Library};
pub use names::{
    BoardName, CapabilityName, ChainName, DefinitionName, DeploymentName, DeviceProperty,
    MachineType, NameError, QemuName, ScenarioName, SetName,
};
pub use size::ByteSize;
pub use values::{Pattern, Span, duration};
