//! What the firmware writes into the device tree before it starts the boot loader: a pure function on the blob.
//!
//! The memory size is left alone, QEMU writes the machine's own into every device tree that it passes on.
//! Format: Devicetree Specification 0.4, chapters 3 (`/cpus`, `/chosen`) and 5 (flattened form).

use dtoolkit::error::FdtParseError;
use dtoolkit::fdt::Fdt;
use dtoolkit::model::{DeviceTree, DeviceTreeNode, DeviceTreeProperty};
use dtoolkit::{Node, Property};

/// The changes to make. The default makes none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceTreeEdits {
    /// Cores to keep, at least 1. The others vanish, so that Linux neither starts nor waits for them.
    pub cores: Option<usize>,
    /// Kernel command line, `/chosen/bootargs`.
    pub bootargs: Option<String>,
    /// The board's serial number, `/serial-number`.
    pub serial: Option<u64>,
    /// The address of the network interface that the alias `ethernet0` names, if there is such an alias. The USB hubs on the way to
    /// it get it too: an emulated adapter has no hub before it, and drivers take the first hub's node for its own.
    pub mac: Option<[u8; 6]>,
    /// The board's revision code, `/system/linux,revision`, which Linux shows in `/proc/cpuinfo`.
    pub revision: Option<u32>,
}

/// Why a device tree cannot be changed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DeviceTreeError {
    /// The bytes are no device tree.
    #[error("not a device tree blob: {0}")]
    Parse(FdtParseError),
    /// The blob is larger than any board's.
    #[error("a device tree of {0} bytes is no board's: at most {LIMIT} are read")]
    TooLarge(usize),
    /// Nodes within nodes, more than any board has.
    #[error("its nodes are nested more than {NESTING} deep")]
    TooDeep,
    /// There is no `/cpus`, or no core in it.
    #[error("the device tree has no cores under /cpus")]
    NoCores,
    /// No core should be kept.
    #[error("at least one core must stay in the device tree")]
    AllCores,
}

/// Bytes of a device tree. Those of boards have 20 to 100 KiB.
pub const LIMIT: usize = 1 << 20;
/// Nodes within nodes. Those of boards are five deep; each level costs stack in every walk through the tree.
const NESTING: usize = 64;

/// A flattened device tree begins with this (Devicetree Specification 0.4, section 5.2).
pub(super) const MAGIC: &[u8] = &[0xd0, 0x0d, 0xfe, 0xed];

/// The blob that `bytes` begin with, as long as its header says. libfdt, and with it firmware, U-Boot and Linux, go by that size and pass
/// over what follows.
#[must_use]
pub fn whole(bytes: &[u8]) -> &[u8] {
    let size = bytes
        .strip_prefix(MAGIC)
        .and_then(|rest| rest.first_chunk());
    let size = size.and_then(|size| usize::try_from(u32::from_be_bytes(*size)).ok());
    size.and_then(|size| bytes.get(..size)).unwrap_or(bytes)
}

/// A blob that is whole and within bounds. What follows it is passed over.
///
/// # Errors
/// [`DeviceTreeError::Parse`], [`DeviceTreeError::TooLarge`], [`DeviceTreeError::TooDeep`].
pub fn parse(dtb: &[u8]) -> Result<Fdt<'_>, DeviceTreeError> {
    if dtb.len() > LIMIT {
        return Err(DeviceTreeError::TooLarge(dtb.len()));
    }
    let dtb = whole(dtb);
    let tree = Fdt::new(dtb).map_err(DeviceTreeError::Parse)?;
    match is_nested_too_deep(dtb) {
        true => Err(DeviceTreeError::TooDeep),
        false => Ok(tree),
    }
}

