//! What an alarm is, as a chain file describes it.

use std::ops::Range;
use std::sync::Arc;

use regex::{RegexSet, RegexSetBuilder};
use schemars::JsonSchema;
use serde::Deserialize;
use shakedown_base::Class;

use crate::input::{Pattern, Span};

/// `[[alarm]]`: lines of the console that mean something, whatever the scenario waits for. Of the alarms that a line matches, one that is
/// harmless decides, or else the first in the file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AlarmFile {
    /// What people call it, for example `kernel panic`.
    name: String,
    /// What a matching line does to the run.
    kind: KindName,
    /// Whose fault it most likely is. Required unless the alarm is harmless.
    class: Option<Class>,
    /// Who says it.
    #[serde(default)]
    speaker: Speaker,
    /// Any of these matches the line, without the kernel's stamp and without what another program wrote into it.
    #[schemars(with = "Vec<Pattern>", length(min = 1))]
    patterns: Span<Vec<Pattern>>,
    /// Counts only after this stage of the chain has been reached.
    #[schemars(with = "Option<String>")]
    after: Option<Span<String>>,
    /// Counts only until this stage of the chain has been reached.
    #[schemars(with = "Option<String>")]
    before: Option<Span<String>>,
    /// A board says this also when the machine that emulates it is starved of CPU time.
    #[serde(default)]
    starved: bool,
    /// What the line means, in a sentence for people.
    means: String,
    /// What to do about it.
    remedy: Option<String>,
}

/// What a matching line does to the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum KindName {
    /// The run has failed.
    Fatal,
    /// The line is part of good runs too; whatever else it matches is no alarm.
    Harmless,
    /// If the run comes no further, the line says why.
    Note,
}

/// Who says a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Speaker {
    /// The kernel. In the container's section only lines with the stamp of the kernel's log count, and only if the stamp agrees with the
    /// kernel's clock.
    Kernel,
    /// A boot loader or a program: a line without the kernel's stamp. Does not count in the container's section.
    #[default]
    Other,
}

/// What a matching line does to the run, and whose fault it most likely is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlarmKind {
    /// The run has failed.
    Fatal(Class),
    /// The line is part of good runs too; whatever else it matches is no alarm.
    Harmless,
    /// If the run comes no further, the line says why.
    Note(Class),
}

/// An alarm, checked.
#[derive(Debug, Clone)]
pub struct Alarm {
    /// What people call it, for example `kernel panic`.
    pub name: String,
    /// What a matching line does to the run.
    pub kind: AlarmKind,
    /// Who says it.
    pub speaker: Speaker,
    /// A board says this also when the machine that emulates it is starved of CPU time.
    pub starved: bool,
    /// What the line means, in a sentence for people.
    pub means: String,
    /// What to do about it.
    pub remedy: Option<String>,
    /// Index of the stage in the chain after which it counts.
    after: Option<usize>,
    /// Index of the stage in the chain until which it counts.
    before: Option<usize>,
}

impl Alarm {
    /// What the line means, and what to do about it.
    #[must_use]
    pub fn advice(&self) -> String {
        match &self.remedy {
            Some(remedy) => format!("{}; {remedy}", self.means),
            None => self.means.clone(),
        }
    }
}

/// What is wrong with an `[[alarm]]`, and the bytes of the file that say it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AlarmsError {
    /// What is wrong and what to do.
    pub message: String,
    /// Where it stands in the file.
    pub span: Range<usize>,
}

/// The alarms of a chain, in the order of the file. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Alarms(Arc<List>);

#[derive(Debug, Default)]
struct List {
    /// Names of the chain's stages, in order.
    stages: Vec<String>,
    alarms: Vec<Arc<Alarm>>,
    /// All patterns; the alarm that each belongs to, by index.
    patterns: RegexSet,
    owners: Vec<usize>,
}

impl Alarms {
    /// Checks the alarms of a chain whose stages have these names, in order.
    ///
    /// # Errors
    /// An alarm names a stage that the chain lacks, lacks its class, or has no pattern.
    pub(crate) fn new(
        file: Vec<Span<AlarmFile>>,
        stages: Vec<String>,
    ) -> Result<Self, AlarmsError> {
        Self::of(file, stages, |name, stages| {
            let message = format!(
                "the chain has no stage \"{}\"; there are: {}",
                name.get_ref(),
                stages.join(", ")
            );
            Err(AlarmsError {
                message,
                span: name.span(),
            })
        })
    }

