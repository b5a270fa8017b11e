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
    fn now(&self) -> Option<u64> {
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
        // Nobody is to be woken: when it is due, tokio finds nothing to run, and the world looks.
        let _ = alarm.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
}

impl World {
    /// Whether a user's own code runs here.
    pub fn is_foreign(&self) -> bool {
        self.foreign.is_some()
    }

    /// tokio may have moved its clock.
    pub fn look_at_clock(&self) {
        if let Some(foreign) = &self.foreign
            && !self.is_over()
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
