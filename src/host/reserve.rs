//! Threads that are started in advance, for the steps of a process that can start none any more.
//!
//! A step, like any other code that needs a thread at the end, first asks for a thread of its own. Only if the
//! operating system refuses one does it get a thread of the reserve, which takes the next job when it is done. A job
//! for which no reserve thread is free waits, and a thread is asked for again every few milliseconds: the worker's
//! own threads end meanwhile, since they are told to.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedSender, WeakUnboundedSender};

use super::live::spawn;
use super::{BoxFuture, ContextId, SpawnError};
use crate::journal::Id;
use crate::words::contained;

/// Number of reserve threads of each host.
///
/// A step that hangs can hold one, and a `wake` that hangs another; the third goes on. A reserve of one would be gone
/// with the first hung step, and one for each step would cost every worker more than it could ever need.
pub(super) const STANDING: usize = 3;

/// Interval at which a thread is asked for again while a job waits for one.
const RETRY: Duration = Duration::from_millis(10);

/// Name of the reserve's threads.
const SPARE: &str = "deadstop-spare";

type Job = Box<dyn FnOnce() + Send + 'static>;

/// The step whose code a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub context: ContextId,
    pub id: Id,
}

#[derive(Default)]
struct State {
    /// Number of reserve threads that wait for a job and have not been given one.
    idle: usize,
    /// Jobs that were given to a waiting thread, which takes them at once.
    given: VecDeque<Job>,
    /// Steps that wait for a thread, each with the reason why none could be started.
    steps: VecDeque<(Step, Job, io::Error)>,
    /// Wakes that wait for a thread.
    wakes: VecDeque<Job>,
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
pub(super) struct Reserve {
    state: Mutex<State>,
    given: Condvar,
    /// Number of threads that belong to the reserve.
    standing: AtomicUsize,
}

impl Reserve {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the threads that the reserve lacks.
    ///
    /// # Errors
    ///
    /// If a thread cannot be had. The threads that were started stay.
    pub fn fill(self: &Arc<Self>) -> Result<(), SpawnError> {
        while self.standing.fetch_add(1, Ordering::SeqCst) < STANDING {
            let reserve = Arc::clone(self);
            if let Err(error) = spawn(SPARE, move || reserve.stand()) {
                self.standing.fetch_sub(1, Ordering::SeqCst);
                return Err(error.into());
            }
        }
        self.standing.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    }

    /// Returns whether the reserve has fewer threads than it should.
    pub fn is_short(&self) -> bool {
        self.standing.load(Ordering::SeqCst) < STANDING
    }

    /// Sets the driver, which asks for threads again; the first call counts. If jobs wait already, it begins at once.
    pub fn retry_on(self: &Arc<Self>, driver: &UnboundedSender<BoxFuture<()>>) {
        let mut state = self.state();
        if state.driver.is_none() && !state.closed {
            state.driver = Some(driver.downgrade());
            if !state.steps.is_empty() || !state.wakes.is_empty() {
                self.retry(state);
            }
        }
    }

    /// Runs the code of a step for which no thread could be started, for the reason `why`; or queues it.
    pub fn run_step(self: &Arc<Self>, step: Step, job: Job, why: io::Error) {
        let mut state = self.state();
        if state.idle > 0 {
            self.give(state, job);
            return;
        }
        state.steps.push_back((step, job, why));
        self.retry(state);
    }

    /// Takes back a step's code that still waits for a thread; returns the reason why none could be started. The code
    /// is forgotten: what it holds may block when it is dropped.
    pub fn withdraw(&self, step: Step) -> Option<io::Error> {
        let mut state = self.state();
        let place = state.steps.iter().position(|(of, ..)| *of == step)?;
        let (_, job, why) = state.steps.remove(place)?;
        std::mem::forget(job);
        Some(why)
    }

    /// Runs a call of a `wake` for which no thread could be started; or queues it.
    pub fn run_wake(self: &Arc<Self>, wake: Job) {
        let mut state = self.state();
        state.wakes.push_back(wake);
        if state.waking {
            // It is called after the current wake, or on a thread of its own as soon as one can be had.
            self.retry(state);
        } else if state.idle > 0 {
            state.waking = true;
            let reserve = Arc::clone(self);
            self.give(state, Box::new(move || reserve.wake()));
        } else {
            self.retry(state);
        }
    }

    /// Runs an optional job, such as the join of a thread, if a reserve thread is left for a step. Otherwise drops
    /// the job and returns false.
    pub fn lend(self: &Arc<Self>, job: impl FnOnce() + Send + 'static) -> bool {
        let state = self.state();
        let can = state.idle > 1;
        if can {
            self.give(state, Box::new(job));
        }
        can
    }

    /// Lets the threads end once their jobs are done. Jobs that wait for a thread never run.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.driver = None;
        std::mem::forget(std::mem::take(&mut state.steps));
        std::mem::forget(std::mem::take(&mut state.wakes));
        drop(state);
        self.given.notify_all();
    }

    fn give(&self, mut state: MutexGuard<'_, State>, job: Job) {
        state.idle -= 1;
        state.given.push_back(job);
        drop(state);
        self.given.notify_one();
    }

