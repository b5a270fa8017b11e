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
mod snapshot_error;
mod style;
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
pub use snapshot::{State, Store, Wrote};
pub use snapshot_error::SnapshotError;
pub use style::Style;
pub use timeline::timeline;
pub use verdict::{invalid, judge};
