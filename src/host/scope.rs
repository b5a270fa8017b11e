//! What a body is given: whether it should go on, and how it may wait.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, LockResult, Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// How a host lets a body wait. Bodies use [`Scope`], which says the same in nicer words.
pub trait Blocker: Send + Sync {
    /// Blocks the body until it is told, or until `limit` is over; `None` is no limit.
    fn wait(&self, told: &CancellationToken, limit: Option<Duration>);

    /// Blocks the body for `duration`, told or not.
    fn sleep(&self, duration: Duration);

    /// Blocks the body until the future is ready.
    fn block_on(&self, future: Pin<&mut (dyn Future<Output = ()> + Send)>);

    /// Blocks the body until `attempt` returns true or `block` returns: the first does not wait, the second does, by
    /// means that the host knows nothing of. The default calls `block`.
    fn until(&self, attempt: &mut dyn FnMut() -> bool, block: &mut dyn FnMut()) {
        let _ = attempt;
        block();
    }

    /// Notes the place in the body's code at which its next wait is. The default ignores it.
    fn waits_at(&self, place: &'static Location<'static>) {
        let _ = place;
    }

    /// Whether the body should go on: nobody told it to stop, and the world around it has not ended.
    fn running(&self, told: &CancellationToken) -> bool {
        !told.is_cancelled()
    }
}

/// The scope of a body: every wait inside a thread or a blocking callback goes through it.
///
/// A body that waits through its scope wakes at once when it is told to stop, and runs unchanged in
/// the simulator, where its waits take virtual time.
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
    /// Whether it drives a future right now.
    drives: AtomicBool,
}

/// How a [`Scope::wait`] ended.
#[must_use = "a body that does not look whether it was told does not stop"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// The time is over, and nobody told the body to stop.
    Elapsed,
    /// The body was told to stop.
    Told,
}

impl Waited {
    /// Whether the body should go on.
    pub fn elapsed(self) -> bool {
        self == Waited::Elapsed
    }

    /// Whether the body should stop.
    pub fn told(self) -> bool {
        self == Waited::Told
    }
}

impl Scope {
    /// A scope for a body; hosts make them.
    pub fn new(told: CancellationToken, blocker: Arc<dyn Blocker>) -> Self {
        let drives = AtomicBool::new(false);
        Scope {
            told,
            blocker,
            drives,
        }
    }

    /// How it waits: for a scope with another token.
    #[cfg(feature = "cli")]
    pub(crate) fn blocker(&self) -> Arc<dyn Blocker> {
        Arc::clone(&self.blocker)
    }

    /// Whether the body should go on: true until it is told to stop.
    pub fn running(&self) -> bool {
        self.blocker.running(&self.told)
    }

    /// Sleeps for `duration`, or until the body is told, whichever comes first. `Duration::MAX` waits
    /// until it is told.
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

    /// Blocks the body until `future` is ready. Live, the future runs on a small runtime of the body's
    /// own, never on the service's. It has time, and I/O where the service's tokio is built with it.
    ///
    /// It is not woken when the body is told: select over [`token`](Self::token) for that.
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
    /// If the future does; and if it calls `block_on` itself, which would block what drives it. It can await instead.
    #[track_caller]
    pub fn block_on<F>(&self, future: F) -> F::Output
    where
        F: Future + Send,
        F::Output: Send,
    {
        assert!(!self.drives.swap(true, Ordering::SeqCst), "{NESTED}");
        let _drives = Drives(&self.drives);
        self.blocker.waits_at(Location::caller());
        let mut output = None;
        {
            let run = async { output = Some(future.await) };
            self.blocker.block_on(std::pin::pin!(run));
        }
        output.expect("a blocker returns when the future is ready")
    }

    /// Receives from a channel of std's; `None` once every sender is gone.
    ///
    /// Live this is `receiver.recv()`. In the simulator, where one body runs at a time, `recv` would wait for good: this
    /// waits in virtual time.
    ///
    /// It is not woken when the body is told. `BodyOpts::wake` can drop the sender:
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
    /// Live this is `mutex.lock()`. In the simulator, where one body runs at a time, `lock` would wait for good for a
    /// body that holds the mutex while it waits: this waits in virtual time.
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

    /// Blocks the body until something is there that neither tells a future nor takes virtual time: a channel, a lock
    /// or a condition of somebody else's.
    ///
    /// `attempt` takes it if it is there, without waiting. `block` waits for it. Live `block` is called; in the
    /// simulator `attempt` is, again whenever something else has run. [`recv`](Self::recv) and [`lock`](Self::lock) are
    /// made of it.
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

    /// The token that is cancelled when the body is told; for async code inside the body.
    pub fn token(&self) -> &CancellationToken {
        &self.told
    }
}

/// What a body panics with that waits inside of its own wait.
const NESTED: &str =
    "`Scope::block_on` was called inside a future that it drives already: await there instead";

/// Marks a scope as driving a future until dropped.
struct Drives<'a>(&'a AtomicBool);

impl Drop for Drives<'_> {
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
