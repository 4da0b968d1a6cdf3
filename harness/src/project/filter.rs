//! Filters of scenarios, as people type them.
//!
//! A word is a scenario's name or a part of it; `tag:WORD` is a tag; `!` before either takes away. A run is meant that one of the
//! words means and none takes away.

use crate::scenario::{Scenario, Tier};

/// One word of a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    /// The scenario of this name, whatever its tier.
    Exactly(String),
    /// Scenarios whose name contains this.
    Contains(String),
    /// Scenarios with this tag.
    Tag(String),
}

/// What is meant, of all scenarios.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filter {
    wanted: Vec<Word>,
    unwanted: Vec<Word>,
}

impl Filter {
    /// Reads words; `is_name` says whether there is a scenario of this name.
    pub(super) fn read(words: &[String], is_name: impl Fn(&str) -> bool) -> Self {
        let mut filter = Self::default();
        for word in words {
            let (list, word) = match word.strip_prefix('!') {
                Some(word) => (&mut filter.unwanted, word),
                None => (&mut filter.wanted, word.as_str()),
            };
            list.push(match word.strip_prefix("tag:") {
                Some(tag) => Word::Tag(tag.into()),
                None if is_name(word) => Word::Exactly(word.into()),
                None => Word::Contains(word.into()),
            });
        }
        filter
    }

    /// Whether a scenario is meant; `is_usual` says whether it is when no word asks for anything.
    pub(super) fn means(&self, scenario: &Scenario, tier: Tier, is_usual: bool) -> bool {
        if self.unwanted.iter().any(|word| word.fits(scenario)) {
            return false;
        }
        let in_tier = scenario.tier <= tier;
        match &*self.wanted {
            [] => is_usual && in_tier,
            words => words
                .iter()
                .any(|word| word.fits(scenario) && (in_tier || matches!(word, Word::Exactly(_)))),
        }
    }
}

impl Word {
    fn fits(&self, scenario: &Scenario) -> bool {
        match self {
            Self::Exactly(name) => scenario.name == name.as_str(),
            Self::Contains(part) => scenario.name.contains(part.as_str()),
            Self::Tag(tag) => scenario.tags.iter().any(|t| t == tag),
        }
    }
}
