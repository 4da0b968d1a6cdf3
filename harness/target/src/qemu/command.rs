//! QEMU's command line as a pure function of what is wanted.
//!
//! Source: QEMU's invocation manual, sections "Character device options" and "Boot images", and FACTS measured with QEMU 7.2 and 10.0:
//! the NIC is a `usb-redir` device, or one of QEMU's behind `-netdev stream`; every socket is ours and QEMU connects to it, so nothing has to
//! be polled for. On-board NICs take `-net nic`: `-nic stream` is refused.
//!
//! QEMU's option parser ends a value at a comma and gives equals signs a meaning. Whatever becomes a value of an option list is escaped here,
//! and machine and properties are names without either: a board's file cannot add a property such as `dumpdtb`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use shakedown_base::input::{ByteSize, DeviceProperty, MachineType, QemuName};
use shakedown_base::mac::Mac;

use super::growth::NODE;

/// What an emulator has no need to do (QEMU's invocation manual, `-sandbox`): obsolete system calls, set-user-ID programs, starting
/// processes, changing its priority. A guest that breaks out of the emulator cannot either.
pub const SANDBOX: &str = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";

/// The first network interface's back end, by its `id`.
pub const NETDEV: &str = "nic";

/// How QEMU is started on this host.
#[derive(Debug, Clone, Default)]
pub struct QemuProgram {
    /// The program to execute: QEMU, or the dynamic loader of a private copy.
    pub program: PathBuf,
    /// The version that it reports.
    pub version: String,
    /// Arguments before QEMU's own, for example `--library-path …`.
    pub leading_args: Vec<OsString>,
    /// Environment variables to set.
    pub env: Vec<(OsString, OsString)>,
    /// It was built with `-sandbox`, which needs seccomp.
    pub sandbox: bool,
    /// It can use the host's processor for this board.
    pub kvm: bool,
}

/// What the machine is made of.
#[derive(Debug, Clone)]
pub struct CommandLine<'a> {
    /// QEMU's `-M`.
    pub machine: &'a MachineType,
    /// QEMU's `-cpu`, where the machine's own will not do.
    pub cpu: Option<&'a QemuName>,
    /// Main memory, where the machine's own will not do.
    pub memory: Option<ByteSize>,
    /// Cores of the SoC.
    pub cores: u32,
    /// What executes the guest's code.
    pub accelerator: Accelerator,
    /// Properties to set on device classes, and their values.
    pub globals: Vec<(DeviceProperty, String)>,
    /// Devices without properties that the machine has besides.
    pub devices: &'a [QemuName],
    /// The machine's flash memory, with its firmware.
    pub flash: Option<Flash<'a>>,
    /// A file for the machine's ROM (`-bios`).
    pub rom: Option<&'a Path>,
    /// What is started in place of the ROM: a boot loader or a kernel.
    pub kernel: Option<&'a Path>,
    /// The device tree passed to it.
    pub device_tree: Option<&'a Path>,
    /// An initramfs, for a boot without a boot loader.
    pub initrd: Option<&'a Path>,
    /// A kernel command line, for a boot without a boot loader.
    pub append: Option<&'a str>,
    /// The disk.
    pub disk: Option<Disk<'a>>,
    /// The network interface.
    pub network: Network<'a>,
    /// A second network interface.
    pub second_nic: Option<SecondNic<'a>>,
    /// Sockets that QEMU connects its UARTs to, in order.
    pub uarts: Vec<&'a Path>,
    /// The socket that QEMU connects its monitor to.
    pub monitor: &'a Path,
    /// Where QEMU listens with a monitor for the user.
    pub user_monitor: Option<&'a Path>,
    /// Where QEMU listens for a debugger.
    pub gdb: Option<&'a Path>,
    /// The board goes on from a checkpoint, which QEMU is told of by its monitor.
    pub incoming: bool,
    /// System calls that an emulator does not need are refused: [`SANDBOX`].
    pub sandbox: bool,
}

/// What executes the guest's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// QEMU translates it.
    Tcg(VcpuThreads),
    /// The host's processor, through the kernel; the guest sees that processor.
    Kvm,
}

/// How the emulated cores share the host's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VcpuThreads {
    /// They take turns on one thread. The code that QEMU makes for the guest then needs no atomic instructions and no barriers, which is
    /// the cheapest where one core does all the work.
    Single,
    /// Each has a thread of its own.
    Multi,
}

/// The machine's two flash chips, as raw files.
#[derive(Debug, Clone, Copy)]
pub struct Flash<'a> {
    /// The firmware, which is only read.
    pub code: &'a Path,
    /// The firmware's variables, which it writes to.
    pub variables: &'a Path,
}

/// The disk.
#[derive(Debug, Clone, Copy)]
pub struct Disk<'a> {
    /// How it is attached.
    pub kind: DiskKind,
    /// Where its contents are.
    pub contents: DiskContents<'a>,
}

