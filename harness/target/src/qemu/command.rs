//! QEMU's command line as a pure function of what is wanted.
//!
//! Source: QEMU's invocation manual, sections "Character device options" and "Boot images", and FACTS measured with QEMU 7.2 and 10.0:
//! the NIC is a `usb-redir` device on the root port; every socket is ours and QEMU connects to it, so nothing has to be polled for.
//!
//! QEMU's option parser ends a value at a comma and gives equals signs a meaning. Whatever becomes a value of an option list is escaped here,
//! and machine and properties are names without either: a board's file cannot add a property such as `dumpdtb`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use shakedown_base::input::{DeviceProperty, MachineType};

/// What an emulator has no need to do (QEMU's invocation manual, `-sandbox`): obsolete system calls, set-user-ID programs, starting
/// processes, changing its priority. A guest that breaks out of the emulator cannot either.
pub const SANDBOX: &str = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";

/// How QEMU is started on this host.
#[derive(Debug, Clone, Default)]
pub struct QemuProgram {
    /// The program to execute: QEMU, or the dynamic loader of a private copy.
    pub program: PathBuf,
    /// The version that it reports.
    pub version: String,
    /// Arguments before QEMU's own, as in `--library-path …`.
    pub leading_args: Vec<OsString>,
    /// Environment variables to set.
    pub env: Vec<(OsString, OsString)>,
    /// It was built with `-sandbox`, which needs seccomp.
    pub sandbox: bool,
}

/// What the machine is made of.
#[derive(Debug, Clone)]
pub struct CommandLine<'a> {
    /// QEMU's `-M`.
    pub machine: &'a MachineType,
    /// Cores of the SoC.
    pub cores: u32,
    /// How the cores share the host's.
    pub threads: VcpuThreads,
    /// Properties to set on device classes, and their values.
    pub globals: Vec<(DeviceProperty, String)>,
    /// What is started first: the boot loader or a kernel.
    pub kernel: &'a Path,
    /// The device tree passed to it.
    pub device_tree: &'a Path,
    /// An initramfs, for a boot without a boot loader.
    pub initrd: Option<&'a Path>,
    /// A kernel command line, for a boot without a boot loader.
    pub append: Option<&'a str>,
    /// The SD card: a qcow2 overlay.
    pub card: Option<&'a Path>,
    /// What the overlay is over, if not the file that it names.
    pub card_base: Option<&'a Path>,
    /// The network interface.
    pub network: Network<'a>,
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

/// How the emulated cores share the host's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VcpuThreads {
    /// They take turns on one thread. The code that QEMU makes for the guest then needs no atomic instructions and no barriers, which is
    /// the cheapest where one core does all the work.
    Single,
    /// Each has a thread of its own.
    Multi,
}

