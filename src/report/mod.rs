//! What people read: the picture of a run, the snapshots it is compared with, and their difference.
//!
//! Everything here works from texts and journals alone, and is the same for the same input whatever
//! the machine, the clock or the terminal.

mod diff;
mod failure;
pub(crate) mod figures;
mod paint;
mod policy;
#[cfg(feature = "cli")]
mod sides;
mod snapshot;
mod timeline;
mod verdict;

pub use diff::diff;
pub(crate) use failure::{differs, never_struck, shown};
#[cfg(feature = "cli")]
pub(crate) use failure::{listed, sentence};
pub use policy::Policy;
#[cfg(feature = "cli")]
pub use sides::side_by_side;
pub use snapshot::{SnapshotError, State, Store, Wrote};
pub use timeline::timeline;
pub use verdict::{InJournal, Problem, ProblemKind, Source, invalid, judge};

/// How a report is written.
///
/// # Example
///
/// ```
/// let style = deadstop::report::Style { width: 120, ..Default::default() };
/// assert!(!style.color);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// The columns that a line may take. Fewer than 48 are taken as 48.
    pub width: usize,
    /// Whether to use the terminal's colours. Nothing is said by colour alone.
    pub color: bool,
}

impl Default for Style {
    /// 80 columns, without colour.
    fn default() -> Self {
        Style {
            width: 80,
            color: false,
        }
    }
}
