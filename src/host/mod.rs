//! The seam between the worker context and its surroundings: how a body blocks, how code is started, what time it is,
//! how the process ends.
//!
//! The worker context waits for futures only. Everything that depends on where it runs goes through one [`Host`]. On
//! the live host, a body is a thread of the operating system and time is the system's. In the simulator, a body is a
//! coroutine, or a thread that runs only when it is its turn, and time is virtual. The context cannot tell which.

mod adopt;
#[cfg(feature = "http")]
mod connect;
mod ending;
mod harness_host;
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
#[doc(hidden)]
pub use harness_host::HarnessHost;
pub(crate) use harness_host::harness_part;
pub use live::Live;
pub(crate) use passing::PassingRuntime;
pub use scope::{Blocker, Scope, Waited};

/// An error of a body or callback.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// A boxed future that a host can run.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// The code of a thread or of a blocking callback.
pub type Body = Box<dyn FnOnce(&Scope) -> Result<(), BoxError> + Send + 'static>;

/// Receives the end of a piece of code; called once, by the code's runner, when the code is over.
pub type OnEnd = Box<dyn FnOnce(Ended) + Send + 'static>;

/// The component whose code a host is asked to run.
#[derive(Clone, Debug)]
pub struct Who {
    /// The context that the component belongs to; hosts use it to know which callers are inside.
    pub context: ContextId,
    /// The component's id.
    pub id: Id,
    /// The component's name.
    pub name: Name,
    /// The component's kind.
    pub kind: Kind,
}

/// Identity of a context within its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContextId(pub usize);

/// How a piece of code ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Returned, failed, panicked or dropped.
    pub how: How,
    /// The words of the error or panic.
    pub error: Option<Name>,
    /// The instant of the end, on the host's clock.
    pub at: Duration,
}

/// A handle to a task on an executor that can be aborted before it has ended.
pub trait Abort: Send + Sync {
    /// Requests the abort. The task ends when it next yields to its executor; its end is reported to its [`OnEnd`]
    /// like any other.
    fn abort(&self);
}

/// An executor of the service, for a task that is registered now and started later.
pub trait Executor: Send + Sync {
    /// Runs a task on this executor; otherwise like [`Host::spawn_task`].
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

/// The executor around a caller that has a future to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Around {
    /// An executor that goes on after the caller has returned: the service's.
    Lasting,
    /// An executor that ends with the one future that it drives, which the caller is part of: the one of
    /// [`Scope::block_on`].
    Passing,
    /// No executor: the caller is on a plain thread.
    Nothing,
}

