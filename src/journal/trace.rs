//! Logs what a context reports through `tracing`.

use std::sync::{Mutex, PoisonError};

use super::level::{Level, LogFilter};
use super::sink::{Record, Sink};
use crate::words::contained;

/// A sink that logs what a worker context reports through `tracing`, with the target `deadstop`.
#[derive(Debug, Default)]
pub struct Tracing {
    filter: Mutex<LogFilter>,
}

impl Sink for Tracing {
    fn record(&self, record: &Record<'_>) {
        // A claim that is never logged needs no lock: it may be the good end of a body, and many bodies may end at
        // once.
        if record.claim.level().is_none() {
            return;
        }
        let level = self
            .filter
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next(record.claim);
        let Some(level) = level else { return };
        // A subscriber may panic, such as one that writes to a standard error without a reader. The panic must not end
        // the stop, nor abort the process when a handle is dropped.
        contained(|| emit(record, level));
    }
}

fn emit(record: &Record<'_>, level: Level) {
    let event = record.claim.name();
    match level {
        Level::Debug => tracing::debug!(target: "deadstop", event, "{record}"),
        Level::Info => tracing::info!(target: "deadstop", event, "{record}"),
        Level::Warn => tracing::warn!(target: "deadstop", event, "{record}"),
        Level::Error => tracing::error!(target: "deadstop", event, "{record}"),
    }
}
