//! Tasks that ran before they were registered.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use tokio::task::JoinHandle;

use super::{Abort, BoxFuture, Ending};
use crate::journal::How;
use crate::words::{contained, one_line, panic_message};

/// A running task that a worker context can adopt: the context waits for it and aborts it, but does not tell it.
///
/// tokio's `JoinHandle` implements it. Handles of other crates may implement it too.
///
/// Its future is polled on a thread that all adopted tasks of a host share. A future that blocks there hides the ends
/// of the others, but holds up no bound. The abort is requested on the context's own thread, and must not block.
pub trait Adopt: Send + 'static {
    /// Returns a handle that can abort the task while its end is awaited.
    fn aborter(&self) -> Box<dyn Abort>;

    /// Waits for the task's end; returns how it ended and, unless it ended well, the words of the error or panic.
    fn join(self: Box<Self>) -> BoxFuture<(How, Option<String>)>;
}

/// Waits for the end of a task. If the code that waits panics, the task counts as panicked: that code is a caller's
/// too, and otherwise the end would never be reported.
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

/// The task's output determines how it ended, as for a task that a context started.
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
