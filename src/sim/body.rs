//! What scripted components do: one behaviour, for threads and tasks, blocking and async.
//!
//! A behaviour waits through its [`Pace`] only. The pace of a thread blocks in its scope, as a user's
//! body would; the pace of a task awaits. Every pause ends early when something about the component
//! has changed, and the behaviour looks again.

use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::clock::Sleep;
use super::entity::{Class, Role};
use super::part::{NEVER, Part, Strike};
use super::world::{self, World};
use crate::context::MainError;
use crate::host::{BoxError, Scope};
use crate::scenario::Needs;

/// How a behaviour waits.
pub(crate) trait Pace: Sync {
    /// Until an instant, or until something has changed; where `heed`, until told.
    fn pause(&self, until: u64, heed: bool) -> impl Future<Output = ()> + Send;

    /// Whether it was told to stop.
    fn told(&self) -> bool;
}

/// Blocks in a scope. Its futures are ready when first polled: the waiting is done inside.
pub(crate) struct Blocks<'a>(pub &'a Scope);

impl Pace for Blocks<'_> {
    async fn pause(&self, until: u64, heed: bool) {
        let limit = world::with(|world| match until {
            NEVER => Duration::MAX,
            until => Duration::from_millis(until.saturating_sub(world.now())),
        });
        if heed {
            let _ = self.0.wait(limit);
        } else {
            self.0.sleep(limit);
        }
    }

    fn told(&self) -> bool {
        !self.0.running()
    }
}

/// Awaits, with a token or without.
pub(crate) struct Awaits(Option<Ear>);

impl Awaits {
    pub fn new(token: Option<CancellationToken>) -> Self {
        Awaits(token.map(Ear::new))
    }
}

impl Pace for Awaits {
    async fn pause(&self, until: u64, heed: bool) {
        Pause::new(until, self.0.as_ref().filter(|_| heed)).await;
    }

    fn told(&self) -> bool {
        self.0.as_ref().is_some_and(Ear::told)
    }
}

/// Listens to a token on behalf of one entity. It registers once, not at every wait (the waker of an
/// entity never changes), and from then on it knows by itself whether the token was cancelled.
pub(crate) struct Ear {
    token: CancellationToken,
    heard: Arc<Heard>,
    listening: Mutex<Option<Pin<Box<WaitForCancellationFutureOwned>>>>,
}

/// What a token wakes: it takes note, and wakes the entity.
struct Heard {
    told: AtomicBool,
    /// Set once the ear listens.
    entity: OnceLock<Waker>,
}

impl Wake for Heard {
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

impl Ear {
    pub fn new(token: CancellationToken) -> Self {
        let heard = Arc::new(Heard {
            told: AtomicBool::new(false),
            entity: OnceLock::new(),
        });
        Ear {
            token,
            heard,
            listening: Mutex::new(None),
        }
    }

    pub fn told(&self) -> bool {
        // Asking a token takes a lock, and bodies ask at every turn.
        if self.heard.entity.get().is_some() {
            self.heard.told.load(Ordering::Acquire)
        } else {
            self.token.is_cancelled()
        }
    }

    fn listen(&self, cx: &mut Context<'_>) {
        if self.heard.entity.get().is_some() {
            return;
        }
        let mut future = Box::pin(self.token.clone().cancelled_owned());
        let _ = self.heard.entity.set(cx.waker().clone());
        let waker = Waker::from(Arc::clone(&self.heard));
        if future
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_ready()
        {
            self.heard.told.store(true, Ordering::Release);
        }
        *self
            .listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(future);
    }
}

/// Waits until an instant, until told, or until something about its component has changed.
pub(crate) struct Pause<'a> {
    sleep: Option<Sleep>,
    ear: Option<&'a Ear>,
}

impl<'a> Pause<'a> {
    pub fn new(until: u64, ear: Option<&'a Ear>) -> Self {
        Pause {
            sleep: (until != NEVER).then(|| Sleep::until(until)),
            ear,
        }
    }
}

