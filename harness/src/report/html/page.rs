//! The page of one run.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use askama::Template;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};

use super::console::{Entry, listing};
use super::waterfall::{Mark, Waterfall, requests, waterfall};
use super::words::{begun, size};
use crate::folder::RunFolder;
use crate::report::{Port, RecordError, Recorded, Report, Verdict, bundle, verdict_sentence};
use crate::timeline::{Event, ServiceId};

/// Name of the page in a run's folder.
pub const PAGE_FILE: &str = RunFolder::PAGE;
pub(super) const STYLE: &str = include_str!("../../../templates/style.css");

/// What the page runs.
const SCRIPT: &str = include_str!("../../../templates/run.js");

/// The content security policy of a page whose one script is `script`: nothing is loaded that is not in the page, and no other script
/// runs, whatever text of a guest might stand in the page. Source: Content Security Policy Level 3, section 2.3.1 (hash sources).
pub(super) fn policy(script: &str) -> String {
    let hash = BASE64.encode(Sha256::digest(script));
    format!(
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{hash}'"
    )
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The run's folder cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The template failed.
    #[error("cannot make the page: {0}")]
    Template(#[from] askama::Error),
    /// The page cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The page.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

#[derive(Template)]
#[template(path = "run.html")]
struct Page<'a> {
    policy: String,
    css: &'static str,
    script: &'static str,
    report: &'a Report,
    verdict: &'static str,
    sentence: String,
    /// When the run began, for people.
    begun: String,
    /// How many stages another run went through.
    restored: usize,
    faults: Vec<Injected<'a>>,
    waterfall: Waterfall,
    entries: Vec<Entry>,
    uarts: Vec<String>,
    shots: Vec<Shot>,
    requests: Vec<Asked>,
    /// The bundle beside the page, if there is one.
    bundle: Option<&'static str>,
    /// Names of files and what they hold.
    files: Vec<(&'a str, &'static str)>,
}

/// A fault, and the marks and seconds where it took effect.
struct Injected<'a> {
    what: &'a str,
    seen: Vec<(usize, f64)>,
}

/// A picture of the framebuffer.
struct Shot {
    /// The waterfall's mark of the same moment.
    mark: usize,
    at: f64,
    stage: String,
    data: String,
}

/// A line of the table of requests.
struct Asked {
    mark: usize,
    at: f64,
    service: ServiceId,
    method: String,
    url: String,
    status: u16,
    bytes: String,
    took: f64,
    rate: String,
    broken: bool,
}

/// Writes the page of the run whose folder this is, and returns where it is.
///
/// # Errors
/// The folder is not that of a run, or cannot be written to.
pub fn write_page(folder: &Path) -> Result<PathBuf, PageError> {
    let text = page(&Recorded::read(folder)?)?;
    let path = folder.join(PAGE_FILE);
    write(&path, &text).map_err(|source| PageError::Write {
        path: path.clone(),
        source,
    })?;
    Ok(path)
}

/// Writes a file that readers see whole or not at all.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

/// The page of a run.
///
/// # Errors
/// The template failed.
pub fn page(run: &Recorded) -> Result<String, PageError> {
    let power_on = run.power_on().as_secs_f64();
    let waterfall = waterfall(&run.report, &run.records, power_on);
    let entries = listing(
        &run.consoles,
        &run.records,
        &run.report,
        &waterfall,
        power_on,
    );
    let page = Page {
        policy: policy(SCRIPT),
        css: STYLE,
        script: SCRIPT,
        report: &run.report,
        verdict: verdict_class(&run.report),
        sentence: verdict_sentence(&run.report),
        begun: begun(&run.report),
        restored: run.report.stages.len() - run.report.own_stages().count(),
        faults: injected(&run.report, &waterfall),
        entries,
        uarts: uarts(run),
        shots: shots(run, &waterfall, power_on),
        requests: asked(run, &waterfall),
        bundle: run
            .files
            .iter()
            .any(|f| f == bundle::FILE_NAME)
            .then_some(bundle::FILE_NAME),
        files: files(run),
        waterfall,
    };
    Ok(page.render()?)
}