/// The network interface on the USB port.
#[derive(Debug, Clone)]
pub enum Network<'a> {
    /// The harness is the USB device, behind this socket.
    Redirected {
        /// The socket that QEMU connects to.
        socket: &'a Path,
        /// The host controller's port.
        port: u8,
    },
    /// QEMU's own CDC Ethernet device with user networking: what benchmarks compare with.
    UsbNet {
        /// The host controller's port.
        port: u8,
    },
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
        line.option("-smp", self.cores.to_string());
        let threads = match self.threads {
            VcpuThreads::Single => "single",
            VcpuThreads::Multi => "multi",
        };
        line.option("-accel", format!("tcg,thread={threads}"));
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
        line.option("-kernel", self.kernel);
        line.option("-dtb", self.device_tree);
        if let Some(initrd) = self.initrd {
            line.option("-initrd", initrd);
        }
        if let Some(append) = self.append {
            line.option("-append", append);
        }
        if let Some(card) = self.card {
            let mut value = OsString::from("if=sd,format=qcow2,file=");
            value.push(escaped(card));
            if let Some(base) = self.card_base {
                value.push(",backing.driver=raw,backing.file.filename=");
                value.push(escaped(base));
            }
            line.option("-drive", value);
        }
        match &self.network {
            Network::Redirected { socket, port } => {
                line.chardev("nic", socket);
                // Without complaints: the device announces endpoints without a type while they NAK.
                line.option(
                    "-device",
                    format!("usb-redir,chardev=nic,port={port},debug=0"),
                );
            }
            Network::UsbNet { port } => {
                line.option("-netdev", "user,id=nic");
                line.option("-device", format!("usb-net,netdev=nic,port={port}"));
            }
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
mod tests {
    use std::sync::LazyLock;

    use super::*;

    fn text(line: &CommandLine<'_>) -> String {
        let mut out = String::new();
        for argument in line.arguments() {
            let argument = argument.to_string_lossy().into_owned();
            out.push_str(if argument.starts_with('-') { "\n" } else { " " });
            out.push_str(&argument);
        }
        out
    }

    static MACHINE: LazyLock<MachineType> = LazyLock::new(|| "raspi3b".parse().unwrap());

    fn board<'a>(network: Network<'a>) -> CommandLine<'a> {
        CommandLine {
            machine: &MACHINE,
            cores: 4,
            threads: VcpuThreads::Single,
            globals: vec![("bcm2837.enabled-cpus".parse().unwrap(), "1".into())],
            kernel: Path::new("run/u-boot.bin"),
            device_tree: Path::new("run/bcm2837-rpi-3-b.dtb"),
            initrd: None,
            append: None,
            card: Some(Path::new("run/a,b.qcow2")),
            card_base: None,
            network,
            uarts: vec![Path::new("s/uart0"), Path::new("s/uart1")],
            monitor: Path::new("s/qmp"),
            user_monitor: None,
            gdb: None,
            incoming: false,
            sandbox: true,
        }
    }

    #[test]
    fn what_listens_for_people() {
        let mut line = board(Network::UsbNet { port: 1 });
        line.user_monitor = Some(Path::new("s/qmp-user"));
        line.gdb = Some(Path::new("s/gdb"));
        let text = text(&line);
        assert!(text.contains("\n-chardev socket,id=qmp-user,path=s/qmp-user,server=on,wait=off\n-mon chardev=qmp-user,mode=control\n"), "{text}");
        assert!(
            text.contains(
                "\n-chardev socket,id=gdb,path=s/gdb,server=on,wait=off\n-gdb chardev:gdb\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn a_board_with_its_card_and_our_nic() {
        let line = board(Network::Redirected {
            socket: Path::new("s/usb"),
            port: 1,
        });
        insta::assert_snapshot!(text(&line), @r"

        -name shakedown,debug-threads=on
        -sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny
        -M raspi3b
        -smp 4
        -accel tcg,thread=single
        -nodefaults
        -display none
        -no-shutdown
        -S
        -global bcm2837.enabled-cpus=1
        -chardev socket,id=qmp,path=s/qmp
        -mon chardev=qmp,mode=control
        -chardev socket,id=uart0,path=s/uart0
        -serial chardev:uart0
        -chardev socket,id=uart1,path=s/uart1
        -serial chardev:uart1
        -kernel run/u-boot.bin
        -dtb run/bcm2837-rpi-3-b.dtb
        -drive if=sd,format=qcow2,file=run/a,,b.qcow2
        -chardev socket,id=nic,path=s/usb
        -device usb-redir,chardev=nic,port=1,debug=0
        ");
    }

    /// Splits a value as QEMU's option parser does (`get_opt_value`): a doubled comma stands for itself.
    fn options(value: &OsStr) -> Vec<Vec<u8>> {
        let (mut all, mut one) = (Vec::new(), Vec::new());
        let mut bytes = value.as_bytes().iter().peekable();
        while let Some(byte) = bytes.next() {
            if *byte != b',' {
                one.push(*byte);
            } else if bytes.next_if(|next| **next == b',').is_some() {
                one.push(b',');
            } else {
                all.push(std::mem::take(&mut one));
            }
        }
        all.push(one);
        all
    }

    proptest::proptest! {
        #[test]
        fn no_value_becomes_another_option(path in proptest::collection::vec(1u8..=255, 0..30)) {
            let path = PathBuf::from(OsString::from_vec(path));
            let mut line = board(Network::Redirected { socket: &path, port: 1 });
            line.card = Some(&path);
            line.card_base = Some(&path);
            line.monitor = &path;
            line.globals = vec![("a.b".parse().unwrap(), path.to_string_lossy().into_owned())];
            let arguments = line.arguments();
            let values: Vec<_> = arguments.windows(2).filter(|w| ["-drive", "-chardev", "-global"].iter().any(|o| w[0] == *o))
                .map(|w| options(&w[1]).len()).collect();
            // The property, monitor, two UARTs, the card and what it is over, the NIC.
            proptest::prop_assert_eq!(values, [1, 3, 3, 3, 5, 3]);
        }
    }

    #[test]
    fn a_board_that_goes_on_from_a_checkpoint() {
        let mut line = board(Network::UsbNet { port: 1 });
        line.card_base = Some(Path::new("run/a,b.img"));
        line.incoming = true;
        let text = text(&line);
        assert!(text.contains("\n-S\n-incoming defer\n"), "{text}");
        assert!(
            text.contains(
                "file=run/a,,b.qcow2,backing.driver=raw,backing.file.filename=run/a,,b.img\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn a_direct_boot_with_the_emulators_nic() {
        let mut line = board(Network::UsbNet { port: 1 });
        line.card = None;
        line.initrd = Some(Path::new("initramfs"));
        line.append = Some("console=ttyAMA0 maxcpus=1");
        let text = text(&line);
        assert!(text.contains("\n-initrd initramfs\n-append console=ttyAMA0 maxcpus=1\n-netdev user,id=nic\n-device usb-net,netdev=nic,port=1"), "{text}");
    }
}
