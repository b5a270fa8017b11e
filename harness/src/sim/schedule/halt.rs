//! The reasons why a schedule ends a run.

use std::fmt;
use std::time::Duration;

use super::point::{Candidates, Point};

/// Maximum number of candidates that a message lists by name.
const MAX_LISTED: usize = 8;

/// The reason why a schedule ended a run, which then has no journal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Halt {
    /// At a choice there are fewer candidates than the forced choice needs.
    #[error(
        "the run departs from the schedule at choice {choice}, at {}: candidate {picked} is to be taken of {candidates}",
        Instant(*at)
    )]
    TooFew {
        /// Ordinal of the choice, from 1.
        choice: usize,
        /// The virtual time.
        at: Duration,
        /// Ordinal of the candidate that the schedule takes, from 1.
        picked: u64,
        /// The number of candidates and their names, in words.
        candidates: String,
    },
    /// The candidates, or those of an earlier choice, differ from those at the recording.
    #[error(
        "the run departs from the schedule at choice {choice}, at {}: when it was recorded, the choice was not among {candidates}",
        Instant(*at)
    )]
    OtherCandidates {
        /// Ordinal of the choice, from 1.
        choice: usize,
        /// The virtual time.
        at: Duration,
        /// The number of candidates and their names, in words.
        candidates: String,
    },
    /// The run was over before all forced choices were made.
    #[error(
        "the run departs from the schedule at its end: it has {made} choices, and the schedule {forced}"
    )]
    ChoicesLeft {
        /// Number of choices in the run.
        made: usize,
        /// Number of choices in the schedule.
        forced: usize,
    },
    /// A point of a repeated run differs from the point of the first run.
    #[error("not deterministic: at point {point} {second}, but in the first run {first}")]
    NotRepeated {
        /// Ordinal of the point, from 1.
        point: usize,
        /// The first run's point, in words.
        first: String,
        /// The second run's point, in words.
        second: String,
    },
    /// The schedule answered with an index that no candidate has.
    #[error("the schedule took candidate {picked} at {}, of {candidates}", Instant(*at))]
    NoSuchCandidate {
        /// The virtual time.
        at: Duration,
        /// Ordinal of the candidate that the schedule took, from 1.
        picked: u64,
        /// The number of candidates and their names, in words.
        candidates: String,
    },
    /// The schedule does not want the rest of the run: a search has seen it before, for example.
    #[error("the schedule has cut the run short")]
    Cut,
}

impl Halt {
    /// Returns the ordinal of a candidate, from 1, for its index, from 0.
    pub(super) fn ordinal(index: usize) -> u64 {
        u64::try_from(index).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// Returns the halt for an answer that no candidate of `point` has.
    pub(crate) fn no_such_candidate(point: &Point<'_>, index: usize) -> Self {
        Halt::NoSuchCandidate {
            at: point.at(),
            picked: Halt::ordinal(index),
            candidates: listed(point.candidates()),
        }
    }
}

/// Returns the number of candidates and the names of the first of them: `3 (db, main, flusher)`.
pub(super) fn listed(candidates: Candidates<'_>) -> String {
    use fmt::Write;

    let mut text = format!("{} (", candidates.len());
    for (n, candidate) in candidates.iter().take(MAX_LISTED).enumerate() {
        let comma = if n == 0 { "" } else { ", " };
        let _ = write!(text, "{comma}{}", candidate.name);
    }
    text.push_str(if candidates.len() > MAX_LISTED {
        ", …)"
    } else {
        ")"
    });
    text
}

/// An instant in seconds, with its milliseconds.
pub(super) struct Instant(pub Duration);

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} s", self.0.as_secs(), self.0.subsec_millis())
    }
}
