//! How a scenario is run.

use crate::sim::body::bodies::Bodies;

/// The context under test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject {
    /// The library's worker context.
    #[default]
    Worker,
    /// The context of the plan as it was written, flaws included.
    Plan,
}

impl Subject {
    /// Returns the word for the subject that journals and the command line use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Subject::Worker => "worker",
            Subject::Plan => "plan",
        }
    }
}

/// Options of a run.
///
/// It is exhaustive: a caller sets what it needs, and takes the rest from the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Seed, which fixes every choice. Seed 0 takes the first of the possible choices; snapshots belong to it.
    pub seed: u64,
    /// The context under test.
    pub subject: Subject,
    /// What bodies run on. The journal does not record it, since both kinds give the same journal.
    pub bodies: Bodies,
}
