//! The boards, chains and scenarios that the program brings with it: those of `boards/` and `scenarios/`, embedded at compile time. Links lead
//! from here to those folders, so that a package of this crate holds them too.

use shakedown_base::input::BuiltinFile;

include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// Boards and chains.
#[must_use]
pub const fn boards() -> &'static [BuiltinFile] {
    BOARDS
}

/// Scenarios.
#[must_use]
pub const fn scenarios() -> &'static [BuiltinFile] {
    SCENARIOS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_default_chain_needs_is_there() {
        let has = |files: &[BuiltinFile], path| files.iter().any(|f| f.path == path);
        assert!(has(boards(), "boards/raspi3b.toml"));
        assert!(has(boards(), "boards/netboot.chain.toml"));
        assert!(has(scenarios(), "scenarios/alpine-http.toml"));
    }
}
