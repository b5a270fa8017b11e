//! The problems of a run: their kinds, and the verdict by the laws and by the file's expectations. The command adds
//! the problems with snapshots and live runs, the test kit those of its own.

use std::fmt;

use crate::journal::{Event, Name, StuckWhy, What};
use crate::laws;
use crate::scenario::{self, Scenario};

use super::Style;
use super::figures::grouped;
use crate::sim::ROWS_A_RUN;

/// The kind of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProblemKind {
    /// Deadstop itself has failed.
    Internal,
    /// The file is no scenario, or cannot be read.
    Invalid,
    /// Two runs of the same scenario with the same seed gave two journals.
    NotDeterministic,
    /// The run never came to an end.
    Stuck,
    /// The code of a component kept its thread longer than its bound, in real time.
    RealTime,
    /// The test would pass whatever the worker does.
    TestsNothing,
    /// A law is broken.
    Law,
    /// An expectation of the file is not met.
    Expectation,
    /// A live run does not agree with the simulation.
    LiveDiffers,
    /// The scenario cannot be run live, and its file does not declare that.
    NotLive,
    /// The log is not the one that was accepted.
    SnapshotDiffers,
    /// The snapshot cannot be read or written.
    SnapshotError,
    /// No log has been accepted yet.
    SnapshotMissing,
    /// A log waits to be accepted.
    SnapshotPending,
    /// A snapshot belongs to no scenario.
    SnapshotUnreferenced,
}

impl ProblemKind {
    /// Returns the word for the kind.
    pub const fn as_str(self) -> &'static str {
        match self {
            ProblemKind::Internal => "internal",
            ProblemKind::Invalid => "invalid",
            ProblemKind::NotDeterministic => "not-deterministic",
            ProblemKind::Stuck => "stuck",
            ProblemKind::RealTime => "real-time",
            ProblemKind::TestsNothing => "tests-nothing",
            ProblemKind::Law => "law",
            ProblemKind::Expectation => "expectation",
            ProblemKind::LiveDiffers => "live-differs",
            ProblemKind::NotLive => "not-live",
            ProblemKind::SnapshotDiffers => "snapshot-differs",
            ProblemKind::SnapshotError => "snapshot-error",
            ProblemKind::SnapshotMissing => "snapshot-missing",
            ProblemKind::SnapshotPending => "snapshot-pending",
            ProblemKind::SnapshotUnreferenced => "snapshot-unreferenced",
        }
    }
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One thing that is wrong with a run, a file or a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The kind of the problem.
    pub kind: ProblemKind,
    /// The law that is broken, if it is about a law.
    pub law: Option<&'static str>,
    /// What is wrong, in one sentence.
    pub message: String,
    /// The line of the file that it is about, from 1.
    pub line: Option<usize>,
    /// The column in that line, in characters from 1.
    pub column: Option<usize>,
    /// The event of the journal at which it shows.
    pub at: Option<InJournal>,
    /// Details: the lines of the file, or the difference of the logs. Empty, or ends with a line break.
    pub detail: String,
}

/// The event of a journal at which a problem shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InJournal {
    /// The number of the event.
    pub seq: u64,
    /// The time of the event, in milliseconds since the worker began.
    pub t: u64,
    /// The component that the event is about.
    pub component: Option<Name>,
}

impl InJournal {
    fn of(event: &Event) -> Self {
        InJournal {
            seq: event.seq,
            t: event.t,
            component: event.what.component().cloned(),
        }
    }
}

impl Problem {
    /// Creates a problem that has a sentence and nothing more.
    pub fn new(kind: ProblemKind, message: impl Into<String>) -> Self {
        Problem {
            kind,
            law: None,
            message: message.into(),
            line: None,
            column: None,
            at: None,
            detail: String::new(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// A scenario's file, for messages that point into it.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Its path, as the user knows it.
    pub path: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// Returns every error in a file that is no scenario.
pub fn invalid(source: Source<'_>, invalid: &scenario::Invalid, style: Style) -> Vec<Problem> {
    let problem = |diagnostic: &scenario::Diagnostic| Problem {
        line: Some(scenario::line_of(source.text, diagnostic.span.start)),
        column: Some(scenario::column_of(source.text, diagnostic.span.start)),
        detail: scenario::render(
            std::slice::from_ref(diagnostic),
            source.path,
            source.text,
            style.color,
        ),
        ..Problem::new(ProblemKind::Invalid, diagnostic.message.clone())
    };
    invalid.diagnostics.iter().map(problem).collect()
}

/// Judges a run. Returns a problem if the run is stuck, then one for each break of a law, then one for each
/// expectation that is not met.
pub fn judge(
    scenario: &Scenario,
    source: Source<'_>,
    events: &[Event],
    style: Style,
) -> Vec<Problem> {
    let broken = laws::judge(events);
    let mut names: Vec<&str> = broken.iter().map(|broken| broken.law).collect();
    names.dedup();
    let mut problems = Vec::new();
    if let Some(What::Stuck { why, name }) = events.last().map(|event| &event.what) {
        let asks =
            |event: &Event| matches!(event.what, What::Signal { .. } | What::Requested { .. });
        let message = match why {
            StuckWhy::Horizon if !events.iter().any(asks) => {
                "the run never came to an end: nothing in the file asks the worker to stop"
                    .to_owned()
            }
            StuckWhy::TooLarge => format!(
                "the run was given up ({why}): its reports have more than {} rows in all, the last of them for \
                 \"{name}\"; let fewer callers ask, or split the file",
                grouped(ROWS_A_RUN as u64)
            ),
            _ => format!("the run never came to an end ({why}): \"{name}\" is to blame"),
        };
        problems.push(Problem {
            at: events.last().map(InJournal::of),
            ..Problem::new(ProblemKind::Stuck, message)
        });
    }
    let allowed = |law: &str| {
        scenario
            .expect
            .breaks
            .value
            .iter()
            .any(|name| &**name == law)
    };
    for broken in broken.iter().filter(|broken| !allowed(broken.law)) {
        problems.push(Problem {
            law: Some(broken.law),
            at: events
                .iter()
                .find(|event| event.seq == broken.seq)
                .map(InJournal::of),
            ..Problem::new(ProblemKind::Law, broken.message.clone())
        });
    }
    for unmet in scenario::judge(scenario, events, &names) {
        problems.push(Problem {
            line: Some(scenario::line_of(source.text, unmet.span.start)),
            column: Some(scenario::column_of(source.text, unmet.span.start)),
            detail: scenario::render(&[unmet.diagnostic()], source.path, source.text, style.color),
            ..Problem::new(ProblemKind::Expectation, unmet.message)
        });
    }
    problems
}
