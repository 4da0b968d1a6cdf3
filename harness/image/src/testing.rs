//! What the tests of this crate share. Certificates are made once for all tests of a process, since RSA keys are slow to make.

use std::sync::LazyLock;

use dtoolkit::model::{DeviceTree, DeviceTreeNode, DeviceTreeProperty};
use shakedown_services::{Authority, Identity};

/// An authority with a client of its own.
pub(crate) struct Pki {
    pub(crate) authority: Authority,
    pub(crate) server: Identity,
    pub(crate) client: Identity,
}

pub(crate) static PKI: LazyLock<Pki> = LazyLock::new(|| {
    let authority = Authority::generate("Test authority").unwrap();
    Pki {
        server: authority.issue_server(&["boot.example"]).unwrap(),
        client: authority.issue_client("gateway").unwrap(),
        authority,
    }
});

/// A client of another authority.
pub(crate) static UNKNOWN_CA: LazyLock<Identity> = LazyLock::new(|| {
    Authority::generate("Another authority")
        .unwrap()
        .issue_client("unknown")
        .unwrap()
});

/// Code for 64-bit ARM that begins like U-Boot.
pub(crate) const U_BOOT: &[u8] = b"\x0a\0\0\x14\x1f\x20\x03\xd5U-Boot 2025.01 (today)\n";

/// A device tree whose root says that it is for this.
pub(crate) fn device_tree(compatible: &str) -> Vec<u8> {
    let mut tree = DeviceTree::new();
    let names = [compatible, "brcm,bcm2837", ""].join("\0");
    let property = DeviceTreeProperty::new_unchecked("compatible", names.as_bytes());
    tree.root.add_property(property);
    tree.root.add_child(DeviceTreeNode::new_unchecked("chosen"));
    tree.to_dtb()
}
