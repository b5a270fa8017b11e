//! The exit codes of the command.

use deadstop_harness::report::{Check, Finding, SnapshotFault};

/// Exit code of the command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    #[default]
    Well = 0,
    /// A law, an expectation or a snapshot failed.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// A scenario file is invalid.
    Invalid = 3,
    /// Nothing was selected.
    Nothing = 4,
    /// Snapshots are missing, pending or unreferenced, and nothing else is wrong.
    Snapshots = 5,
    /// Two runs of the same scenario differ.
    NotDeterministic = 6,
    /// Deadstop itself is at fault.
    Internal = 70,
}

impl Exit {
    /// Returns the graver of two exit codes.
    #[must_use]
    pub fn and(self, other: Exit) -> Exit {
        let rank = |exit| match exit {
            Exit::Internal => 7,
            Exit::Usage => 6,
            Exit::Invalid => 5,
            Exit::NotDeterministic => 4,
            Exit::Failed => 3,
            Exit::Snapshots => 2,
            Exit::Nothing => 1,
            Exit::Well => 0,
        };
        if rank(other) > rank(self) {
            other
        } else {
            self
        }
    }

    /// Returns the gravest exit code of these findings.
    pub fn of<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Exit {
        let findings = findings.into_iter();
        findings.fold(Exit::Well, |exit, finding| exit.and(finding.check.into()))
    }

    /// Returns the exit code as a number.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Check> for Exit {
    fn from(check: Check) -> Self {
        match check {
            Check::Internal => Exit::Internal,
            Check::File => Exit::Invalid,
            Check::Determinism => Exit::NotDeterministic,
            Check::End
            | Check::RealTime
            | Check::TestsNothing
            | Check::Law(_)
            | Check::Expectation(_)
            | Check::Live
            | Check::NotLive
            | Check::Snapshot(SnapshotFault::Differs | SnapshotFault::Error) => Exit::Failed,
            Check::Snapshot(
                SnapshotFault::Missing | SnapshotFault::Pending | SnapshotFault::Unreferenced,
            ) => Exit::Snapshots,
        }
    }
}

/// Result of a command: its exit code, or an exit code with a message for standard error.
pub type Done = Result<Exit, (Exit, String)>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_several_apply_the_gravest_wins() {
        let by_rank = [
            Exit::Internal,
            Exit::Invalid,
            Exit::NotDeterministic,
            Exit::Failed,
            Exit::Snapshots,
            Exit::Nothing,
            Exit::Well,
        ];
        assert_eq!(by_rank.map(Exit::code), [70, 3, 6, 1, 5, 4, 0]);
        for (at, graver) in by_rank.iter().enumerate() {
            for other in &by_rank[at..] {
                assert_eq!(graver.and(*other), *graver);
                assert_eq!(other.and(*graver), *graver);
            }
        }
    }
}
