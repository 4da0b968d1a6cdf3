//! What the terminal shows while runs go on: one live line per run, plain lines where there is no terminal, JSON for programs.
//!
//! Live lines are on standard error. Everything that stays is on standard output, which belongs to the JSON alone when that is wanted.

use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;
use console::{Style, style};
use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};
use shakedown_harness::judge::label;
use shakedown_harness::report::html::PAGE_FILE;
use shakedown_harness::report::{
    End, Report, StreamContent, StreamLine, Verdict, verdict_sentence,
};
use shakedown_harness::timeline::{Cursor, Event, Record, TIMELINE_VERSION, Timeline};
use tokio::time::timeout;

use super::say;

/// A data rate that is older than this is none.
const STALE: Duration = Duration::from_millis(1500);

/// When to use colours.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// Makes it so for the whole program.
    pub fn apply(self) {
        let on = match self {
            Self::Auto => return,
            Self::Always => true,
            Self::Never => false,
        };
        console::set_colors_enabled(on);
        console::set_colors_enabled_stderr(on);
    }
}

/// What is shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct Show {
    /// The serial ports.
    pub console: bool,
    /// Every event as a line of JSON, and nothing else on standard output.
    pub json: bool,
    /// There are several runs: lines say whose they are.
    pub several: bool,
}

/// The lines of all runs.
pub struct View {
    bars: MultiProgress,
    show: Show,
}

/// The line of one run.
pub struct RunLine {
    bar: ProgressBar,
    bars: MultiProgress,
    name: String,
    stages: Vec<String>,
    show: Show,
}

impl View {
    /// No lines yet.
    #[must_use]
    pub fn new(show: Show) -> Self {
        Self {
            bars: MultiProgress::new(),
            show,
        }
    }

    /// A line that stays, above the live ones.
    pub fn print(&self, text: &str) {
        self.bars.suspend(|| say(self.show.json, text));
    }

    /// Adds a line for a run that goes through these stages.
    #[must_use]
    pub fn run(&self, name: String, stages: Vec<String>) -> RunLine {
        let bar = self.bars.add(ProgressBar::new(stages.len() as u64));
        let template = "{prefix:.bold}  {bar:20.cyan/8}  {pos:>2}/{len}  {elapsed:>4}  {wide_msg}";
        let style = ProgressStyle::with_template(template);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("━╸─"));
        bar.set_prefix(name.clone());
        bar.set_message("preparing");
        bar.enable_steady_tick(Duration::from_millis(200));
        RunLine {
            bar,
            bars: self.bars.clone(),
            name,
            stages,
            show: self.show,
        }
    }
}

impl RunLine {
    /// Shows what comes onto the timeline until it is dropped.
    pub async fn follow(&self, timeline: Timeline) {
        let mut cursor = Cursor::default();
        let mut state = State::default();
        loop {
            let next = timeline.wait_for(&mut cursor, |_| true);
            match timeout(STALE, next).await {
                Ok(record) => self.take(&record, &mut state),
                Err(_) => state.rate = 0,
            }
            let awaited = self.stages.get(state.reached).map_or("the end", |s| s);
            let since = timeline.elapsed().saturating_sub(state.last);
            self.bar.set_message(state.message(awaited, since));
        }
    }

    fn take(&self, record: &Record, state: &mut State) {
        self.json(StreamContent::Event(record));
        match &record.event {
            Event::Traffic {
                from_board,
                to_board,
            } => state.rate = from_board + to_board,
            Event::Restored { stage, run } => {
                let place = self.stages.iter().position(|s| s == stage);
                state.reached = place.map_or(0, |place| place + 1);
                state.last = record.at;
                self.bar.set_position(state.reached as u64);
                if self.bar.is_hidden() {
                    let at = record.at.as_secs_f64();
                    let name = &self.name;
                    self.print(&format!(
                        "{name}  {at:6.1} s  goes on at {stage}, where {run} was"
                    ));
                }
            }
            Event::Stage { name, reached } => {
                state.reached += 1;
                state.last = record.at;
                self.bar.inc(1);
                if self.bar.is_hidden() {
                    let at = reached.as_secs_f64();
                    let stage = label(record.board.as_ref(), record.boot, name);
                    self.print(&format!("{}  {at:6.1} s  {stage}", self.name));
                }
            }
            Event::Serial { uart, line } if self.show.console => {
                let line = match &record.board {
                    Some(board) => &format!("{board}: {line}"),
                    None => line,
                };
                self.print(&self.console_line(record.at, *uart, line));
            }
            // A panic says so several times.
            Event::Alarm { name, .. } if !state.alarms.contains(name) => {
                state.alarms.push(name.clone());
                let text = format!("{}: {name} on the console", self.name);
                self.print(&self.style().red().apply_to(text).to_string());
            }
            _ => {}
        }
    }