/// The reason why code could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// Tasks need a runtime, and there is none.
    #[error(
        "there is no tokio runtime here, and the context knows none: build the context, or start it, on the \
         service's runtime"
    )]
    NoRuntime,
    /// The only runtime would take the task with it when the current call returns.
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
    /// The code of a step had to wait for a thread, and has not begun.
    #[error("no thread could be started ({0}), and those in reserve were held")]
    NeverBegun(#[source] std::io::Error),
    /// The host cannot run such code.
    #[error("this host cannot run {0}")]
    Unsupported(&'static str),
}

/// The surroundings in which a worker context runs.
///
/// The context starts code while it holds a lock. Implementations must not run the code, call its [`OnEnd`], or call
/// the context before they return: that deadlocks.
pub trait Host: Send + Sync + fmt::Debug + 'static {
    /// Returns the time since the host began. It never goes back.
    fn now(&self) -> Duration;

    /// Waits until `at` on the host's clock. Returns at once if that is past.
    fn sleep_until(&self, at: Duration) -> BoxFuture<()>;

    /// Prepares what the context's end will need while there is still enough of everything. Called once, when a
    /// context is built.
    ///
    /// # Errors
    ///
    /// If something cannot be had. The context is built all the same, and [`drive`](Self::drive) may still succeed.
    fn ready(&self) -> Result<(), SpawnError> {
        Ok(())
    }

    /// Runs one of the context's own futures, beside the service's executor and independent of it.
    ///
    /// # Errors
    ///
    /// If nothing more can be started.
    fn drive(&self, future: BoxFuture<()>) -> Result<(), SpawnError>;

    /// Runs a future that waits for an adopted task. The future is a caller's code: if it blocks, that must not hold
    /// up the futures that [`drive`](Self::drive) runs.
    ///
    /// # Errors
    ///
    /// If nothing more can be started.
    fn watch(&self, future: BoxFuture<()>) -> Result<(), SpawnError> {
        self.drive(future)
    }

    /// Calls the `wake` of a component that was told. It is the caller's code, and the context catches its panics.
    /// Where possible, the host calls it so that nothing waits for it. The default calls it before returning.
    fn call(&self, name: &Name, call: Box<dyn FnOnce() + Send + 'static>) {
        let _ = name;
        contained(call);
    }

    /// Runs a task on the service's executor. Catches panics and hands them to `ended`.
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

    /// Returns the executor around the caller, for a task that is started later from elsewhere. `None` if
    /// [`spawn_task`](Self::spawn_task) finds the same executor from everywhere.
    fn executor(&self) -> Option<Box<dyn Executor>> {
        None
    }

    /// Returns the kind of executor around the caller. A context spawns a task here only if that is
    /// [`Around::Lasting`]; otherwise the task goes to the executor that was around the context when it was built or
    /// started. The default suits a host that has one executor and finds it from everywhere.
    fn around(&self) -> Around {
        Around::Lasting
    }

    /// Blocks the caller until the future is ready. There is [no executor](Around::Nothing) around the caller.
    fn block_on(&self, future: Pin<&mut (dyn Future<Output = ()> + Send)>) {
        block_on(future);
    }

    /// Runs a body that may block, on a thread of its own. Catches panics and hands them to `ended`.
    ///
    /// If no thread can be started, a step's code is still run, on a thread kept in reserve; see
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

    /// Takes back the code of a step that was handed to [`spawn_body`](Self::spawn_body) or an [`Executor`] and has
    /// not begun, since no thread can be had for it. The code then never runs, and its `ended` is never called.
    /// Returns `None` for code that has begun or is about to.
    fn withdraw(&self, context: ContextId, id: Id) -> Option<SpawnError> {
        let _ = (context, id);
        None
    }

    /// Connects to `HOST:PORT`, where `HOST` is a name, an IPv4 address, or an IPv6 address in brackets. The live
    /// host connects over TCP; in the simulator the scenario's health endpoint answers, whatever the name.
    ///
    /// On the live host, the future has to be polled where tokio has I/O, as it has in [`Scope::block_on`]. If it is
    /// dropped, it gives up; a lookup of a name that is in progress then goes on, on a thread of its own.
    ///
    /// # Errors
    ///
    /// If there is no connection. The default always fails: such a host makes no connections.
    #[cfg(feature = "http")]
    fn connect(&self, authority: &str) -> BoxFuture<std::io::Result<Box<dyn Stream>>> {
        let _ = authority;
        Box::pin(std::future::ready(Err(std::io::Error::new(
            std::io::ErrorKind::Unsupported,
            "this host makes no connections",
        ))))
    }

    /// Returns the part that only the harness's hosts have.
    #[doc(hidden)]
    fn harness_part(&self) -> Option<&dyn HarnessHost> {
        None
    }

    /// Returns whether the caller is a body, step or task of `context`.
    fn is_inside(&self, context: ContextId) -> bool;

    /// Ends the process at once, whatever still runs. Returns only if the process is simulated.
    fn exit(&self, code: i32, cause: Cause);
}

/// Waits for `future`, but not past `deadline` on the host's clock.
///
/// A future that is ready at the deadline is in time: it is polled before the clock is looked at.
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

/// Makes a runtime for the context's own futures: one thread, with time, without I/O.
pub(crate) fn small_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
}

/// Blocks this thread until the future is ready. The future needs no runtime: what completes it unparks the thread.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let parked = || {
        #[allow(
            clippy::disallowed_methods,
            reason = "it is how the host waits where there is no runtime"
        )]
        std::thread::park();
        true
    };
    poll_while(future, parked).expect("parking goes on until the future is ready")
}

/// Polls a future whenever this thread is unparked. `park` waits for that and returns whether to go on; if it returns
/// false, so does the polling end, with `None`.
pub(crate) fn poll_while<F: Future>(future: F, park: impl Fn() -> bool) -> Option<F::Output> {
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
