//! Foreign worlds: those with a user's own code in them, which waits on tokio's timers and spawns on
//! tokio's executor past the world.
//!
//! tokio cannot be asked for its next timer, so the world does not move the clock here. It keeps one timer
//! of tokio's at its own next deadline, and tokio's own auto-advance goes from timer to timer. Whenever
//! nothing can run, tokio's tasks included, the world looks at what time it has become.

use std::cell::{Cell, OnceCell, RefCell};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::baton;
use super::entity::EntityId;
use super::workers::lock;
use super::world::World;
use crate::journal::Name;

/// What only a foreign world has.
#[derive(Default)]
pub(crate) struct Foreign {
    began: OnceCell<Instant>,
    /// tokio's timer at the world's next deadline, and that deadline.
    alarm: RefCell<Option<Pin<Box<Sleep>>>>,
    set_for: Cell<u64>,
    /// What listens to the tokens that tasks and bodies are told by.
    pub listening: RefCell<Vec<Pin<Box<WaitForCancellationFutureOwned>>>>,
    /// Wakes from threads that the world knows nothing of, such as those of tokio's blocking pool.
    pub outside: Arc<Outside>,
    /// What turns have cost of real time.
    pub meter: Meter,
    /// The number of entities whose task tokio still has.
    pub entities: Cell<usize>,
    pub found: RefCell<Found>,
}

/// What is found of a user's own code that no event says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The number of tasks that the context does not know and that had not ended at the end of the run.
    pub tasks: usize,
    /// The number of futures that `run_async` ran where it was called.
    pub futures: usize,
    /// The components whose code held a strong handle of the context to its end.
    pub held_handle: Vec<Name>,
    /// Since when main waits, where it does so still or was aborted.
    pub main_waits: Option<u64>,
}

/// After a turn that takes less than this in real time it is not asked how long the threads have waited for a CPU.
const SHORT: Duration = Duration::from_millis(1);

/// A turn that takes longer than this in real time is noted: no virtual time passes in it.
pub(crate) const LONG: Duration = Duration::from_millis(100);

/// Measures in real time what happens while virtual time stands still.
#[derive(Default)]
pub(crate) struct Meter {
    /// When the current turn began, or the last one ended, or the executor was last woken.
    since: Cell<Option<std::time::Instant>>,
    /// How long the threads had waited for a CPU when that was asked last.
    starved: Cell<Duration>,
}

#[allow(
    clippy::disallowed_methods,
    reason = "what takes real time is measured in real time"
)]
impl Meter {
    /// Begins a run in which the threads have waited so long already.
    pub fn begins(&self, starved: Duration) {
        self.starved.set(starved);
    }

    /// Begins to measure.
    pub fn start(&self) {
        self.since.set(Some(std::time::Instant::now()));
    }

    /// Returns how long it took, if that was long; what the threads waited for a CPU meanwhile is no part of it.
    pub fn stop(&self, starved: impl FnOnce() -> Duration) -> Option<Duration> {
        let took = self.since.take()?.elapsed();
        // Asking the kernel takes longer than most turns. In one as short as this the threads cannot have waited longer.
        if took < SHORT {
            return None;
        }
        let starved = starved();
        let waited = starved.saturating_sub(self.starved.replace(starved));
        Some(took.saturating_sub(waited)).filter(|took| *took >= LONG)
    }
}

/// Where threads outside of a world leave whom they wake, and what they asked the context for.
#[derive(Debug, Default)]
pub(crate) struct Outside {
    woken: Mutex<Vec<EntityId>>,
    executor: Mutex<Option<Waker>>,
    asked: Mutex<Option<Name>>,
}

impl Outside {
    /// Wakes an entity, and has the executor look.
    pub fn wake(&self, id: EntityId) {
        lock(&self.woken).push(id);
        let executor = lock(&self.executor).clone();
        if let Some(executor) = executor {
            executor.wake();
        }
    }

    /// The executor is woken by that.
    pub fn executor_is(&self, waker: &Waker) {
        *lock(&self.executor) = Some(waker.clone());
    }

    /// Such a thread has asked the context for that.
    pub fn asked(&self, what: impl FnOnce() -> String) {
        lock(&self.asked).get_or_insert_with(|| what().into());
    }

    /// What the first of them asked for.
    pub fn first_asked(&self) -> Option<Name> {
        lock(&self.asked).clone()
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
    /// The world begins, inside its runtime.
    pub fn begin(&self) {
        let _ = self.began.set(Instant::now());
    }

    /// Milliseconds since then.
    pub fn now(&self) -> Option<u64> {
        let began = self.began.get()?;
        u64::try_from((Instant::now() - *began).as_millis()).ok()
    }

    /// Has tokio move its clock no further than to that moment.
    fn wake_at(&self, at: u64) {
        let Some(began) = self.began.get() else {
            return;
        };
        let mut alarm = self.alarm.borrow_mut();
        let deadline = *began + Duration::from_millis(at);
        let alarm = match &mut *alarm {
            Some(alarm) if self.set_for.get() == at => alarm,
            Some(alarm) => {
                alarm.as_mut().reset(deadline);
                alarm
            }
            none => none.insert(Box::pin(tokio::time::sleep_until(deadline))),
        };
        self.set_for.set(at);
        // No waker is needed: when it is due, tokio finds nothing to run, and the world looks at its clock.
        let _ = alarm.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
}

impl World {
    /// Whether a user's own code runs here.
    pub fn is_foreign(&self) -> bool {
        self.foreign.is_some()
    }

    /// tokio may have moved its clock. It does so while its executor is at rest, and never in a body's turn: a body's
    /// thread need not look, nor could it.
    pub fn look_at_clock(&self) {
        if let Some(foreign) = &self.foreign
            && !self.is_over()
            && !baton::is_body()
            && let Some(now) = foreign.now()
        {
            self.is_now(now);
        }
    }

    /// Where tokio moves the clock, it is asked to stop at the next deadline: says whether it is tokio's.
    pub fn leaves_clock_to_tokio(&self, next: u64) -> bool {
        let Some(foreign) = &self.foreign else {
            return false;
        };
        foreign.wake_at(next);
        true
    }
}
