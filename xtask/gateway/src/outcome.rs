//! What became of a check.

/// What became of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It holds; what was seen.
    Holds(String),
    /// It does not; what was seen instead.
    Differs(String),
    /// It cannot be made here; why.
    NotRun(String),
}

/// A check of the contract.
#[derive(Debug, Clone)]
pub struct Check {
    /// Its number, as `G04`; parts of one have letters.
    pub id: &'static str,
    /// What the contract states.
    pub states: &'static str,
    /// What became of it.
    pub outcome: Outcome,
}

impl Check {
    /// A check from what was found: `Err` says what differs.
    pub(crate) fn of(
        id: &'static str,
        states: &'static str,
        found: anyhow::Result<String>,
    ) -> Self {
        let outcome = match found {
            Ok(seen) => Outcome::Holds(seen),
            Err(error) => Outcome::Differs(format!("{error:#}")),
        };
        Self {
            id,
            states,
            outcome,
        }
    }

    /// A check that cannot be made here.
    pub(crate) fn not_run(id: &'static str, states: &'static str, why: &str) -> Self {
        let outcome = Outcome::NotRun(why.into());
        Self {
            id,
            states,
            outcome,
        }
    }
}
