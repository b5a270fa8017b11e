//! Tasks that ran before they were registered.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use tokio::task::JoinHandle;

use super::{Abort, BoxFuture, Ending};
use crate::journal::How;
use crate::words::{contained, one_line, panic_message};

/// A running task that a worker context can take over: waited for, and aborted, but not told.
///
/// Its future is polled on a thread that all adopted tasks of a host share: one that blocks there hides the
/// ends of the others, but holds up no bound. Its abort is asked for on the context's own thread, and must not
/// block.
pub trait Adopt: Send + 'static {
    /// What can abort the task while its end is waited for.
    fn aborter(&self) -> Box<dyn Abort>;

    /// Waits for its end: how it ended, and in which words if not well.
    fn join(self: Box<Self>) -> BoxFuture<(How, Option<String>)>;
}

/// Waits for the end of a task. A panic of the waiting itself is the task's: it is somebody's code
/// too, and nobody would learn of an end otherwise.
pub(crate) async fn join(task: impl Adopt) -> (How, Option<String>) {
    let panicked = |payload: Box<dyn Any + Send>| {
        let words = panic_message(&*payload);
        std::mem::forget(payload);
        (How::Panicked, Some(words))
    };
    let joined = catch_unwind(AssertUnwindSafe(|| Box::new(task).join()));
    let mut joined = match joined {
        Ok(joined) => joined,
        Err(payload) => return panicked(payload),
    };
    poll_fn(|cx| {
        catch_unwind(AssertUnwindSafe(|| joined.as_mut().poll(cx)))
            .unwrap_or_else(|payload| Poll::Ready(panicked(payload)))
    })
    .await
}

impl Abort for tokio::task::AbortHandle {
    fn abort(&self) {
        tokio::task::AbortHandle::abort(self);
    }
}

/// What the task returns says how it ended, as with a task that a context started.
impl<T: Ending> Adopt for JoinHandle<T> {
    fn aborter(&self) -> Box<dyn Abort> {
        Box::new(self.abort_handle())
    }

    fn join(self: Box<Self>) -> BoxFuture<(How, Option<String>)> {
        Box::pin(async move {
            match (*self).await {
                Ok(output) => match output.into_result() {
                    Ok(()) => (How::Ok, None),
                    Err(error) => {
                        let words = one_line(&error).to_string();
                        contained(|| drop(error));
                        (How::Failed, Some(words))
                    }
                },
                Err(error) if error.is_cancelled() => (How::Dropped, None),
                Err(error) => (How::Panicked, Some(panic_message(&*error.into_panic()))),
            }
        })
    }
}