    fn console_line(&self, at: Duration, uart: u8, line: &str) -> String {
        let whose = if self.show.several {
            format!("{} ", self.name)
        } else {
            String::new()
        };
        let time = format!("[{:8.2}]", at.as_secs_f64());
        let port = match uart {
            0 => self.style().blue(),
            _ => self.style().yellow(),
        };
        format!(
            "{whose}{} {} {line}",
            self.style().dim().apply_to(time),
            port.apply_to(format!("uart{uart}:"))
        )
    }

    /// The run has ended; what came of it stays.
    pub fn finish(&self, report: &Report, folder: &Path) {
        self.json(StreamContent::End(End { folder, report }));
        // An end of its own would fill the bar first, as if the board had come through.
        self.bar.disable_steady_tick();
        self.bars.remove(&self.bar);
        let (mark, look) = match report.verdict {
            // Only a run that failed is tried again.
            Verdict::Passed if report.turn.attempt > 1 => ("≈", self.style().magenta()),
            Verdict::Passed => ("✔", self.style().green()),
            Verdict::Failed => ("✘", self.style().red()),
            Verdict::CouldNotRun => ("○", self.style().yellow()),
        };
        let mark = look.bold().apply_to(mark);
        let whole = report.whole().as_secs_f64();
        let sentence = verdict_sentence(report);
        self.print(&format!("{mark} {}  {whole:.1} s  {sentence}", self.name));
        self.print(&format!("  {}", folder.join(PAGE_FILE).display()));
        for lost in &report.lost {
            let text = format!("  evidence is missing: {lost}");
            self.print(&self.style().yellow().apply_to(text).to_string());
        }
    }

    fn json(&self, content: StreamContent<'_>) {
        if self.show.json {
            let line = StreamLine {
                version: TIMELINE_VERSION,
                run: &self.name,
                content,
            };
            // Every type of it serialises; a line that did not would be missed by its reader.
            match serde_json::to_string(&line) {
                Ok(line) => say(false, &line),
                Err(e) => say(true, &format!("error: cannot write an event as JSON: {e}")),
            }
        }
    }

    /// A line that stays, above the live ones.
    pub fn print(&self, text: &str) {
        self.bars.suspend(|| say(self.show.json, text));
    }

    /// Colours for where [`Self::print`] prints.
    fn style(&self) -> Style {
        if self.show.json {
            Style::new().for_stderr()
        } else {
            Style::new().for_stdout()
        }
    }
}

/// What the live line is made from.
#[derive(Default)]
struct State {
    /// Stages that have been reached, and when the last was.
    reached: usize,
    last: Duration,
    /// Bytes in the last second.
    rate: u64,
    /// Alarms that have been shown.
    alarms: Vec<String>,
}

impl State {
    fn message(&self, awaited: &str, since: Duration) -> String {
        let rate = match self.rate {
            0..10_000 => String::new(),
            rate => format!("  {}/s", HumanBytes(rate)),
        };
        let since = style(format!("{} s", since.as_secs())).for_stderr().dim();
        let rate = style(rate).for_stderr().green();
        format!("→ {awaited}  {since}{rate}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_live_line_says_what_is_awaited_and_how_fast() {
        Color::Never.apply();
        let mut state = State::default();
        let since = Duration::from_millis(12_700);
        assert_eq!(state.message("Linux", since), "→ Linux  12 s");
        state.rate = 3 << 20;
        assert_eq!(
            state.message("kernel fetched", since),
            "→ kernel fetched  12 s  3.00 MiB/s"
        );
    }
}
