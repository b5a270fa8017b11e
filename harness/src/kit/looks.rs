//! Queries on a journal, for the assertions of tests.

use std::fmt;
use std::time::Duration;

use crate::journal::{Cause, How, Kind, Name, Outcome, Phase, What, text};
use crate::laws::{self, Broken};
use crate::scenario::{all_of, did_you_mean};
use crate::sim::Journal;

/// Queries for assertions. A component has the name that it has in the journal: the second `db` is `db#2`.
impl Journal {
    /// Returns how the step of a component ended; `None` if it had none. A thread or task that ended before the stop
    /// has none.
    ///
    /// # Panics
    ///
    /// If nothing was registered by that name, unless the run is [stuck](Self::stuck): a test of an unknown name
    /// would pass for ever.
    #[track_caller]
    pub fn outcome(&self, name: &str) -> Option<Outcome> {
        self.assert_registered(name);
        self.events.iter().find_map(|event| match &event.what {
            What::StepEnded {
                name: of, outcome, ..
            } if **of == *name => Some(*outcome),
            _ => None,
        })
    }

    /// Returns how long the step of a component took; `None` if it had none.
    ///
    /// # Panics
    ///
    /// As [`outcome`](Self::outcome).
    #[track_caller]
    pub fn took(&self, name: &str) -> Option<Duration> {
        self.assert_registered(name);
        self.events.iter().find_map(|event| match &event.what {
            What::StepEnded { name: of, took, .. } if **of == *name => {
                Some(Duration::from_millis(*took))
            }
            _ => None,
        })
    }

    /// Returns the cleanup callbacks and closeables that ended well, in the order in which they ended.
    pub fn closed(&self) -> Vec<&str> {
        let closed = self.events.iter().filter_map(|event| match &event.what {
            What::StepEnded {
                phase: Phase::Cleanup,
                name,
                outcome: Outcome::Ok,
                ..
            } => Some(&**name),
            _ => None,
        });
        closed.collect()
    }

    /// Returns the components in the order of registration, each with its kind.
    pub fn registered(&self) -> Vec<(&str, Kind)> {
        let registered = self.events.iter().filter_map(|event| match &event.what {
            What::Registered(registered) => Some((&*registered.name, registered.kind)),
            _ => None,
        });
        registered.collect()
    }

    /// Returns the exit code; `None` if the run never came to an end.
    pub fn exit_code(&self) -> Option<i32> {
        self.exit().map(|(_, code, _)| code)
    }

    /// Returns why the process ended; `None` if the run never came to an end.
    pub fn cause(&self) -> Option<Cause> {
        self.exit().map(|(_, _, cause)| cause)
    }

    /// Returns when the process ended, measured from the start of the worker; `None` if the run never came to an end.
    pub fn ended_at(&self) -> Option<Duration> {
        self.exit().map(|(t, _, _)| Duration::from_millis(t))
    }

    fn exit(&self) -> Option<(u64, i32, Cause)> {
        match self.events.last()?.what {
            What::Exit { code, cause } => Some((self.events.last()?.t, code, cause)),
            _ => None,
        }
    }

    /// Returns the name of what kept the run from ever coming to an end; `None` if it is not stuck.
    pub fn stuck(&self) -> Option<&str> {
        match &self.events.last()?.what {
            What::Stuck { name, .. } => Some(name),
            _ => None,
        }
    }

    /// Returns the laws that the journal breaks.
    pub fn broken_laws(&self) -> Vec<Broken> {
        laws::judge(&self.events)
    }

    /// Returns the whole journal as text.
    pub fn log(&self) -> String {
        text(&self.events)
    }

    #[track_caller]
    fn assert_registered(&self, name: &str) {
        let names = self.events.iter().filter_map(|event| match &event.what {
            What::Registered(registered) => Some(&*registered.name),
            What::Refused { name, .. } => Some(&**name),
            _ => None,
        });
        let names: Vec<&str> = names.chain(["main"]).collect();
        if names.contains(&name) || self.stuck().is_some() {
            return;
        }
        let meant = did_you_mean(name, names.iter().copied());
        let meant = meant.map_or_else(String::new, |meant| format!(" (did you mean {meant:?}?)"));
        let names = all_of('"', names);
        panic!("no component was registered with the name {name:?}{meant}; registered are {names}");
    }

    /// Returns the error with which main failed; `None` if it did not fail.
    pub(super) fn main_failed(&self) -> Option<Name> {
        self.events.iter().find_map(|event| match &event.what {
            What::Ended {
                id: crate::journal::MAIN,
                how: How::Failed | How::Panicked,
                error,
                ..
            } => Some(error.clone().unwrap_or_else(|| "without words".into())),
            _ => None,
        })
    }
}

/// Writes the text of [`log`](Journal::log).
impl fmt::Display for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.log())
    }
}
