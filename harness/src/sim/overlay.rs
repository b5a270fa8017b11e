//! Faults laid over a user's own code: its bodies, its callbacks, its tasks, its main. The [host](super::host) lays
//! them.
//!
//! The code [meets](crate::stage::meet) the faults that the script has put on its component before it begins, and
//! wherever it waits. A failure, a panic or an end strikes instead of what the code would do next. Code that has ended
//! so is not called any more.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker, ready};

use tokio_util::sync::CancellationToken;

use super::body::bodies;
use super::body::turn::WorldEnded;
use super::body::wait::block;
use super::clock::TimerAction;
use super::pace::Pause;
use super::world::{self, World};
use crate::journal::{Id, Kind, MAIN};
use crate::stage::{Met, NEVER, Part, Stage, Struck, blocking, look_once, meet, take_time};
use deadstop::context::MainError;
use deadstop::host::{BoxError, BoxFuture, Who};

/// Payload that unwinds a body that was struck, with its result. Only main uses the exit code.
struct Ended(Result<(), MainError>);

/// Code of the component of that id. It waits in its entity: a task awaits.
struct Task(Id);

/// Code of the component of that id, on a thread of its own: it blocks where it waits.
struct Body(Id);

fn of_part<R>(id: Id, look: impl FnOnce(&World, &Part) -> R) -> Option<R> {
    world::with(|world| {
        if world.is_over() {
            return None;
        }
        world.parts.by_id(id).map(|part| look(world, part))
    })
}

impl Struck for Task {
    fn look<R>(&self, look: impl FnOnce(&dyn Stage, &Part) -> R) -> Option<R> {
        of_part(self.0, |world, part| look(world.stage(), part))
    }

    fn stay(&self, until: u64) -> impl Future<Output = ()> + Send {
        Pause::new(until, None)
    }
}

impl Struck for Body {
    fn look<R>(&self, look: impl FnOnce(&dyn Stage, &Part) -> R) -> Option<R> {
        Task(self.0).look(look)
    }

    async fn stay(&self, until: u64) {
        block(Pause::new(until, None));
    }
}

/// Meets the faults of a user's body, inside of it: the call may hang, and may unwind the body.
pub(super) fn meet_faults(id: Id) {
    // A body that unwinds already must not be unwound again: that would end the process.
    if !std::thread::panicking() {
        unwind_if_ended(blocking(meet(&Body(id))));
    }
}

/// Meets the faults of a scripted watchdog, where it waits and where it asks: its body is the production one, which can
/// return no error.
pub(super) fn meet_watchdog_faults(id: Id) {
    if std::thread::panicking() {
        return;
    }
    let body = Body(id);
    let met = match bodies::is_body() {
        true => blocking(meet(&body)),
        false => look_once(&body).unwrap_or(Met::Nothing),
    };
    if let Met::End(end) = met {
        end.unwind();
    }
}

fn unwind_if_ended(met: Met) {
    if let Met::End(end) = met {
        resume_unwind(Box::new(Ended(end.result())));
    }
}

/// Runs a body or a blocking callback with its faults laid over it.
pub(super) fn run(
    id: Id,
    kind: Kind,
    body: impl FnOnce() -> Result<(), BoxError>,
) -> Result<(), BoxError> {
    if id == MAIN {
        // Main's faults are laid over what the context is given, since the context looks at main's error itself.
        return body();
    }
    with_faults(id, kind, body).unwrap_or_else(|Ended(result)| result.map_err(|error| error.error))
}

/// Runs the user's blocking main with its faults laid over it.
pub(super) fn blocking_main(main: impl FnOnce() -> Result<(), MainError>) -> Result<(), MainError> {
    let ended = with_faults(MAIN, Kind::Main, main).unwrap_or_else(|Ended(result)| result);
    main_ended(ended)
}

fn with_faults<R>(id: Id, kind: Kind, body: impl FnOnce() -> R) -> Result<R, Ended> {
    let ran = catch_unwind(AssertUnwindSafe(|| {
        let code = Body(id);
        unwind_if_ended(match kind.is_callback() {
            true => blocking(take_time(&code, 0)),
            false => blocking(meet(&code)),
        });
        // The process has ended while the body hung: a body that never began does not begin now.
        if world::with(|world| world.is_over()) {
            resume_unwind(Box::new(WorldEnded));
        }
        let result = body();
        unwind_if_ended(blocking(take_time(&code, 0)));
        result
    }));
    ran.map_err(|payload| match payload.downcast::<Ended>() {
        Ok(ended) => *ended,
        Err(payload) => resume_unwind(payload),
    })
}