/// Where the contents of a disk are.
#[derive(Debug, Clone, Copy)]
pub enum DiskContents<'a> {
    /// In a qcow2 file, and what that lies over.
    Overlay {
        /// The file.
        overlay: &'a Path,
        /// What it is over, if not the file that it names.
        base: Option<&'a Path>,
    },
    /// The harness answers for them, see [`disk`](crate::disk).
    Socket {
        /// The socket that QEMU connects to.
        socket: &'a Path,
        /// The disk cannot be written to.
        read_only: bool,
    },
}

/// How a board's disk is attached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DiskKind {
    /// An SD card in the machine's first slot.
    #[default]
    Sd,
    /// A virtio block device on the PCI bus.
    Virtio,
    /// A USB stick.
    Usb,
}

/// The network interface.
#[derive(Debug, Clone)]
pub enum Network<'a> {
    /// The harness is the USB device, behind this socket.
    Redirected {
        /// The socket that QEMU connects to.
        socket: &'a Path,
        /// The host controller's port.
        port: u8,
    },
    /// The device is QEMU's, and its frames go through this socket.
    Stream {
        /// The socket that QEMU connects to.
        socket: &'a Path,
        /// The device; without one it is the machine's own.
        device: Option<&'a QemuName>,
        /// Its hardware address.
        mac: Mac,
    },
    /// QEMU's own CDC Ethernet device with user networking: what benchmarks compare with.
    UsbNet {
        /// The host controller's port.
        port: u8,
    },
    /// A device of QEMU's with user networking.
    User {
        /// The device; without one it is the machine's own.
        device: Option<&'a QemuName>,
        /// Its hardware address.
        mac: Mac,
    },
}

/// A second network interface, of a board whose first one is a device of QEMU's, too. Its frames go through a socket of its own.
#[derive(Debug, Clone)]
pub struct SecondNic<'a> {
    /// The socket that QEMU connects to.
    pub socket: &'a Path,
    /// The device.
    pub device: &'a QemuName,
    /// Its hardware address.
    pub mac: Mac,
    /// Guests find it before the other one.
    pub comes_first: bool,
}

impl CommandLine<'_> {
    /// The arguments, without the program.
    #[must_use]
    pub fn arguments(&self) -> Vec<OsString> {
        let mut line = Line::default();
        line.option("-name", "shakedown,debug-threads=on");
        if self.sandbox {
            line.option("-sandbox", SANDBOX);
        }
        line.option("-M", escaped(self.machine.as_str()));
        match (self.cpu, self.accelerator) {
            (_, Accelerator::Kvm) => line.option("-cpu", "host"),
            (Some(cpu), _) => line.option("-cpu", cpu.as_str()),
            (None, _) => {}
        }
        line.option("-smp", self.cores.to_string());
        if let Some(ByteSize(bytes)) = self.memory {
            line.option("-m", format!("size={}K", bytes / 1024));
        }
        line.option(
            "-accel",
            match self.accelerator {
                Accelerator::Tcg(VcpuThreads::Single) => "tcg,thread=single",
                Accelerator::Tcg(VcpuThreads::Multi) => "tcg,thread=multi",
                Accelerator::Kvm => "kvm",
            },
        );
        line.flag("-nodefaults");
        line.option("-display", "none");
        // A guest that powers off leaves the process to the harness, which still wants its CPU time.
        line.flag("-no-shutdown");
        // The machine waits for QMP's `cont`, so that every socket is served before the first instruction.
        line.flag("-S");
        if self.incoming {
            line.option("-incoming", "defer");
        }
        for (property, value) in &self.globals {
            let mut set = OsString::from(format!("{property}="));
            set.push(escaped(value));
            line.option("-global", set);
        }
        line.chardev("qmp", self.monitor);
        line.option("-mon", "chardev=qmp,mode=control");
        if let Some(socket) = self.user_monitor {
            line.listener("qmp-user", socket);
            line.option("-mon", "chardev=qmp-user,mode=control");
        }
        if let Some(socket) = self.gdb {
            line.listener("gdb", socket);
            line.option("-gdb", "chardev:gdb");
        }
        for (index, socket) in self.uarts.iter().enumerate() {
            line.chardev(&format!("uart{index}"), socket);
            line.option("-serial", format!("chardev:uart{index}"));
        }
        for device in self.devices {
            line.option("-device", device.as_str());
        }
        if let Some(flash) = &self.flash {
            line.file("if=pflash,format=raw,readonly=on,file=", flash.code);
            line.file("if=pflash,format=raw,file=", flash.variables);
        }
        if let Some(rom) = self.rom {
            line.option("-bios", rom);
        }
        if let Some(kernel) = self.kernel {
            line.option("-kernel", kernel);
        }
        if let Some(device_tree) = self.device_tree {
            line.option("-dtb", device_tree);
        }
        if let Some(initrd) = self.initrd {
            line.option("-initrd", initrd);
        }
        if let Some(append) = self.append {
            line.option("-append", append);
        }
        if let Some(disk) = &self.disk {
            line.disk(disk);
        }
        // On the bus devices are in the order of their arguments.
        let second_comes_first = self.second_nic.as_ref().is_some_and(|nic| nic.comes_first);
        if !second_comes_first {
            line.network(&self.network);
        }
        if let Some(second) = &self.second_nic {
            line.stream("nic2", second.socket);
            line.nic("nic2", Some(second.device), second.mac);
        }
        if second_comes_first {
            line.network(&self.network);
        }
        line.0
    }
}

