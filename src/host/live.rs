//! The live host: threads of the operating system, tasks on the service's tokio runtime, real time.
//!
//! The context's own futures run on a thread of their own with a clock of their own. It is started with the context,
//! so that bounds hold even if the service's runtime is wedged.

#![allow(
    clippy::disallowed_methods,
    reason = "the live host is where real time comes from, and where threads and tasks are started"
)]

use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::passing::{around, lasting};
use super::reapers::Reapers;
use super::reserve::{ReserveThreads, StepKey};
use super::small_runtime::small_runtime;
use super::thread::spawn;
use super::{
    Abort, Around, Blocker, Body, BoxError, BoxFuture, ContextId, Ended, Executor, Host, OnEnd,
    PassingRuntime, Scope, SpawnError, Who,
};
use crate::journal::{Cause, How, Id, Kind, Name};
use crate::words::{contained, one_line, panic_message};

thread_local! {
    /// The contexts whose code this thread runs right now, the innermost last.
    static INSIDE: RefCell<Vec<ContextId>> = const { RefCell::new(Vec::new()) };

    /// The state of the task that this thread is spawning right now.
    static SPAWNING: Cell<Option<SpawnState>> = const { Cell::new(None) };
}

/// Warning that is logged in a build that cannot catch panics.
const NO_ISOLATION: &str = "this is built with panic = \"abort\": a panic of a body or a callback ends the \
     process at once, without the steps after it";

/// State of a task while it is spawned. A runtime that has been shut down drops a new task inside `spawn`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SpawnState {
    Kept,
    Dropped,
}

/// Sender of the context's own futures to the thread that runs them.
type Driver = mpsc::UnboundedSender<BoxFuture<()>>;

/// The operating system as a host.
pub struct Live {
    epoch: Instant,
    driver: Mutex<Option<Driver>>,
    /// Waits for adopted tasks, beside the driver: how they are awaited is callers' code.
    adopted_waits: Mutex<Option<Driver>>,
    reserve: Arc<ReserveThreads>,
    reapers: Arc<Reapers>,
    #[cfg(feature = "http")]
    lookups: super::connect::Lookups,
}

impl Live {
    /// Makes a host whose clock begins now.
    #[allow(clippy::new_without_default, reason = "making a host starts its clock")]
    pub fn new() -> Self {
        let epoch = Instant::now();
        let reserve = Arc::new(ReserveThreads::default());
        Live {
            epoch,
            driver: Mutex::new(None),
            adopted_waits: Mutex::new(None),
            reapers: Arc::new(Reapers::new(Arc::clone(&reserve))),
            #[cfg(feature = "http")]
            lookups: super::connect::Lookups::new(Arc::clone(&reserve)),
            reserve,
        }
    }

    /// Returns the thread that runs the context's own futures; the first call starts it.
    fn driver(&self) -> Result<Driver, SpawnError> {
        let driver = driver_at(&self.driver, "deadstop")?;
        self.reserve.set_driver(&driver);
        Ok(driver)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.reserve.close();
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Live")
    }
}

/// Marks this thread as inside a context until dropped.
struct InsideMark;

impl InsideMark {
    fn enter(context: ContextId) -> Self {
        // A thread at its very end has no thread-locals any more, and may still drop a task.
        let _ = INSIDE.try_with(|inside| inside.borrow_mut().push(context));
        InsideMark
    }
}

impl Drop for InsideMark {
    fn drop(&mut self) {
        let _ = INSIDE.try_with(|inside| inside.borrow_mut().pop());
    }
}

/// Converts a result, or a panic, to an end.
fn end_of(result: std::thread::Result<Result<(), BoxError>>, at: Duration) -> Ended {
    let (how, error) = match result {
        Ok(Ok(())) => (How::Ok, None),
        Ok(Err(error)) => {
            let words = one_line(&error);
            contained(|| drop(error));
            (How::Failed, Some(words))
        }
        Err(payload) => {
            let words = one_line(&panic_message(&*payload));
            contained(|| drop(payload));
            (How::Panicked, Some(words))
        }
    };
    Ended { how, error, at }
}

