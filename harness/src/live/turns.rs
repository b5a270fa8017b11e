//! Turns: when the code of a live run may go on. The host, the paces and the timeline of a live run use them.
//!
//! Events strike before all other code of their instant, even if a thread of the worker was woken first. So code of
//! the worker runs in *turns*, each from a wake to the next wait. A turn begins only when nothing is about to strike,
//! and a strike waits for the turns that are open. Otherwise turns overlap as the operating system schedules them.
//!
//! Turns do not overlap while an event waits for the begin of a step or for the end of a component, to strike in that
//! very instant. This includes the driver's turns. The driver tells a component and announces the begin of its step in
//! one turn, and the component must not go on before the event has struck. A component's end is recorded in its last
//! turn, and no other code must go on before the event has struck.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use deadstop::host::BoxFuture;

/// What turns begin and end at: it knows when the code of the worker may go on.
pub(super) trait Gate: Send + Sync {
    /// Waits until code of the worker may go on, and begins a turn of it. Returns whether it had to wait.
    fn begin_turn(&self, on_executor: bool) -> bool;

    /// Ends a turn.
    fn end_turn(&self);

    /// Adds `by` to the number of pieces of code that were started and have not begun.
    fn add_unbegun(&self, on_executor: bool, by: i32);
}

/// The turns of one thread, task or future. At most one of them is open.
pub(super) struct Turns {
    gate: Arc<dyn Gate>,
    /// Whether its code runs on the service's executor.
    on_executor: bool,
    open: AtomicBool,
    /// Whether a turn stays open where a future would wait.
    is_extended: AtomicBool,
}

impl Turns {
    pub fn new(gate: &Arc<impl Gate + 'static>, on_executor: bool) -> Self {
        Turns {
            gate: gate.clone(),
            on_executor,
            open: AtomicBool::new(false),
            is_extended: AtomicBool::new(false),
        }
    }

    /// Begins a turn, unless one is open. Blocks the thread until the turn may begin; on the executor, also while the
    /// executor is held. Returns whether it had to wait.
    pub fn begin(&self) -> bool {
        if self.open.swap(true, Ordering::SeqCst) {
            return false;
        }
        self.gate.begin_turn(self.on_executor)
    }

    /// Ends the turn, if one is open.
    pub fn end(&self) {
        if self.open.swap(false, Ordering::SeqCst) {
            self.gate.end_turn();
        }
    }

    /// Keeps the turn open where a future waits, until the returned value is dropped. This is for code that takes no
    /// time in the scenario, but some in the system.
    pub fn extend(self: &Arc<Self>) -> TurnExtension {
        self.is_extended.store(true, Ordering::SeqCst);
        TurnExtension(Arc::clone(self))
    }

    /// Ends the turn, runs `wait`, and begins another turn.
    pub fn outside<R>(&self, wait: impl FnOnce() -> R) -> R {
        self.end();
        let waited = wait();
        self.begin();
        waited
    }
}

/// Extension of a turn: the turn stays open where a future waits, until this is dropped.
pub(super) struct TurnExtension(Arc<Turns>);

impl Drop for TurnExtension {
    fn drop(&mut self) {
        self.0.is_extended.store(false, Ordering::SeqCst);
    }
}

/// Marker of code that was started and has not begun. It is dropped when the code begins, or never will.
pub(super) struct Unbegun {
    gate: Arc<dyn Gate>,
    on_executor: bool,
}

impl Unbegun {
    pub fn new(gate: &Arc<impl Gate + 'static>, on_executor: bool) -> Self {
        gate.add_unbegun(on_executor, 1);
        Unbegun {
            gate: gate.clone(),
            on_executor,
        }
    }
}

impl Drop for Unbegun {
    fn drop(&mut self) {
        self.gate.add_unbegun(self.on_executor, -1);
    }
}

/// A future that is polled in turns.
pub(super) struct InTurns<F> {
    turns: Turns,
    future: F,
}

impl InTurns<BoxFuture<()>> {
    /// Wraps a future of the context's own.
    pub fn of_the_context(gate: &Arc<impl Gate + 'static>, future: BoxFuture<()>) -> BoxFuture<()> {
        let turns = Turns::new(gate, false);
        Box::pin(InTurns { turns, future })
    }

    /// Wraps a future on the service's executor.
    pub fn on_the_executor(
        gate: &Arc<impl Gate + 'static>,
        future: BoxFuture<()>,
    ) -> BoxFuture<()> {
        let turns = Turns::new(gate, true);
        Box::pin(InTurns { turns, future })
    }
}

impl<F: Future + Unpin> Future for InTurns<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.turns.begin() {
            // The turn had to wait and may have blocked the executor. Yield, so that another section of code follows
            // an await.
            self.turns.end();
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let polled = Pin::new(&mut self.future).poll(cx);
        self.turns.end();
        polled
    }
}

/// Awaits a future in turns. The last turn stays open while `then` runs with the output.
pub(super) async fn await_in_turns<T, R>(
    turns: &Turns,
    mut future: Pin<&mut (dyn Future<Output = T> + Send)>,
    then: impl FnOnce(T) -> R,
) -> R {
    let output = poll_fn(|cx| {
        turns.begin();
        let polled = future.as_mut().poll(cx);
        if polled.is_pending() {
            turns.end();
        }
        polled
    })
    .await;
    let result = then(output);
    turns.end();
    result
}

/// A future that is polled in the turns of the thread that waits for it.
pub(super) struct PolledIn<'a> {
    pub turns: &'a Turns,
    pub future: Pin<&'a mut (dyn Future<Output = ()> + Send)>,
}

impl Future for PolledIn<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.turns.begin();
        let polled = self.future.as_mut().poll(cx);
        if polled.is_pending() && !self.turns.is_extended.load(Ordering::SeqCst) {
            self.turns.end();
        }
        polled
    }
}
