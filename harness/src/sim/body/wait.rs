//! How a body waits: it polls, and switches back to the executor between polls.

use std::pin::{Pin, pin};
use std::task::Context;

use super::bodies;
use crate::sim::world;

/// Suspends the body until the future is ready. At the world's end it returns although the future is not.
pub(crate) fn block(future: impl Future<Output = ()>) {
    wait_for(pin!(future), false, || {});
}

/// Polls with the waker of the body's entity, and switches back to the executor between polls. With
/// `unwinds_at_end` the caller needs the result of the future: at the world's end the body is unwound instead of
/// returning without it. Calls `resumed` whenever the body goes on after a wait.
pub(in crate::sim) fn wait_for<F: Future<Output = ()> + ?Sized>(
    mut future: Pin<&mut F>,
    unwinds_at_end: bool,
    resumed: impl Fn(),
) {
    let waker = world::with(|world| world.entities.borrow().current_waker());
    let mut cx = Context::from_waker(&waker);
    loop {
        let over = world::with(|world| world.is_over());
        if over {
            bodies::suspend(true);
            if !unwinds_at_end {
                return;
            }
        }
        if future.as_mut().poll(&mut cx).is_ready() {
            return;
        }
        if !over {
            // If the body cannot switch, no time passes either. A wait in a destructor while its body panics then
            // returns at once, since it would never end.
            if !unwinds_at_end && !bodies::can_wait() {
                return;
            }
            bodies::suspend(false);
            resumed();
        }
    }
}
