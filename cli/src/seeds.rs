//! Seeds on the command line: one, or a range.

use std::str::FromStr;

/// Maximum number of seeds of one check.
const MAX_SEEDS: u64 = 10_000_000;

/// The seeds from `first` to before `end`; seed 0 by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeds {
    first: u64,
    end: u64,
}

impl Default for Seeds {
    fn default() -> Self {
        Seeds { first: 0, end: 1 }
    }
}

impl Seeds {
    pub fn len(&self) -> u64 {
        self.end - self.first
    }

    pub fn iter(&self) -> impl Iterator<Item = u64> + use<> {
        self.first..self.end
    }
}

/// Parses one seed.
///
/// # Errors
///
/// If it is no whole number from 0; the message is for people.
pub fn one_seed(text: &str) -> Result<u64, String> {
    let wrong = |_| {
        format!(
            "{text:?} is not a seed: expected one whole number from 0; only `check` takes ranges"
        )
    };
    text.parse().map_err(wrong)
}

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            text.parse::<u64>()
                .map_err(|_| format!("{text:?} is not a whole number from 0"))
        };
        let (first, end) = match text.split_once("..") {
            None => {
                let seed = number(text)?;
                (
                    seed,
                    seed.checked_add(1)
                        .ok_or("the largest possible seed cannot be run")?,
                )
            }
            Some((first, end)) => {
                let last = match end.strip_prefix('=') {
                    Some(last) => number(last)?
                        .checked_add(1)
                        .ok_or("the largest possible seed cannot be run")?,
                    None => number(end)?,
                };
                (number(first)?, last)
            }
        };
        if first >= end {
            return Err(
                "the range is empty; write one seed, or a range like 0..100, which ends before 100"
                    .to_owned(),
            );
        }
        if end - first > MAX_SEEDS {
            return Err(format!(
                "there are more than {MAX_SEEDS} seeds; check them in parts"
            ));
        }
        Ok(Seeds { first, end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_or_a_range() {
        let seeds = |text: &str| {
            text.parse::<Seeds>()
                .map(|seeds| seeds.iter().collect::<Vec<_>>())
        };
        assert_eq!(seeds("7"), Ok(vec![7]));
        assert_eq!(seeds("2..5"), Ok(vec![2, 3, 4]));
        assert_eq!(seeds("2..=5"), Ok(vec![2, 3, 4, 5]));
        for bad in [
            "",
            "x",
            "5..5",
            "5..2",
            "..3",
            "-1",
            "1..",
            "0..99999999999",
            "18446744073709551615",
        ] {
            assert!(seeds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn range_in_place_of_one_seed_is_an_error() {
        assert_eq!(one_seed("7"), Ok(7));
        let wrong = one_seed("0..3").expect_err("it is a range");
        assert_eq!(
            wrong,
            r#""0..3" is not a seed: expected one whole number from 0; only `check` takes ranges"#
        );
    }
}