    /// Runs a reserve thread: it takes the waiting jobs, then those that it is given.
    fn stand(self: Arc<Self>) {
        let mut state = self.state();
        loop {
            let job = match self.next(&mut state) {
                Some(job) => job,
                None => {
                    state.idle += 1;
                    while state.given.is_empty() && !state.closed {
                        state = self
                            .given
                            .wait(state)
                            .unwrap_or_else(PoisonError::into_inner);
                    }
                    // The giver of the job has already taken this thread off `idle`.
                    let Some(job) = state.given.pop_front() else {
                        state.idle -= 1;
                        return;
                    };
                    job
                }
            };
            drop(state);
            contained(job);
            state = self.state();
        }
    }

    /// Returns the next waiting job for a reserve thread.
    fn next(self: &Arc<Self>, state: &mut State) -> Option<Job> {
        if let Some((_, step, _)) = state.steps.pop_front() {
            return Some(step);
        }
        if state.waking || state.wakes.is_empty() {
            return None;
        }
        state.waking = true;
        let reserve = Arc::clone(self);
        Some(Box::new(move || reserve.wake()))
    }

    /// Runs the waiting jobs on a thread that could be started after all.
    fn serve(&self) {
        let next = || {
            let mut state = self.state();
            let step = state.steps.pop_front().map(|(_, step, _)| step);
            step.or_else(|| state.wakes.pop_front())
        };
        while let Some(job) = next() {
            contained(job);
        }
    }

    /// Calls the waiting wakes. Only one reserve thread at a time does so.
    fn wake(&self) {
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

    /// Asks for a thread at intervals, on the driver, until no job waits any more.
    fn retry(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
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
                let _ = spawn(SPARE, move || serves.serve());
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
    fn reserve() -> Arc<Reserve> {
        let reserve = Arc::new(Reserve::default());
        reserve.fill().expect("there are threads");
        until(|| reserve.state().idle == STANDING);
        reserve
    }

    /// Waits until `is` returns true.
    #[allow(clippy::disallowed_methods, reason = "real threads are waited for")]
    fn until(is: impl Fn() -> bool) {
        let began = std::time::Instant::now();
        while !is() {
            assert!(began.elapsed() < GUARD, "it never is");
            std::thread::yield_now();
        }
    }

    fn step(id: Id) -> Step {
        let context = ContextId(1);
        Step { context, id }
    }

    fn refused() -> io::Error {
        io::Error::other("no more")
    }

    /// Returns a job that reports when it begins, and hangs until its sender is dropped.
    fn hangs(says: &mpsc::Sender<Id>, id: Id) -> (mpsc::Sender<()>, Job) {
        let (release, released) = mpsc::channel::<()>();
        let says = says.clone();
        let job = move || {
            let _ = says.send(id);
            let _ = released.recv();
        };
        (release, Box::new(job))
    }

    #[test]
    fn step_beyond_the_reserve_waits_and_can_be_withdrawn() {
        let reserve = reserve();
        let (says, said) = mpsc::channel();
        let mut holds = Vec::new();
        for id in 1..=5 {
            let (release, job) = hangs(&says, id);
            reserve.run_step(step(id), job, refused());
            holds.push(release);
        }
        let mut begun: Vec<_> = (0..STANDING)
            .map(|_| said.recv_timeout(GUARD).expect("it is called"))
            .collect();
        begun.sort_unstable();
        assert_eq!(begun, [1, 2, 3]);
        assert!(reserve.withdraw(step(1)).is_none(), "it has begun");
        let why = reserve.withdraw(step(4)).map(|why| why.to_string());
        assert_eq!(why.as_deref(), Some("no more"));
        assert!(reserve.withdraw(step(4)).is_none(), "once");
        // A thread that is done takes the next.
        holds.remove(0);
        assert_eq!(said.recv_timeout(GUARD), Ok(5));
        drop(holds);
        reserve.close();
    }

    #[test]
    fn hung_wake_holds_one_thread() {
        let reserve = reserve();
        let (says, said) = mpsc::channel();
        let (release, wake) = hangs(&says, 0);
        reserve.run_wake(wake);
        assert_eq!(said.recv_timeout(GUARD), Ok(0));
        // It waits behind the first wake.
        let second = says.clone();
        reserve.run_wake(Box::new(move || {
            let _ = second.send(9);
        }));
        for id in [1, 2] {
            let (release, job) = hangs(&says, id);
            reserve.run_step(step(id), job, refused());
            assert_eq!(said.recv_timeout(GUARD), Ok(id));
            drop(release);
        }
        until(|| reserve.state().idle == STANDING - 1);
        assert_eq!(reserve.state().wakes.len(), 1);
        drop(release);
        assert_eq!(said.recv_timeout(GUARD), Ok(9));
        reserve.close();
    }

    #[test]
    fn lending_leaves_a_thread_for_a_step() {
        let reserve = reserve();
        let (says, said) = mpsc::channel();
        let mut holds = Vec::new();
        for id in 1..=3 {
            let (release, job) = hangs(&says, id);
            assert_eq!(reserve.lend(job), id < 3, "{id}");
            holds.push(release);
        }
        let (release, job) = hangs(&says, 4);
        reserve.run_step(step(4), job, refused());
        let mut begun: Vec<_> = (0..3)
            .map(|_| said.recv_timeout(GUARD).expect("it runs"))
            .collect();
        begun.sort_unstable();
        assert_eq!(begun, [1, 2, 4]);
        drop((holds, release));
        reserve.close();
    }
}
