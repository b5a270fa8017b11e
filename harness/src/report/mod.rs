//! Reports: the picture of a run, the findings on it, the snapshots that it is compared with, and their
//! difference. The command and the test kit use them.
//!
//! Except for the [`Store`], which reads and writes files, everything here works from texts and journals alone: the
//! same input gives the same output whatever the machine, the clock or the terminal.

mod diff;
mod failure;
#[doc(hidden)]
pub mod figures;
mod finding;
mod paint;
mod policy;
#[cfg(all(feature = "live", unix))]
mod sides;
mod snapshot;
mod timeline;
mod verdict;
#[doc(hidden)]
pub mod whole;

pub use diff::diff;
#[doc(hidden)]
pub use failure::{differs, listed, never_struck, shown};
pub use finding::{Check, Detail, Finding, Place, SnapshotFault, SourceFile};
pub use policy::Policy;
#[cfg(all(feature = "live", unix))]
pub use sides::side_by_side;
pub use snapshot::{SnapshotError, State, Store, Wrote};
pub use timeline::timeline;
pub use verdict::{invalid, judge};

/// The style of a report: its width and its colours.
///
/// # Example
///
/// ```
/// let style = deadstop_harness::report::Style { width: 120, ..Default::default() };
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
