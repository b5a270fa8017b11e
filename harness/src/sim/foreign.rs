//! Foreign worlds: worlds with a user's own code in them, which waits on tokio's timers and spawns on tokio's
//! executor past the world.
//!
//! tokio cannot be asked for its next timer, so the world does not move the clock here. It keeps one timer of tokio's
//! at its own next deadline, and tokio's auto-advance goes from timer to timer. Whenever nothing can run, tokio's
//! tasks included, the world reads the time from tokio's clock.

use std::cell::{Cell, OnceCell, RefCell};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::body::baton;
use super::guard::meter::Meter;
use super::role::EntityId;
use super::world::World;
use crate::journal::{Name, ms_rounded_down};
use crate::lock::lock;

/// State that only a foreign world has.
#[derive(Default)]
pub(crate) struct Foreign {
    began: OnceCell<Instant>,
    /// tokio's timer at the world's next deadline, which is `alarm_at`.
    alarm: RefCell<Option<Pin<Box<Sleep>>>>,
    alarm_at: Cell<u64>,
    /// Futures that wait for the tokens by which tasks and bodies are told.
    pub listening: RefCell<Vec<Pin<Box<WaitForCancellationFutureOwned>>>>,
    /// Wakes from threads that the world does not know, such as those of tokio's blocking pool.
    pub outside: Arc<OutsideMailbox>,
    /// Meter of the real time that turns take.
    pub meter: Meter,
    /// Number of entities with a task that tokio still has.
    pub entities: Cell<usize>,
    pub found: RefCell<Found>,
}

/// Findings about a user's own code that no event records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// Number of tasks that the context does not know and that had not ended at the end of the run.
    pub tasks: usize,
    /// Number of futures that `spawn_or_block_on` ran where it was called.
    pub futures: usize,
    /// Components with code that held a strong handle of the context to its end.
    pub held_handle: Vec<Name>,
    /// Instant since which main waits, in milliseconds of virtual time, if main still waits or was aborted.
    pub main_waits: Option<u64>,
}

/// Mailbox for threads outside of a world: the entities that they wake, and what they asked the context for.
#[derive(Debug, Default)]
pub(crate) struct OutsideMailbox {
    woken: Mutex<Vec<EntityId>>,
    executor: Mutex<Option<Waker>>,
    first_request: Mutex<Option<Name>>,
}

impl OutsideMailbox {
    /// Wakes an entity, and wakes the executor to make it look.
    pub fn wake(&self, id: EntityId) {
        lock(&self.woken).push(id);
        let executor = lock(&self.executor).clone();
        if let Some(executor) = executor {
            executor.wake();
        }
    }

    /// Sets the waker that wakes the executor.
    pub fn set_executor(&self, waker: &Waker) {
        *lock(&self.executor) = Some(waker.clone());
    }

    /// Records what such a thread asked the context for, unless one has asked before.
    pub fn record_request(&self, what: impl FnOnce() -> String) {
        lock(&self.first_request).get_or_insert_with(|| what().into());
    }

    /// Returns what the first of them asked for.
    pub fn first_request(&self) -> Option<Name> {
        lock(&self.first_request).clone()
    }

    pub fn take(&self) -> Vec<EntityId> {
        std::mem::take(&mut *lock(&self.woken))
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "a foreign world's time is tokio's"
)]
impl Foreign {
    /// Begins the world's time. To be called inside the world's runtime.
    pub fn begin(&self) {
        let _ = self.began.set(Instant::now());
    }

    /// Returns the milliseconds since the world began.
    pub fn now(&self) -> Option<u64> {
        let began = self.began.get()?;
        Some(ms_rounded_down(Instant::now() - *began))
    }

    /// Makes tokio move its clock no further than to `at`.
    fn wake_at(&self, at: u64) {
        let Some(began) = self.began.get() else {
            return;
        };
        let mut alarm = self.alarm.borrow_mut();
        let deadline = *began + Duration::from_millis(at);
        let alarm = match &mut *alarm {
            Some(alarm) if self.alarm_at.get() == at => alarm,
            Some(alarm) => {
                alarm.as_mut().reset(deadline);
                alarm
            }
            none => none.insert(Box::pin(tokio::time::sleep_until(deadline))),
        };
        self.alarm_at.set(at);
        // No waker is needed: when the timer is due, tokio finds nothing to run, and the world reads the clock.
        let _ = alarm.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
}

impl World {
    /// Returns whether a user's own code runs here.
    pub fn is_foreign(&self) -> bool {
        self.foreign.is_some()
    }

    /// Advances the world to the time of tokio's clock, which tokio may have moved. tokio moves it while its executor
    /// is at rest, and never in a body's turn: a body's thread need not look, and could not.
    pub fn follow_tokio_clock(&self) {
        if let Some(foreign) = &self.foreign
            && !self.is_over()
            && !baton::is_body()
            && let Some(now) = foreign.now()
        {
            self.set_now(now);
        }
    }

    /// Returns whether tokio moves the clock here; if so, asks tokio to stop at the next deadline.
    pub fn leaves_clock_to_tokio(&self, next: u64) -> bool {
        let Some(foreign) = &self.foreign else {
            return false;
        };
        foreign.wake_at(next);
        true
    }
}
