//! Stop and cleanup: their steps, in which order, in which groups, and with which bounds.

use std::sync::Arc;
use std::time::Duration;

use super::core::{Core, is_told_at_once, tell};
use super::group::{self, Group, Step};
use super::limits::{cleanup_bound, cleanup_key, floors, ms, stop_bound};
use super::registry::{Action, Entry};
use crate::host::BoxFuture;
use crate::journal::{Phase, State, What};

impl Core {
    /// Asks for stop, and for cleanup if `cleanup` is set. One driver does both, and goes on when all callers are
    /// gone.
    ///
    /// If the host can start nothing any more, returns a future that the caller has to drive: a stop that depends on
    /// its caller is better than none.
    #[must_use]
    pub(crate) fn close(self: &Arc<Self>, cleanup: bool) -> Option<BoxFuture<()>> {
        // A call ends the pre-stop delay: its caller does not want to wait for a load balancer.
        self.undelayed.cancel();
        self.begin_close(cleanup)
    }

    /// Waits for a request, then asks for stop and cleanup. It does so on the driver, since the runtime of the caller
    /// that waits for the end may be wedged.
    #[must_use]
    pub(crate) fn close_when_requested(self: &Arc<Self>) -> Option<BoxFuture<()>> {
        let requested = self.requested.clone();
        // No handle is held meanwhile: the last handle may be dropped without a stop, which also cancels `requested`.
        let core = Arc::downgrade(self);
        self.drive(Box::pin(async move {
            requested.cancelled().await;
            let Some(core) = core.upgrade() else {
                return;
            };
            core.grace_begun().await;
            if let Some(undriven) = core.close_after_delay() {
                undriven.await;
            }
        }))
    }

    /// Asks for stop and cleanup; if the worker runs, after the pre-stop delay.
    #[must_use]
    fn close_after_delay(self: &Arc<Self>) -> Option<BoxFuture<()>> {
        if self.registry().state != State::Running {
            self.undelayed.cancel();
        }
        self.begin_close(true)
    }

    fn begin_close(self: &Arc<Self>, cleanup: bool) -> Option<BoxFuture<()>> {
        {
            let mut registry = self.registry();
            registry.want_stop = true;
            registry.want_cleanup |= cleanup;
            // While main runs, the start is the driver: it tells main first.
            if registry.closing || registry.state == State::Starting {
                drop(registry);
                self.wake.notify_one();
                return None;
            }
            registry.closing = true;
        }
        let core = Arc::clone(self);
        self.drive(Box::pin(async move {
            core.pre_stop().await;
            core.drive_close().await;
        }))
    }

    /// Waits until the pre-stop delay is over. It does so on the driver, since everything runs on meanwhile, and the
    /// service's runtime may be wedged.
    async fn pre_stop(&self) {
        let delay = self.limits.pre_stop;
        if delay.is_zero() || self.undelayed.is_cancelled() {
            return;
        }
        let over = self.mark_grace() + delay;
        tokio::select! {
            biased;
            () = self.undelayed.cancelled() => {}
            () = self.host.sleep_until(over) => {}
        }
    }

    /// Runs stop, unless it has run, and then cleanup, if a caller wants it.
    pub(crate) async fn drive_close(self: Arc<Self>) {
        if self.stopped.get().is_none() {
            self.stop_phase().await;
        }
        loop {
            let cleanup = {
                let mut registry = self.registry();
                let cleanup = registry.want_cleanup && registry.state < State::CleaningUp;
                registry.closing = cleanup;
                cleanup
            };
            if !cleanup {
                return;
            }
            self.cleanup_phase().await;
        }
    }

    async fn stop_phase(self: &Arc<Self>) {
        // Nothing is announced or done before the first request has been announced (rule 1).
        self.requested.cancelled().await;
        let instants = self.grace_begun().await;
        let mut entries = {
            let mut registry = self.registry();
            registry.state = State::Stopping;
            registry.take_phase(true)
        };
        self.clear_running();
        self.emit(What::State {
            state: State::Stopping,
        });
        let wakes = self.wakes();
        for entry in &mut entries {
            if is_told_at_once(entry) {
                let (name, id) = (entry.name.clone(), entry.id);
                tell(&*self.host, &wakes, entry, || {
                    self.emit(What::Told { name, id })
                });
            }
        }
        let ends = instants.stop_ends;
        self.emit(What::PhaseStarted {
            phase: Phase::Stop,
            ends: Some(ms(ends)),
        });
        // Ids differ, so an unstable sort gives the same order, and needs no memory of its own.
        entries.sort_unstable_by_key(|entry| (entry.order, entry.id));
        let mut entries = entries.into_iter();
        let mut number = 0;
        while let Some(size) = first_group(entries.as_slice()) {
            number += 1;
            let left = self.left(ends);
            let hurried = self.hurried();
            let steps = entries.by_ref().take(size).map(|entry| {
                let bound = stop_bound(entry.kind, entry.timeout, left, hurried);
                Step::of(entry, bound, Duration::ZERO)
            });
            let group = Group {
                phase: Phase::Stop,
                number,
                ends,
                later_floors: Duration::ZERO,
            };
            group::run(self, group, steps).await;
        }
        self.emit(What::PhaseEnded {
            phase: Phase::Stop,
            ends: Some(ms(ends)),
        });
        self.set_state(State::Stopped);
        let _ = self.stopped.set(self.report());
    }

    async fn cleanup_phase(self: &Arc<Self>) {
        let ends = self.begin_grace().cleanup_ends;
        let mut entries = {
            let mut registry = self.registry();
            registry.state = State::CleaningUp;
            registry.take_phase(false)
        };
        self.emit(What::State {
            state: State::CleaningUp,
        });
        self.emit(What::PhaseStarted {
            phase: Phase::Cleanup,
            ends: Some(ms(ends)),
        });
        let ties = self.limits.ties;
        entries.sort_unstable_by_key(|entry| cleanup_key(entry.order, entry.id, ties));
        let limits: Vec<_> = entries
            .iter()
            .map(|entry| (entry.timeout, entry.floor))
            .collect();
        let floors = floors(self.limits.reserve, &limits);
        let mut later: Duration = floors.iter().sum();
        for ((number, entry), floor) in (1..).zip(entries).zip(floors) {
            later = later.saturating_sub(floor);
            let hurried = self.hurried();
            let bound = cleanup_bound(entry.timeout, floor, self.left(ends), later, hurried);
            let group = Group {
                phase: Phase::Cleanup,
                number,
                ends,
                later_floors: later,
            };
            group::run(self, group, [Step::of(entry, bound, floor)]).await;
        }
        self.emit(What::PhaseEnded {
            phase: Phase::Cleanup,
            ends: Some(ms(ends)),
        });
        self.set_state(State::Done);
        let _ = self.cleaned.set(self.report());
    }
}

/// Returns the size of the first group of these components, which are sorted; `None` if there are none.
fn first_group(entries: &[Entry]) -> Option<usize> {
    let first = entries.first()?;
    let joins = |entry: &&Entry| is_join(entry) && entry.order == first.order;
    Some(entries.iter().take_while(joins).count().max(1))
}

/// Returns whether a component's step is a join or a cancel, which can share a group.
fn is_join(entry: &Entry) -> bool {
    matches!(entry.action, Action::Running(_))
}
