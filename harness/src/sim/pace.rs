//! The two ways in which scripted behaviours wait in virtual time: blocking in a scope, and awaiting.
//!
//! The two subjects use [`Blocks`] for blocking code and [`Awaits`] for async code. The host uses [`Pause`] and
//! [`TokenListener`] for the waits of a scope.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::clock::Sleep;
use super::world;
use crate::stage::{NEVER, Pace, Stage, Wait};
use deadstop::host::Scope;

/// A pace that blocks in a scope. Its futures are ready at their first poll: the wait happens inside that poll.
pub(crate) struct Blocks<'a> {
    scope: &'a Scope,
    listener: TokenListener,
}

impl<'a> Blocks<'a> {
    pub fn new(scope: &'a Scope) -> Self {
        let listener = TokenListener::new(scope.token().clone());
        Blocks { scope, listener }
    }
}

impl Pace for Blocks<'_> {
    fn look<R>(&self, look: impl FnOnce(&dyn Stage) -> R) -> R {
        world::with(|world| look(world.stage()))
    }

    fn register(&self, index: usize) {
        world::with(|world| world.register_part(index));
    }

    #[cfg(test)]
    fn enter(&self, index: usize) -> Option<Box<dyn std::any::Any + Send>> {
        super::laid::call(index)
    }

    async fn pause(&self, wait: Wait) {
        if wait.is_idle {
            // A scope has no idle wait, so this one goes past it.
            return super::body::wait::block(Pause::of(wait, Some(&self.listener)));
        }
        let limit = world::with(|world| match wait.until {
            NEVER => Duration::MAX,
            until => Duration::from_millis(until.saturating_sub(world.now())),
        });
        if wait.heeds {
            let _ = self.scope.wait(limit);
        } else {
            self.scope.sleep(limit);
        }
    }

    fn told(&self) -> bool {
        !self.scope.running()
    }
}

/// A pace that awaits, with a token or without one.
pub(crate) struct Awaits(Option<TokenListener>);

impl Awaits {
    pub fn new(token: Option<CancellationToken>) -> Self {
        Awaits(token.map(TokenListener::new))
    }
}

impl Pace for Awaits {
    fn look<R>(&self, look: impl FnOnce(&dyn Stage) -> R) -> R {
        world::with(|world| look(world.stage()))
    }

    fn register(&self, index: usize) {
        world::with(|world| world.register_part(index));
    }

    #[cfg(test)]
    fn enter(&self, index: usize) -> Option<Box<dyn std::any::Any + Send>> {
        super::laid::call(index)
    }

    async fn pause(&self, wait: Wait) {
        Pause::of(wait, self.0.as_ref()).await;
    }

    fn told(&self) -> bool {
        self.0.as_ref().is_some_and(TokenListener::told)
    }
}

/// Listener of one entity to its token. It registers with the token once, not at every wait, since the waker of an
/// entity never changes. From then on its own flag records whether the token was cancelled.
pub(crate) struct TokenListener {
    token: CancellationToken,
    told_waker: Arc<ToldWaker>,
    listening: Mutex<Option<Pin<Box<WaitForCancellationFutureOwned>>>>,
}

/// Waker that the token wakes: it records the cancellation and wakes the entity.
struct ToldWaker {
    told: AtomicBool,
    /// Waker of the entity; set once the token is listened to.
    entity: OnceLock<Waker>,
}

impl Wake for ToldWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.told.store(true, Ordering::Release);
        if let Some(entity) = self.entity.get() {
            entity.wake_by_ref();
        }
    }
}

impl TokenListener {
    pub fn new(token: CancellationToken) -> Self {
        let told_waker = Arc::new(ToldWaker {
            told: AtomicBool::new(false),
            entity: OnceLock::new(),
        });
        TokenListener {
            token,
            told_waker,
            listening: Mutex::new(None),
        }
    }

    pub fn told(&self) -> bool {
        // Reading a token takes a lock, and bodies ask at every turn.
        if self.told_waker.entity.get().is_some() {
            self.told_waker.told.load(Ordering::Acquire)
        } else {
            self.token.is_cancelled()
        }
    }

    fn start_listening(&self, cx: &mut Context<'_>) {
        if self.told_waker.entity.get().is_some() {
            return;
        }
        let mut future = Box::pin(self.token.clone().cancelled_owned());
        let _ = self.told_waker.entity.set(cx.waker().clone());
        let waker = Waker::from(Arc::clone(&self.told_waker));
        if future
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_ready()
        {
            self.told_waker.told.store(true, Ordering::Release);
        }
        *self
            .listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(future);
    }
}

/// Future that ends at an instant, when its component is told, or when something about its component has changed.
pub(crate) struct Pause<'a> {
    sleep: Option<Sleep>,
    listener: Option<&'a TokenListener>,
}

impl<'a> Pause<'a> {
    fn of(wait: Wait, listener: Option<&'a TokenListener>) -> Self {
        let sleep = match wait.is_idle {
            true => Sleep::idle_until,
            false => Sleep::until,
        };
        Pause {
            sleep: (wait.until != NEVER).then(|| sleep(wait.until)),
            listener: listener.filter(|_| wait.heeds),
        }
    }

    pub fn new(until: u64, listener: Option<&'a TokenListener>) -> Self {
        Pause {
            sleep: (until != NEVER).then(|| Sleep::until(until)),
            listener,
        }
    }
}

impl Future for Pause<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let changed = world::with(|world| world.entities.borrow_mut().take_interrupt());
        let told = self.listener.is_some_and(|listener| {
            listener.start_listening(cx);
            listener.told()
        });
        if changed
            || told
            || self
                .sleep
                .as_mut()
                .is_some_and(|sleep| Pin::new(sleep).poll(cx).is_ready())
        {
            return Poll::Ready(());
        }
        Poll::Pending
    }
}
