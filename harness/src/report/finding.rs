//! A finding: one thing that is wrong with a run, a file or a snapshot, with its place. All output is made from
//! findings: the text of the command and of the test kit, and what programs read.

mod check;
mod detail;
mod place;

pub use check::{Check, SnapshotFault};
pub use detail::Detail;
pub use place::{Place, SourceFile};

use std::fmt;
use std::sync::Arc;

use crate::journal::{Event, Name};
use crate::laws::Law;
use crate::scenario::{Diagnostic, Span};

/// One thing that is wrong with a run, a file or a snapshot.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Finding {
    /// The check that failed.
    pub check: Check,
    /// What is wrong, in one sentence.
    pub message: String,
    /// The component that it is about.
    pub component: Option<Name>,
    /// The instant at which it shows, in milliseconds since the worker began.
    pub at: Option<u64>,
    /// The number of the event of the journal at which it shows.
    pub event: Option<u64>,
    /// The file that it is about, and the place in that file.
    pub place: Option<Place>,
    /// The command that shows it again.
    pub replay: Option<String>,
    /// More about it, for people.
    pub details: Vec<Detail>,
}

impl Finding {
    /// Creates a finding that has a sentence and nothing more.
    pub fn new(check: Check, message: impl Into<String>) -> Self {
        Finding {
            check,
            message: message.into(),
            component: None,
            at: None,
            event: None,
            place: None,
            replay: None,
            details: Vec::new(),
        }
    }

    /// Creates a finding from a diagnostic of a file, whose lines are its details.
    pub fn of_diagnostic(check: Check, file: &Arc<SourceFile>, diagnostic: Diagnostic) -> Self {
        Finding::new(check, diagnostic.message.clone())
            .in_file(file, Some(diagnostic.span.clone()))
            .with(Detail::Source(Arc::clone(file), diagnostic))
    }

    /// Sets the event at which it shows, and the component of that event.
    #[must_use]
    pub fn at_event(mut self, event: &Event) -> Self {
        self.component = event.what.component().cloned();
        self.at = Some(event.t);
        self.event = Some(event.seq);
        self
    }

    /// Sets the file that it is about, and the place in that file if it has one.
    #[must_use]
    pub fn in_file(mut self, file: &Arc<SourceFile>, span: Option<Span>) -> Self {
        self.place = Some(Place {
            file: Arc::clone(file),
            span,
        });
        self
    }

    /// Adds a detail.
    #[must_use]
    pub fn with(mut self, detail: Detail) -> Self {
        self.details.push(detail);
        self
    }

    /// Returns the law that is broken, if it is about a law.
    pub fn law(&self) -> Option<&'static Law> {
        match self.check {
            Check::Law(law) => Some(law),
            _ => None,
        }
    }

    /// Returns what is wrong, in one sentence, with the name of a broken law.
    pub fn sentence(&self) -> String {
        match self.law() {
            Some(law) => format!("broken law {law}: {self}"),
            None => self.to_string(),
        }
    }

    /// Returns the line of the file, from 1.
    pub fn line(&self) -> Option<usize> {
        self.place.as_ref().and_then(Place::line)
    }

    /// Returns the column in that line, in characters from 1.
    pub fn column(&self) -> Option<usize> {
        self.place.as_ref().and_then(Place::column)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
