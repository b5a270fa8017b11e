//! Threads that join others. A thread's code is over before the thread is: the destructors of its
//! thread-locals run after it, and may block. Std has no join with a timeout, so somebody else joins, and says
//! when the thread is gone; whoever waits for that word can wait with a bound.
//!
//! Joining takes a moment where nothing blocks, so one reaper goes through all that wait to be joined, and a
//! second one watches it: where it comes to no next thread in time, the second takes its place. So a thousand
//! threads that end at once are joined by one, and one that does not end holds up the others by a moment.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::live::spawn;
use super::reserve::Reserve;

/// How long a reaper without work stays.
const LINGERS: Duration = Duration::from_secs(1);
/// How long one join may take before another reaper goes on with the rest.
const PATIENCE: Duration = Duration::from_millis(1);

/// A thread whose code is over, and what to do when the thread is.
struct Job {
    thread: JoinHandle<()>,
    gone: Box<dyn FnOnce() + Send>,
}

/// A turn at the threads that wait: one a join.
type Turn = u64;

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    turns: Turn,
    /// The turn of the reaper that goes through the jobs; `None` while nobody does.
    active: Option<Turn>,
    /// Reapers that look whether that turn comes to its end.
    watching: usize,
    /// Reapers that wait for work, and have not been called.
    idle: usize,
    /// Reapers that were called, and have not looked for work yet.
    called: usize,
    /// The same for those that were started.
    coming: usize,
}

impl State {
    /// Whether somebody looks after the jobs, or will, and nobody more is needed.
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

    /// Has a thread joined, and `gone` called then. Where no thread can be had for it, `gone` is called at once.
    pub fn join(self: &Arc<Self>, thread: JoinHandle<()>, gone: impl FnOnce() + Send + 'static) {
        let mut state = self.state();
        let gone = Box::new(gone);
        state.jobs.push_back(Job { thread, gone });
        self.attend(state);
    }

    /// Sees to it that somebody looks after the jobs: where a reaper goes through them, one that watches it.
    /// Where no thread can be had, the threads that wait are said to be gone.
    fn attend(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        if state.is_attended() {
            return;
        }
        if state.idle > 0 {
            state.idle -= 1;
            state.called += 1;
            drop(state);
            // Those that watch wait here too, so everybody looks.
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

    /// No thread could be had for a reaper. Others may have left their threads to it meanwhile.
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

    /// Joins what there is to join, and stays for a time where there is nothing more. A thread of the reserve does not
    /// stay.
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
                    // Whoever of the idle is first is the one that was called.
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
                // It is held up. The rest is for this one.
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
        // The first that does not come is the end of the waiting.
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
        // One asks for a thread at this moment.
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
