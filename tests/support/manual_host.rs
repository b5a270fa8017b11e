//! A host that the test drives by hand. The test sets its clock and decides when its tasks are polled. Its bodies run
//! on the test's own thread, when the test runs them.

#![allow(
    dead_code,
    reason = "each test binary includes this file and uses a part of it"
)]

use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use deadstop::context::{Builder, WorkerCtx};
use deadstop::host::{
    Abort, Blocker, Body, BoxError, BoxFuture, ContextId, Ended, HarnessHost, Host, OnEnd, Scope,
    SpawnError, Who,
};
use deadstop::journal::{Cause, How, Id, Name};
use tokio_util::sync::CancellationToken;

pub const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

#[derive(Default)]
pub struct ManualHost {
    now: Arc<Mutex<Duration>>,
    state: Mutex<State>,
    inside: AtomicBool,
    tells_at_endless_wait: AtomicBool,
    aborts: Arc<AtomicUsize>,
}

#[derive(Default)]
struct State {
    driven: Vec<BoxFuture<()>>,
    tasks: BTreeMap<Id, Task>,
    bodies: BTreeMap<Id, BegunBody>,
    exits: Vec<(i32, Cause)>,
}

struct Task {
    future: BoxFuture<Result<(), BoxError>>,
    ended: OnEnd,
    aborted: Arc<AtomicBool>,
}

struct BegunBody {
    name: Name,
    told: CancellationToken,
    body: Option<Body>,
    ended: OnEnd,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for ManualHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ManualHost")
    }
}

impl ManualHost {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Builds a context on this host from the test's builder.
    pub fn ctx(self: &Arc<Self>, builder: Builder) -> WorkerCtx {
        builder
            .host(Arc::clone(self) as Arc<dyn Host>)
            .build(())
            .expect("the limits are good")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Polls the driven futures and the tasks in rounds, so that they come to rest. Leaves bodies alone.
    pub fn poll_all(&self) {
        // 100 rounds are enough for anything that comes to rest. They also end for a future that wakes itself for
        // ever.
        for _ in 0..100 {
            let driven = std::mem::take(&mut self.state().driven);
            let tasks = std::mem::take(&mut self.state().tasks);
            let mut cx = Context::from_waker(Waker::noop());
            for mut future in driven {
                if future.as_mut().poll(&mut cx).is_pending() {
                    self.state().driven.push(future);
                }
            }
            for (id, mut task) in tasks {
                let ended = if task.aborted.load(Ordering::SeqCst) {
                    Some((How::Dropped, None))
                } else {
                    self.inside.store(true, Ordering::SeqCst);
                    let polled = task.future.as_mut().poll(&mut cx);
                    self.inside.store(false, Ordering::SeqCst);
                    match polled {
                        Poll::Pending => None,
                        Poll::Ready(Ok(())) => Some((How::Ok, None)),
                        Poll::Ready(Err(error)) => Some((How::Failed, Some(error.to_string()))),
                    }
                };
                match ended {
                    None => drop(self.state().tasks.insert(id, task)),
                    Some((how, error)) => {
                        drop(task.future);
                        (task.ended)(self.ended(how, error));
                    }
                }
            }
        }
    }

    fn ended(&self, how: How, error: Option<String>) -> Ended {
        Ended::new(how, error.map(Name::from), self.now())
    }

    /// Sets the clock forward, and polls nothing.
    pub fn set_forward(&self, by: Duration) {
        *lock(&self.now) += by;
    }

    /// Sets the clock forward, and polls everything that this wakes.
    pub fn advance(&self, by: Duration) {
        self.set_forward(by);
        self.poll_all();
    }

    /// Returns the names of the bodies that have begun and not ended.
    pub fn bodies(&self) -> Vec<String> {
        self.state()
            .bodies
            .values()
            .map(|begun| begun.name.to_string())
            .collect()
    }

    fn take(&self, name: &str) -> BegunBody {
        let mut state = self.state();
        let id = *state
            .bodies
            .iter()
            .find(|(_, begun)| &*begun.name == name)
            .unwrap_or_else(|| panic!("{name} has not begun, or has ended"))
            .0;
        state.bodies.remove(&id).expect("it was found")
    }

    /// Returns whether the body has been told to stop.
    pub fn is_told(&self, name: &str) -> bool {
        let state = self.state();
        let mut bodies = state.bodies.values();
        bodies.any(|begun| &*begun.name == name && begun.told.is_cancelled())
    }

    /// Returns the number of aborted tasks.
    pub fn aborts(&self) -> usize {
        self.aborts.load(Ordering::SeqCst)
    }

    /// Runs a body to its end at once. Its waits advance the clock.
    pub fn run(self: &Arc<Self>, name: &str) {
        let mut begun = self.take(name);
        let scope = Scope::new(begun.told, Arc::new(Hand(Arc::clone(self))));
        let body = begun.body.take().expect("a body runs once");
        self.inside.store(true, Ordering::SeqCst);
        let result = body(&scope);
        self.inside.store(false, Ordering::SeqCst);
        let ended = match result {
            Ok(()) => self.ended(How::Ok, None),
            Err(error) => self.ended(How::Failed, Some(error.to_string())),
        };
        (begun.ended)(ended);
        self.poll_all();
    }

    /// Runs a body like [`run`](Self::run), and tells it to stop when it waits without a limit.
    pub fn run_until_told(self: &Arc<Self>, name: &str) {
        self.tells_at_endless_wait.store(true, Ordering::SeqCst);
        self.run(name);
    }

    /// Ends a body without running it.
    pub fn end(&self, name: &str, how: How) {
        (self.take(name).ended)(self.ended(how, None));
        self.poll_all();
    }

    /// Takes a task out of the polling, as if it were in the middle of a long poll. The test ends it by calling the
    /// returned function with the way in which it ends.
    pub fn take_out_task(self: &Arc<Self>, id: Id) -> impl FnOnce(How) + use<> {
        let task = self.state().tasks.remove(&id).expect("it runs");
        let host = Arc::clone(self);
        move |how| {
            drop(task.future);
            (task.ended)(host.ended(how, None));
            host.poll_all();
        }
    }

    /// Returns the code and cause of every request to end the process.
    pub fn exits(&self) -> Vec<(i32, Cause)> {
        self.state().exits.clone()
    }
}

impl Host for ManualHost {
    fn now(&self) -> Duration {
        *lock(&self.now)
    }

