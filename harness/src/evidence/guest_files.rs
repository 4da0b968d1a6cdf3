//! What the guest leaves: the files that it put into its bucket of the scratch space, and its kernel's and container's part of the console.
//!
//! The guest is not to be trusted: names are those of the scratch space, which keeps them within the bucket, nothing but files is copied, and files, their
//! number and depth are bounded.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use crate::board::ContainerMarks;
use crate::console::printk;
use crate::folder::RunFolder;
use crate::judge::Section;
use crate::timeline::{Event, Record};

/// Most bytes of all files together.
const LARGEST: u64 = 256 << 20;
/// Most files.
const MOST: usize = 1000;
/// How many folders deep files may lie.
const DEPTH: usize = 8;
/// What the scratch space calls its own files in a bucket.
const SERVICES: [&str; 3] = [".bucket-", ".upload_id-", ".tmp."];

/// What is left of the bounds.
struct Room {
    bytes: u64,
    files: usize,
}

/// Copies what the guest put into its bucket from the scratch space at `scratch` into the run's folder. Where there is nothing no folder is created.
///
/// # Errors
/// A file cannot be copied, or there are more than fit.
pub(crate) fn keep_bucket(scratch: &Path, run: &Path) -> io::Result<()> {
    let mut room = Room {
        bytes: LARGEST,
        files: MOST,
    };
    let to = run.join(RunFolder::GUEST);
    for bucket in folders(scratch)? {
        // The inner folder of the same name is the bucket.
        let name = bucket.file_name().unwrap_or_default();
        let inner = bucket.join(name);
        if inner.is_dir() {
            copy(&inner, &to, DEPTH, &mut room)?;
        }
    }
    Ok(())
}

fn folders(path: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    let entries = match fs::read_dir(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let folders = entries.flatten().filter(|entry| {
        let kind = entry.file_type();
        kind.is_ok_and(|kind| kind.is_dir())
    });
    let mut folders: Vec<_> = folders.map(|entry| entry.path()).collect();
    folders.sort();
    Ok(folders)
}

fn copy(from: &Path, to: &Path, depth: usize, room: &mut Room) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, name) = (entry.file_type()?, entry.file_name());
        let is_services = SERVICES
            .iter()
            .any(|s| name.to_string_lossy().starts_with(s));
        if kind.is_dir() && depth > 1 {
            copy(&entry.path(), &to.join(&name), depth - 1, room)?;
        } else if kind.is_file() && !is_services {
            let size = entry.metadata()?.len();
            let bytes = room.bytes.checked_sub(size);
            let files = room.files.checked_sub(1);
            let Some((bytes, files)) = bytes.zip(files) else {
                let text = format!("more than {MOST} files or {} MiB", LARGEST >> 20);
                return Err(io::Error::other(text));
            };
            *room = Room { bytes, files };
            fs::create_dir_all(to)?;
            fs::copy(entry.path(), to.join(&name))?;
        }
    }
    Ok(())
}

/// Writes what the kernel and the container said on the console into files of their own; a file that would be empty is not written.
///
/// # Errors
/// A file cannot be written.
pub(crate) fn write_logs(
    folder: &Path,
    records: &[Record],
    marks: Option<&ContainerMarks>,
) -> io::Result<()> {
    let (kernel, container) = logs(records, marks);
    for (name, text) in [
        (RunFolder::KERNEL_LOG, kernel),
        (RunFolder::CONTAINER_LOG, container),
    ] {
        if !text.is_empty() {
            fs::File::create(folder.join(name))?.write_all(text.as_bytes())?;
        }
    }
    Ok(())
}

/// The lines of the kernel's log, and those between the marks of the container. A later boot begins with a line of its own.
fn logs(records: &[Record], marks: Option<&ContainerMarks>) -> (String, String) {
    let (mut kernel, mut container) = (Log::default(), Log::default());
    let (mut section, mut boot) = (Section::default(), 0);
    for record in records {
        let Event::Serial { uart, line } = &record.event else {
            continue;
        };
        if record.boot != boot {
            (section, boot) = (Section::default(), record.boot);
        }
        let is_containers = marks.is_some_and(|marks| section.take(marks, *uart, line));
        // The kernel speaks whenever it likes.
        if printk(line).is_some() {
            kernel.push(boot, line);
        } else if is_containers {
            container.push(boot, line);
        }
    }
    (kernel.text, container.text)
}

#[derive(Default)]
struct Log {
    text: String,
    boot: u32,
}

impl Log {
    fn push(&mut self, boot: u32, line: &str) {
        if boot != self.boot {
            self.boot = boot;
            self.text += &format!("--- boot {} ---\n", boot + 1);
        }
        self.text += line;
        self.text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_files_of_the_bucket_come_and_those_of_the_service_stay() {
        let root = tempfile::tempdir().unwrap();
        let (scratch, run) = (root.path().join("scratch"), root.path().join("run"));
        keep_bucket(&scratch, &run).unwrap();
        assert!(!run.exists(), "there is nothing to keep");
        let bucket = scratch.join("scratch-1/scratch-1");
        fs::create_dir_all(bucket.join("deep")).unwrap();
        fs::create_dir_all(scratch.join("nobodys")).unwrap();
        fs::write(bucket.join("results.xml"), "<x/>").unwrap();
        fs::write(bucket.join("deep/log"), "log").unwrap();
        fs::write(bucket.join(".bucket-a.object-b.metadata.json"), "{}").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", bucket.join("link")).unwrap();
        keep_bucket(&scratch, &run).unwrap();
        let guest = run.join(RunFolder::GUEST);
        assert_eq!(fs::read_to_string(guest.join("deep/log")).unwrap(), "log");
        let mut names: Vec<_> = fs::read_dir(&guest)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["deep", "results.xml"]);
        let huge = fs::File::create(bucket.join("huge")).unwrap();
        huge.set_len(LARGEST).unwrap();
        let error = keep_bucket(&scratch, &run).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("more than 1000 files or 256 MiB")
        );
    }

    #[test]
    fn kernel_and_container_are_told_apart() {
        let marks: ContainerMarks = toml::from_str(
            "begins = \"^begin$\"\nends = \"^end$\"\nstatus = \"^status (\\\\d+)$\"\n",
        )
        .unwrap();
        let said = [
            (0, "[    0.000000] Booting Linux"),
            (0, "starting"),
            (0, "begin"),
            (0, "hello"),
            (0, "[   12.000000] oom"),
            (0, "end"),
            (0, "bye"),
            (1, "not in a section any more"),
            (1, "[    0.000000] Booting Linux again"),
            (1, "begin"),
            (1, "hello again"),
        ];
        let records = said.map(|(boot, line)| Record {
            at: Duration::ZERO,
            board: None,
            boot,
            event: Event::Serial {
                uart: 1,
                line: line.into(),
            },
        });
        let (kernel, container) = logs(&records, Some(&marks));
        assert_eq!(
            kernel,
            "[    0.000000] Booting Linux\n[   12.000000] oom\n--- boot 2 ---\n[    0.000000] Booting Linux again\n"
        );
        assert_eq!(container, "hello\n--- boot 2 ---\nhello again\n");
        assert_eq!(logs(&records, None).1, "");
    }
}
