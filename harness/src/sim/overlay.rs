//! Faults laid over a user's own code: its bodies, its callbacks, its tasks, its main. The [host](super::host) lays
//! them.
//!
//! The code meets the faults that the script has put on its component before it begins, and wherever it waits. During
//! a hang the code waits in virtual time, and does nothing else. A failure, a panic or an end strikes instead of what
//! the code would do next. Code that a fault has struck is not called any more.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use tokio_util::sync::CancellationToken;

use super::bodies::WorldEnded;
use super::clock::{Sleep, TimerAction};
use super::host::block;
use super::pace::Pause;
use super::world::{self, World};
use crate::journal::{Id, Kind, MAIN};
use crate::stage::{NEVER, Part, Strike};
use deadstop::context::MainError;
use deadstop::host::{BoxError, BoxFuture, Who};

/// Payload that unwinds a body that was struck, with its result. Only main uses the exit code.
struct Struck(Result<(), MainError>);

/// Fault that the script has put on a component's code.
enum ScriptedFault {
    None,
    Struck(Strike),
    Hung(u64),
}

fn of_part<R>(id: Id, look: impl FnOnce(&World, &Part) -> R) -> Option<R> {
    world::with(|world| {
        if world.is_over() {
            return None;
        }
        world.parts.by_id(id).map(|part| look(world, part))
    })
}

fn scripted_fault(id: Id) -> ScriptedFault {
    let scripted_fault = of_part(id, |world, part| match part.strike() {
        Some(strike) => ScriptedFault::Struck(strike),
        None => part
            .hung(world.now())
            .map_or(ScriptedFault::None, ScriptedFault::Hung),
    });
    scripted_fault.unwrap_or(ScriptedFault::None)
}

/// Returns the instant until which the code is delayed from now on, and clears the delay.
fn delayed_until(id: Id) -> u64 {
    let until = of_part(id, |world, part| {
        world.now().saturating_add(part.take_slow())
    });
    until.unwrap_or(0)
}

fn error(message: Option<String>) -> BoxError {
    message
        .unwrap_or_else(|| "scripted failure".to_owned())
        .into()
}

/// Panics without calling the panic hook, since the panic is scripted.
fn panics(message: Option<String>) -> ! {
    resume_unwind(Box::new(
        message.unwrap_or_else(|| "scripted panic".to_owned()),
    ))
}

fn is_call(kind: Kind) -> bool {
    matches!(kind, Kind::Stop | Kind::Cleanup | Kind::Closeable)
}

/// Meets the faults of a body, inside of it: the call may hang, and may unwind the body.
pub(super) fn meet_faults(id: Id) {
    // A body that unwinds already must not be unwound again: that would end the process.
    while !std::thread::panicking() {
        match scripted_fault(id) {
            ScriptedFault::None => return,
            ScriptedFault::Hung(until) => block(Pause::new(until, None)),
            ScriptedFault::Struck(Strike::End) => resume_unwind(Box::new(Struck(Ok(())))),
            ScriptedFault::Struck(Strike::Fail { message, code }) => {
                resume_unwind(Box::new(Struck(Err(main_error(message, code)))))
            }
            ScriptedFault::Struck(Strike::Panic { message }) => panics(message),
        }
    }
}

