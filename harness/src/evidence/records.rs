//! The files that a run leaves: its records, its report, its page, its bundle.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::SystemTime;

use super::bundling;
use super::guest_files::write_logs;
use crate::folder::RunFolder;
use crate::plan::Job;
use crate::report::html::write_page;
use crate::report::{Class, Failure, Report, SincePassed, Verdict, last_passed, past_runs};
use crate::services::access_line;
use crate::timeline::{Event, HostTrouble, Record, ServiceId, Timeline, Versioned};

/// Writes the records, the report, the page and the bundle. What cannot be written is said in the report that is returned.
pub(crate) fn keep_evidence(
    job: &Job<'_>,
    timeline: &Timeline,
    records: &[Record],
    report: &mut Report,
) {
    let started = SystemTime::now() - timeline.elapsed();
    let in_folder = |e: std::io::Error| format!("cannot write into {}: {e}", job.folder.display());
    if let Err(e) = write_records(&job.folder, records, started) {
        report.lost.push(in_folder(e));
    }
    let marks = job.board.container.as_ref();
    if let Err(e) = write_logs(&job.folder, records, marks) {
        report.lost.push(in_folder(e));
    }
    report.since_passed = since_passed(&job.folder, report);
    if let Err(e) = report.write(&job.folder) {
        report.lost.push(in_folder(e));
        return;
    }
    // The page is made of what has been written, as it would be made at any later time.
    let page = |report: &mut Report| {
        if let Err(e) = write_page(&job.folder) {
            report
                .lost
                .push(format!("there is no page of this run: {e}"));
        }
    };
    page(report);
    let is_of_host = |f: &Failure| f.class == Class::Host;
    let interrupted = report.failure.as_ref().is_some_and(is_of_host);
    if report.verdict != Verdict::Passed && !interrupted {
        match bundling::write(job, report.mac) {
            // The page is in the bundle, and the one beside it leads to it.
            Ok(_) => page(report),
            Err(e) => report
                .lost
                .push(format!("there is no bundle of this run: {e}")),
        }
    }
    if !report.lost.is_empty() {
        // It may be that this one can be written.
        let _ = report.write(&job.folder);
    }
}

/// What differs since the last run of the same that passed, of those whose folders lie beside `folder`; nothing of a run that passed itself.
fn since_passed(folder: &Path, report: &Report) -> Option<SincePassed> {
    if report.verdict == Verdict::Passed {
        return None;
    }
    let past = past_runs(folder.parent()?);
    let passed = last_passed(&past, &report.scenario, &report.board)?;
    let name = passed.folder.file_name()?.to_string_lossy();
    let since = SincePassed::between(&name, &passed.report, &report.parts);
    Some(since)
}

/// What to say of a disk that has no room left for a run's files.
pub(crate) fn full_disk(folder: &Path) -> Option<Event> {
    /// Less room than the emulator asks for at a time.
    const LEAST: u64 = 1 << 20;
    let disk = rustix::fs::statvfs(folder).ok()?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    (free < LEAST).then(|| Event::Host {
        trouble: HostTrouble::DiskFull,
        text: format!(
            "no space left for the files of the run in {}: make room there, or put the project's target folder elsewhere",
            folder.display()
        ),
    })
}

/// Writes the timeline and, apart, the servers' journal, a JSON object a line, and the boot server's access log. `started` is the
/// beginning of the timeline.
fn write_records(folder: &Path, records: &[Record], started: SystemTime) -> std::io::Result<()> {
    let create = |name| fs::File::create(folder.join(name)).map(std::io::BufWriter::new);
    let mut timeline = create(RunFolder::TIMELINE)?;
    let mut journal = create(RunFolder::JOURNAL)?;
    let mut access = create(RunFolder::ACCESS_LOG)?;
    for (number, record) in records.iter().enumerate() {
        let line = match number {
            // The first line says what version the file is of.
            0 => serde_json::to_string(&Versioned::of(record))?,
            _ => serde_json::to_string(record)?,
        } + "\n";
        timeline.write_all(line.as_bytes())?;
        if matches!(
            record.event,
            Event::Request(_) | Event::Tls(_) | Event::Answer(_) | Event::Connection(_)
        ) {
            journal.write_all(line.as_bytes())?;
        }
        match &record.event {
            Event::Request(request) if request.service == ServiceId::Boot => {
                writeln!(access, "{}", access_line(request, started + record.at))?;
            }
            _ => {}
        }
    }
    timeline.flush()?;
    journal.flush()?;
    access.flush()
}
