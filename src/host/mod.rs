//! The seam: how a body blocks, how code is started, what time it is, how the process ends.
//!
//! The worker context waits for futures only, and everything that depends on where it runs goes
//! through one [`Host`]. Live, a body is an OS thread and time is the system's; in the simulator a
//! body is a coroutine, or a thread that runs only when it is its turn, and time is virtual. The context cannot tell which.

mod adopt;
#[cfg(feature = "http")]
mod connect;
mod ending;
mod live;
mod passing;
mod reapers;
mod reserve;
mod scope;

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::time::Duration;

use crate::journal::{Cause, How, Id, Kind, Name};
use crate::words::contained;

pub use adopt::Adopt;
pub(crate) use adopt::join;
#[cfg(feature = "http")]
pub use connect::Stream;
pub use ending::Ending;
pub use live::Live;
pub(crate) use passing::Passing;
pub use scope::{Blocker, Scope, Waited};

/// An error of a body or callback.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// A boxed future that a host can run.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// The code of a thread or of a blocking callback.
pub type Body = Box<dyn FnOnce(&Scope) -> Result<(), BoxError> + Send + 'static>;

/// Called once, by whoever ran a piece of code, when that code is over.
pub type OnEnd = Box<dyn FnOnce(Ended) + Send + 'static>;

/// Whose code it is that a host is asked to run.
#[derive(Clone, Debug)]
pub struct Who {
    /// The context it belongs to; hosts use it to know who is inside.
    pub context: ContextId,
    /// The component.
    pub id: Id,
    /// Its name.
    pub name: Name,
    /// What it is.
    pub kind: Kind,
}

/// Tells contexts of one process apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContextId(pub usize);

/// How a piece of code ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Returned, failed, panicked or dropped.
    pub how: How,
    /// The error's or the panic's words.
    pub error: Option<Name>,
    /// When, on the host's clock.
    pub at: Duration,
}

/// Something that can be asked to go away before it has ended: a task on an executor.
pub trait Abort: Send + Sync {
    /// Asks once. What is aborted ends when it next yields to its executor; its end is reported to its
    /// [`OnEnd`] like any other.
    fn abort(&self);
}

/// An executor of the service, for a task that is registered now and started later.
pub trait Executor: Send + Sync {
    /// Runs a task there; otherwise like [`Host::spawn_task`].
    ///
    /// # Errors
    ///
    /// If the executor is gone; `ended` is then never called.
    fn spawn_task(
        &self,
        who: Who,
        future: BoxFuture<Result<(), BoxError>>,
        ended: OnEnd,
    ) -> Result<Box<dyn Abort>, SpawnError>;
}

/// What is around a caller that has a future to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Around {
    /// An executor that goes on when the caller has returned: that of the service.
    Lasting,
    /// An executor that ends with the one future that it drives, which the caller is in: that of
    /// [`Scope::block_on`].
    Passing,
    /// None: the caller is on a plain thread.
    Nothing,
}