impl Host for Live {
    fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    fn sleep_until(&self, at: Duration) -> BoxFuture<()> {
        let at = self.epoch.checked_add(at);
        // The timer is made at the first poll: by then it is on a runtime with time, even if the
        // caller is on none.
        Box::pin(async move {
            match at {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                // The instant is beyond the clock.
                None => std::future::pending().await,
            }
        })
    }

    fn ready(&self) -> Result<(), SpawnError> {
        if cfg!(panic = "abort") {
            contained(|| tracing::warn!(target: "deadstop", "{NO_ISOLATION}"));
        }
        let driver = self.driver();
        self.reserve.start_missing()?;
        driver.map(drop)
    }

    fn drive(&self, future: BoxFuture<()>) -> Result<(), SpawnError> {
        send(&self.driver()?, future)
    }

    fn watch(&self, future: BoxFuture<()>) -> Result<(), SpawnError> {
        send(&driver_at(&self.adopted_waits, "deadstop-adopted")?, future)
    }

    fn call(&self, name: &Name, call: Box<dyn FnOnce() + Send + 'static>) {
        let slot = Arc::new(Mutex::new(Some(call)));
        let theirs = Arc::clone(&slot);
        let call = move |slot: &Mutex<Option<_>>| {
            let call: Option<Box<dyn FnOnce() + Send>> = take(slot);
            call.map(contained);
        };
        if spawn(name, move || call(&theirs)).is_err() {
            // Never on this thread, which is the driver's: the call may block.
            self.reserve.run_wake(Box::new(move || call(&slot)));
        }
    }

    fn spawn_task(
        &self,
        who: Who,
        future: BoxFuture<Result<(), BoxError>>,
        ended: OnEnd,
    ) -> Result<Box<dyn Abort>, SpawnError> {
        let runtime = Handle::try_current().map_err(|_| SpawnError::NoRuntime)?;
        spawn_on(&runtime, Task::new(&who, future, ended, self.epoch))
    }

    fn executor(&self) -> Option<Box<dyn Executor>> {
        Some(Box::new(CapturedExecutor {
            runtime: lasting(),
            epoch: self.epoch,
            reserve: Arc::clone(&self.reserve),
        }))
    }

    fn around(&self) -> Around {
        around()
    }

    fn block_on(&self, future: Pin<&mut (dyn Future<Output = ()> + Send)>) {
        ParkBlocker.block_on(future);
    }

    fn spawn_body(
        &self,
        who: Who,
        told: CancellationToken,
        body: Body,
        ended: OnEnd,
    ) -> Result<(), SpawnError> {
        let epoch = self.epoch;
        let name = who.name.clone();
        let step = step_of(&who);
        let context = who.context;
        let code = move || {
            let _mark = InsideMark::enter(context);
            let scope = Scope::new(told, Arc::new(ParkBlocker));
            end_of(
                catch_unwind(AssertUnwindSafe(|| body(&scope))),
                epoch.elapsed(),
            )
        };
        // If no thread can be started, the code is still in this slot.
        let slot = Arc::new(Mutex::new(Some((code, ended))));
        let theirs = Arc::clone(&slot);
        let reapers = Arc::clone(&self.reapers);
        let (give, given) = std::sync::mpsc::sync_channel(1);
        let run = move || {
            let Some((code, ended)) = take(&theirs) else {
                return;
            };
            let end = code();
            // The code is over, but the thread is not: its thread-locals have yet to be dropped.
            match given.recv() {
                Ok(this) => reapers.join(this, move || {
                    let at = epoch.elapsed();
                    ended(Ended { at, ..end });
                }),
                Err(_) => ended(end),
            }
        };
        let why = match spawn(&name, run) {
            Ok(thread) => {
                let _ = give.send(thread);
                if self.reserve.is_short() {
                    // Threads can be started again.
                    let _ = self.reserve.start_missing();
                }
                return Ok(());
            }
            Err(error) => error,
        };
        let left = take(&slot);
        match (step, left) {
            (Some(step), Some((code, ended))) => {
                let run = move || ended(code());
                self.reserve.run_step(step, Box::new(run), why);
                Ok(())
            }
            (_, left) => {
                // A drop of what it holds may block, so it is forgotten; the refusal hands back what was registered.
                std::mem::forget(left);
                Err(why.into())
            }
        }
    }

