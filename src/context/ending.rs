//! What bodies and callbacks may return, and what can be closed.

use crate::host::{BoxError, Scope};

/// What a body or callback may return: nothing, or a result.
///
/// ```
/// # use deadstop::context::Ending;
/// assert!(().into_result().is_ok());
/// assert!(Err::<(), _>("no disk").into_result().is_err());
/// ```
pub trait Ending: Send + 'static {
    /// As a result.
    ///
    /// # Errors
    ///
    /// If the code says that it failed.
    fn into_result(self) -> Result<(), BoxError>;
}

impl Ending for () {
    fn into_result(self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl<E: Into<BoxError> + Send + 'static> Ending for Result<(), E> {
    fn into_result(self) -> Result<(), BoxError> {
        self.map_err(Into::into)
    }
}

/// A resource that knows how to close itself.
///
/// Its value is dropped inside the step that closes it, on the step's own thread: a drop that blocks
/// is bounded like the close itself.
///
/// ```
/// # use deadstop::context::{CallOpts, Close, WorkerCtx};
/// # use deadstop::host::{BoxError, Scope};
/// struct Db;
///
/// impl Close for Db {
///     fn close(&mut self, _scope: &Scope) -> Result<(), BoxError> {
///         Ok(()) // wait for the queries in flight
///     }
/// }
///
/// let ctx = WorkerCtx::new(());
/// ctx.add_closeable("db", CallOpts::new(), Db)?;
/// assert!(ctx.cleanup_blocking()?.is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Close: Send + 'static {
    /// Closes the resource. May block; waits go through the scope, which is told when the step's bound
    /// is over.
    ///
    /// # Errors
    ///
    /// If it could not be closed well; the steps after it run all the same.
    fn close(&mut self, scope: &Scope) -> Result<(), BoxError>;
}
