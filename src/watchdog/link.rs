//! The connection of a watchdog to its context.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use tokio_util::sync::CancellationToken;

use crate::host::Host;
use crate::journal::{Claim, Record, Sink, WatchdogIs};
use crate::words::one_line;

/// The connection of a watchdog to its context.
pub(crate) struct Link {
    pub requested: CancellationToken,
    pub host: Arc<dyn Host>,
    sink: Arc<dyn Sink>,
    pub attempts: Arc<AtomicU32>,
}

impl Link {
    pub fn new(requested: CancellationToken, host: Arc<dyn Host>, sink: Arc<dyn Sink>) -> Self {
        Link {
            requested,
            host,
            sink,
            attempts: Arc::default(),
        }
    }

    /// Returns the number of failures in a row so far.
    pub fn attempts(&self) -> Arc<AtomicU32> {
        Arc::clone(&self.attempts)
    }

    pub fn claim(&self, is: WatchdogIs, attempt: u32) {
        let claim = Claim::Watchdog { is, attempt };
        self.sink.record(&Record::of(&claim));
    }

    pub fn failed(&self, attempt: u32, why: &str) {
        let is = WatchdogIs::Failed;
        let claim = Claim::Watchdog { is, attempt };
        self.sink
            .record(&Record::of(&claim).because(&one_line(&why)));
    }
}
