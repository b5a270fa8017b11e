//! The trait that every host implements.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use super::code::{Body, BoxError, BoxFuture, ContextId, OnEnd, Who};
use super::error::SpawnError;
use super::executor::{Abort, Around, Executor};
use super::harness_host::HarnessHost;
use super::park::block_on;
#[cfg(feature = "http")]
use super::stream::Stream;
use crate::journal::{Cause, Id, Name};
use crate::words::contained;

/// The surroundings in which a worker context runs: [`Live`](super::Live) for services.
///
/// Other crates may implement it, such as for tests of their own. A method that is added later has a default.
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
    /// host connects over TCP; in the simulator the scenario's health endpoint answers, under every name.
    ///
    /// On the live host, the future has to be polled where tokio has I/O, as it has in
    /// [`Scope::block_on`](super::Scope::block_on). If it is dropped, it gives up; a lookup of a name that is in
    /// progress then goes on, on a thread of its own.
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

    /// Ends the process at once, even if other code still runs. Returns only if the process is simulated.
    fn exit(&self, code: i32, cause: Cause);
}
