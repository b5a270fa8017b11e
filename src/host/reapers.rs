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

use super::live::spawn;
use super::reserve::Reserve;

/// Time that a reaper without work stays.
const LINGERS: Duration = Duration::from_secs(1);
/// Longest time of one join before another reaper goes on with the rest.
const PATIENCE: Duration = Duration::from_millis(1);

/// A thread whose code is over, and the function to call when the thread is gone.
struct Job {
    thread: JoinHandle<()>,
    gone: Box<dyn FnOnce() + Send>,
}

/// The number of a join, from 1.
type Turn = u64;

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    turns: Turn,
    /// The turn of the reaper that joins the waiting threads; `None` if there is none.
    active: Option<Turn>,
    /// Number of reapers that watch whether that turn ends in time.
    watching: usize,
    /// Number of reapers that wait for work and have not been called.
    idle: usize,
    /// Number of reapers that were called and have not looked for work yet.
    called: usize,
    /// Number of reapers that were started and have not looked for work yet.
    coming: usize,
}

impl State {
    /// Returns whether enough reapers look after the jobs, or are about to.
    fn is_attended(&self) -> bool {
        let watched = self.active.is_some() && self.watching > 0;
        watched || self.called + self.coming > 0
    }
}

/// The reapers of one host.
pub(super) struct Reapers {
    state: Mutex<State>,
    work: Condvar,
    reserve: Arc<Reserve>,
}

impl Reapers {
    pub fn new(reserve: Arc<Reserve>) -> Self {
        Reapers {
            state: Mutex::default(),
            work: Condvar::new(),
            reserve,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a thread joined, and then calls `gone`. If no thread can be had for a reaper, calls `gone` at once.
    pub fn join(self: &Arc<Self>, thread: JoinHandle<()>, gone: impl FnOnce() + Send + 'static) {
        let mut state = self.state();
        let gone = Box::new(gone);
        state.jobs.push_back(Job { thread, gone });
        self.attend(state);
    }

    /// Makes sure that enough reapers look after the jobs: one that joins, and one that watches it. If no thread can
    /// be had, the waiting threads are reported as gone.
    fn attend(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
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
        state.coming += 1;
        drop(state);
        let (own, lent) = (Arc::clone(self), Arc::clone(self));
        let started = spawn("deadstop-reaper", move || own.reap(LINGERS)).is_ok()
            || self.reserve.lend(move || lent.reap(Duration::ZERO));
        if !started {
            self.nobody_comes();
        }
    }

    /// Reports the waiting threads as gone, unless another reaper looks after them: no thread could be had for this
    /// one. Other callers may have left their threads to it meanwhile.
    fn nobody_comes(&self) {
        let mut state = self.state();
        state.coming -= 1;
        if state.is_attended() {
            return;
        }
        let left = std::mem::take(&mut state.jobs);
        drop(state);
        for job in left {
            (job.gone)();
        }
    }

    /// Joins the waiting threads, and then waits for more for `lingers`, which is zero on a thread of the reserve.
    fn reap(self: &Arc<Self>, lingers: Duration) {
        let mut state = self.state();
        state.coming -= 1;
        let mut mine = None;
        loop {
            if state.jobs.is_empty() {
                if state.active == mine {
                    state.active = None;
                }
                mine = None;
                state.idle += 1;
                let (woken, waited) = self
                    .work
                    .wait_timeout(state, lingers)
                    .unwrap_or_else(PoisonError::into_inner);
                state = woken;
                if state.called > 0 {
                    // The first idle reaper that wakes is the called one.
                    state.called -= 1;
                    continue;
                }
                state.idle -= 1;
                if waited.timed_out() && state.jobs.is_empty() {
                    return;
                }
                continue;
            }
            if state.active.is_some() && state.active != mine {
                let turn = state.active;
                state.watching += 1;
                let (woken, waited) = self
                    .work
                    .wait_timeout(state, PATIENCE)
                    .unwrap_or_else(PoisonError::into_inner);
                state = woken;
                state.watching -= 1;
                if !waited.timed_out() || state.active != turn || state.jobs.is_empty() {
                    continue;
                }
                // That reaper is held up. This one takes over the rest.
            }
            state.turns += 1;
            mine = Some(state.turns);
            state.active = mine;
            let Some(job) = state.jobs.pop_front() else {
                continue;
            };
            if state.jobs.is_empty() {
                drop(state);
            } else {
                self.attend(state);
            }
            let _ = job.thread.join();
            (job.gone)();
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
        let (says, gone) = mpsc::channel();
        let hung = says.clone();
        reapers.join(
            std::thread::spawn(move || {
                let _ = released.recv();
            }),
            move || {
                let _ = hung.send(100);
            },
        );
        for n in 0..50 {
            let says = says.clone();
            reapers.join(std::thread::spawn(|| {}), move || {
                let _ = says.send(n);
            });
        }
        // The first timeout ends the collecting.
        let ended: Result<Vec<_>, _> = (0..50).map(|_| gone.recv_timeout(GUARD)).collect();
        let mut ended = ended.expect("nobody waits behind the hung one");
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
        reapers.state().coming = 1;
        let (says, gone) = mpsc::channel();
        reapers.join(std::thread::spawn(|| {}), move || {
            let _ = says.send(());
        });
        assert!(gone.try_recv().is_err(), "it is left to the one that comes");
        reapers.nobody_comes();
        assert_eq!(gone.try_recv(), Ok(()));
    }
}
