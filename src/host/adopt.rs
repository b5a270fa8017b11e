//! Tasks that ran before they were registered.

use tokio::task::JoinHandle;

use super::{Abort, BoxFuture};
use crate::journal::How;
use crate::words::panic_message;

/// A running task that a worker context can take over: waited for, and aborted, but not told.
pub trait Adopt: Send + 'static {
    /// What can abort the task while its end is waited for.
    fn aborter(&self) -> Box<dyn Abort>;

    /// Waits for its end: how it ended, and in which words if not well.
    fn join(self: Box<Self>) -> BoxFuture<(How, Option<String>)>;
}

impl Abort for tokio::task::AbortHandle {
    fn abort(&self) {
        tokio::task::AbortHandle::abort(self);
    }
}

impl<T: Send + 'static> Adopt for JoinHandle<T> {
    fn aborter(&self) -> Box<dyn Abort> {
        Box::new(self.abort_handle())
    }

    fn join(self: Box<Self>) -> BoxFuture<(How, Option<String>)> {
        Box::pin(async move {
            match (*self).await {
                Ok(_) => (How::Ok, None),
                Err(error) if error.is_cancelled() => (How::Dropped, None),
                Err(error) => (How::Panicked, Some(panic_message(&*error.into_panic()))),
            }
        })
    }
}