fn delay_body(id: Id) {
    let mut until = delayed_until(id);
    while of_part(id, |world, _| world.now() < until) == Some(true) {
        block(Pause::new(until, None));
        meet_faults(id);
        // The script may have added to the delay meanwhile.
        if let Some(more) = of_part(id, |_, part| part.take_slow()) {
            until = until.saturating_add(more);
        }
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
    with_faults(id, kind, body).unwrap_or_else(|Struck(result)| result.map_err(|error| error.error))
}

/// Runs the user's blocking main with its faults laid over it.
pub(super) fn blocking_main(main: impl FnOnce() -> Result<(), MainError>) -> Result<(), MainError> {
    let ended = with_faults(MAIN, Kind::Main, main).unwrap_or_else(|Struck(result)| result);
    main_ended(ended)
}

fn with_faults<R>(id: Id, kind: Kind, body: impl FnOnce() -> R) -> Result<R, Struck> {
    let ran = catch_unwind(AssertUnwindSafe(|| {
        meet_faults(id);
        if is_call(kind) {
            delay_body(id);
        }
        // The process has ended while the body hung: a body that never began does not begin now.
        if world::with(|world| world.is_over()) {
            resume_unwind(Box::new(WorldEnded));
        }
        let result = body();
        delay_body(id);
        result
    }));
    ran.map_err(|payload| match payload.downcast::<Struck>() {
        Ok(struck) => *struck,
        Err(payload) => resume_unwind(payload),
    })
}

/// A user's future with the faults of its component laid over it. A fault strikes when the future is polled, and
/// causes a poll.
pub(super) struct WithFaults<E> {
    id: Id,
    is_call: bool,
    inner: Option<BoxFuture<Result<(), E>>>,
    result: Option<Result<(), E>>,
    make_error: fn(Option<String>, Option<i32>) -> E,
    delayed_until: Option<u64>,
    nap: Option<(u64, Sleep)>,
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
    Box::pin(WithFaults::new(who.id, who.kind, future, |message, _| {
        error(message)
    }))
}

/// Runs the user's async main with its faults laid over it.
pub(super) async fn main(
    main: impl Future<Output = Result<(), MainError>> + Send + 'static,
) -> Result<(), MainError> {
    main_ended(WithFaults::new(MAIN, Kind::Main, Box::pin(main), main_error).await)
}

fn main_error(message: Option<String>, code: Option<i32>) -> MainError {
    MainError {
        code,
        error: error(message),
    }
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
        make_error: fn(Option<String>, Option<i32>) -> E,
    ) -> Self {
        WithFaults {
            id,
            is_call: is_call(kind),
            inner: Some(future),
            result: None,
            make_error,
            delayed_until: None,
            nap: None,
        }
    }

    /// Waits until the instant `until`, or until the next poll for another reason.
    fn nap(&mut self, until: u64, cx: &mut Context<'_>) -> Poll<()> {
        if until == NEVER {
            return Poll::Pending;
        }
        let nap = match self.nap.take() {
            Some((at, nap)) if at == until => nap,
            _ => Sleep::until(until),
        };
        let (_, nap) = self.nap.insert((until, nap));
        let napped = Pin::new(nap).poll(cx);
        if napped.is_ready() {
            self.nap = None;
        }
        napped
    }

    /// Waits until the delays that the script has set are over. A callback is delayed before it runs, and all code at
    /// its end.
    fn delay(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let more = of_part(self.id, |_, part| part.take_slow()).unwrap_or(0);
        let now = world::with(|world| world.now());
        let until = self.delayed_until.unwrap_or(now).saturating_add(more);
        self.delayed_until = Some(until);
        if now < until {
            return self.nap(until, cx);
        }
        self.delayed_until = None;
        Poll::Ready(())
    }
}

impl<E: Unpin> Future for WithFaults<E> {
    type Output = Result<(), E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match scripted_fault(self.id) {
                ScriptedFault::None => {}
                ScriptedFault::Hung(until) => {
                    if self.nap(until, cx).is_pending() {
                        return Poll::Pending;
                    }
                    continue;
                }
                ScriptedFault::Struck(strike) => {
                    self.inner = None;
                    return Poll::Ready(match strike {
                        Strike::End => Ok(()),
                        Strike::Fail { message, code } => Err((self.make_error)(message, code)),
                        Strike::Panic { message } => panics(message),
                    });
                }
            }
            if (self.is_call || self.result.is_some()) && self.delay(cx).is_pending() {
                return Poll::Pending;
            }
            if let Some(result) = self.result.take() {
                return Poll::Ready(result);
            }
            self.is_call = false;
            let Some(inner) = &mut self.inner else {
                return Poll::Pending;
            };
            match inner.as_mut().poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(result) => {
                    self.inner = None;
                    self.result = Some(result);
                }
            }
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
        match part.ignoring(world.now()) {
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