/// Counts the nesting in the structure block of a blob that was found to be whole: tokens of 32 bits, names that end in a NUL, values
/// behind their lengths, all of them padded to 32 bits.
fn is_nested_too_deep(dtb: &[u8]) -> bool {
    let word = |at: usize| Some(u32::from_be_bytes(*dtb.get(at..)?.first_chunk()?));
    let mut at = word(8).unwrap_or_default() as usize;
    let mut depth = 0_usize;
    while let Some(token) = word(at) {
        at += 4;
        match token {
            1 => {
                depth += 1;
                if depth > NESTING {
                    return true;
                }
                let name = dtb.get(at..).unwrap_or_default();
                let length = name.iter().position(|byte| *byte == 0);
                at += (length.unwrap_or(name.len()) + 1).next_multiple_of(4);
            }
            2 => depth = depth.saturating_sub(1),
            3 => {
                let length = word(at).unwrap_or_default() as usize;
                at = at.saturating_add(8 + length).next_multiple_of(4);
            }
            4 => {}
            _ => break,
        }
    }
    false
}

/// What a tree says that it is for, the board first.
#[must_use]
pub fn compatible(tree: &Fdt<'_>) -> Vec<String> {
    let root = tree.root();
    let property = root.property("compatible");
    let value = property.as_ref().map(|property| property.value());
    let texts = value.unwrap_or_default().split(|byte| *byte == 0);
    texts
        .filter(|text| !text.is_empty())
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .collect()
}

/// Makes `edits` in the blob `dtb`.
///
/// # Errors
/// What [`DeviceTreeError`] lists.
pub fn edit(dtb: &[u8], edits: &DeviceTreeEdits) -> Result<Vec<u8>, DeviceTreeError> {
    let mut tree = DeviceTree::from_fdt(&parse(dtb)?);
    if let Some(cores) = edits.cores {
        keep_cores(&mut tree.root, cores)?;
    }
    if let Some(bootargs) = &edits.bootargs {
        chosen(&mut tree.root).add_property(string("bootargs", bootargs));
    }
    if let Some(serial) = edits.serial {
        tree.root
            .add_property(string("serial-number", &format!("{serial:016x}")));
    }
    if let Some(revision) = edits.revision {
        tree.root
            .add_child_mut(DeviceTreeNode::new_unchecked("system"))
            .add_property(from_cells("linux,revision", [revision]));
    }
    if let Some(mac) = edits.mac {
        write_mac(&mut tree, mac);
    }
    Ok(tree.to_dtb())
}

/// Writes the address into the interface that `ethernet0` names, and into the USB devices on the way to it.
fn write_mac(tree: &mut DeviceTree, mac: [u8; 6]) {
    let Some(path) = alias(tree, "ethernet0") else {
        return;
    };
    let ends = path.match_indices('/').skip(1).map(|(at, _)| at);
    for end in ends.chain([path.len()]) {
        let Some(node) = path.get(..end).and_then(|path| tree.find_node_mut(path)) else {
            return;
        };
        if end == path.len() || is_usb_device(node) {
            node.add_property(DeviceTreeProperty::new_unchecked("local-mac-address", mac));
        }
    }
}

/// A device on a USB bus is compatible with `usbVID,PID` (devicetree bindings, usb-device.yaml).
fn is_usb_device(node: &DeviceTreeNode) -> bool {
    let compatible = node.property("compatible");
    let first = compatible.as_ref().and_then(|property| {
        let value = property.value().split(|byte| *byte == 0).next()?;
        str::from_utf8(value).ok()?.strip_prefix("usb")
    });
    first.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_hexdigit()))
}

/// Removes all cores but the first `keep`, and what refers to them.
fn keep_cores(root: &mut DeviceTreeNode, keep: usize) -> Result<(), DeviceTreeError> {
    let cpus = root.child_mut("cpus").ok_or(DeviceTreeError::NoCores)?;
    let mut cores: Vec<(u64, String)> = cpus
        .children()
        .filter_map(|node| Some((core_number(node)?, node.name().to_owned())))
        .collect();
    if cores.is_empty() {
        return Err(DeviceTreeError::NoCores);
    }
    if keep == 0 {
        return Err(DeviceTreeError::AllCores);
    }
    // The boot core has the lowest number, but need not come first in the blob.
    cores.sort_unstable();
    let removed: Vec<DeviceTreeNode> = cores
        .iter()
        .skip(keep)
        .filter_map(|(_, name)| cpus.remove_child(name))
        .collect();
    let phandles: Vec<u32> = removed
        .iter()
        .filter_map(|node| cells(node, "phandle")?.first().copied())
        .collect();
    if let Some(map) = cpus.child_mut("cpu-map") {
        remove_from_map(map, &phandles);
    }
    remove_affinity(root, &phandles);
    if let Some(symbols) = root.child_mut("__symbols__") {
        let paths: Vec<String> = removed
            .iter()
            .map(|node| format!("/cpus/{}", node.name()))
            .collect();
        let is_stale = |property: &&DeviceTreeProperty| {
            text(property).is_some_and(|path| paths.iter().any(|gone| gone == path))
        };
        let stale: Vec<String> = symbols
            .properties()
            .filter(is_stale)
            .map(|property| property.name().to_owned())
            .collect();
        for name in stale {
            symbols.remove_property(&name);
        }
    }
    Ok(())
}

