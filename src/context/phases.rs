//! Stop and cleanup: their steps, in which order, in which groups, and with which bounds.

use std::sync::Arc;
use std::time::Duration;

use super::core::{Core, is_told_at_once, tell};
use super::group::{self, Group};
use super::limits::{cleanup_bound, cleanup_key, floors, stop_bound};
use super::registry::{Code, RegisteredComponent};
use crate::host::BoxFuture;
use crate::journal::ms_rounded_down;
use crate::journal::{Claim, Phase, State};

impl Core {
    /// Asks for stop, and for cleanup if `cleanup` is set. One driver does both, and goes on when all callers are
    /// gone.
    ///
    /// If the host can start nothing any more, returns a future that the caller has to drive: a stop that depends on
    /// its caller is better than none.
    #[must_use]
    pub(crate) fn shut_down(self: &Arc<Self>, cleanup: bool) -> Option<BoxFuture<()>> {
        // A call ends the pre-stop delay: its caller does not want to wait for a load balancer.
        self.pre_stop_skipped.cancel();
        self.begin_shutdown(cleanup)
    }

    /// Waits for a request, then asks for stop and cleanup. It does so on the driver, since the runtime of the caller
    /// that waits for the end may be wedged.
    #[must_use]
    pub(crate) fn shut_down_when_requested(self: &Arc<Self>) -> Option<BoxFuture<()>> {
        let request_announced = self.request_announced.clone();
        // No handle is held meanwhile: the last handle may be dropped without a stop, which also cancels the token.
        let core = Arc::downgrade(self);
        self.drive(Box::pin(async move {
            request_announced.cancelled().await;
            let Some(core) = core.upgrade() else {
                return;
            };
            core.begin_grace_and_await_announcement().await;
            if let Some(undriven) = core.shut_down_after_delay() {
                undriven.await;
            }
        }))
    }

    /// Asks for stop and cleanup; if the worker runs, after the pre-stop delay.
    #[must_use]
    fn shut_down_after_delay(self: &Arc<Self>) -> Option<BoxFuture<()>> {
        if self.registry().state != State::Running {
            self.pre_stop_skipped.cancel();
        }
        self.begin_shutdown(true)
    }

    fn begin_shutdown(self: &Arc<Self>, cleanup: bool) -> Option<BoxFuture<()>> {
        {
            let mut registry = self.registry();
            registry.stop_wanted = true;
            registry.cleanup_wanted |= cleanup;
            // While main runs, the start is the driver: it tells main first.
            if registry.has_driver || registry.state == State::Starting {
                drop(registry);
                self.driver_wake.notify_one();
                return None;
            }
            registry.has_driver = true;
        }
        let core = Arc::clone(self);
        self.drive(Box::pin(async move {
            core.await_pre_stop_delay().await;
            core.drive_shutdown().await;
        }))
    }

    /// Waits until the pre-stop delay is over. It does so on the driver, since everything runs on meanwhile, and the
    /// service's runtime may be wedged.
    async fn await_pre_stop_delay(&self) {
        let delay = self.limits.pre_stop;
        if delay.is_zero() || self.pre_stop_skipped.is_cancelled() {
            return;
        }
        let over = self.mark_grace() + delay;
        tokio::select! {
            biased;
            () = self.pre_stop_skipped.cancelled() => {}
            () = self.host.sleep_until(over) => {}
        }
    }

