//! Shared by the trials.
