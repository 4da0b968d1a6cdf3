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

fn card() -> Disk<'static> {
    Disk {
        kind: DiskKind::Sd,
        contents: overlay(None),
    }
}

fn overlay(base: Option<&Path>) -> DiskContents<'_> {
    DiskContents::Overlay {
        overlay: Path::new("run/a,b.qcow2"),
        base,
    }
}

fn board<'a>(network: Network<'a>) -> CommandLine<'a> {
    CommandLine {
        machine: &MACHINE,
        cpu: None,
        memory: None,
        cores: 4,
        accelerator: Accelerator::Tcg(VcpuThreads::Single),
        globals: vec![("bcm2837.enabled-cpus".parse().unwrap(), "1".into())],
        devices: &[],
        flash: None,
        rom: None,
        kernel: Some(Path::new("run/u-boot.bin")),
        device_tree: Some(Path::new("run/bcm2837-rpi-3-b.dtb")),
        initrd: None,
        append: None,
        disk: Some(card()),
        network,
        second_nic: None,
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
        text.contains("\n-chardev socket,id=gdb,path=s/gdb,server=on,wait=off\n-gdb chardev:gdb\n"),
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
    -drive if=sd,format=qcow2,file.node-name=disk-file,file=run/a,,b.qcow2
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
        line.disk = Some(Disk { kind: DiskKind::Sd, contents: DiskContents::Overlay { overlay: &path, base: Some(&path) } });
        line.monitor = &path;
        line.globals = vec![("a.b".parse().unwrap(), path.to_string_lossy().into_owned())];
        let arguments = line.arguments();
        let values: Vec<_> = arguments.windows(2).filter(|w| ["-drive", "-chardev", "-global"].iter().any(|o| w[0] == *o))
            .map(|w| options(&w[1]).len()).collect();
        // The property, monitor, two UARTs, the card and what it is over, the NIC.
        proptest::prop_assert_eq!(values, [1, 3, 3, 3, 6, 3]);
    }
}

