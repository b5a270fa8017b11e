//! The journal through `tracing`: the plan's words, at the plan's levels.

use super::event::What;
use super::say::Level;
use crate::context::Sink;
use crate::host::contained;

/// Says what a worker context does through `tracing`, with the target `deadstop`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tracing;

impl Sink for Tracing {
    fn claim(&self, claim: &What) {
        trace(claim);
    }

    fn fact(&self, fact: &What) {
        trace(fact);
    }
}

/// Emits one event, if it is one that a service logs.
pub fn trace(what: &What) {
    let Some(level) = what.level() else { return };
    // A subscriber may panic: one that writes to standard error does when nobody reads it any more. It
    // must not take the stop with it, nor abort the process when a handle is dropped.
    contained(|| emit(what, level));
}

fn emit(what: &What, level: Level) {
    let mut words = String::new();
    // Writing to a string does not fail.
    let _ = what.say(&mut words, false);
    let event = what.name();
    match level {
        Level::Debug => tracing::debug!(target: "deadstop", event, "{words}"),
        Level::Info => tracing::info!(target: "deadstop", event, "{words}"),
        Level::Warn => tracing::warn!(target: "deadstop", event, "{words}"),
        Level::Error => tracing::error!(target: "deadstop", event, "{words}"),
    }
}