/// A user's future with the faults of its component laid over it. A fault strikes when the future is polled, and
/// causes a poll.
pub(super) struct WithFaults<E> {
    id: Id,
    /// Whether the code takes the time of a slow component before it goes on: a callback when it is called, and all
    /// code at its end.
    takes_time: bool,
    inner: Option<BoxFuture<Result<(), E>>>,
    result: Option<Result<(), E>>,
    to_error: fn(MainError) -> E,
    meeting: Option<BoxFuture<Met>>,
}

/// Returns a task or an async callback with its faults laid over it.
pub(super) fn task(
    who: &Who,
    future: BoxFuture<Result<(), BoxError>>,
) -> BoxFuture<Result<(), BoxError>> {
    if who.id == MAIN {
        // Main's faults are laid over what the context is given, since the context looks at main's error itself.
        return future;
    }
    Box::pin(WithFaults::new(who.id, who.kind, future, |error| {
        error.error
    }))
}

/// Runs the user's async main with its faults laid over it.
pub(super) async fn main(
    main: impl Future<Output = Result<(), MainError>> + Send + 'static,
) -> Result<(), MainError> {
    main_ended(WithFaults::new(MAIN, Kind::Main, Box::pin(main), |error| error).await)
}

/// Keeps the exit code that main asks for, so that the journal can record it.
fn main_ended(ended: Result<(), MainError>) -> Result<(), MainError> {
    if let Err(error) = &ended {
        world::with(|world| world.parts.main_code.set(error.asks_for()));
    }
    ended
}

impl<E> WithFaults<E> {
    fn new(
        id: Id,
        kind: Kind,
        future: BoxFuture<Result<(), E>>,
        to_error: fn(MainError) -> E,
    ) -> Self {
        WithFaults {
            id,
            takes_time: kind.is_callback(),
            inner: Some(future),
            result: None,
            to_error,
            meeting: None,
        }
    }

    /// Meets the component's faults.
    fn poll_faults(&mut self, cx: &mut Context<'_>) -> Poll<Met> {
        let (code, takes_time) = (Task(self.id), self.takes_time);
        let meeting = self.meeting.get_or_insert_with(|| {
            Box::pin(async move {
                match takes_time {
                    true => take_time(&code, 0).await,
                    false => meet(&code).await,
                }
            })
        });
        let met = meeting.as_mut().poll(cx);
        if met.is_ready() {
            self.meeting = None;
        }
        met
    }
}

impl<E: Unpin> Future for WithFaults<E> {
    type Output = Result<(), E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            if let Met::End(end) = ready!(self.poll_faults(cx)) {
                self.inner = None;
                return Poll::Ready(end.result().map_err(self.to_error));
            }
            if let Some(result) = self.result.take() {
                return Poll::Ready(result);
            }
            self.takes_time = false;
            let Some(inner) = &mut self.inner else {
                return Poll::Pending;
            };
            let result = ready!(inner.as_mut().poll(cx));
            self.inner = None;
            self.result = Some(result);
            self.takes_time = true;
        }
    }
}

/// Waker that cancels a component's own token when the context's is cancelled, unless the script withholds that.
struct TokenRelay {
    id: Id,
    generation: u64,
    token: CancellationToken,
}

impl Wake for TokenRelay {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        world::try_with(|world| {
            if world.generation == self.generation {
                self.relay(world);
            }
        });
    }
}

impl TokenRelay {
    fn relay(self: &Arc<Self>, world: &World) {
        let Some(part) = world.parts.by_id(self.id) else {
            self.token.cancel();
            return;
        };
        match part.faults.ignoring(world.now()) {
            None => {
                self.token.cancel();
                world.stage().reached(part);
            }
            Some(NEVER) => {}
            Some(until) => {
                let relay = Arc::clone(self);
                let act = TimerAction::Call(Box::new(move |world: &World| relay.relay(world)));
                world.timers.borrow_mut().set(until, act);
            }
        }
    }
}

/// Returns the token that a component sees. In a user's own worker it is cancelled with the context's token, but not
/// while the component is to ignore that.
pub(super) fn component_token(world: &World, id: Id, told: CancellationToken) -> CancellationToken {
    let Some(foreign) = &world.foreign else {
        return told;
    };
    let token = CancellationToken::new();
    let relay = Arc::new(TokenRelay {
        id,
        generation: world.generation,
        token: token.clone(),
    });
    let mut listening = Box::pin(told.cancelled_owned());
    let waker = Waker::from(Arc::clone(&relay));
    if listening
        .as_mut()
        .poll(&mut Context::from_waker(&waker))
        .is_ready()
    {
        relay.relay(world);
    } else {
        foreign.listening.borrow_mut().push(listening);
    }
    token
}