#[test]
fn a_board_that_goes_on_from_a_checkpoint() {
    let mut line = board(Network::UsbNet { port: 1 });
    line.disk = Some(Disk {
        contents: overlay(Some(Path::new("run/a,b.img"))),
        ..card()
    });
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
fn a_disk_that_the_harness_answers_for() {
    for (kind, read_only, expected) in [
        (
            DiskKind::Sd,
            false,
            "\n-drive if=sd,format=raw,file.driver=nbd,file.server.type=unix,file.server.path=s/d,,isk\n",
        ),
        (
            DiskKind::Usb,
            true,
            "\n-drive if=none,id=disk,readonly=on,format=raw,file.driver=nbd,file.server.type=unix,file.server.path=s/d,,isk\n-device usb-storage",
        ),
    ] {
        let mut line = board(Network::UsbNet { port: 1 });
        let socket = Path::new("s/d,isk");
        line.disk = Some(Disk {
            kind,
            contents: DiskContents::Socket { socket, read_only },
        });
        let text = text(&line);
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn a_direct_boot_with_the_emulators_nic() {
    let mut line = board(Network::UsbNet { port: 1 });
    line.disk = None;
    line.initrd = Some(Path::new("initramfs"));
    line.append = Some("console=ttyAMA0 maxcpus=1");
    let text = text(&line);
    assert!(text.contains("\n-initrd initramfs\n-append console=ttyAMA0 maxcpus=1\n-netdev user,id=nic\n-device usb-net,netdev=nic,port=1"), "{text}");
}

fn uefi<'a>(device: Option<&'a QemuName>, devices: &'a [QemuName]) -> CommandLine<'a> {
    CommandLine {
        memory: Some("1GiB".parse().unwrap()),
        cores: 1,
        globals: vec![],
        devices,
        flash: Some(Flash {
            code: Path::new("cache/CODE.fd"),
            variables: Path::new("run/VARS.fd"),
        }),
        kernel: None,
        device_tree: None,
        disk: Some(Disk {
            kind: DiskKind::Virtio,
            ..card()
        }),
        uarts: vec![Path::new("s/uart0")],
        ..board(Network::Stream {
            socket: Path::new("s/nic"),
            device,
            mac: Mac([0x52, 0x54, 0, 1, 2, 3]),
        })
    }
}

#[test]
fn a_machine_with_flash_memory_and_an_adapter_of_qemus() {
    let (machine, cpu) = ("virt".parse().unwrap(), "max".parse().unwrap());
    let device = "virtio-net-pci".parse().unwrap();
    let devices = ["virtio-rng-pci".parse().unwrap()];
    let line = CommandLine {
        machine: &machine,
        cpu: Some(&cpu),
        ..uefi(Some(&device), &devices)
    };
    insta::assert_snapshot!(text(&line));
}

#[test]
fn a_machine_with_two_network_cards() {
    let device = "virtio-net-pci".parse().unwrap();
    let network = |comes_first| {
        let line = CommandLine {
            second_nic: Some(SecondNic {
                socket: Path::new("s/nic,1"),
                device: &device,
                mac: Mac([0x52, 0x54, 0, 1, 2, 4]),
                comes_first,
            }),
            ..uefi(Some(&device), &[])
        };
        let text = text(&line);
        let network = text.find("-netdev").map(|at| text.split_at(at).1);
        network.unwrap().to_owned()
    };
    let lines = |text: &str| text.lines().map(ToOwned::to_owned).collect::<Vec<_>>();
    let [mut before, after] = [true, false].map(|first| lines(&network(first)));
    before.rotate_left(2);
    assert_eq!(before, after);
    insta::assert_snapshot!(network(false), @r"
    -netdev stream,id=nic,addr.type=unix,addr.path=s/nic
    -device virtio-net-pci,netdev=nic,mac=52:54:00:01:02:03,romfile=
    -netdev stream,id=nic2,addr.type=unix,addr.path=s/nic,,1
    -device virtio-net-pci,netdev=nic2,mac=52:54:00:01:02:04,romfile=
    ");
}

#[test]
fn a_machine_of_the_hosts_architecture_runs_on_its_processor() {
    let (machine, cpu) = ("q35".parse().unwrap(), "qemu64".parse().unwrap());
    let device = "virtio-net-pci".parse().unwrap();
    let line = CommandLine {
        machine: &machine,
        cpu: Some(&cpu),
        accelerator: Accelerator::Kvm,
        ..uefi(Some(&device), &[])
    };
    let text = text(&line);
    assert!(
        text.contains("\n-cpu host\n-smp 1\n-m size=1048576K\n-accel kvm\n"),
        "{text}"
    );
}

#[test]
fn a_machine_whose_rom_reads_its_card() {
    let machine = "bpim2u".parse().unwrap();
    let line = CommandLine {
        machine: &machine,
        flash: None,
        memory: None,
        disk: Some(card()),
        ..uefi(None, &[])
    };
    insta::assert_snapshot!(text(&line));
}

#[test]
fn a_stick_and_a_rom_that_was_given() {
    let device = "e1000".parse().unwrap();
    let line = CommandLine {
        flash: None,
        rom: Some(Path::new("u-boot.bin")),
        disk: Some(Disk {
            kind: DiskKind::Usb,
            ..card()
        }),
        network: Network::User {
            device: Some(&device),
            mac: Mac([2, 0, 0, 0, 0, 1]),
        },
        ..uefi(None, &[])
    };
    let text = text(&line);
    assert!(text.contains("\n-bios u-boot.bin\n-drive if=none,id=disk,format=qcow2,file.node-name=disk-file,file=run/a,,b.qcow2\n-device usb-storage,drive=disk,bootindex=0\n-netdev user,id=nic\n-device e1000,netdev=nic,mac=02:00:00:00:00:01,romfile="), "{text}");
}
