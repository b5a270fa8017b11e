//! Threads that are started in advance, for the steps of a process that can start none any more.
//!
//! A step, like any other code that needs a thread at the end, first asks for a thread of its own. Only if the
//! operating system refuses one does it get a thread of the reserve, which takes the next piece of code when it is
//! done. Code for which no reserve thread is free waits, and a thread is asked for again every few milliseconds: the
//! worker's own threads end meanwhile, since they are told to.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedSender, WeakUnboundedSender};

use super::thread::spawn;
use super::{BoxFuture, ContextId, SpawnError};
use crate::journal::Id;
use crate::words::contained;

/// Number of reserve threads of each host.
///
/// A step that hangs can hold one, and a `wake` that hangs another; the third goes on. A reserve of one would be gone
/// with the first hung step, and one for each step would cost every worker more than it could ever need.
pub(super) const RESERVE_THREADS: usize = 3;

/// Interval at which a thread is asked for again while code waits for one.
const RETRY: Duration = Duration::from_millis(10);

/// Name of the reserve's threads.
const THREAD_NAME: &str = "deadstop-spare";

type ReserveCode = Box<dyn FnOnce() + Send + 'static>;

/// The step that a piece of code belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StepKey {
    pub context: ContextId,
    pub id: Id,
}

#[derive(Default)]
struct ReserveState {
    /// Number of reserve threads that wait for code and have not been given any.
    idle: usize,
    /// Code that was given to a waiting thread, which takes it at once.
    given: VecDeque<ReserveCode>,
    /// Steps that wait for a thread, each with the reason why none could be started.
    steps: VecDeque<(StepKey, ReserveCode, io::Error)>,
    /// Wakes that wait for a thread.
    wakes: VecDeque<ReserveCode>,
    /// Whether a reserve thread calls wakes. No second one does: a hung wake must not use the reserve up.
    waking: bool,
    /// Whether a thread is being asked for again.
    retrying: bool,
    /// The driver, which asks for threads again. The sender is weak, since the driver ends with its host.
    driver: Option<WeakUnboundedSender<BoxFuture<()>>>,
    closed: bool,
}

/// The reserve threads of one host.
#[derive(Default)]
pub(super) struct ReserveThreads {
    state: Mutex<ReserveState>,
    given: Condvar,
    /// Number of threads that belong to the reserve.
    threads: AtomicUsize,
}

impl ReserveThreads {
    fn state(&self) -> MutexGuard<'_, ReserveState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the threads that the reserve lacks.
    ///
    /// # Errors
    ///
    /// If a thread cannot be had. The threads that were started stay.
    pub fn start_missing(self: &Arc<Self>) -> Result<(), SpawnError> {
        while self.threads.fetch_add(1, Ordering::SeqCst) < RESERVE_THREADS {
            let reserve = Arc::clone(self);
            if let Err(error) = spawn(THREAD_NAME, move || reserve.run_thread()) {
                self.threads.fetch_sub(1, Ordering::SeqCst);
                return Err(error.into());
            }
        }
        self.threads.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    }

    /// Returns whether the reserve has fewer threads than it should.
    pub fn is_short(&self) -> bool {
        self.threads.load(Ordering::SeqCst) < RESERVE_THREADS
    }

    /// Sets the driver, which asks for threads again; the first call counts. If code waits already, it begins at once.
    pub fn set_driver(self: &Arc<Self>, driver: &UnboundedSender<BoxFuture<()>>) {
        let mut state = self.state();
        if state.driver.is_none() && !state.closed {
            state.driver = Some(driver.downgrade());
            if !state.steps.is_empty() || !state.wakes.is_empty() {
                self.retry(state);
            }
        }
    }

    /// Runs the code of a step for which no thread could be started, for the reason `why`; or queues it.
    pub fn run_step(self: &Arc<Self>, step: StepKey, code: ReserveCode, why: io::Error) {
        let mut state = self.state();
        if state.idle > 0 {
            self.give(state, code);
            return;
        }
        state.steps.push_back((step, code, why));
        self.retry(state);
    }

    /// Takes back a step's code that still waits for a thread; returns the reason why none could be started. The code
    /// is forgotten: what it holds may block when it is dropped.
    pub fn withdraw(&self, step: StepKey) -> Option<io::Error> {
        let mut state = self.state();
        let place = state.steps.iter().position(|(of, ..)| *of == step)?;
        let (_, code, why) = state.steps.remove(place)?;
        std::mem::forget(code);
        Some(why)
    }

