//! The checks that a run, a file and a snapshot have to pass.

use std::fmt;

use crate::laws::Law;

/// A check that failed.
///
/// It is exhaustive: a new check needs an exit code of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Deadstop itself has failed.
    Internal,
    /// The file is no scenario, or cannot be read.
    File,
    /// Two runs of the same scenario with the same seed gave two journals.
    Determinism,
    /// The run never came to an end.
    End,
    /// The code of a component kept its thread longer than its bound, in real time.
    RealTime,
    /// The test would pass whatever the worker does.
    TestsNothing,
    /// A law is broken.
    Law(&'static Law),
    /// An expectation of the file is not met: its key.
    Expectation(&'static str),
    /// A live run does not agree with the simulation.
    Live,
    /// The scenario cannot be run live, and its file does not declare that.
    NotLive,
    /// The log is not the accepted one, or the snapshots are not in order.
    Snapshot(SnapshotFault),
}

/// What is wrong with a snapshot.
///
/// It is exhaustive: a new one needs an exit code of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotFault {
    /// The log is not the one that was accepted.
    Differs,
    /// The snapshot cannot be read or written.
    Error,
    /// No log has been accepted yet.
    Missing,
    /// A log waits to be accepted.
    Pending,
    /// The snapshot belongs to no scenario.
    Unreferenced,
}

impl Check {
    /// Returns the word for the check.
    pub const fn as_str(self) -> &'static str {
        match self {
            Check::Internal => "internal",
            Check::File => "file",
            Check::Determinism => "determinism",
            Check::End => "end",
            Check::RealTime => "real-time",
            Check::TestsNothing => "tests-nothing",
            Check::Law(_) => "law",
            Check::Expectation(_) => "expectation",
            Check::Live => "live",
            Check::NotLive => "not-live",
            Check::Snapshot(SnapshotFault::Differs) => "snapshot-differs",
            Check::Snapshot(SnapshotFault::Error) => "snapshot-error",
            Check::Snapshot(SnapshotFault::Missing) => "snapshot-missing",
            Check::Snapshot(SnapshotFault::Pending) => "snapshot-pending",
            Check::Snapshot(SnapshotFault::Unreferenced) => "snapshot-unreferenced",
        }
    }
}

/// Writes the name of the law, the key of the expectation, or else the word for the check.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Check::Law(law) => f.pad(law.name),
            Check::Expectation(key) => f.pad(key),
            check => f.pad(check.as_str()),
        }
    }
}