/// The number of the core that `node` describes; `None` for caches and the map, which are its neighbours.
fn core_number(node: &DeviceTreeNode) -> Option<u64> {
    let device_type = node.property("device_type")?;
    let reg = cells(node, "reg").filter(|_| text(&device_type) == Some("cpu"))?;
    Some(
        reg.iter()
            .fold(0, |number, cell| number << 32 | u64::from(*cell)),
    )
}

/// Takes the removed cores, and clusters that are empty then, out of `cpu-map`: Linux gives up on its whole topology when an
/// entry leads nowhere.
fn remove_from_map(node: &mut DeviceTreeNode, removed: &[u32]) {
    for child in node.children_mut() {
        remove_from_map(child, removed);
    }
    let is_stale = |child: &DeviceTreeNode| match cells(child, "cpu") {
        Some(cpu) => cpu.first().is_some_and(|phandle| removed.contains(phandle)),
        None => child.children().next().is_none(),
    };
    let stale: Vec<String> = node
        .children()
        .filter(|child| is_stale(child))
        .map(|child| child.name().to_owned())
        .collect();
    for name in stale {
        node.remove_child(&name);
    }
}

/// Takes removed cores out of every `interrupt-affinity`, with the interrupts that belong to them.
fn remove_affinity(node: &mut DeviceTreeNode, removed: &[u32]) {
    for child in node.children_mut() {
        remove_affinity(child, removed);
    }
    let Some(affinity) = cells(node, "interrupt-affinity") else {
        return;
    };
    let keeps = |index: usize| {
        affinity
            .get(index)
            .is_some_and(|phandle| !removed.contains(phandle))
    };
    let kept: Vec<u32> = affinity
        .iter()
        .copied()
        .filter(|phandle| !removed.contains(phandle))
        .collect();
    if let Some(interrupts) = cells(node, "interrupts")
        && !interrupts.is_empty()
        && interrupts.len() % affinity.len() == 0
    {
        // One interrupt a core, all of the same number of cells.
        let specifiers = interrupts
            .chunks(interrupts.len() / affinity.len())
            .enumerate();
        let kept = specifiers
            .filter(|(index, _)| keeps(*index))
            .flat_map(|(_, specifier)| specifier.iter().copied());
        node.add_property(from_cells("interrupts", kept));
    }
    node.add_property(from_cells("interrupt-affinity", kept));
}

fn chosen(root: &mut DeviceTreeNode) -> &mut DeviceTreeNode {
    root.add_child_mut(DeviceTreeNode::new_unchecked("chosen"))
}

fn alias(tree: &DeviceTree, name: &str) -> Option<String> {
    let aliases = tree.root.child("aliases")?;
    text(&aliases.property(name)?).map(str::to_owned)
}

fn text<'a>(property: &'a &DeviceTreeProperty) -> Option<&'a str> {
    str::from_utf8(property.value().strip_suffix(b"\0")?).ok()
}

fn cells(node: &DeviceTreeNode, property: &str) -> Option<Vec<u32>> {
    let property = node.property(property)?;
    let (cells, rest) = property.value().as_chunks::<4>();
    rest.is_empty()
        .then(|| cells.iter().map(|cell| u32::from_be_bytes(*cell)).collect())
}

