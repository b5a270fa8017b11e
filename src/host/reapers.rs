//! Threads that join other threads.
//!
//! A thread's code is over before the thread is: the destructors of its thread-locals run after the code, and may
//! block. Std has no join with a timeout. So a reaper joins the thread and reports when it is gone, and that report
//! can be awaited with a bound.
//!
//! A join takes only a moment if nothing blocks, so one reaper joins all ended threads one after another. A second
//! reaper watches it: if the first does not come to its next thread in time, the second takes over. So one reaper
//! joins a thousand threads that end at once, and a thread that does not end holds up the others by a moment only.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::reserve::ReserveThreads;
use super::thread::spawn;

/// Time that a reaper without work stays.
const IDLE_TIME: Duration = Duration::from_secs(1);
/// Longest time of one join before another reaper goes on with the rest.
const MAX_JOIN_TIME: Duration = Duration::from_millis(1);

/// A thread whose code is over, and the function to call when the thread is gone.
struct Join {
    thread: JoinHandle<()>,
    gone: Box<dyn FnOnce() + Send>,
}

/// The number of a join, from 1.
type JoinNumber = u64;

#[derive(Default)]
struct ReaperState {
    waiting: VecDeque<Join>,
    joins: JoinNumber,
    /// The current join of the reaper that joins the waiting threads; `None` if there is none.
    current: Option<JoinNumber>,
    /// Number of reapers that watch whether that join ends in time.
    watching: usize,
    /// Number of reapers that wait for work and have not been called.
    idle: usize,
    /// Number of reapers that were called and have not looked for work yet.
    called: usize,
    /// Number of reapers that were started and have not looked for work yet.
    starting: usize,
}

impl ReaperState {
    /// Returns whether enough reapers look after the waiting threads, or are about to.
    fn is_attended(&self) -> bool {
        let watched = self.current.is_some() && self.watching > 0;
        watched || self.called + self.starting > 0
    }
}

/// The reapers of one host.
pub(super) struct Reapers {
    state: Mutex<ReaperState>,
    work: Condvar,
    reserve: Arc<ReserveThreads>,
}

impl Reapers {
    pub fn new(reserve: Arc<ReserveThreads>) -> Self {
        Reapers {
            state: Mutex::default(),
            work: Condvar::new(),
            reserve,
        }
    }

    fn state(&self) -> MutexGuard<'_, ReaperState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a thread joined, and then calls `gone`. If no thread can be had for a reaper, calls `gone` at once.
    pub fn join(self: &Arc<Self>, thread: JoinHandle<()>, gone: impl FnOnce() + Send + 'static) {
        let mut state = self.state();
        let gone = Box::new(gone);
        state.waiting.push_back(Join { thread, gone });
        self.attend(state);
    }

    /// Makes sure that enough reapers look after the waiting threads: one that joins, and one that watches it. If no
    /// thread can be had, the waiting threads are reported as gone.
    fn attend(self: &Arc<Self>, mut state: MutexGuard<'_, ReaperState>) {
        if state.is_attended() {
            return;
        }
        if state.idle > 0 {
            state.idle -= 1;
            state.called += 1;
            drop(state);
            // Watching reapers wait on this condition too, so all are woken.
            self.work.notify_all();
            return;
        }
        state.starting += 1;
        drop(state);
        let (own, lent) = (Arc::clone(self), Arc::clone(self));
        let started = spawn("deadstop-reaper", move || own.reap(IDLE_TIME)).is_ok()
            || self.reserve.try_run(move || lent.reap(Duration::ZERO));
        if !started {
            self.give_up();
        }
    }

    /// Reports the waiting threads as gone, unless another reaper looks after them: no thread could be had for this
    /// one. Other callers may have left their threads to it meanwhile.
    fn give_up(&self) {
        let mut state = self.state();
        state.starting -= 1;
        if state.is_attended() {
            return;
        }
        let left = std::mem::take(&mut state.waiting);
        drop(state);
        for join in left {
            (join.gone)();
        }
    }

    /// Joins the waiting threads, and then waits for more for `idle_time`, which is zero on a thread of the reserve.
    fn reap(self: &Arc<Self>, idle_time: Duration) {
        let mut state = self.state();
        state.starting -= 1;
        let mut mine = None;
        loop {
            if state.waiting.is_empty() {
                if state.current == mine {
                    state.current = None;
                }
                mine = None;
                state.idle += 1;
                let (woken, waited) = self
                    .work
                    .wait_timeout(state, idle_time)
                    .unwrap_or_else(PoisonError::into_inner);
                state = woken;
                if state.called > 0 {
                    // The first idle reaper that wakes is the called one.
                    state.called -= 1;
                    continue;
                }
                state.idle -= 1;
                if waited.timed_out() && state.waiting.is_empty() {
                    return;
                }
                continue;
            }
            if state.current.is_some() && state.current != mine {
                let join_number = state.current;
                state.watching += 1;
                let (woken, waited) = self
                    .work
                    .wait_timeout(state, MAX_JOIN_TIME)
                    .unwrap_or_else(PoisonError::into_inner);
                state = woken;
                state.watching -= 1;
                if !waited.timed_out() || state.current != join_number || state.waiting.is_empty() {
                    continue;
                }
                // That reaper is held up. This one takes over the rest.
            }
            state.joins += 1;
            mine = Some(state.joins);
            state.current = mine;
            let Some(join) = state.waiting.pop_front() else {
                continue;
            };
            if state.waiting.is_empty() {
                drop(state);
            } else {
                self.attend(state);
            }
            let _ = join.thread.join();
            (join.gone)();
            state = self.state();
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "real threads are joined")]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const GUARD: Duration = Duration::from_secs(20);

    #[test]
    fn no_thread_waits_behind_one_that_does_not_end() {
        let reapers = Arc::new(Reapers::new(Arc::default()));
        let (release, released) = mpsc::channel::<()>();
        let (sender, gone) = mpsc::channel();
        let hung = sender.clone();
        reapers.join(
            std::thread::spawn(move || {
                let _ = released.recv();
            }),
            move || {
                let _ = hung.send(100);
            },
        );
        for n in 0..50 {
            let sender = sender.clone();
            reapers.join(std::thread::spawn(|| {}), move || {
                let _ = sender.send(n);
            });
        }
        // The first timeout ends the collecting.
        let ended: Result<Vec<_>, _> = (0..50).map(|_| gone.recv_timeout(GUARD)).collect();
        let mut ended = ended.expect("no thread waits behind the hung one");
        ended.sort_unstable();
        assert_eq!(ended, (0..50).collect::<Vec<_>>());
        assert!(gone.try_recv().is_err(), "the hung one still runs");
        drop(release);
        assert_eq!(gone.recv_timeout(GUARD), Ok(100));
    }

    #[test]
    fn threads_left_to_a_reaper_that_never_comes_are_gone() {
        let reapers = Arc::new(Reapers::new(Arc::default()));
        // A reaper is being started at this moment.
        reapers.state().starting = 1;
        let (sender, gone) = mpsc::channel();
        reapers.join(std::thread::spawn(|| {}), move || {
            let _ = sender.send(());
        });
        assert!(gone.try_recv().is_err(), "it is left to the one that comes");
        reapers.give_up();
        assert_eq!(gone.try_recv(), Ok(()));
    }
}
