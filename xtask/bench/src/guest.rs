//! What the guests are told to do: scripts for iPXE and for Linux.

use std::fmt::Write;

use shakedown_harness::cpio::{Archive, CpioError};

use super::target::{DONE, SINK, SOURCE};

/// Where the script for Linux lies in the initramfs.
const PROGRAM: &str = "usr/libexec/bench";

/// A boot script that loads from a server in plain HTTP and then, by the relative address `https`, over HTTPS, `times` times. It confirms
/// each download.
pub(super) fn ipxe_script(http: &str, https: &str, times: u32) -> String {
    let mut script = String::from("#!ipxe\n");
    for _ in 0..times {
        for url in [&format!("{http}{SOURCE}"), https] {
            // Writing to a string cannot fail.
            let _ = writeln!(
                script,
                "imgfetch --name blob {url}\nimgfetch --name done {http}{DONE}\nimgfree blob\nimgfree done"
            );
        }
    }
    script
}

/// The kernel command line of a Linux that does no more than [`linux_archive`] says. boot2container brings the network up as ever and
/// has no container to run; its shutdown command is ours.
pub(super) fn linux_command_line(console: &str) -> String {
    format!(
        "console={console},115200 b2c.ntp_peer=none b2c.cache_device=none b2c.shutdown_cmd=/{PROGRAM}"
    )
}

/// A cpio archive for the initramfs: a program that loads from `server` and sends to it, `times` times each, and powers off.
pub(super) fn linux_archive(server: &str, size: usize, times: u32) -> Result<Vec<u8>, CpioError> {
    let mut archive = Archive::new();
    archive.file(PROGRAM, 0o755, linux_script(server, size, times))?;
    Ok(archive.to_bytes())
}

/// busybox' wget holds what it sends in memory, as text that a NUL would end.
fn linux_script(server: &str, size: usize, times: u32) -> String {
    format!(
        r#"#!/bin/sh
end() {{
    echo "bench: $1"
    poweroff -f
}}
for n in $(seq {times}); do
    wget -q -O /dev/null {server}{SOURCE} && wget -q -O /dev/null {server}{DONE} || end "download $n has failed"
done
tr '\000' x </dev/zero | head -c {size} >/tmp/blob
for n in $(seq {times}); do
    wget -q -O /dev/null --post-file=/tmp/blob {server}{SINK} || end "upload $n has failed"
done
end done
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipxe_takes_turns_between_the_protocols() {
        insta::assert_snapshot!(ipxe_script("http://192.0.2.40", "/files/blob", 2), @r"
        #!ipxe
        imgfetch --name blob http://192.0.2.40/blob
        imgfetch --name done http://192.0.2.40/done
        imgfree blob
        imgfree done
        imgfetch --name blob /files/blob
        imgfetch --name done http://192.0.2.40/done
        imgfree blob
        imgfree done
        imgfetch --name blob http://192.0.2.40/blob
        imgfetch --name done http://192.0.2.40/done
        imgfree blob
        imgfree done
        imgfetch --name blob /files/blob
        imgfetch --name done http://192.0.2.40/done
        imgfree blob
        imgfree done
        ");
    }

    #[test]
    fn linux_is_given_a_program_that_a_shell_can_read() {
        let script = linux_script("http://10.0.2.2:4711", 1000, 3);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bench");
        std::fs::write(&path, &script).unwrap();
        let checked = std::process::Command::new("sh")
            .arg("-n")
            .arg(&path)
            .status();
        assert!(checked.unwrap().success());
        assert!(
            script.contains("http://10.0.2.2:4711/blob")
                && script.contains("http://10.0.2.2:4711/sink")
        );
        let archive = linux_archive("http://10.0.2.2:4711", 1000, 3).unwrap();
        let program = linux_command_line("ttyAMA0");
        let (_, program) = program.rsplit_once("=/").unwrap();
        assert!(
            archive
                .windows(program.len())
                .any(|w| w == program.as_bytes())
        );
    }
}