    /// Runs a call of a `wake` for which no thread could be started; or queues it.
    pub fn run_wake(self: &Arc<Self>, wake: ReserveCode) {
        let mut state = self.state();
        state.wakes.push_back(wake);
        if state.waking {
            // It is called after the current wake, or on a thread of its own as soon as one can be had.
            self.retry(state);
        } else if state.idle > 0 {
            state.waking = true;
            let reserve = Arc::clone(self);
            self.give(state, Box::new(move || reserve.call_wakes()));
        } else {
            self.retry(state);
        }
    }

    /// Runs optional code, such as the join of a thread, if a reserve thread is left for a step. Otherwise drops
    /// the code and returns false.
    pub fn try_run(self: &Arc<Self>, code: impl FnOnce() + Send + 'static) -> bool {
        let state = self.state();
        let can = state.idle > 1;
        if can {
            self.give(state, Box::new(code));
        }
        can
    }

    /// Lets the threads end once their code is done. Code that waits for a thread never runs.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.driver = None;
        std::mem::forget(std::mem::take(&mut state.steps));
        std::mem::forget(std::mem::take(&mut state.wakes));
        drop(state);
        self.given.notify_all();
    }

    fn give(&self, mut state: MutexGuard<'_, ReserveState>, code: ReserveCode) {
        state.idle -= 1;
        state.given.push_back(code);
        drop(state);
        self.given.notify_one();
    }

    /// Runs a reserve thread: it takes the waiting code, then what it is given.
    fn run_thread(self: Arc<Self>) {
        let mut state = self.state();
        loop {
            let code = match self.next_code(&mut state) {
                Some(code) => code,
                None => {
                    state.idle += 1;
                    while state.given.is_empty() && !state.closed {
                        state = self
                            .given
                            .wait(state)
                            .unwrap_or_else(PoisonError::into_inner);
                    }
                    // The giver of the code has already taken this thread off `idle`.
                    let Some(code) = state.given.pop_front() else {
                        state.idle -= 1;
                        return;
                    };
                    code
                }
            };
            drop(state);
            contained(code);
            state = self.state();
        }
    }

    /// Returns the next waiting piece of code for a reserve thread.
    fn next_code(self: &Arc<Self>, state: &mut ReserveState) -> Option<ReserveCode> {
        if let Some((_, step, _)) = state.steps.pop_front() {
            return Some(step);
        }
        if state.waking || state.wakes.is_empty() {
            return None;
        }
        state.waking = true;
        let reserve = Arc::clone(self);
        Some(Box::new(move || reserve.call_wakes()))
    }

    /// Runs the waiting code on a thread that could be started after all.
    fn run_waiting(&self) {
        let next = || {
            let mut state = self.state();
            let step = state.steps.pop_front().map(|(_, step, _)| step);
            step.or_else(|| state.wakes.pop_front())
        };
        while let Some(code) = next() {
            contained(code);
        }
    }

    /// Calls the waiting wakes. Only one reserve thread at a time does so.
    fn call_wakes(&self) {
        loop {
            let wake = {
                let mut state = self.state();
                let wake = state.wakes.pop_front();
                state.waking = wake.is_some();
                wake
            };
            match wake {
                Some(wake) => contained(wake),
                None => return,
            };
        }
    }

    /// Asks for a thread at intervals, on the driver, until no code waits any more.
    fn retry(self: &Arc<Self>, mut state: MutexGuard<'_, ReserveState>) {
        let driver = state.driver.as_ref().and_then(|driver| driver.upgrade());
        let Some(driver) = driver.filter(|_| !state.retrying) else {
            return;
        };
        let reserve = Arc::clone(self);
        let retries = Box::pin(async move {
            loop {
                #[allow(clippy::disallowed_methods, reason = "the live host waits by tokio")]
                tokio::time::sleep(RETRY).await;
                {
                    let mut state = reserve.state();
                    if state.steps.is_empty() && state.wakes.is_empty() {
                        state.retrying = false;
                        return;
                    }
                }
                let serves = Arc::clone(&reserve);
                // A step may hang its thread, so another thread is asked for while a step waits.
                let _ = spawn(THREAD_NAME, move || serves.run_waiting());
            }
        });
        state.retrying = driver.send(retries).is_ok();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const GUARD: Duration = Duration::from_secs(20);

    /// A reserve without a driver, whose threads have all started.
    fn reserve() -> Arc<ReserveThreads> {
        let reserve = Arc::new(ReserveThreads::default());
        reserve.start_missing().expect("there are threads");
        until(|| reserve.state().idle == RESERVE_THREADS);
        reserve
    }

    /// Waits until `condition` returns true.
    #[allow(clippy::disallowed_methods, reason = "real threads are waited for")]
    fn until(condition: impl Fn() -> bool) {
        let began = std::time::Instant::now();
        while !condition() {
            assert!(began.elapsed() < GUARD, "it never is");
            std::thread::yield_now();
        }
    }

    fn step(id: Id) -> StepKey {
        let context = ContextId(1);
        StepKey { context, id }
    }

    fn refused() -> io::Error {
        io::Error::other("no more")
    }

    /// Returns code that reports when it begins, and hangs until its sender is dropped.
    fn hanging_code(sender: &mpsc::Sender<Id>, id: Id) -> (mpsc::Sender<()>, ReserveCode) {
        let (release, released) = mpsc::channel::<()>();
        let sender = sender.clone();
        let code = move || {
            let _ = sender.send(id);
            let _ = released.recv();
        };
        (release, Box::new(code))
    }

    #[test]
    fn step_beyond_the_reserve_waits_and_can_be_withdrawn() {
        let reserve = reserve();
        let (sender, begins) = mpsc::channel();
        let mut holds = Vec::new();
        for id in 1..=5 {
            let (release, code) = hanging_code(&sender, id);
            reserve.run_step(step(id), code, refused());
            holds.push(release);
        }
        let mut begun: Vec<_> = (0..RESERVE_THREADS)
            .map(|_| begins.recv_timeout(GUARD).expect("it is called"))
            .collect();
        begun.sort_unstable();
        assert_eq!(begun, [1, 2, 3]);
        assert!(reserve.withdraw(step(1)).is_none(), "it has begun");
        let why = reserve.withdraw(step(4)).map(|why| why.to_string());
        assert_eq!(why.as_deref(), Some("no more"));
        assert!(reserve.withdraw(step(4)).is_none(), "once");
        // A thread that is done takes the next.
        holds.remove(0);
        assert_eq!(begins.recv_timeout(GUARD), Ok(5));
        drop(holds);
        reserve.close();
    }

    #[test]
    fn hung_wake_holds_one_thread() {
        let reserve = reserve();
        let (sender, begins) = mpsc::channel();
        let (release, wake) = hanging_code(&sender, 0);
        reserve.run_wake(wake);
        assert_eq!(begins.recv_timeout(GUARD), Ok(0));
        // It waits behind the first wake.
        let second = sender.clone();
        reserve.run_wake(Box::new(move || {
            let _ = second.send(9);
        }));
        for id in [1, 2] {
            let (release, code) = hanging_code(&sender, id);
            reserve.run_step(step(id), code, refused());
            assert_eq!(begins.recv_timeout(GUARD), Ok(id));
            drop(release);
        }
        until(|| reserve.state().idle == RESERVE_THREADS - 1);
        assert_eq!(reserve.state().wakes.len(), 1);
        drop(release);
        assert_eq!(begins.recv_timeout(GUARD), Ok(9));
        reserve.close();
    }

    #[test]
    fn lending_leaves_a_thread_for_a_step() {
        let reserve = reserve();
        let (sender, begins) = mpsc::channel();
        let mut holds = Vec::new();
        for id in 1..=3 {
            let (release, code) = hanging_code(&sender, id);
            assert_eq!(reserve.try_run(code), id < 3, "{id}");
            holds.push(release);
        }
        let (release, code) = hanging_code(&sender, 4);
        reserve.run_step(step(4), code, refused());
        let mut begun: Vec<_> = (0..3)
            .map(|_| begins.recv_timeout(GUARD).expect("it runs"))
            .collect();
        begun.sort_unstable();
        assert_eq!(begun, [1, 2, 4]);
        drop((holds, release));
        reserve.close();
    }
}