/// Code could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// Tasks need a runtime, and there is none.
    #[error(
        "there is no tokio runtime here, and the context knows none: build the context, or start it, on the \
         service's runtime"
    )]
    NoRuntime,
    /// The only runtime is one that would take the task with it when the current call returns.
    #[error(
        "the runtime here ends with the call that drives it, and the context knows no other: build the context, or \
         start it, on the service's runtime"
    )]
    PassingRuntime,
    /// The runtime on which a task would run has been shut down.
    #[error("the tokio runtime that it would run on has been shut down")]
    RuntimeGone,
    /// The operating system refused a thread.
    #[error("no thread could be started: {0}")]
    Thread(#[from] std::io::Error),
    /// A step's code had to wait for a thread, and has not begun.
    #[error("no thread could be started ({0}), and those in reserve were held")]
    NeverBegun(#[source] std::io::Error),
    /// This host cannot do that.
    #[error("this host cannot run {0}")]
    Unsupported(&'static str),
}

/// Where a worker context runs.
///
/// Code is started under a lock of the context's: what starts it only starts it. To run it there and
/// then, to call its [`OnEnd`] there, or to call the context would be to wait for oneself.
pub trait Host: Send + Sync + fmt::Debug + 'static {
    /// The time since the host began. Never goes back.
    fn now(&self) -> Duration;

    /// Waits until `at` on the host's clock. At once if that is past.
    fn sleep_until(&self, at: Duration) -> BoxFuture<()>;

    /// Waits until everything that could run in this instant has run (live: one yield).
    fn settle(&self) -> BoxFuture<()>;

    /// Called once, when a context is built: what its end will need is made ready while there still is
    /// enough of everything.
    ///
    /// # Errors
    ///
    /// If something cannot be had. The context is built all the same, and [`drive`](Self::drive) may
    /// still succeed.
    fn ready(&self) -> Result<(), SpawnError> {
        Ok(())
    }

    /// Runs one of the context's own futures, beside and independent of the service's executor.
    ///
    /// # Errors
    ///
    /// If nothing can be started any more.
    fn drive(&self, future: BoxFuture<()>) -> Result<(), SpawnError>;

    /// Runs a future of somebody else's, which waits for a task that runs already: what blocks in it must not
    /// hold up what [`drive`](Self::drive) runs.
    ///
    /// # Errors
    ///
    /// If nothing can be started any more.
    fn watch(&self, future: BoxFuture<()>) -> Result<(), SpawnError> {
        self.drive(future)
    }

    /// Calls what wakes a body that was told. It is the caller's code, whose panics the context catches; nobody waits
    /// for it where the host can see to that. The default calls it there and then.
    fn call(&self, name: &Name, call: Box<dyn FnOnce() + Send + 'static>) {
        let _ = name;
        contained(call);
    }

    /// Runs a task on the service's executor. Panics are caught and handed to `ended`.
    ///
    /// # Errors
    ///
    /// If there is no executor; `ended` is then never called.
    fn spawn_task(
        &self,
        who: Who,
        future: BoxFuture<Result<(), BoxError>>,
        ended: OnEnd,
    ) -> Result<Box<dyn Abort>, SpawnError>;

    /// The executor around the caller, for a task that is started later, from elsewhere. `None` where
    /// [`spawn_task`](Self::spawn_task) finds the same executor from everywhere.
    fn executor(&self) -> Option<Box<dyn Executor>> {
        None
    }

    /// Tells what is around the caller. A context spawns a task here only where that is
    /// [`Around::Lasting`]; anywhere else the task goes to the executor that was around the context when it was
    /// built, or started. The default is for a host that has one executor, and finds it from everywhere.
    fn around(&self) -> Around {
        Around::Lasting
    }

    /// Blocks the caller, around whom there is [nothing](Around::Nothing), until the future is ready.
    fn block_on(&self, future: Pin<&mut (dyn Future<Output = ()> + Send)>) {
        block_on(future);
    }

    /// Runs a body that may block, on a thread of its own. Panics are caught and handed to `ended`.
    ///
    /// A step is run also where no thread can be started, on one that was kept for it; see
    /// [`withdraw`](Self::withdraw).
    ///
    /// # Errors
    ///
    /// If no thread can be started; `ended` is then never called.
    fn spawn_body(
        &self,
        who: Who,
        told: tokio_util::sync::CancellationToken,
        body: Body,
        ended: OnEnd,
    ) -> Result<(), SpawnError>;

    /// Takes back the code of a step that [`spawn_body`](Self::spawn_body) or an [`Executor`] has taken and that has not begun,
    /// since it waits for a thread that cannot be had. It never runs then, and its `ended` is never called. `None` for code
    /// that has begun, or is about to.
    fn withdraw(&self, context: ContextId, id: Id) -> Option<SpawnError> {
        let _ = (context, id);
        None
    }

    /// The token that a task is given: the one that the context tells it by. A simulator may withhold it.
    fn given(
        &self,
        who: &Who,
        told: tokio_util::sync::CancellationToken,
    ) -> tokio_util::sync::CancellationToken {
        let _ = who;
        told
    }

    /// Connects to `HOST:PORT`, where the host is a name, an IPv4 address, or an IPv6 address in brackets.
    /// Live that is TCP; in the simulator the scenario's health endpoint answers, whatever the name.
    ///
    /// Live, the future has to be polled where tokio has I/O, as it has in [`Scope::block_on`]. Dropped, it
    /// gives up; a name that is being looked up then goes on being looked up on a thread of its own.
    ///
    /// # Errors
    ///
    /// If there is no connection; by default, that this host makes none.
    #[cfg(feature = "http")]
    fn connect(&self, authority: &str) -> BoxFuture<std::io::Result<Box<dyn Stream>>> {
        let _ = authority;
        Box::pin(std::future::ready(Err(std::io::Error::new(
            std::io::ErrorKind::Unsupported,
            "this host makes no connections",
        ))))
    }

    /// Whether threads of the operating system that run already can be taken over.
    fn adopts_threads(&self) -> bool {
        true
    }

    /// Whether the caller is a body, step or task of that context.
    fn is_inside(&self, context: ContextId) -> bool;

    /// Ends the process at once, whatever still runs. Returns only where the process is simulated.
    fn exit(&self, code: i32, cause: Cause);
}

/// Waits for `future`, but not past `deadline` on the host's clock.
///
/// What is ready at the deadline counts as in time: the future is looked at first.
///
/// ```
/// # use std::time::Duration;
/// # use deadstop::host::{Host, Live, timeout_at};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let host = Live::new();
/// let deadline = host.now() + Duration::from_millis(1);
/// assert_eq!(timeout_at(&host, deadline, async { 42 }).await, Some(42));
/// assert_eq!(timeout_at(&host, deadline, std::future::pending::<()>()).await, None);
/// # }
/// ```
///
/// # Cancel safety
///
/// As that of `future`.
pub async fn timeout_at<F: Future>(
    host: &dyn Host,
    deadline: Duration,
    future: F,
) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = host.sleep_until(deadline) => None,
    }
}

/// A runtime for the context's own futures on one thread, with time and without I/O.
pub(crate) fn small_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
}

/// Waits on this thread for a future that needs no runtime: it is woken by whoever completes it.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let parked = || {
        #[allow(
            clippy::disallowed_methods,
            reason = "it is how the host waits where there is no runtime"
        )]
        std::thread::park();
        true
    };
    poll_until(future, parked).expect("parking goes on until the future is ready")
}

/// Polls a future whenever this thread is unparked; `park` says whether to go on.
pub(crate) fn poll_until<F: Future>(future: F, park: impl Fn() -> bool) -> Option<F::Output> {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        if !park() {
            return None;
        }
    }
}
