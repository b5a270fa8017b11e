//! Emits the journal's events through `tracing`, in the plan's words and at the plan's levels.

use std::fmt::{self, Display};
use std::panic::Location;
use std::sync::{Mutex, PoisonError};

use super::event::What;
use super::level::{Level, LogFilter};
use super::names::Names;
use crate::context::Sink;
use crate::words::contained;

/// A sink that logs the events of a worker context through `tracing`, with the target `deadstop`.
#[derive(Debug, Default)]
pub struct Tracing {
    filter: Mutex<LogFilter>,
}

impl Tracing {
    fn log(&self, what: &What, more: &dyn Display) {
        // An event that is never logged needs no lock: it may be the good end of a body, and many bodies may end at
        // once.
        if what.level().is_none() {
            return;
        }
        let level = self
            .filter
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next(what);
        log(what, level, more);
    }
}

impl Sink for Tracing {
    fn claim(&self, claim: &What) {
        self.log(claim, &"");
    }

    fn claim_of(&self, claim: &What, place: &'static Location<'static>) {
        self.log(claim, &format_args!(", registered at {place}"));
    }

    fn claim_why(&self, claim: &What, why: &str) {
        self.log(claim, &format_args!(": {why}"));
    }

    fn fact(&self, fact: &What) {
        self.log(fact, &"");
    }
}

/// Emits one event, if a service logs it.
pub fn trace(what: &What) {
    log(what, what.level(), &"");
}

fn log(what: &What, level: Option<Level>, more: &dyn Display) {
    let Some(level) = level else { return };
    // A subscriber may panic, such as one that writes to a standard error without a reader. The panic must not end the
    // stop, nor abort the process when a handle is dropped.
    contained(|| emit(what, level, more));
}

fn emit(what: &What, level: Level, more: &dyn Display) {
    let (event, words) = (what.name(), EventText { what, more });
    match level {
        Level::Debug => tracing::debug!(target: "deadstop", event, "{words}"),
        Level::Info => tracing::info!(target: "deadstop", event, "{words}"),
        Level::Warn => tracing::warn!(target: "deadstop", event, "{words}"),
        Level::Error => tracing::error!(target: "deadstop", event, "{words}"),
    }
}

/// An event in words; they are put together only if a subscriber reads them.
struct EventText<'a> {
    what: &'a What,
    more: &'a dyn Display,
}

impl Display for EventText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.what.write_words(f, false, &Names::default())?;
        write!(f, "{}", self.more)
    }
}
