//! Holds an image to every rule of the specification.

mod cache;
mod esp;
mod firmware;
mod identity;
mod table;
mod volume;

use std::time::SystemTime;

use serde::Serialize;

use super::rules::{self, Level};
use super::violation::{Place, Violation};
use crate::config_txt::BoardModel;
use crate::fat::FatError;
use crate::partitions::{Partition, TableError};
use crate::source::Source;
use crate::{Disk, ImageError, distribution};

/// What to hold an image to beside what binds all.
#[derive(Debug, Clone, Copy)]
pub struct VerifyOptions<'a> {
    /// Boards with a VideoCore that the image must start on; none for a board whose firmware is not on the disk.
    pub models: &'a [BoardModel],
    /// The boards' ROM reads an MBR and nothing else.
    pub rom_reads_mbr_only: bool,
    /// The time that certificates must be valid at.
    pub now: SystemTime,
}

/// What kind of image it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageKind {
    /// Boot loader and iPXE, without a boot script.
    Prebuilt,
    /// With a boot script, and an identity where it needs one.
    Netboot,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// The kind of image; unknown when there is no EFI system partition to see it on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<ImageKind>,
    /// All violations, in the order of the rules' chapters.
    pub violations: Vec<Violation>,
    /// What breaks no rule and should be known: what the firmware passes over in silence, what an emulation leaves out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Verification {
    /// Whether no rule that binds is broken.
    #[must_use]
    pub fn conforms(&self) -> bool {
        self.violations.iter().all(|v| v.level == Level::Should)
    }
}

/// Holds an image to the specification.
///
/// # Errors
/// [`ImageError::Io`] when the image cannot be read. What is wrong with its contents is a violation.
pub fn verify(source: &Source, options: &VerifyOptions<'_>) -> Result<Verification, ImageError> {
    let mut found = Findings::default();
    let disk = match Disk::of(source) {
        Ok(disk) => disk,
        Err(ImageError::Table {
            source: TableError::Fault(fault),
            ..
        }) => {
            found.add(
                table::rule_of(&fault),
                Place::byte(fault.offset),
                fault.problem,
            );
            return Ok(found.verification(None));
        }
        Err(error) => return Err(error),
    };
    table::check(&disk, options, &mut found);
    firmware::check(&disk, options, &mut found);
    let esp = esp::check(&disk, &mut found);
    let kind = esp.as_ref().map(|esp| match esp.script {
        Some(_) => ImageKind::Netboot,
        None => ImageKind::Prebuilt,
    });
    if let Some(esp) = &esp {
        identity::check(&disk, esp, options.now, &mut found)?;
    }
    if kind.is_none() || found.broken(rules::IPXE_1) || found.broken(rules::IPXE_3) {
        found.remarks.extend(distribution::describe(&disk));
    }
    cache::check(&disk, &mut found);
    Ok(found.verification(kind))
}

/// Violations in the making.
#[derive(Default)]
struct Findings {
    violations: Vec<Violation>,
    /// Notes, each with the boards that it is about.
    notes: Vec<(String, Vec<BoardModel>)>,
    /// Notes about the image as a whole.
    remarks: Vec<String>,
}

impl Findings {
    fn add(&mut self, rule: rules::Rule, place: Place, what: impl std::fmt::Display) {
        let violation = Violation::new(rule, place, what);
        // Two boards may trip over the same thing.
        if !self.violations.contains(&violation) {
            self.violations.push(violation);
        }
    }

    /// Takes in a file that cannot be read: one that is a directory or too large breaks the rule for it, and any other fault is one
    /// of the file system.
    fn unreadable(
        &mut self,
        rule: rules::Rule,
        partition: &Partition,
        path: &str,
        error: FatError,
    ) {
        match error {
            FatError::Io { .. } | FatError::TooLarge { .. } => {
                self.add(rule, Place::file(partition, path), error);
            }
            error => self.add(rules::FAT_1, Place::partition(partition), error),
        }
    }

    fn broken(&self, rule: rules::Rule) -> bool {
        self.violations.iter().any(|v| v.rule == rule.id)
    }

    /// Takes in what must be said for a board.
    fn note(&mut self, model: BoardModel, notes: &[String]) {
        for note in notes {
            match self.notes.iter_mut().find(|(text, _)| text == note) {
                Some((_, models)) => models.push(model),
                None => self.notes.push((note.clone(), vec![model])),
            }
        }
    }

    fn verification(self, kind: Option<ImageKind>) -> Verification {
        let notes = self.notes.into_iter().map(|(text, models)| {
            let models: Vec<_> = models.iter().map(ToString::to_string).collect();
            format!("for {}: {text}", models.join(", "))
        });
        let notes = self.remarks.into_iter().chain(notes);
        Verification {
            kind,
            violations: self.violations,
            notes: notes.collect(),
        }
    }
}

#[cfg(test)]
mod tests;
