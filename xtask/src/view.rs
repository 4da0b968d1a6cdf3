//! What the terminal shows while runs go on: one live line per run, plain lines where there is no terminal.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use shakedown_harness::timeline::{Cursor, Event, Timeline};

/// The lines of all runs.
pub(crate) struct View {
    bars: MultiProgress,
    verbose: bool,
}

/// The line of one run.
pub(crate) struct RunLine {
    bar: ProgressBar,
    bars: MultiProgress,
    name: String,
    verbose: bool,
}

impl View {
    pub(crate) fn new(verbose: bool) -> Self {
        Self {
            bars: MultiProgress::new(),
            verbose,
        }
    }

    /// Adds a line for a run of `stages` stages.
    pub(crate) fn run(&self, name: String, stages: usize) -> RunLine {
        let bar = self.bars.add(ProgressBar::new(stages as u64));
        let style =
            ProgressStyle::with_template("{prefix}  {bar:24} {pos:>2}/{len}  {elapsed:>4}  {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(name.clone());
        bar.set_message("preparing");
        bar.enable_steady_tick(Duration::from_millis(200));
        RunLine {
            bar,
            bars: self.bars.clone(),
            name,
            verbose: self.verbose,
        }
    }
}

impl RunLine {
    /// Shows what comes onto the timeline until it is dropped.
    pub(crate) async fn follow(&self, timeline: Timeline) {
        let mut cursor = Cursor::default();
        loop {
            let record = timeline.wait_for(&mut cursor, |_| true).await;
            let at = record.at.as_secs_f64();
            match record.event {
                Event::Stage { name, reached } => {
                    self.bar.inc(1);
                    self.bar.set_message(name.clone());
                    self.plain(&format!(
                        "{}  {:6.1} s  {name}",
                        self.name,
                        reached.as_secs_f64()
                    ));
                }
                Event::Serial { uart, line } if self.verbose => {
                    let text = format!("[{at:8.2}] uart{uart}: {line}");
                    self.print(&text);
                }
                _ => {}
            }
        }
    }

    /// The run has ended; its line stays.
    pub(crate) fn finish(&self, verdict: &str) {
        self.bar.finish_with_message(verdict.to_owned());
        self.plain(&format!("{}  {verdict}", self.name));
    }

    /// A line for those who have no live one.
    fn plain(&self, text: &str) {
        if self.bar.is_hidden() {
            println!("{text}");
        }
    }

    /// A line above the live ones.
    pub(crate) fn print(&self, text: &str) {
        if self.bar.is_hidden() || self.bars.println(text).is_err() {
            println!("{text}");
        }
    }
}
