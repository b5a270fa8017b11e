//! Resources that cleanup closes.

use crate::host::{BoxError, Scope};

/// A resource that can close itself. Services implement it.
///
/// Its value is dropped in the step that closes it, on the thread of that step. So a drop that blocks is bounded like
/// the close itself.
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
    /// Closes the resource. It may block; its waits go through the scope, which is told when the step's bound is
    /// over.
    ///
    /// # Errors
    ///
    /// If the resource could not be closed well. The steps after it run all the same.
    fn close(&mut self, scope: &Scope) -> Result<(), BoxError>;
}
