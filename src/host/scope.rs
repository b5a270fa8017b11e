//! What a body is given: whether it should go on, and how it may wait.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
    pub fn wait(&self, duration: Duration) -> Waited {
        if self.running() {
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
    pub fn sleep(&self, duration: Duration) {
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
    pub fn block_on<F>(&self, future: F) -> F::Output
    where
        F: Future + Send,
        F::Output: Send,
    {
        assert!(!self.drives.swap(true, Ordering::SeqCst), "{NESTED}");
        let _drives = Drives(&self.drives);
        let mut output = None;
        {
            let run = async { output = Some(future.await) };
            self.blocker.block_on(std::pin::pin!(run));
        }
        output.expect("a blocker returns when the future is ready")
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