/// The faults, with the traces of each.
fn injected<'a>(report: &'a Report, waterfall: &Waterfall) -> Vec<Injected<'a>> {
    let faults = report.faults.iter().enumerate();
    let injected = faults.map(|(n, fault)| {
        let marks = waterfall.marks().filter(|mark| mark.faults.contains(&n));
        let mut seen: Vec<_> = marks.map(|mark| (mark.id, mark.end)).collect();
        seen.sort_by(|(_, a), (_, b)| a.total_cmp(b));
        Injected {
            what: &fault.what,
            seen,
        }
    });
    injected.collect()
}

/// The files beside the page, and what they hold.
fn files(run: &Recorded) -> Vec<(&str, &'static str)> {
    let names = run.files.iter().map(String::as_str);
    let others = names.filter(|name| *name != PAGE_FILE);
    others.map(|name| (name, RunFolder::about(name))).collect()
}

/// The verdict as a class of the style sheet. A run that passed after an attempt that failed is flaky: only a failed run is tried again.
pub(super) fn verdict_class(report: &Report) -> &'static str {
    match report.verdict {
        Verdict::Passed if report.turn.attempt > 1 => "flaky",
        Verdict::Passed => "passed",
        Verdict::Failed => "failed",
        Verdict::CouldNotRun => "could-not-run",
    }
}

/// The names of the serial ports; those that the report does not name have a number.
fn uarts(run: &Recorded) -> Vec<String> {
    let named = |uart: usize| match run.report.uarts.get(uart) {
        Some(name) => name.clone(),
        None => format!("UART {uart}"),
    };
    let name = |port: &Port| match &port.board {
        Some(board) => format!("{board}: {}", named(port.uart.into())),
        None => named(port.uart.into()),
    };
    let silent = (run.ports.len()..run.report.uarts.len()).map(named);
    run.ports.iter().map(name).chain(silent).collect()
}

fn shots(run: &Recorded, waterfall: &Waterfall, power_on: f64) -> Vec<Shot> {
    let mut marks = lane(waterfall, "screen").iter();
    let shots = run.records.iter().filter_map(|record| {
        let Event::Screenshot { stage, file } = &record.event else {
            return None;
        };
        let mark = marks.next()?.id;
        let png = run.screens.get(file)?;
        Some(Shot {
            mark,
            at: record.at.as_secs_f64() - power_on,
            stage: stage.clone().unwrap_or_else(|| "end of the run".into()),
            data: BASE64.encode(png),
        })
    });
    shots.collect()
}

/// The marks of a lane, in the order of the timeline.
fn lane<'a>(waterfall: &'a Waterfall, class: &str) -> &'a [Mark] {
    let row = waterfall.lanes.iter().find(|row| row.class == class);
    row.map_or(&[], |row| &row.marks)
}

fn asked(run: &Recorded, waterfall: &Waterfall) -> Vec<Asked> {
    let mut marks: Vec<&Mark> = waterfall.requests.iter().flat_map(|r| &r.marks).collect();
    // Numbered in the order of the timeline.
    marks.sort_by_key(|mark| mark.id);
    let mut asked: Vec<_> = requests(&run.records)
        .zip(marks)
        .map(|((_, request), mark)| {
            let took = request.duration.as_secs_f64();
            let rate = (took > 0.05).then(|| size((request.bytes as f64 / took) as u64) + "/s");
            Asked {
                mark: mark.id,
                at: mark.start,
                service: request.service,
                method: request.method.clone(),
                url: format!("{}{}", request.host, request.target),
                status: request.status,
                bytes: size(request.bytes),
                took,
                rate: rate.unwrap_or_default(),
                broken: !request.complete,
            }
        })
        .collect();
    asked.sort_by(|a, b| a.at.total_cmp(&b.at));
    asked
}
