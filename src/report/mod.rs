//! Reports on runs: the picture of a run, its findings, the snapshots that it is compared with, and their
//! difference. The command and the test kit use them.
//!
//! Except for the [`Store`], which reads and writes files, everything here works from texts and journals alone: the
//! same input gives the same output whatever the machine, the clock or the terminal.

mod diff;
mod failure;
pub(crate) mod figures;
mod finding;
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
pub use finding::{Evidence, Finding, FindingKind, InFile, InJournal, Source};
pub use policy::Policy;
#[cfg(feature = "cli")]
pub use sides::side_by_side;
pub use snapshot::{SnapshotError, State, Store, Wrote};
pub use timeline::timeline;
pub use verdict::{invalid, judge};

/// The style of a report: its width and its colours.
///
/// # Example
///
/// ```
/// let style = deadstop::report::Style { width: 120, ..Default::default() };
/// assert!(!style.color);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Maximum number of columns of a line. [`timeline()`] takes fewer than 40 as 40.
    pub width: usize,
    /// Whether to use the terminal's colours. Colour alone never carries a meaning.
    pub color: bool,
}

impl Default for Style {
    /// Returns a style of 80 columns, without colour.
    fn default() -> Self {
        Style {
            width: 80,
            color: false,
        }
    }
}
