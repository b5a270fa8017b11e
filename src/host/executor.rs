//! Executors of the service: what runs its tasks.

use super::code::{BoxError, BoxFuture, OnEnd, Who};
use super::error::SpawnError;

/// A handle to a task on an executor that can be aborted before it has ended. Hosts and adopted tasks of other crates
/// may implement it.
pub trait Abort: Send + Sync {
    /// Requests the abort. The task ends when it next yields to its executor; its end is reported to its [`OnEnd`]
    /// like any other.
    fn abort(&self);
}

/// An executor of the service, for a task that is registered now and started later. Hosts of other crates may
/// implement it.
pub trait Executor: Send + Sync {
    /// Runs a task on this executor; otherwise like [`Host::spawn_task`](super::Host::spawn_task).
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Around {
    /// An executor that goes on after the caller has returned: the service's.
    Lasting,
    /// An executor that ends with the one future that it drives, which the caller is part of: the one of
    /// [`Scope::block_on`](super::Scope::block_on).
    Passing,
    /// No executor: the caller is on a plain thread.
    Nothing,
}
