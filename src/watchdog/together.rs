//! Runs two futures that need one another as one future.

use std::pin::pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// State in which no wake has to be passed on: the futures are being polled, or are gone.
const IDLE: u8 = 0;
/// State after a wake while the futures were being polled: they are polled again.
const AGAIN: u8 = 1;
/// State in which the futures wait: a wake has to reach the executor around them.
const WAITS: u8 = 2;

/// Maximum number of polls in a row; then other tasks have their turn.
const ROUNDS: usize = 64;

/// Runs `answer` to its end, and beside it `engine`, which it needs to get there. Nothing is spawned: when this is
/// dropped, both are gone.
///
/// The two futures wake one another. Such a wake stays inside: they are polled again at once. The executor around
/// them (in the simulator, the gate) is woken only by what comes from elsewhere.
pub(super) async fn together<A: Future>(engine: impl Future, answer: A) -> A::Output {
    let inner = Arc::new(InnerWaker {
        state: AtomicU8::new(IDLE),
        outer_waker: Mutex::new(Waker::noop().clone()),
    });
    let waker = Waker::from(Arc::clone(&inner));
    let mut engine = pin!(Some(engine));
    let mut answer = pin!(answer);
    // Dropped first, so that nothing that the two do while they are dropped wakes the executor.
    let inner = IdleOnDrop(inner);
    std::future::poll_fn(move |cx| {
        inner.0.set_outer_waker(cx.waker());
        for _ in 0..ROUNDS {
            inner.0.state.store(IDLE, Ordering::SeqCst);
            let mut within = Context::from_waker(&waker);
            if let Some(running) = engine.as_mut().as_pin_mut()
                && running.poll(&mut within).is_ready()
            {
                // The engine is dropped before the answer is polled, so that the answer learns of its end.
                engine.set(None);
            }
            if let Poll::Ready(output) = answer.as_mut().poll(&mut within) {
                return Poll::Ready(output);
            }
            let waits =
                inner
                    .0
                    .state
                    .compare_exchange(IDLE, WAITS, Ordering::SeqCst, Ordering::SeqCst);
            if waits.is_ok() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

struct InnerWaker {
    state: AtomicU8,
    outer_waker: Mutex<Waker>,
}

impl InnerWaker {
    fn set_outer_waker(&self, waker: &Waker) {
        let mut outer_waker = self
            .outer_waker
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        outer_waker.clone_from(waker);
    }
}

impl Wake for InnerWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(AGAIN, Ordering::SeqCst) == WAITS {
            let outer_waker = self
                .outer_waker
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            outer_waker.wake();
        }
    }
}

struct IdleOnDrop(Arc<InnerWaker>);

impl Drop for IdleOnDrop {
    fn drop(&mut self) {
        self.0.state.store(IDLE, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::unbounded_channel;
    use tokio_test::task::spawn;
    use tokio_test::{assert_pending, assert_ready_eq};

    use super::*;

    #[test]
    fn futures_that_wake_each_other_end_in_one_poll() {
        let (ask, mut asked) = unbounded_channel();
        let (sender, mut receiver) = unbounded_channel();
        let engine = async move {
            while let Some(n) = asked.recv().await {
                let _ = sender.send(n + 1);
            }
        };
        let answer = async {
            let mut n = 0;
            while n < 20 {
                let _ = ask.send(n);
                n = receiver.recv().await.unwrap_or_default();
            }
            n
        };
        let mut both = spawn(together(engine, answer));
        assert_ready_eq!(both.poll(), 20);
        assert!(!both.is_woken());
    }

    #[test]
    fn a_wake_from_elsewhere_reaches_the_executor_once() {
        let (sender, mut receiver) = unbounded_channel();
        let mut both = spawn(together(std::future::pending::<()>(), async {
            receiver.recv().await
        }));
        assert_pending!(both.poll());
        assert!(!both.is_woken());
        assert!(sender.send(7).is_ok());
        assert!(both.is_woken());
        assert_ready_eq!(both.poll(), Some(7));
    }

    #[test]
    fn answer_learns_of_the_end_of_the_engine() {
        let (sender, mut receiver) = unbounded_channel::<()>();
        let engine = async move { drop(sender) };
        let mut both = spawn(together(engine, async { receiver.recv().await }));
        assert_ready_eq!(both.poll(), None);
    }

    #[test]
    fn dropped_pair_does_not_wake_the_executor() {
        let (sender, mut receiver) = unbounded_channel();
        let engine = async move {
            let _sender = OnDrop(sender);
            std::future::pending::<()>().await;
        };
        let executor = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&executor));
        let mut both = Box::pin(together(engine, async { receiver.recv().await }));
        assert_pending!(both.as_mut().poll(&mut Context::from_waker(&waker)));
        drop(both);
        assert!(!executor.0.load(Ordering::SeqCst));
    }

    #[test]
    fn future_that_always_wakes_itself_yields_to_others() {
        let restless = std::future::poll_fn(|cx: &mut Context<'_>| {
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        let mut both = spawn(together(restless, std::future::pending::<()>()));
        assert_pending!(both.poll());
        assert!(both.is_woken());
    }

    struct OnDrop(tokio::sync::mpsc::UnboundedSender<()>);

    impl Drop for OnDrop {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }

    #[derive(Default)]
    struct Woken(std::sync::atomic::AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
}
