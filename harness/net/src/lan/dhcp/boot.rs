//! What a network boot client is told.
//!
//! Sources: RFC 4578 and the UEFI specification, section 24.7 (HTTP boot); iPXE's documentation of its DHCP options.

use super::message::{Request, option};
use crate::lan::config::Boot;

/// Vendor class that UEFI HTTP boot clients send, and want to see again.
const HTTP_CLIENT: &str = "HTTPClient";
/// iPXE option 176, `no-pxedhcp`: do not spend seconds on waiting for a proxy DHCP server.
const NO_PXE_DHCP: [u8; 3] = [176, 1, 1];

/// The boot part of a reply.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told<'a> {
    pub(super) file: Option<&'a str>,
    pub(super) options: Vec<(u8, Vec<u8>)>,
}

/// What `client` is told.
pub(super) fn tell<'a>(boot: &'a Boot, client: &Request) -> Told<'a> {
    let is_http = client
        .vendor_class
        .as_ref()
        .is_some_and(|class| class.starts_with(HTTP_CLIENT));
    let mut options = vec![(
        option::TFTP_SERVER,
        boot.next_server.to_string().into_bytes(),
    )];
    let file = if client.is_ipxe {
        options.push((option::IPXE, NO_PXE_DHCP.to_vec()));
        boot.ipxe.as_deref()
    } else if is_http {
        options.push((option::VENDOR_CLASS, HTTP_CLIENT.into()));
        boot.http.as_deref()
    } else {
        let fits = |architecture| {
            boot.by_architecture
                .iter()
                .find(move |f| f.architecture == architecture)
        };
        let special = client
            .architectures
            .iter()
            .find_map(|&architecture| fits(architecture));
        special.map(|f| f.file.as_str()).or(boot.file.as_deref())
    };
    options.extend(file.map(|file| (option::BOOT_FILE, file.into())));
    Told { file, options }
}
