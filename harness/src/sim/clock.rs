//! Virtual time: the world's own timers, and the future that waits for one.
//!
//! tokio's timer wheel is not used, since one event on it costs several parks. The hook that tokio calls when nothing
//! else can run fires the timers here. The [world](super::world) moves tokio's clock along with them, except where
//! [tokio moves it](super::foreign).

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::world::{self, World};

/// Action of a timer that is due.
pub(crate) enum TimerAction {
    Wake(Waker),
    /// Wakes an entity that only begins to wait again, which has no visible effect.
    WakeIdle(Waker),
    Call(Box<dyn FnOnce(&World) + Send>),
}

/// All timers, sorted by instant and then by the order in which they were set.
#[derive(Default)]
pub(crate) struct Timers {
    /// The timers, the first one last: few timers are set at once, and most are set for soon.
    timers: Vec<((u64, u64), TimerAction)>,
    seq: u64,
}

impl Timers {
    pub fn set(&mut self, at: u64, action: TimerAction) -> (u64, u64) {
        self.seq += 1;
        let key = (at, self.seq);
        let place = self.timers.partition_point(|(other, _)| *other > key);
        self.timers.insert(place, (key, action));
        key
    }

    pub fn unset(&mut self, key: (u64, u64)) {
        if let Ok(place) = self.timers.binary_search_by(|(other, _)| key.cmp(other)) {
            self.timers.remove(place);
        }
    }

    pub fn next_instant(&self) -> Option<u64> {
        self.timers.last().map(|((at, _), _)| *at)
    }

    /// Removes and returns the first timer, if it is due at `now`.
    pub fn take_due(&mut self, now: u64) -> Option<TimerAction> {
        if self.next_instant()? > now {
            return None;
        }
        self.timers.pop().map(|(_, action)| action)
    }
}

/// Future that waits until an instant of virtual time, in milliseconds.
pub(crate) struct Sleep {
    at: u64,
    idle: bool,
    key: Option<(u64, u64)>,
}

impl Sleep {
    pub fn until(at: u64) -> Self {
        Sleep {
            at,
            idle: false,
            key: None,
        }
    }

    /// Returns a sleep until `at` with an end that has no visible effect: a live run need not keep that instant apart
    /// from others.
    pub fn idle_until(at: u64) -> Self {
        Sleep {
            idle: true,
            ..Sleep::until(at)
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let (at, idle) = (self.at, self.idle);
        let key = &mut self.key;
        world::with(|world| {
            if world.now() >= at {
                if let Some(key) = key.take() {
                    world.timers.borrow_mut().unset(key);
                }
                return Poll::Ready(());
            }
            // A sleep is polled by one entity only, and the waker of an entity never changes.
            if key.is_none() {
                let waker = cx.waker().clone();
                let action = match idle {
                    true => TimerAction::WakeIdle(waker),
                    false => TimerAction::Wake(waker),
                };
                *key = Some(world.timers.borrow_mut().set(at, action));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_fire_by_instant_then_in_the_order_of_setting() {
        let mut timers = Timers::default();
        let set =
            |timers: &mut Timers, at| timers.set(at, TimerAction::Wake(Waker::noop().clone()));
        let late = set(&mut timers, 30);
        let first = set(&mut timers, 10);
        let second = set(&mut timers, 10);
        set(&mut timers, 20);
        assert!(first < second);
        timers.unset(late);
        timers.unset(late);
        let mut order = Vec::new();
        for now in 0..40 {
            while let Some(at) = timers.next_instant().filter(|at| *at <= now) {
                assert!(timers.take_due(now).is_some());
                order.push(at);
            }
            assert!(timers.take_due(now).is_none());
        }
        assert_eq!(order, [10, 10, 20]);
    }
}