    /// Runs stop, unless it has run, and then cleanup, if a caller wants it.
    pub(crate) async fn drive_shutdown(self: Arc<Self>) {
        if self.stop_report.get().is_none() {
            self.stop_phase().await;
        }
        loop {
            let cleanup = {
                let mut registry = self.registry();
                let cleanup = registry.cleanup_wanted && registry.state < State::CleaningUp;
                registry.has_driver = cleanup;
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
        self.request_announced.cancelled().await;
        let instants = self.begin_grace_and_await_announcement().await;
        let mut components = {
            let mut registry = self.registry();
            registry.state = State::Stopping;
            registry.take_over_phase(true)
        };
        self.clear_running();
        self.emit(Claim::State {
            state: State::Stopping,
        });
        let wake_caller = self.wake_caller();
        for component in &mut components {
            if is_told_at_once(component) {
                let (name, id) = (component.name().clone(), component.id());
                tell(&*self.host, &wake_caller, component, || {
                    self.emit(Claim::Told { name, id })
                });
            }
        }
        let ends = instants.stop_ends;
        self.emit(Claim::PhaseStarted {
            phase: Phase::Stop,
            ends: Some(ms_rounded_down(ends)),
        });
        // Ids differ, so an unstable sort gives the same order, and needs no memory of its own.
        components.sort_unstable_by_key(|component| (component.opts.order, component.id()));
        let mut components = components.into_iter();
        let mut number = 0;
        while let Some(size) = first_group(components.as_slice()) {
            number += 1;
            let time_left = self.time_left(ends);
            let second_signal_came = self.second_signal_came();
            let steps = components.by_ref().take(size).map(|component| {
                let bound = stop_bound(
                    component.kind(),
                    component.opts.timeout,
                    time_left,
                    second_signal_came,
                );
                (component, bound)
            });
            let group = Group {
                phase: Phase::Stop,
                number,
                ends,
                floor: Duration::ZERO,
                later_floors: Duration::ZERO,
            };
            group::run(self, group, steps).await;
        }
        self.emit(Claim::PhaseEnded {
            phase: Phase::Stop,
            ends: Some(ms_rounded_down(ends)),
        });
        self.set_state(State::Stopped);
        let _ = self.stop_report.set(self.report());
    }

    async fn cleanup_phase(self: &Arc<Self>) {
        let ends = self.begin_grace().cleanup_ends;
        let mut components = {
            let mut registry = self.registry();
            registry.state = State::CleaningUp;
            registry.take_over_phase(false)
        };
        self.emit(Claim::State {
            state: State::CleaningUp,
        });
        self.emit(Claim::PhaseStarted {
            phase: Phase::Cleanup,
            ends: Some(ms_rounded_down(ends)),
        });
        let ties = self.limits.ties;
        components.sort_unstable_by_key(|component| {
            cleanup_key(component.opts.order, component.id(), ties)
        });
        let limits: Vec<_> = components
            .iter()
            .map(|component| (component.opts.timeout, component.opts.floor))
            .collect();
        let floors = floors(self.limits.reserve, &limits);
        let mut later: Duration = floors.iter().sum();
        for ((number, component), floor) in (1..).zip(components).zip(floors) {
            later = later.saturating_sub(floor);
            let second_signal_came = self.second_signal_came();
            let bound = cleanup_bound(
                component.opts.timeout,
                floor,
                self.time_left(ends),
                later,
                second_signal_came,
            );
            let group = Group {
                phase: Phase::Cleanup,
                number,
                ends,
                floor,
                later_floors: later,
            };
            group::run(self, group, [(component, bound)]).await;
        }
        self.emit(Claim::PhaseEnded {
            phase: Phase::Cleanup,
            ends: Some(ms_rounded_down(ends)),
        });
        self.set_state(State::Done);
        let _ = self.cleanup_report.set(self.report());
    }
}

/// Returns the size of the first group of these components, which are sorted; `None` if there are none.
fn first_group(components: &[RegisteredComponent]) -> Option<usize> {
    let first = components.first()?;
    let joins = |component: &&RegisteredComponent| {
        is_join(component) && component.opts.order == first.opts.order
    };
    Some(components.iter().take_while(joins).count().max(1))
}

/// Returns whether a component's step is a join or a cancel, which can share a group.
fn is_join(component: &RegisteredComponent) -> bool {
    matches!(component.code, Code::Running(_))
}
