//! What is found wrong with a run, a file or a snapshot: its kind, its place in the file and in the journal, and what
//! is shown with it.
//!
//! A finding has no width and no colours. The text for people, the lines of JSON, the JUnit report and the annotations
//! are renderings of it.

use std::fmt;

use crate::journal::{Event, Name};
use crate::laws::Law;
use crate::scenario::{self, Diagnostic, Scenario, Span};

use super::{Style, diff};

/// The kind of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingKind {
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
    /// This law is broken.
    Law(&'static Law),
    /// The expectation of the file with this key is not met.
    Expectation(&'static str),
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

impl FindingKind {
    /// Returns the word for the kind.
    pub const fn as_str(self) -> &'static str {
        match self {
            FindingKind::Internal => "internal",
            FindingKind::Invalid => "invalid",
            FindingKind::NotDeterministic => "not-deterministic",
            FindingKind::Stuck => "stuck",
            FindingKind::RealTime => "real-time",
            FindingKind::TestsNothing => "tests-nothing",
            FindingKind::Law(_) => "law",
            FindingKind::Expectation(_) => "expectation",
            FindingKind::LiveDiffers => "live-differs",
            FindingKind::NotLive => "not-live",
            FindingKind::SnapshotDiffers => "snapshot-differs",
            FindingKind::SnapshotError => "snapshot-error",
            FindingKind::SnapshotMissing => "snapshot-missing",
            FindingKind::SnapshotPending => "snapshot-pending",
            FindingKind::SnapshotUnreferenced => "snapshot-unreferenced",
        }
    }

    /// Returns whether something is wrong beyond a snapshot that is missing, pending or unreferenced.
    pub const fn is_failure(self) -> bool {
        !matches!(
            self,
            FindingKind::SnapshotMissing
                | FindingKind::SnapshotPending
                | FindingKind::SnapshotUnreferenced
        )
    }
}

/// Writes the word for the kind.
impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One thing that is wrong with a run, a file or a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The kind of the finding, with the law or the expectation.
    pub kind: FindingKind,
    /// What is wrong, in one sentence.
    pub message: String,
    /// The component that it is about.
    pub component: Option<Name>,
    /// The event of the journal at which it shows.
    pub at: Option<InJournal>,
    /// The place in a file: of the expectation, the component or the timeline's event, or the start of the file.
    pub place: Option<InFile>,
    /// The seed of the run.
    pub seed: Option<u64>,
    /// The command that shows it again.
    pub replay: Option<String>,
    /// What the sentence is taken from, which is shown below it.
    pub evidence: Evidence,
    /// Advice and details below the evidence. Empty, or ends with a line break.
    pub detail: String,
}

/// The event of a journal at which a finding shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InJournal {
    /// The number of the event.
    pub seq: u64,
    /// The time of the event, in milliseconds since the worker began.
    pub t: u64,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InFile {
    /// The path of the file, as the user knows it.
    pub path: String,
    /// The bytes of the file.
    pub span: Span,
    /// The line in which they begin, from 1.
    pub line: usize,
    /// The column in that line, in characters from 1.
    pub column: usize,
}

/// What a finding is taken from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Evidence {
    /// Nothing that could be shown.
    #[default]
    Nothing,
    /// Lines of the scenario's file.
    Diagnostic(Diagnostic),
    /// Two logs that should be one.
    Logs {
        /// The accepted log, or that of the first run.
        old: String,
        /// The log that differs from it.
        new: String,
    },
}

/// A scenario's file, for messages that point into it.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Its path, as the user knows it.
    pub path: &'a str,
    /// Its text.
    pub text: &'a str,
}

impl Source<'_> {
    /// Returns the place of these bytes.
    pub fn place(&self, span: Span) -> InFile {
        InFile {
            path: self.path.to_owned(),
            line: scenario::line_of(self.text, span.start),
            column: scenario::column_of(self.text, span.start),
            span,
        }
    }

    /// Returns the place of a component: its own table, or the first event of the timeline that is about it, or else
    /// the start of the file.
    pub fn place_of(&self, scenario: &Scenario, component: Option<&str>) -> InFile {
        let Some(name) = component else {
            return InFile::start(self.path);
        };
        let components = scenario.worker.components.iter().flatten();
        let declared = components
            .filter(|one| *one.name == *name)
            .map(|one| &one.span);
        let is_about = |about: Option<&Name>| about.is_some_and(|about| **about == *name);
        let events = scenario.timeline.iter();
        let about = events
            .filter(|event| is_about(event.verb.about()))
            .map(|event| &event.span);
        match declared.chain(about).next() {
            Some(span) => self.place(span.clone()),
            None => InFile::start(self.path),
        }
    }
}