    fn withdraw(&self, context: ContextId, id: Id) -> Option<SpawnError> {
        let why = self.reserve.withdraw(StepKey { context, id })?;
        Some(SpawnError::NeverBegun(why))
    }

    #[cfg(feature = "http")]
    fn connect(&self, authority: &str) -> BoxFuture<std::io::Result<Box<dyn super::Stream>>> {
        super::connect::connect(&self.lookups, authority)
    }

    fn is_inside(&self, context: ContextId) -> bool {
        INSIDE
            .try_with(|inside| inside.borrow().contains(&context))
            .unwrap_or(false)
    }

    fn exit(&self, code: i32, _cause: Cause) {
        // Not `exit`: its handlers and destructors could hold it up, and so could another `exit` that runs them
        // already.
        signal_hook::low_level::exit(code);
    }
}

/// The runtime on which an async callback was registered and will run; or a context's runtime, for tasks that are
/// registered where there is no lasting runtime.
///
/// Never the driver's: a callback that blocks would hold up the driver and its bounds.
struct CapturedExecutor {
    /// `None` for a callback that was registered outside of a runtime or on a passing one: it gets a thread and a
    /// runtime of its own.
    runtime: Option<Handle>,
    epoch: Instant,
    reserve: Arc<ReserveThreads>,
}

/// Returns the step that the code belongs to; `None` for kinds of components that run from their registration on.
fn step_of(who: &Who) -> Option<StepKey> {
    let is_step = who.kind.is_callback();
    is_step.then_some(StepKey {
        context: who.context,
        id: who.id,
    })
}

impl Executor for CapturedExecutor {
    fn spawn_task(
        &self,
        who: Who,
        future: BoxFuture<Result<(), BoxError>>,
        ended: OnEnd,
    ) -> Result<Box<dyn Abort>, SpawnError> {
        let mut task = Task::new(&who, future, ended, self.epoch);
        task.is_callback = !matches!(who.kind, Kind::Task | Kind::Main);
        if let Some(runtime) = &self.runtime {
            return spawn_on(runtime, task);
        }
        let runtime = PassingRuntime::new()?;
        let handle = runtime.spawn(task);
        let abort = handle.abort_handle();
        let slot = Arc::new(Mutex::new(Some((runtime, handle))));
        let theirs = Arc::clone(&slot);
        let run = move |slot: &Mutex<Option<(PassingRuntime, _)>>| {
            if let Some((runtime, handle)) = take(slot) {
                // The task itself reports its end.
                let _ = runtime.block_on(handle);
            }
        };
        let spawned = spawn(&who.name, move || run(&theirs));
        match (spawned, step_of(&who)) {
            (Ok(_), _) => {}
            (Err(why), Some(step)) => {
                self.reserve
                    .run_step(step, Box::new(move || run(&slot)), why);
            }
            (Err(why), None) => {
                std::mem::forget(take(&slot));
                return Err(why.into());
            }
        }
        Ok(Box::new(abort))
    }
}

fn spawn_on(runtime: &Handle, task: Task) -> Result<Box<dyn Abort>, SpawnError> {
    let outer = SPAWNING.replace(Some(SpawnState::Kept));
    let handle = runtime.spawn(task);
    match SPAWNING.replace(outer) {
        Some(SpawnState::Dropped) => Err(SpawnError::RuntimeGone),
        _ => Ok(Box::new(handle.abort_handle())),
    }
}

fn take<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Returns the sender to the thread of `slot`; the first call starts the thread.
fn driver_at(slot: &Mutex<Option<Driver>>, name: &str) -> Result<Driver, SpawnError> {
    let mut driver = slot.lock().unwrap_or_else(PoisonError::into_inner);
    match &*driver {
        Some(driver) => Ok(driver.clone()),
        None => Ok(driver.insert(start_driver(name)?).clone()),
    }
}