impl Future for Pause<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let changed = world::with(|world| world.entities.borrow_mut().take_interrupt());
        let told = self.ear.is_some_and(|ear| {
            ear.listen(cx);
            ear.told()
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

/// Runs a behaviour that blocks instead of waiting.
pub(crate) fn blocking<T>(behaviour: impl Future<Output = T>) -> T {
    match pin!(behaviour).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("a behaviour with a blocking pace never waits by itself"),
    }
}

fn part<R>(index: usize, look: impl FnOnce(&World, &Part) -> R) -> R {
    world::with(|world| look(world, &world.parts.all[index]))
}

/// Ends a body as the script says.
pub(crate) fn ends(strike: Strike) -> Result<(), MainError> {
    match strike {
        Strike::End => Ok(()),
        Strike::Fail { message, code } => {
            let error: BoxError = message
                .unwrap_or_else(|| "scripted failure".to_owned())
                .into();
            if code.is_some() {
                world::with(|world| world.main_code.set(code));
            }
            Err(MainError { code, error })
        }
        // The panic hook stays silent: this panic is part of the script.
        Strike::Panic { message } => resume_unwind(Box::new(
            message.unwrap_or_else(|| "scripted panic".to_owned()),
        )),
    }
}

/// A thread or task: works until told, then takes its time to end. `wakes` says whether its waits end
/// when it is told; in a context without tokens they do not.
pub(crate) async fn live(index: usize, pace: &impl Pace, wakes: bool) -> Result<(), BoxError> {
    #[cfg(test)]
    let _laid = super::laid::call(index);
    loop {
        let (over, strike, now, hung, ignoring, period) = part(index, |world, part| {
            let now = world.now();
            (
                world.is_over(),
                part.strike(),
                now,
                part.hung(now),
                part.ignoring(now),
                part.spec().period,
            )
        });
        // Ended by itself a body costs least, and leaves nothing behind.
        if over {
            return Ok(());
        }
        if let Some(strike) = strike {
            return ends(strike).map_err(|error| error.error);
        }
        if let Some(until) = hung {
            pace.pause(until, false).await;
            continue;
        }
        let told = pace.told();
        if told && ignoring.is_none() {
            break;
        }
        let cycle = period.map_or(NEVER, |period| now.saturating_add(super::millis(period)));
        let until = if told {
            cycle.min(ignoring.unwrap_or(NEVER))
        } else {
            cycle
        };
        pace.pause(until, !told && (wakes || period.is_none()))
            .await;
    }
    part(index, |world, part| world.heard(part));
    let takes = part(index, |_, part| super::millis(part.spec().takes));
    work(index, pace, takes).await.map_err(|error| error.error)
}

/// A callback: takes its time from the call to the return.
pub(crate) async fn called(index: usize, pace: &impl Pace) -> Result<(), BoxError> {
    #[cfg(test)]
    let _laid = super::laid::call(index);
    let takes = part(index, |_, part| super::millis(part.spec().takes));
    work(index, pace, takes).await.map_err(|error| error.error)
}

/// Works for `left` milliseconds, however long that takes; then waits for what it needs and for its
/// jobs, and touches what it uses.
pub(crate) async fn work(index: usize, pace: &impl Pace, mut left: u64) -> Result<(), MainError> {
    let mut asked_executor = false;
    loop {
        let (over, strike, now, hung) = part(index, |world, part| {
            left = left.saturating_add(part.take_slow());
            (
                world.is_over(),
                part.strike(),
                world.now(),
                part.hung(world.now()),
            )
        });
        if over {
            return Ok(());
        }
        if let Some(strike) = strike {
            return ends(strike);
        }
        if let Some(until) = hung {
            pace.pause(until, false).await;
        } else if left > 0 {
            pace.pause(now.saturating_add(left), false).await;
            left = left.saturating_sub(part(index, |world, _| world.now() - now));
        } else if part(index, |world, part| {
            waits(world, part, index, &mut asked_executor)
        }) {
            pace.pause(NEVER, false).await;
        } else {
            break;
        }
    }
    part(index, |world, part| world.touch(part));
    Ok(())
}

/// Whether a part still waits for something before it can end.
fn waits(world: &World, part: &Part, index: usize, asked_executor: &mut bool) -> bool {
    if part.has_jobs() {
        return true;
    }
    match part.component.as_ref().and_then(|spec| spec.needs.as_ref()) {
        None => false,
        Some(Needs::Component(name)) => world
            .parts
            .named(name)
            .is_some_and(|needed| !needed.has_ended()),
        Some(Needs::Executor) => {
            if !std::mem::replace(asked_executor, true) {
                // Something of the part's has to run on the executor: when it did, the part looks again.
                part.executor_ran.set(false);
                let ask = Box::pin(async move {
                    world::with(|world| {
                        let part = &world.parts.all[index];
                        part.executor_ran.set(true);
                        world.interrupt(part);
                    });
                    Ok(())
                });
                let _ = world.spawn(part.name.clone(), Class::Executor, Role::Nobody, ask, None);
            }
            !part.executor_ran.get()
        }
    }
}