impl InFile {
    /// Returns the start of a file.
    pub fn start(path: impl Into<String>) -> Self {
        InFile {
            path: path.into(),
            span: 0..0,
            line: 1,
            column: 1,
        }
    }
}

/// Writes the place as compilers do: `path:line:column`.
impl fmt::Display for InFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.path, self.line, self.column)
    }
}

impl From<&Event> for InJournal {
    fn from(event: &Event) -> Self {
        InJournal {
            seq: event.seq,
            t: event.t,
        }
    }
}

impl Finding {
    /// Creates a finding that has a sentence and nothing more.
    pub fn new(kind: FindingKind, message: impl Into<String>) -> Self {
        Finding {
            kind,
            message: message.into(),
            component: None,
            at: None,
            place: None,
            seed: None,
            replay: None,
            evidence: Evidence::Nothing,
            detail: String::new(),
        }
    }

    /// Returns the finding with its place in the file.
    #[must_use]
    pub fn in_file(mut self, place: InFile) -> Self {
        self.place = Some(place);
        self
    }

    /// Returns the finding with the event at which it shows, and the component of that event.
    #[must_use]
    pub fn in_journal(mut self, event: &Event) -> Self {
        self.at = Some(event.into());
        self.component = event.what.component().cloned();
        self
    }

    /// Returns the finding with the seed of its run, and with the place of the component that it is about unless it has
    /// a place.
    #[must_use]
    pub fn of_run(self, scenario: &Scenario, source: Source<'_>, seed: u64) -> Self {
        let component = self.component.as_deref();
        let place = self.place.clone();
        Finding {
            seed: Some(seed),
            place: place.or_else(|| Some(source.place_of(scenario, component))),
            ..self
        }
    }

    /// Returns the law that is broken, if it is about a law.
    pub fn law(&self) -> Option<&'static Law> {
        match self.kind {
            FindingKind::Law(law) => Some(law),
            _ => None,
        }
    }

    /// Returns whether it is an expectation that is not met.
    pub fn is_unmet(&self) -> bool {
        matches!(self.kind, FindingKind::Expectation(_))
    }

    /// Returns the evidence and the details below the sentence, as text. Empty, or ends with a line break.
    pub fn shown(&self, source: Source<'_>, style: Style) -> String {
        let mut shown = match &self.evidence {
            Evidence::Nothing => String::new(),
            Evidence::Diagnostic(diagnostic) => scenario::render(
                std::slice::from_ref(diagnostic),
                source.path,
                source.text,
                style.color,
            ),
            Evidence::Logs { old, new } => diff(old, new, style),
        };
        shown.push_str(&self.detail);
        shown
    }
}

/// Writes the sentence.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"title = "A pool and a db"
[worker]
components = [
  { closeable = "pool" },
  { closeable = "db" },
]
[timeline]
events = [
  { at = "5s", fail = "main", message = "no" },
  { at = "10s", signal = "SIGTERM" },
]
"#;

    fn place_of(component: Option<&str>) -> String {
        let scenario = scenario::parse("pool", TEXT).expect("the file is valid");
        let source = Source {
            path: "pool.toml",
            text: TEXT,
        };
        let place = source.place_of(&scenario, component);
        format!("{place} {}", &TEXT[place.span.clone()])
    }

    #[test]
    fn place_of_a_component_is_its_table() {
        assert_eq!(
            place_of(Some("db")),
            r#"pool.toml:5:3 { closeable = "db" }"#
        );
    }

    #[test]
    fn place_without_a_table_is_the_event_about_it() {
        let main = r#"pool.toml:9:3 { at = "5s", fail = "main", message = "no" }"#;
        assert_eq!(place_of(Some("main")), main);
    }

    #[test]
    fn place_of_an_unknown_component_is_the_start() {
        assert_eq!(place_of(Some("cache")), "pool.toml:1:1 ");
        assert_eq!(place_of(None), "pool.toml:1:1 ");
    }
}
