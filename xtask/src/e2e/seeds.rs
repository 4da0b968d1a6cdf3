//! `--chaos SEEDS`: the seeds whose plans of faults are run.

use std::ops::RangeInclusive;
use std::str::FromStr;

/// Most plans of one command.
const MOST: u64 = 1000;

/// A seed, or several in a row, the last one included: `7`, `1..25`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seeds(pub(super) RangeInclusive<u64>);

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` are no seeds: write 7, or 1..25 for the seeds from 1 to 25");
        let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
        let (first, last) = match text.split_once("..") {
            Some((first, last)) => (number(first)?, number(last.trim_start_matches('='))?),
            None => (number(text)?, number(text)?),
        };
        if last < first || last - first >= MOST {
            return Err(wrong());
        }
        Ok(Self(first..=last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_one_or_several() {
        let seeds = |text: &str| text.parse::<Seeds>().map(|Seeds(seeds)| seeds);
        assert_eq!(seeds("7"), Ok(7..=7));
        assert_eq!(seeds("1..25"), Ok(1..=25));
        assert_eq!(seeds("1..=25"), Ok(1..=25));
        for wrong in ["", "a", "1..", "5..1", "1..100000", "-1"] {
            assert!(seeds(wrong).is_err(), "{wrong}");
        }
    }
}
