//! Turns: when the code of a live run may go on.
//!
//! What strikes in an instant strikes before all else, also where a thread of the worker has been woken first. So code
//! of the worker runs in *turns*: from a wake to the next wait. A turn begins only when nothing is to strike, and what
//! strikes waits for the turns that have begun. Otherwise turns overlap as the operating system has it.
//!
//! Only while an event waits for the begin of a step, to strike in that very instant, are there no two turns at once, the
//! driver's included: the driver tells a component and says that its step begins in one turn, and the component must
//! not go on before the event has struck.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use super::play::Play;
use crate::host::BoxFuture;

/// The turns of one thread, task or future. At most one of them is open.
pub(super) struct Turns {
    play: Arc<Play>,
    /// Whether its code runs on the service's executor.
    on_executor: bool,
    open: AtomicBool,
}

impl Turns {
    pub fn new(play: &Arc<Play>, on_executor: bool) -> Self {
        Turns {
            play: Arc::clone(play),
            on_executor,
            open: AtomicBool::new(false),
        }
    }

    /// Begins a turn, unless one is open. Blocks the thread until it may begin, and on the executor for as long as that is
    /// held; returns whether it was.
    pub fn begin(&self) -> bool {
        if self.open.swap(true, Ordering::SeqCst) {
            return false;
        }
        self.play.turn_begins(self.on_executor)
    }

    /// Ends the turn, if one is open.
    pub fn end(&self) {
        if self.open.swap(false, Ordering::SeqCst) {
            self.play.turn_ends();
        }
    }

    /// Waits outside of a turn.
    pub fn outside<R>(&self, wait: impl FnOnce() -> R) -> R {
        self.end();
        let waited = wait();
        self.begin();
        waited
    }
}

/// A future that is polled in turns.
pub(super) struct InTurns<F> {
    turns: Turns,
    future: F,
}

impl InTurns<BoxFuture<()>> {
    /// For a future of the context's own.
    pub fn of_the_context(play: &Arc<Play>, future: BoxFuture<()>) -> BoxFuture<()> {
        let turns = Turns::new(play, false);
        Box::pin(InTurns { turns, future })
    }

    /// For a future on the service's executor.
    pub fn on_the_executor(play: &Arc<Play>, future: BoxFuture<()>) -> BoxFuture<()> {
        let turns = Turns::new(play, true);
        Box::pin(InTurns { turns, future })
    }
}

impl<F: Future + Unpin> Future for InTurns<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.turns.begin() {
            // The executor was held, and another section of code follows an await.
            self.turns.end();
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let polled = Pin::new(&mut self.future).poll(cx);
        self.turns.end();
        polled
    }
}

/// Polls a future in the turns of the thread that waits for it.
pub(super) struct PolledIn<'a> {
    pub turns: &'a Turns,
    pub future: Pin<&'a mut (dyn Future<Output = ()> + Send)>,
}

impl Future for PolledIn<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.turns.begin();
        let polled = self.future.as_mut().poll(cx);
        self.turns.end();
        polled
    }
}
