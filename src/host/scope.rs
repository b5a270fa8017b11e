//! The scope of a body: whether the body should go on, and how it may wait.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, LockResult, Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// The waits that a host offers to a body. Bodies use [`Scope`], which wraps them.
///
/// Hosts of other crates may implement it. A method that is added later has a default.
pub trait Blocker: Send + Sync {
    /// Blocks the body until it is told, or until `limit` is over; `None` is no limit.
    fn wait(&self, told: &CancellationToken, limit: Option<Duration>);

    /// Blocks the body for `duration`, told or not.
    fn sleep(&self, duration: Duration);

    /// Blocks the body until the future is ready.
    fn block_on(&self, future: Pin<&mut (dyn Future<Output = ()> + Send)>);

    /// Blocks the body until `attempt` returns true or `block` returns. `attempt` does not wait; `block` does, by
    /// means unknown to the host. The default calls `block`.
    fn until(&self, attempt: &mut dyn FnMut() -> bool, block: &mut dyn FnMut()) {
        let _ = attempt;
        block();
    }

    /// Records the place in the body's code of its next wait. The default ignores it.
    fn waits_at(&self, place: &'static Location<'static>) {
        let _ = place;
    }

    /// Returns whether the body should go on: it was not told to stop, and the world around it has not ended.
    fn running(&self, told: &CancellationToken) -> bool {
        !told.is_cancelled()
    }
}

/// The means by which a body waits and learns of the stop. Every wait inside a thread or a blocking callback goes
/// through it.
///
/// A body that waits through its scope wakes at once when it is told to stop. It runs unchanged in the simulator,
/// where its waits take virtual time.
///
/// ```
/// # use std::time::Duration;
/// # use deadstop::host::Scope;
/// fn flusher(scope: &Scope) {
///     while scope.wait(Duration::from_secs(1)).elapsed() {
///         // flush, once a second, until told
///     }
/// }
/// ```
pub struct Scope {
    told: CancellationToken,
    blocker: Arc<dyn Blocker>,
    /// Whether the scope drives a future right now.
    is_driving: AtomicBool,
}

/// How a [`Scope::wait`] ended.
///
/// It is exhaustive: a body has to handle both.
#[must_use = "a body that does not look whether it was told does not stop"]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Waited {
    /// The time is over, and the body was not told to stop.
    Elapsed,
    /// The body was told to stop.
    Told,
}

impl Waited {
    /// Returns whether the body should go on.
    pub fn elapsed(self) -> bool {
        self == Waited::Elapsed
    }

    /// Returns whether the body should stop.
    pub fn told(self) -> bool {
        self == Waited::Told
    }
}

impl Scope {
    /// Makes a scope for a body; called by hosts.
    pub fn new(told: CancellationToken, blocker: Arc<dyn Blocker>) -> Self {
        let is_driving = AtomicBool::new(false);
        Scope {
            told,
            blocker,
            is_driving,
        }
    }

    /// Returns the scope's blocker, for a scope with another token.
    #[doc(hidden)]
    pub fn blocker(&self) -> Arc<dyn Blocker> {
        Arc::clone(&self.blocker)
    }

    /// Returns whether the body should go on: true until it is told to stop.
    pub fn running(&self) -> bool {
        self.blocker.running(&self.told)
    }

    /// Sleeps for `duration`, or until the body is told, whichever comes first. With `Duration::MAX`, sleeps until
    /// the body is told.
    #[track_caller]
    pub fn wait(&self, duration: Duration) -> Waited {
        if self.running() {
            self.blocker.waits_at(Location::caller());
            let limit = (duration != Duration::MAX).then_some(duration);
            self.blocker.wait(&self.told, limit);
        }
        if self.running() {
            Waited::Elapsed
        } else {
            Waited::Told
        }
    }

    /// Sleeps for the whole of `duration`, told or not.
    #[track_caller]
    pub fn sleep(&self, duration: Duration) {
        self.blocker.waits_at(Location::caller());
        self.blocker.sleep(duration);
    }

    /// Blocks the body until `future` is ready. On the live host, the future runs on a small runtime of the body's
    /// own, never on the service's. It has time, and I/O if the service's tokio is built with it.
    ///
    /// The body is not woken when it is told: select over [`token`](Self::token) for that.
    ///
    /// ```
    /// # use deadstop::context::{BodyOpts, WorkerCtx};
    /// # let ctx = WorkerCtx::new(());
    /// ctx.add_thread("asks", BodyOpts::new(), |scope| {
    ///     let answer = scope.block_on(async { 42 });
    ///     assert_eq!(answer, 42);
    /// })?;
    /// # assert!(ctx.stop_blocking()?.is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If the future does, or if it calls `block_on` itself, which would block what drives it. The future can await
    /// instead.
    #[track_caller]
    pub fn block_on<F>(&self, future: F) -> F::Output
    where
        F: Future + Send,
        F::Output: Send,
    {
        assert!(
            !self.is_driving.swap(true, Ordering::SeqCst),
            "{NESTED_BLOCK_ON}"
        );
        let _mark = DrivingMark(&self.is_driving);
        self.blocker.waits_at(Location::caller());
        let mut output = None;
        {
            let run = async { output = Some(future.await) };
            self.blocker.block_on(std::pin::pin!(run));
        }
        output.expect("a blocker returns when the future is ready")
    }

