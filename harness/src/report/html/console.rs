//! The consoles as the page shows them: the lines of all serial ports on one clock, with what else happened between them.

use super::waterfall::{Mark, Waterfall};
use crate::console::{Colour, Style, StyledLine};
use crate::report::Report;
use crate::timeline::{Event, Record};

/// Something in the listing.
#[derive(Debug)]
pub(super) enum Entry {
    /// A line of a serial port.
    Line(Line),
    /// What the waterfall shows at this time, too.
    Mark {
        at: f64,
        id: usize,
        class: &'static str,
        text: String,
    },
    /// What some part of the harness remarked.
    Note { at: f64, text: String },
}

/// A line of a serial port.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) at: f64,
    pub(super) uart: usize,
    /// The number of the waterfall's mark for the stage that the board was in.
    pub(super) stage: usize,
    pub(super) spans: Vec<Span>,
}

/// Text of one style: classes, and colours that no class has.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) class: String,
    pub(super) style: String,
    pub(super) text: String,
}

impl Entry {
    fn at(&self) -> f64 {
        match self {
            Self::Line(line) => line.at,
            Self::Mark { at, .. } | Self::Note { at, .. } => *at,
        }
    }
}

/// Merges the consoles, the marks of the waterfall and the timeline's notes.
pub(super) fn listing(
    consoles: &[Vec<StyledLine>],
    records: &[Record],
    report: &Report,
    waterfall: &Waterfall,
    power_on: f64,
) -> Vec<Entry> {
    let stages: Vec<&Mark> = waterfall.stages.iter().flat_map(|row| &row.marks).collect();
    let stage_at = |at: f64| {
        let current = stages.iter().find(|mark| mark.end >= at);
        current.or(stages.last()).map_or(0, |mark| mark.id)
    };
    let lines = consoles.iter().enumerate().flat_map(|(uart, lines)| {
        lines.iter().map(move |line| {
            let at = line.at.as_secs_f64() - power_on;
            (uart, at, line)
        })
    });
    let mut entries: Vec<_> = lines
        .map(|(uart, at, line)| {
            Entry::Line(Line {
                at,
                uart,
                stage: stage_at(at),
                spans: line
                    .spans
                    .iter()
                    .map(|(style, text)| span(*style, text))
                    .collect(),
            })
        })
        .collect();
    entries.extend(records.iter().filter_map(|record| match &record.event {
        Event::Note { room, text } => Some(Entry::Note {
            at: record.at.as_secs_f64() - power_on,
            text: format!("{room}: {text}"),
        }),
        _ => None,
    }));
    entries.extend(waterfall.marks().map(|mark| Entry::Mark {
        // A stage is proven at its end; everything else begins.
        at: match mark.class {
            "stage" | "restored" | "missed" => mark.end,
            _ => mark.start,
        },
        id: mark.id,
        class: mark.class,
        text: match (mark.class, &report.failure) {
            ("missed", Some(failure)) => failure.cause.clone(),
            _ => mark.text.clone(),
        },
    }));
    // Stable: lines stay before the marks that they prove.
    entries.sort_by(|a, b| a.at().total_cmp(&b.at()));
    entries
}

fn span(style: Style, text: &str) -> Span {
    let (foreground, background) = if style.inverse {
        (style.background, style.foreground)
    } else {
        (style.foreground, style.background)
    };
    let mut classes = Vec::new();
    let mut css = String::new();
    let flags = [
        (style.bold, "bo"),
        (style.dim, "di"),
        (style.underline, "un"),
        // Colours that are not named still have to change places.
        (style.inverse && background.is_none(), "bx"),
        (style.inverse && foreground.is_none(), "fx"),
    ];
    classes.extend(
        flags
            .iter()
            .filter(|(on, _)| *on)
            .map(|(_, class)| (*class).to_owned()),
    );
    let sides = [(foreground, "f", "color"), (background, "b", "background")];
    for (colour, prefix, property) in sides {
        match colour {
            Some(Colour::Palette(n)) => classes.push(format!("{prefix}{n}")),
            Some(Colour::Direct(r, g, b)) => {
                css += &format!("{property}:#{r:02x}{g:02x}{b:02x};");
            }
            None => {}
        }
    }
    Span {
        class: classes.join(" "),
        style: css,
        text: text.to_owned(),
    }
}