fn from_cells(name: &str, cells: impl IntoIterator<Item = u32>) -> DeviceTreeProperty {
    let bytes: Vec<u8> = cells.into_iter().flat_map(u32::to_be_bytes).collect();
    DeviceTreeProperty::new_unchecked(name, bytes.as_slice())
}

fn string(name: &str, text: &str) -> DeviceTreeProperty {
    let bytes: Vec<u8> = text.bytes().chain([0]).collect();
    DeviceTreeProperty::new_unchecked(name, bytes.as_slice())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn node(
        name: &str,
        properties: &[DeviceTreeProperty],
        children: Vec<DeviceTreeNode>,
    ) -> DeviceTreeNode {
        let mut node = DeviceTreeNode::new_unchecked(name);
        properties
            .iter()
            .for_each(|property| node.add_property(property.clone()));
        children.into_iter().for_each(|child| node.add_child(child));
        node
    }

    /// A board with two clusters of two cores, an interface and a PMU with one interrupt a core.
    fn board() -> Vec<u8> {
        let core = |number: u32| {
            let properties = [
                string("device_type", "cpu"),
                from_cells("reg", [number]),
                from_cells("phandle", [0x61 + number]),
            ];
            node(&format!("cpu@{number}"), &properties, vec![])
        };
        let entry =
            |name: &str, number: u32| node(name, &[from_cells("cpu", [0x61 + number])], vec![]);
        let map = vec![
            node("cluster0", &[], vec![entry("core0", 0), entry("core1", 1)]),
            node("cluster1", &[], vec![entry("core0", 2), entry("core1", 3)]),
        ];
        let cache = node("l2-cache0", &[string("compatible", "cache")], vec![]);
        // The order in which nobody would write them.
        let cpus = vec![
            cache,
            core(3),
            core(2),
            core(1),
            core(0),
            node("cpu-map", &[], map),
        ];
        let pmu = [
            from_cells("interrupts", [9, 4, 10, 4, 11, 4, 12, 4]),
            from_cells("interrupt-affinity", [0x61, 0x62, 0x63, 0x64]),
        ];
        let ethernet = node("ethernet@1", &[string("compatible", "usb424,7800")], vec![]);
        let hub = [string("compatible", "usb424,2514")];
        let hub = node("hub@1", &hub, vec![ethernet]);
        let controller = [string("compatible", "brcm,bcm2835-usb")];
        let controller = node("usb@7e980000", &controller, vec![hub]);
        let mut tree = DeviceTree::new();
        tree.root = node(
            "",
            &[],
            vec![
                node(
                    "aliases",
                    &[string("ethernet0", "/soc/usb@7e980000/hub@1/ethernet@1")],
                    vec![],
                ),
                node("cpus", &[from_cells("#address-cells", [1])], cpus),
                node("pmu", &pmu, vec![]),
                node("soc", &[], vec![controller]),
                node(
                    "__symbols__",
                    &[string("cpu0", "/cpus/cpu@0"), string("cpu3", "/cpus/cpu@3")],
                    vec![],
                ),
            ],
        );
        tree.to_dtb()
    }

    fn edited(edits: &DeviceTreeEdits) -> String {
        let dtb = edit(&board(), edits).unwrap();
        Fdt::new(&dtb).unwrap().to_string()
    }

    #[test]
    fn removed_cores_leave_no_reference_behind() {
        let one = DeviceTreeEdits {
            cores: Some(1),
            ..DeviceTreeEdits::default()
        };
        insta::assert_snapshot!(edited(&one), @r#"
        /dts-v1/;

        / {
            aliases {
                ethernet0 = "/soc/usb@7e980000/hub@1/ethernet@1";
            };

            cpus {
                #address-cells = <0x01>;

                l2-cache0 {
                    compatible = "cache";
                };

                cpu@0 {
                    device_type = "cpu";
                    reg = <0x00>;
                    phandle = <0x61>;
                };

                cpu-map {
                    cluster0 {
                        core0 {
                            cpu = <0x61>;
                        };
                    };
                };
            };

            pmu {
                interrupts = <0x09 0x04>;
                interrupt-affinity = <0x61>;
            };

            soc {
                usb@7e980000 {
                    compatible = "brcm,bcm2835-usb";

                    hub@1 {
                        compatible = "usb424,2514";

                        ethernet@1 {
                            compatible = "usb424,7800";
                        };
                    };
                };
            };

            __symbols__ {
                cpu0 = "/cpus/cpu@0";
            };
        };
        "#);
    }

    #[test]
    fn what_the_firmware_knows_is_written() {
        let edits = DeviceTreeEdits {
            cores: Some(4),
            bootargs: Some("console=ttyS1".into()),
            serial: Some(0x1234_5678),
            mac: Some([0xb8, 0x27, 0xeb, 0, 0, 1]),
            revision: Some(0xa0_20d3),
        };
        let tree = DeviceTree::from_fdt(&Fdt::new(&edit(&board(), &edits).unwrap()).unwrap());
        let value = |path: &str, name: &str| {
            tree.find_node(path)
                .unwrap()
                .property(name)
                .unwrap()
                .value()
                .to_vec()
        };
        assert_eq!(value("/chosen", "bootargs"), b"console=ttyS1\0");
        assert_eq!(value("/", "serial-number"), b"0000000012345678\0");
        assert_eq!(value("/system", "linux,revision"), [0, 0xa0, 0x20, 0xd3]);
        for path in [
            "/soc/usb@7e980000/hub@1",
            "/soc/usb@7e980000/hub@1/ethernet@1",
        ] {
            let address = value(path, "local-mac-address");
            assert_eq!(address, [0xb8, 0x27, 0xeb, 0, 0, 1], "{path}");
        }
        let controller = tree.find_node("/soc/usb@7e980000").unwrap();
        assert!(controller.property("local-mac-address").is_none());
        assert_eq!(tree.find_node("/cpus").unwrap().children().count(), 6);
    }

    #[test]
    fn no_edits_keep_the_tree() {
        let dtb = board();
        let after = edit(&dtb, &DeviceTreeEdits::default()).unwrap();
        assert_eq!(
            Fdt::new(&after).unwrap().to_string(),
            Fdt::new(&dtb).unwrap().to_string()
        );
    }

    #[test]
    fn hostile_trees_are_refused_before_they_are_walked_through() {
        let nested = |depth: usize| {
            let mut inner = DeviceTreeNode::new_unchecked("n");
            for _ in 2..depth {
                inner = node("n", &[], vec![inner]);
            }
            let mut tree = DeviceTree::new();
            tree.root.add_child(inner);
            tree.to_dtb()
        };
        let none = DeviceTreeEdits::default();
        assert!(edit(&nested(60), &none).is_ok());
        assert_eq!(edit(&nested(70), &none), Err(DeviceTreeError::TooDeep));
        let mut large = board();
        large.resize(LIMIT + 1, 0);
        assert_eq!(
            edit(&large, &none),
            Err(DeviceTreeError::TooLarge(LIMIT + 1))
        );
    }

    #[test]
    fn impossible_edits_are_refused() {
        let edits = |cores| DeviceTreeEdits {
            cores: Some(cores),
            ..DeviceTreeEdits::default()
        };
        assert_eq!(edit(&board(), &edits(0)), Err(DeviceTreeError::AllCores));
        assert_eq!(
            edit(&DeviceTree::new().to_dtb(), &edits(1)),
            Err(DeviceTreeError::NoCores)
        );
        assert!(matches!(
            edit(b"not a tree", &edits(1)),
            Err(DeviceTreeError::Parse(_))
        ));
    }

    proptest! {
        #[test]
        fn damaged_trees_do_not_panic(changes in proptest::collection::vec((0_usize..1500, any::<u8>()), 1..8)) {
            let mut dtb = board();
            for (at, byte) in changes {
                let length = dtb.len();
                dtb[at % length] = byte;
            }
            let edits = DeviceTreeEdits { cores: Some(1), mac: Some([0; 6]), ..DeviceTreeEdits::default() };
            let _ = edit(&dtb, &edits);
        }
    }
}
