//! The timeline of a live run: the thread that strikes the script's events when they are due, and makes its calls.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::task::Poll;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::play::Play;
use super::scene::{Calling, Effect, Scene};
use super::turns::{InTurns, Turns, await_in_turns};
use crate::context::Main;
use crate::host::{Host, Who, block_on};
use crate::journal::{Cause, Kind, SignalName, What};
use crate::stage::{self, Said, Stage};

/// Interval at which the timeline checks whether a signal was heeded.
const LOOK: Duration = Duration::from_millis(1);
/// Maximum time for which the timeline waits until a signal is heeded, in nanoseconds.
const HEARD_NS: u64 = 2_000_000_000;

/// Strikes everything that is due, and makes the calls of this instant, before the worker's code goes on. Returns
/// whether anything was due.
pub(super) fn strike(play: &Arc<Play>) -> bool {
    if !play.look(|scene| scene.is_due() || scene.strikes.get()) {
        return false;
    }
    play.watch(None, |scene| {
        let may = scene.is_over() || !scene.in_a_turn();
        scene.strikes.set(scene.strikes.get() || may);
        may
    });
    while strike_next(play) {}
    hold_executor(play);
    play.look(|scene| scene.strikes.set(false));
    true
}

/// Blocks the executor, if a component holds it. Without this, an executor on which nothing else runs could still
/// drop a task that is aborted.
fn hold_executor(play: &Arc<Play>) {
    let is_open = |scene: &Scene| scene.is_held() && !scene.blocks_executor();
    if play.look(is_open) {
        let nothing = Box::pin(std::future::ready(()));
        drop(play.executor.spawn(InTurns::on_the_executor(play, nothing)));
        play.watch(None, |scene| !is_open(scene));
    }
}

/// Strikes one event or action that is due; if there is none, makes the next calls, in their order. Returns whether
/// there was anything.
fn strike_next(play: &Arc<Play>) -> bool {
    let struck = play.look(|scene| scene.stage().strike_next() || scene.happen_next());
    while let Some(effect) = play.look(|scene| scene.effects.borrow_mut().pop_front()) {
        has(play, effect);
    }
    struck || call_next(play)
}

/// Makes the calls that come next, and waits until they have reached the context: later events strike after that.
fn call_next(play: &Arc<Play>) -> bool {
    let callings = play.look(|scene| scene.take_calls());
    let reached: Vec<_> = callings.into_iter().map(|c| calls(play, c)).collect();
    let soon = play.clock.real() + play.clock.score.soon();
    for reached in &reached {
        // Nothing is ever sent: the channel is closed when the call has reached the context.
        let left = soon.saturating_sub(play.clock.real());
        let _ = reached.recv_timeout(Duration::from_nanos(left));
    }
    !reached.is_empty()
}

/// Strikes what is due, until the process ends.
pub(super) fn strikes(play: &Arc<Play>, run: bool) {
    let mut done_at = None;
    loop {
        if strike(play) {
            continue;
        }
        let (over, next, done) =
            play.look(|scene| (scene.is_over(), scene.next(), scene.is_done()));
        if over {
            return;
        }
        // A program that only calls ends once nothing more is due and everything that can run has run.
        done_at = match (done && !run, done_at) {
            (false, _) => None,
            (true, None) => Some(play.clock.score.settled(play.clock.real())),
            (true, Some(at)) if at <= play.clock.real() => {
                let code = play.life().exit_code();
                if play.ends(code, Cause::Returned) {
                    play.returns(code);
                }
                return;
            }
            (true, at) => at,
        };
        let until = [next, done_at].into_iter().flatten().min();
        play.watch(until, |scene| {
            scene.is_over() || scene.next() != next || (!run && scene.is_done() != done)
        });
    }
}

fn has(play: &Arc<Play>, effect: Effect) {
    match effect {
        Effect::Signal(signal) => {
            let (life, since) = (play.life(), play.life().signals_heeded());
            raise(signal);
            // The next event strikes after the signal was heeded, even if another thread has to receive it first.
            let heeded = || life.signals_heeded() > since;
            let late = play.clock.real() + HEARD_NS;
            while !heeded() && play.clock.real() < late && !play.look(|scene| scene.is_over()) {
                std::thread::sleep(LOOK);
            }
            // The context announces a request first, and makes it then: a start in between would not know of it. So
            // wait for it.
            if heeded() {
                block_on(play.ctx().stop_requested());
            }
        }
        Effect::Kill(signal) => die(signal),
        Effect::Register(index) => play.register(index),
    }
}

fn raise(signal: SignalName) {
    let _ = signal_hook::low_level::raise(signal.number());
}

/// Ends the process by a signal with its default action: the worker does not handle it. A command that a shell runs
/// in the background inherits an ignored SIGINT, but the worker of the scenario has the default.
fn die(signal: SignalName) {
    let _ = signal_hook::low_level::emulate_default_handler(signal.number());
    // SIGKILL has no other action, and cannot be given one.
    raise(signal);
}

/// Calls the context on a thread of its own, or as code of a component if the call names one. The returned channel is
/// closed once the call was polled.
fn calls(play: &Arc<Play>, calling: Calling) -> Receiver<()> {
    let Calling {
        call,
        caller,
        from,
        message,
    } = calling;
    let (reaches, reached) = mpsc::sync_channel(0);
    let inside = from.clone();
    let theirs = Arc::clone(play);
    let called = async move {
        theirs.look(|scene| scene.record(What::CallBegan { call, caller, from }));
        let main = theirs.main();
        let main = move |_| Main::Async(Box::pin(main()));
        let mut said = pin!(stage::call(theirs.ctx(), call, message, main));
        let first = poll_fn(|cx| Poll::Ready(said.as_mut().poll(cx))).await;
        drop::<mpsc::SyncSender<()>>(reaches);
        let returns = |said: Said| {
            theirs.look(|scene| {
                scene.record(said.returned(call, caller));
                scene.open_calls.set(scene.open_calls.get() - 1);
            });
        };
        match first {
            Poll::Ready(said) => returns(said),
            Poll::Pending => {
                let turns = Turns::new(&theirs, false);
                await_in_turns(&turns, said, returns).await;
            }
        }
    };
    let spawned = match (inside, play.context(), play.host.get()) {
        (Some(name), Some(context), Some(host)) => {
            let who = Who {
                context,
                id: 0,
                name,
                kind: Kind::Thread,
            };
            // Runs as code of the context's own, which is not recorded.
            let body = Box::new(move |scope: &crate::host::Scope| {
                scope.block_on(called);
                Ok(())
            });
            let told = CancellationToken::new();
            host.live
                .spawn_body(who, told, body, Box::new(|_| {}))
                .is_ok()
        }
        _ => {
            let executor = play.executor.clone();
            let calls = move || {
                // Tasks that the call starts run on the service's executor; the call itself waits without the
                // executor.
                let _on = executor.enter();
                block_on(called);
            };
            let builder = std::thread::Builder::new().name("caller".to_owned());
            builder.spawn(calls).is_ok()
        }
    };
    assert!(spawned, "a live run can start its threads");
    reached
}