    /// The alarms of another chain for one with these stages: an alarm that counts after a stage that this chain lacks is left out.
    ///
    /// # Errors
    /// As for [`Alarms::new`], but for the stages.
    pub(crate) fn adapted(
        mut file: Vec<Span<AlarmFile>>,
        stages: Vec<String>,
    ) -> Result<Self, AlarmsError> {
        let is_there = |name: &Span<String>| stages.contains(name.get_ref());
        file.retain(|alarm| alarm.get_ref().after.as_ref().is_none_or(is_there));
        Self::of(file, stages, |_, _| Ok(None))
    }

    fn of(
        file: Vec<Span<AlarmFile>>,
        stages: Vec<String>,
        unknown: impl Fn(&Span<String>, &[String]) -> Result<Option<usize>, AlarmsError>,
    ) -> Result<Self, AlarmsError> {
        let position = |name: Option<&Span<String>>| match name {
            None => Ok(None),
            Some(name) => match stages.iter().position(|s| s == name.get_ref()) {
                Some(index) => Ok(Some(index)),
                None => unknown(name, &stages),
            },
        };
        let mut list = List::default();
        let mut texts = Vec::new();
        for alarm in file {
            let span = alarm.span();
            let alarm = alarm.into_inner();
            let wrong = |text: &str, span| AlarmsError {
                message: format!("alarm \"{}\" {text}", alarm.name),
                span,
            };
            let kind = match (alarm.kind, alarm.class) {
                (KindName::Fatal, Some(class)) => AlarmKind::Fatal(class),
                (KindName::Note, Some(class)) => AlarmKind::Note(class),
                (KindName::Harmless, None) => AlarmKind::Harmless,
                (KindName::Harmless, Some(_)) => {
                    return Err(wrong(
                        "is harmless and has a class; remove one of them",
                        span,
                    ));
                }
                (_, None) => {
                    let text = "has no class; add for example `class = \"board\"`";
                    return Err(wrong(text, span));
                }
            };
            if alarm.patterns.get_ref().is_empty() {
                return Err(wrong("has no pattern", alarm.patterns.span()));
            }
            for pattern in alarm.patterns.get_ref() {
                texts.push(pattern.as_str().to_owned());
                list.owners.push(list.alarms.len());
            }
            list.alarms.push(Arc::new(Alarm {
                after: position(alarm.after.as_ref())?,
                before: position(alarm.before.as_ref())?,
                name: alarm.name,
                kind,
                speaker: alarm.speaker,
                starved: alarm.starved,
                means: alarm.means,
                remedy: alarm.remedy,
            }));
        }
        // Each of them has been compiled by itself.
        list.patterns = RegexSetBuilder::new(&texts)
            .multi_line(true)
            .build()
            .map_err(|e| AlarmsError {
                message: format!("the patterns of all alarms are too much together: {e}"),
                span: 0..0,
            })?;
        list.stages = stages;
        Ok(Self(Arc::new(list)))
    }

    /// Every alarm, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Alarm> {
        self.0.alarms.iter().map(AsRef::as_ref)
    }

    /// The alarm that a line raises if it is said after `stage` has been reached: the first that matches and counts, unless a harmless
    /// one does.
    pub(super) fn raised_by(
        &self,
        line: &str,
        stage: Option<&str>,
        speakers: &[Speaker],
    ) -> Option<Arc<Alarm>> {
        let reached = stage.and_then(|name| self.0.stages.iter().position(|s| s == name));
        let matches = self.0.patterns.matches(line);
        let mut alarms: Vec<_> = matches
            .iter()
            .filter_map(|index| self.0.owners.get(index))
            .collect();
        alarms.dedup();
        let mut first = None;
        for alarm in alarms
            .into_iter()
            .filter_map(|owner| self.0.alarms.get(*owner))
        {
            if alarm.counts_at(reached) {
                match alarm.kind {
                    AlarmKind::Harmless => return None,
                    _ if speakers.contains(&alarm.speaker) => first = first.or(Some(alarm)),
                    _ => {}
                }
            }
        }
        first.cloned()
    }
}

impl Alarm {
    /// Whether it counts after the stage with this index in the chain has been reached.
    fn counts_at(&self, reached: Option<usize>) -> bool {
        let is_after = self.after.is_none_or(|stage| reached >= Some(stage));
        let is_before = self.before.is_none_or(|stage| reached < Some(stage));
        is_after && is_before
    }

    /// Whose fault it most likely is; `None` if it is harmless.
    #[must_use]
    pub fn class(&self) -> Option<Class> {
        match self.kind {
            AlarmKind::Fatal(class) | AlarmKind::Note(class) => Some(class),
            AlarmKind::Harmless => None,
        }
    }
}