fn send(driver: &Driver, future: BoxFuture<()>) -> Result<(), SpawnError> {
    let sent = driver.send(future);
    sent.map_err(|_| SpawnError::Unsupported("anything more: its driver has ended"))
}

/// Starts a thread on which the context's own futures run. The thread ends when the host is dropped and its last
/// future is done.
fn start_driver(name: &str) -> Result<Driver, SpawnError> {
    let runtime = small_runtime()?;
    let (sender, mut futures) = mpsc::unbounded_channel::<BoxFuture<()>>();
    let drive = move || {
        runtime.block_on(async move {
            let mut running = tokio::task::JoinSet::new();
            loop {
                tokio::select! {
                    biased;
                    future = futures.recv() => match future {
                        Some(future) => drop(running.spawn(future)),
                        None => break,
                    },
                    Some(_) = running.join_next() => {}
                }
            }
            while running.join_next().await.is_some() {}
        });
    };
    spawn(name, drive)?;
    Ok(sender)
}

/// A task that reports its end: returned, failed, panicked, or dropped by an abort.
struct Task {
    context: ContextId,
    future: Option<BoxFuture<Result<(), BoxError>>>,
    ended: Option<OnEnd>,
    epoch: Instant,
    /// Whether the task is a callback, which the context's own thread spawns.
    is_callback: bool,
}

impl Task {
    fn new(
        who: &Who,
        future: BoxFuture<Result<(), BoxError>>,
        ended: OnEnd,
        epoch: Instant,
    ) -> Self {
        Task {
            context: who.context,
            future: Some(future),
            ended: Some(ended),
            epoch,
            is_callback: false,
        }
    }

    fn end(&mut self, ended: Ended) {
        if let Some(on_end) = self.ended.take() {
            on_end(ended);
        }
    }
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let _mark = InsideMark::enter(self.context);
        let Some(future) = &mut self.future else {
            return Poll::Ready(());
        };
        let result = match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(result)) => Ok(result),
            Err(payload) => Err(payload),
        };
        // The future is dropped first, so that what it holds is gone when the end is reported.
        let gone = catch_unwind(AssertUnwindSafe(|| self.future = None));
        let at = self.epoch.elapsed();
        self.end(end_of(gone.and(result), at));
        Poll::Ready(())
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if SPAWNING.get() == Some(SpawnState::Kept) {
            // The runtime refused the task: the error of `spawn_task` is its only end.
            SPAWNING.set(Some(SpawnState::Dropped));
            self.ended = None;
            if self.is_callback {
                // A callback that was never called is never dropped: dropping what it holds may block the driver.
                std::mem::forget(self.future.take());
            }
            contained(|| self.future = None);
        } else if self.ended.is_some() {
            let _mark = InsideMark::enter(self.context);
            contained(|| self.future = None);
            let at = self.epoch.elapsed();
            self.end(Ended {
                how: How::Dropped,
                error: None,
                at,
            });
        }
    }
}

/// Blocks threads of the operating system without any runtime other than the body's own.
struct ParkBlocker;

impl Blocker for ParkBlocker {
    fn wait(&self, told: &CancellationToken, limit: Option<Duration>) {
        let now = Instant::now();
        // A limit beyond the clock is no limit.
        let deadline = limit.and_then(|limit| now.checked_add(limit));
        let _ = super::poll_while(told.cancelled(), || match deadline {
            None => {
                std::thread::park();
                true
            }
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return false;
                }
                std::thread::park_timeout(left);
                true
            }
        });
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }

    fn block_on(&self, future: Pin<&mut (dyn Future<Output = ()> + Send)>) {
        match PassingRuntime::new() {
            Ok(runtime) => runtime.block_on(future),
            // Without a runtime there is no clock; a future that needs none can still be awaited.
            Err(_) => super::block_on(future),
        }
    }
}
