//! The exit codes of the command.

use deadstop_harness::report::{Problem, ProblemKind};

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

    /// Returns the gravest exit code of these problems.
    pub fn of<'a>(problems: impl IntoIterator<Item = &'a Problem>) -> Exit {
        let problems = problems.into_iter();
        problems.fold(Exit::Well, |exit, problem| exit.and(problem.kind.into()))
    }

    /// Returns the exit code as a number.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<ProblemKind> for Exit {
    fn from(kind: ProblemKind) -> Self {
        match kind {
            ProblemKind::Internal => Exit::Internal,
            ProblemKind::Invalid => Exit::Invalid,
            ProblemKind::NotDeterministic => Exit::NotDeterministic,
            ProblemKind::Stuck
            | ProblemKind::RealTime
            | ProblemKind::TestsNothing
            | ProblemKind::Law
            | ProblemKind::Expectation
            | ProblemKind::LiveDiffers
            | ProblemKind::NotLive
            | ProblemKind::SnapshotDiffers
            | ProblemKind::SnapshotError => Exit::Failed,
            ProblemKind::SnapshotMissing
            | ProblemKind::SnapshotPending
            | ProblemKind::SnapshotUnreferenced => Exit::Snapshots,
        }
    }
}

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
