//! What comes of records.
