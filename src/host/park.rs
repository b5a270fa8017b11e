//! Waits for a future without a runtime: the thread parks until it is woken.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};

/// Blocks this thread until the future is ready. The future needs no runtime: the code that completes it unparks the
/// thread. On a thread of a runtime, that thread is blocked meanwhile.
///
/// ```
/// # use deadstop::context::WorkerCtx;
/// use deadstop::host::block_on;
/// let ctx = WorkerCtx::new(());
/// ctx.request_stop("the queue is empty");
/// block_on(ctx.stop_requested());
/// ```
///
/// # Panics
///
/// If the future does.
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
