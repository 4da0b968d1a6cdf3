//! What is started, with what: a wanted run and the parts that it is made of. Nothing here runs anything.

mod host_forward;
mod job;
mod lab;
mod parts;
mod provisioned;
#[cfg(test)]
pub(crate) mod testing;

pub use host_forward::{BadHostForward, HostForward};
pub use job::{Extras, ImageCheck, Job, Nic, Start};
pub use lab::Lab;
pub(crate) use lab::LabFile;
pub use parts::{Container, Parts};
pub use provisioned::{ProvisionedImage, ProvisionedImageError};
