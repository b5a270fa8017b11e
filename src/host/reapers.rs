//! Threads that join others. A thread's code is over before the thread is: the destructors of its
//! thread-locals run after it, and may block. Std has no join with a timeout, so somebody else joins, and says
//! when the thread is gone; whoever waits for that word can wait with a bound.
//!
//! Joining takes a moment where nothing blocks, so a few reapers do for many threads. None waits behind one that is
//! held up: whenever somebody is to be joined, a reaper is idle or on its way.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::live::start_thread;

/// How long a reaper without work stays.
const LINGERS: Duration = Duration::from_secs(1);

/// A thread whose code is over, and what to do when the thread is.
struct Job {
    thread: JoinHandle<()>,
    gone: Box<dyn FnOnce() + Send>,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Reapers that wait for work.
    idle: usize,
    /// Reapers that have been started, and have not looked for work yet.
    coming: usize,
}

/// The reapers of one host.
#[derive(Default)]
pub(super) struct Reapers {
    state: Mutex<State>,
    work: Condvar,
}

impl Reapers {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a thread joined, and `gone` called then. Where no thread can be had for it, `gone` is called at once.
    pub fn join(self: &Arc<Self>, thread: JoinHandle<()>, gone: impl FnOnce() + Send + 'static) {
        let mut state = self.state();
        let gone = Box::new(gone);
        state.jobs.push_back(Job { thread, gone });
        if state.idle + state.coming > 0 {
            self.work.notify_one();
            return;
        }
        state.coming += 1;
        drop(state);
        if !self.start() {
            let job = self.state().jobs.pop_back();
            if let Some(job) = job {
                (job.gone)();
            }
        }
    }

    /// Starts a reaper that has been counted as coming.
    fn start(self: &Arc<Self>) -> bool {
        let reapers = Arc::clone(self);
        let started = start_thread("deadstop-reaper", move || reapers.reap()).is_ok();
        if !started {
            self.state().coming -= 1;
        }
        started
    }

    fn reap(self: &Arc<Self>) {
        let mut state = self.state();
        state.coming -= 1;
        loop {
            let Some(job) = state.jobs.pop_front() else {
                state.idle += 1;
                let (woken, waited) = self
                    .work
                    .wait_timeout(state, LINGERS)
                    .unwrap_or_else(PoisonError::into_inner);
                state = woken;
                state.idle -= 1;
                if waited.timed_out() && state.jobs.is_empty() {
                    return;
                }
                continue;
            };
            // This one may hold it up: the next is another's.
            let next = !state.jobs.is_empty() && state.idle + state.coming == 0;
            state.coming += usize::from(next);
            drop(state);
            if next {
                self.start();
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
        let reapers = Arc::new(Reapers::default());
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
        let mut ended: Vec<_> = (0..50).map(|_| gone.recv_timeout(GUARD)).collect();
        ended.sort_unstable_by_key(|n| n.unwrap_or(100));
        assert_eq!(ended, (0..50).map(Ok).collect::<Vec<_>>());
        assert!(gone.try_recv().is_err(), "the hung one still runs");
        drop(release);
        assert_eq!(gone.recv_timeout(GUARD), Ok(100));
    }
}
