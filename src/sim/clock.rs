//! Virtual time: the world's own timers, and the future that waits for one.
//!
//! tokio's wheel is not used: one event on it costs several parks. The timers here are fired from the
//! hook that tokio calls when nothing else can run, and tokio's own clock is moved along with them.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::world::{self, World};

/// What happens when a timer is due.
pub(crate) enum Due {
    Wake(Waker),
    Do(Box<dyn FnOnce(&World)>),
}

/// All timers, by instant, and by the order in which they were set.
#[derive(Default)]
pub(crate) struct Timers {
    due: BTreeMap<(u64, u64), Due>,
    seq: u64,
}

impl Timers {
    pub fn set(&mut self, at: u64, due: Due) -> (u64, u64) {
        self.seq += 1;
        self.due.insert((at, self.seq), due);
        (at, self.seq)
    }

    pub fn unset(&mut self, key: (u64, u64)) {
        self.due.remove(&key);
    }

    pub fn first(&self) -> Option<u64> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes the first timer that is due.
    pub fn take_due(&mut self, now: u64) -> Option<Due> {
        let entry = self.due.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }
}

/// Waits until an instant of virtual time, in milliseconds.
pub(crate) struct Sleep {
    at: u64,
    key: Option<(u64, u64)>,
}

impl Sleep {
    pub fn until(at: u64) -> Self {
        Sleep { at, key: None }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let at = self.at;
        let key = &mut self.key;
        world::with(|world| {
            if world.now() >= at {
                if let Some(key) = key.take() {
                    world.timers.borrow_mut().unset(key);
                }
                return Poll::Ready(());
            }
            // A sleep is polled by one entity only, whose waker never changes.
            if key.is_none() {
                *key = Some(
                    world
                        .timers
                        .borrow_mut()
                        .set(at, Due::Wake(cx.waker().clone())),
                );
            }
            Poll::Pending
        })
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            world::try_with(|world| world.timers.borrow_mut().unset(key));
        }
    }
}