    /// Receives from a channel of std's. Returns `None` once every sender is gone.
    ///
    /// On the live host this is `receiver.recv()`. In the simulator one body runs at a time, so `recv` would wait for
    /// ever; this waits in virtual time.
    ///
    /// The body is not woken when it is told. `BodyOpts::wake` can drop the sender:
    ///
    /// ```
    /// # use std::sync::{Mutex, mpsc};
    /// # use deadstop::context::{BodyOpts, WorkerCtx};
    /// # let ctx = WorkerCtx::new(());
    /// let (rows, written) = mpsc::channel::<u32>();
    /// let sender = Mutex::new(Some(rows.clone()));
    /// let opts = BodyOpts::new().wake(move || drop(sender.lock().map(|mut sender| sender.take())));
    /// ctx.add_thread("writer", opts, move |scope| {
    ///     while let Some(_row) = scope.recv(&written) { /* write */ }
    /// })?;
    /// # drop(rows);
    /// # assert!(ctx.stop_blocking()?.is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn recv<T>(&self, receiver: &Receiver<T>) -> Option<T> {
        self.until(
            || match receiver.try_recv() {
                Ok(item) => Some(Some(item)),
                Err(TryRecvError::Disconnected) => Some(None),
                Err(TryRecvError::Empty) => None,
            },
            || receiver.recv().ok(),
        )
    }

    /// Locks a mutex.
    ///
    /// On the live host this is `mutex.lock()`. In the simulator one body runs at a time, so `lock` would wait for
    /// ever for a body that holds the mutex while it waits; this waits in virtual time.
    ///
    /// ```
    /// # use std::sync::{Arc, Mutex};
    /// # use std::time::Duration;
    /// # use deadstop::context::{BodyOpts, WorkerCtx};
    /// # let ctx = WorkerCtx::new(());
    /// # let batch = Arc::new(Mutex::new(Vec::<u32>::new()));
    /// ctx.add_thread("flusher", BodyOpts::new(), move |scope| {
    ///     while scope.wait(Duration::from_secs(1)).elapsed() {
    ///         if let Ok(mut batch) = scope.lock(&batch) { batch.clear(); }
    ///     }
    /// })?;
    /// # assert!(ctx.stop_blocking()?.is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the mutex is poisoned, as `lock` does.
    #[track_caller]
    pub fn lock<'m, T: ?Sized>(&self, mutex: &'m Mutex<T>) -> LockResult<MutexGuard<'m, T>> {
        self.until(
            || match mutex.try_lock() {
                Ok(guard) => Some(Ok(guard)),
                Err(TryLockError::Poisoned(poisoned)) => Some(Err(poisoned)),
                Err(TryLockError::WouldBlock) => None,
            },
            || mutex.lock(),
        )
    }

    /// Blocks the body until something is there that neither wakes a future nor takes virtual time: a channel, a lock
    /// or a condition of another library's.
    ///
    /// `attempt` takes it if it is there, without waiting. `block` waits for it. The live host calls `block`. The
    /// simulator calls `attempt`, again whenever something else has run. [`recv`](Self::recv) and
    /// [`lock`](Self::lock) are built on this.
    ///
    /// ```
    /// # use std::sync::{Arc, Condvar, Mutex};
    /// # use deadstop::host::Scope;
    /// /// Waits for a flag of another library's.
    /// fn wait_for_flag(scope: &Scope, flag: &(Mutex<bool>, Condvar)) {
    ///     scope.until(
    ///         || flag.0.try_lock().ok().filter(|set| **set).map(drop),
    ///         || {
    ///             let set = flag.0.lock().expect("not poisoned");
    ///             drop(flag.1.wait_while(set, |set| !*set));
    ///         },
    ///     );
    /// }
    /// ```
    #[track_caller]
    pub fn until<T>(
        &self,
        mut attempt: impl FnMut() -> Option<T>,
        mut block: impl FnMut() -> T,
    ) -> T {
        self.blocker.waits_at(Location::caller());
        let (mut tried, mut blocked) = (None, None);
        self.blocker.until(
            &mut || {
                tried = attempt();
                tried.is_some()
            },
            &mut || blocked = Some(block()),
        );
        tried
            .or(blocked)
            .expect("a blocker returns when there is something")
    }

    /// Returns the token that is cancelled when the body is told; for async code inside the body.
    pub fn token(&self) -> &CancellationToken {
        &self.told
    }
}

/// Message of the panic of a body that calls `block_on` inside a future that its scope drives.
const NESTED_BLOCK_ON: &str = "`Scope::block_on` was called inside a future that it already drives: use `.await` there instead";

/// Marks a scope as driving a future until dropped.
struct DrivingMark<'a>(&'a AtomicBool);

impl Drop for DrivingMark<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("running", &self.running())
            .finish_non_exhaustive()
    }
}
