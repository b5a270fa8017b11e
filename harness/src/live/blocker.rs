//! How the thread of a body waits: in the live host, between its turns.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::turns::{TurnExtension, Turns};
use deadstop::host::Blocker;

/// Blocks one thread outside its turns, until times of the scenario.
pub(super) struct TurnBlocker {
    pub clock: Arc<Clock>,
    pub inner: Arc<dyn Blocker>,
    pub turns: Arc<Turns>,
}

impl TurnBlocker {
    /// Keeps the thread's turn open where a future waits, until the returned value is dropped.
    pub fn extend_turn(&self) -> TurnExtension {
        self.turns.extend()
    }

    /// Ends the turn, runs `wait`, and begins another turn.
    pub fn outside<R>(&self, wait: impl FnOnce() -> R) -> R {
        self.turns.outside(wait)
    }

    /// Waits in the live host until a time of the scenario, or until `told` is cancelled.
    pub fn wait_until(&self, told: &CancellationToken, until: Option<Duration>) {
        let clock = &self.clock;
        self.outside(|| {
            loop {
                let limit = until.map(|until| clock.until(until));
                self.inner.wait(told, limit);
                if until.is_none_or(|until| clock.now() >= until) || told.is_cancelled() {
                    return;
                }
            }
        });
    }
}
