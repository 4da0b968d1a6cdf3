//! Which of several runs of the same it is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which of several runs of the same it is: a repetition was asked for, an attempt follows one that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Turn {
    /// Which repetition, from 1.
    pub repetition: u32,
    /// Which attempt of it, from 1.
    pub attempt: u32,
}

impl Default for Turn {
    /// The only one.
    fn default() -> Self {
        Self {
            repetition: 1,
            attempt: 1,
        }
    }
}

impl Turn {
    /// Whether it is a first attempt of a first repetition, as of a run that is made once.
    #[must_use]
    pub fn is_first(&self) -> bool {
        *self == Self::default()
    }
}