    fn sleep_until(&self, at: Duration) -> BoxFuture<()> {
        let now = Arc::clone(&self.now);
        // A waiter is polled again at each `poll_all`, so it needs no wake-up.
        Box::pin(poll_fn(move |_| match *lock(&now) >= at {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }))
    }

    fn drive(&self, future: BoxFuture<()>) -> Result<(), SpawnError> {
        self.state().driven.push(future);
        Ok(())
    }

    fn spawn_task(
        &self,
        who: Who,
        future: BoxFuture<Result<(), BoxError>>,
        ended: OnEnd,
    ) -> Result<Box<dyn Abort>, SpawnError> {
        let aborted = Arc::new(AtomicBool::new(false));
        let task = Task {
            future,
            ended,
            aborted: Arc::clone(&aborted),
        };
        self.state().tasks.insert(who.id, task);
        Ok(Box::new(AbortByHand(aborted, Arc::clone(&self.aborts))))
    }

    fn spawn_body(
        &self,
        who: Who,
        told: CancellationToken,
        body: Body,
        ended: OnEnd,
    ) -> Result<(), SpawnError> {
        let begun = BegunBody {
            name: who.name,
            told,
            body: Some(body),
            ended,
        };
        self.state().bodies.insert(who.id, begun);
        Ok(())
    }

    fn harness_part(&self) -> Option<&dyn HarnessHost> {
        Some(self)
    }

    fn is_inside(&self, _: ContextId) -> bool {
        self.inside.load(Ordering::SeqCst)
    }

    fn exit(&self, code: i32, cause: Cause) {
        self.state().exits.push((code, cause));
    }
}

impl HarnessHost for ManualHost {
    fn settle(&self) -> BoxFuture<()> {
        Box::pin(std::future::ready(()))
    }
}

struct AbortByHand(Arc<AtomicBool>, Arc<AtomicUsize>);

impl Abort for AbortByHand {
    fn abort(&self) {
        assert!(!self.0.swap(true, Ordering::SeqCst), "abort once");
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

/// The blocker of a body: a wait advances the clock, and does not block the test's thread.
struct Hand(Arc<ManualHost>);

impl Blocker for Hand {
    fn wait(&self, told: &CancellationToken, limit: Option<Duration>) {
        if told.is_cancelled() {
            return;
        }
        match limit {
            Some(limit) => *lock(&self.0.now) += limit,
            None if self.0.tells_at_endless_wait.load(Ordering::SeqCst) => told.cancel(),
            None => panic!("nobody tells a body that runs on the test's thread"),
        }
    }

    fn sleep(&self, duration: Duration) {
        *lock(&self.0.now) += duration;
    }

    fn block_on(&self, mut future: Pin<&mut (dyn Future<Output = ()> + Send)>) {
        let mut cx = Context::from_waker(Waker::noop());
        // A future that is not ready waits for the clock: a millisecond at a time, for an hour at most.
        for _ in 0..3_600_000 {
            if future.as_mut().poll(&mut cx).is_ready() {
                return;
            }
            *lock(&self.0.now) += ms(1);
        }
        panic!("a body waited for an hour");
    }
}
