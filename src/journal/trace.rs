//! The journal through `tracing`: the plan's words, at the plan's levels.

use std::fmt::Write;
use std::panic::Location;
use std::sync::{Mutex, PoisonError};

use super::event::What;
use super::level::{Level, Levels};
use super::names::Names;
use crate::context::Sink;
use crate::words::contained;

/// Says what a worker context does through `tracing`, with the target `deadstop`.
#[derive(Debug, Default)]
pub struct Tracing {
    levels: Mutex<Levels>,
}

impl Tracing {
    fn log(&self, what: &What, place: Option<&Location<'_>>) {
        let level = self
            .levels
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .of(what);
        log(what, level, place);
    }
}

impl Sink for Tracing {
    fn claim(&self, claim: &What) {
        self.log(claim, None);
    }

    fn claim_of(&self, claim: &What, place: &'static Location<'static>) {
        self.log(claim, Some(place));
    }

    fn fact(&self, fact: &What) {
        self.log(fact, None);
    }
}

/// Emits one event, if it is one that a service logs.
pub fn trace(what: &What) {
    log(what, what.level(), None);
}

fn log(what: &What, level: Option<Level>, place: Option<&Location<'_>>) {
    let Some(level) = level else { return };
    // A subscriber may panic: one that writes to standard error does when nobody reads it any more. It
    // must not take the stop with it, nor abort the process when a handle is dropped.
    contained(|| emit(what, level, place));
}

fn emit(what: &What, level: Level, place: Option<&Location<'_>>) {
    let mut words = String::new();
    // Writing to a string does not fail.
    let _ = what.say(&mut words, false, &Names::default());
    if let Some(place) = place {
        let _ = write!(words, ", registered at {place}");
    }
    let event = what.name();
    match level {
        Level::Debug => tracing::debug!(target: "deadstop", event, "{words}"),
        Level::Info => tracing::info!(target: "deadstop", event, "{words}"),
        Level::Warn => tracing::warn!(target: "deadstop", event, "{words}"),
        Level::Error => tracing::error!(target: "deadstop", event, "{words}"),
    }
}