/// Arguments in the making.
#[derive(Default)]
struct Line(Vec<OsString>);

impl Line {
    fn flag(&mut self, name: &str) {
        self.0.push(name.into());
    }

    fn option(&mut self, name: &str, value: impl Into<OsString>) {
        self.0.push(name.into());
        self.0.push(value.into());
    }

    /// A drive; `options` end where the file's name begins.
    fn file(&mut self, options: &str, path: &Path) {
        let mut value = OsString::from(options);
        value.push(escaped(path));
        self.option("-drive", value);
    }

    fn disk(&mut self, disk: &Disk<'_>) {
        let interface = match disk.kind {
            DiskKind::Sd => "if=sd",
            DiskKind::Virtio | DiskKind::Usb => "if=none,id=disk",
        };
        let mut value = OsString::from(interface);
        match disk.contents {
            DiskContents::Overlay { overlay, base } => {
                value.push(format!(",format=qcow2,file.node-name={NODE},file="));
                value.push(escaped(overlay));
                if let Some(base) = base {
                    value.push(",backing.driver=raw,backing.file.filename=");
                    value.push(escaped(base));
                }
            }
            DiskContents::Socket { socket, read_only } => {
                if read_only {
                    value.push(",readonly=on");
                }
                value.push(",format=raw,file.driver=nbd,file.server.type=unix,file.server.path=");
                value.push(escaped(socket));
            }
        }
        self.option("-drive", value);
        match disk.kind {
            DiskKind::Sd => {}
            // Firmware that has a choice starts from the disk, whatever the network offers.
            DiskKind::Virtio => {
                self.option("-device", "virtio-blk-pci,drive=disk,bootindex=0");
            }
            DiskKind::Usb => self.option("-device", "usb-storage,drive=disk,bootindex=0"),
        }
    }

    fn network(&mut self, network: &Network<'_>) {
        match network {
            Network::Redirected { socket, port } => {
                self.chardev("nic", socket);
                // Without complaints: the device announces endpoints without a type while they NAK.
                self.option(
                    "-device",
                    format!("usb-redir,chardev=nic,port={port},debug=0"),
                );
            }
            Network::Stream {
                socket,
                device,
                mac,
            } => {
                self.stream(NETDEV, socket);
                self.nic(NETDEV, *device, *mac);
            }
            Network::UsbNet { port } => {
                self.option("-netdev", "user,id=nic");
                self.option("-device", format!("usb-net,netdev=nic,port={port}"));
            }
            Network::User { device, mac } => {
                self.option("-netdev", "user,id=nic");
                self.nic("nic", *device, *mac);
            }
        }
    }

    /// A network back end whose frames go through a socket.
    fn stream(&mut self, id: &str, socket: &Path) {
        let mut value = OsString::from(format!("stream,id={id},addr.type=unix,addr.path="));
        value.push(escaped(socket));
        self.option("-netdev", value);
    }

    /// A network interface of QEMU's at the back end `id`. Those for the PCI bus go without their boot ROM: firmware and disk have drivers, and its
    /// code is for x86. Every device that can be given is one, but those for USB and for virtio's own bus.
    fn nic(&mut self, id: &str, device: Option<&QemuName>, mac: Mac) {
        match device {
            Some(device) => {
                let is_pci = !device.starts_with("usb-") && !device.ends_with("-device");
                let without_rom = if is_pci { ",romfile=" } else { "" };
                let value = format!("{device},netdev={id},mac={mac}{without_rom}");
                self.option("-device", value);
            }
            None => self.option("-net", format!("nic,netdev={id},macaddr={mac}")),
        }
    }
    /// A socket that QEMU connects to.
    fn chardev(&mut self, id: &str, socket: &Path) {
        self.socket(id, socket, "");
    }

    /// A socket that QEMU listens on, without waiting for anybody.
    fn listener(&mut self, id: &str, socket: &Path) {
        self.socket(id, socket, ",server=on,wait=off");
    }

    fn socket(&mut self, id: &str, socket: &Path, mode: &str) {
        let mut value = OsString::from(format!("socket,id={id},path="));
        value.push(escaped(socket));
        value.push(mode);
        self.option("-chardev", value);
    }
}

/// A value of an option list: QEMU's parser ends it at a comma, and a doubled one stands for itself.
fn escaped(value: impl AsRef<OsStr>) -> OsString {
    let bytes = value.as_ref().as_bytes();
    let pieces: Vec<_> = bytes.split(|b| *b == b',').collect();
    OsString::from_vec(pieces.join(&b",,"[..]))
}

#[cfg(test)]
mod tests;
