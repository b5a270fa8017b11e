//! The timeline of a live run: the thread that strikes the script's events when they are due, and makes its calls.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::task::Poll;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::pace;
use super::play::Play;
use super::scene::{PendingCall, Scene, UnlockedAction};
use super::turns::{InTurns, Turns, await_in_turns};
use crate::journal::{Cause, Kind, SignalName, What};
use crate::sim::start_thread;
use crate::stage::{self, Said, Stage};
use deadstop::context::Main;
use deadstop::host::{Host, Who, block_on};

/// Interval at which the timeline checks whether a signal was heeded.
const POLL_INTERVAL: Duration = Duration::from_millis(1);
/// Maximum time for which the timeline waits until a signal is heeded, in nanoseconds.
const MAX_HEED_NS: u64 = 2_000_000_000;

/// Strikes everything that is due, and makes the calls of this instant, before the worker's code goes on. Returns
/// whether anything was due.
pub(super) fn strike_due(play: &Arc<Play>) -> bool {
    if !play.with_scene(|scene| scene.is_due() || scene.is_striking.get()) {
        return false;
    }
    play.wait_for_scene(None, |scene| {
        let may = scene.is_over() || !scene.in_a_turn();
        scene.is_striking.set(scene.is_striking.get() || may);
        may
    });
    while strike_one(play) {}
    hold_executor(play);
    play.with_scene(|scene| scene.is_striking.set(false));
    true
}

/// Blocks the executor, if a component holds it. Without this, an executor on which nothing else runs could still
/// drop a task that is aborted.
fn hold_executor(play: &Arc<Play>) {
    let is_open = |scene: &Scene| scene.is_held() && !scene.blocks_executor();
    if play.with_scene(is_open) {
        let nothing = Box::pin(std::future::ready(()));
        drop(play.executor.spawn(InTurns::on_the_executor(play, nothing)));
        play.wait_for_scene(None, |scene| !is_open(scene));
    }
}

/// Strikes one event or action that is due; if there is none, makes the next calls, in their order. Returns whether
/// there was anything.
fn strike_one(play: &Arc<Play>) -> bool {
    let struck = play.with_scene(|scene| scene.stage().strike_next() || scene.perform_due_action());
    while let Some(action) =
        play.with_scene(|scene| scene.unlocked_actions.borrow_mut().pop_front())
    {
        perform_action(play, action);
    }
    struck || make_calls(play)
}

/// Makes the calls that come next, and waits until they have reached the context: later events strike after that.
fn make_calls(play: &Arc<Play>) -> bool {
    let pending = play.with_scene(|scene| scene.take_calls());
    let reached: Vec<_> = pending.into_iter().map(|c| make_call(play, c)).collect();
    let allowed_until = play.clock.real() + play.clock.time_map.start_allowance();
    for reached in &reached {
        // Nothing is ever sent: the channel is closed when the call has reached the context.
        let left = allowed_until.saturating_sub(play.clock.real());
        let _ = reached.recv_timeout(Duration::from_nanos(left));
    }
    !reached.is_empty()
}

/// Strikes what is due, until the process ends.
pub(super) fn run_timeline(play: &Arc<Play>, uses_run: bool) {
    let mut done_at = None;
    loop {
        if strike_due(play) {
            continue;
        }
        let (over, next, done) =
            play.with_scene(|scene| (scene.is_over(), scene.next_due_ns(), scene.is_done()));
        if over {
            return;
        }
        // A program that only calls ends once nothing more is due and everything that can run has run.
        done_at = match (done && !uses_run, done_at) {
            (false, _) => None,
            (true, None) => Some(play.clock.time_map.settled_at(play.clock.real())),
            (true, Some(at)) if at <= play.clock.real() => {
                let code = play.life().exit_code();
                if play.record_exit(code, Cause::Returned) {
                    play.set_exit_code(code);
                }
                return;
            }
            (true, at) => at,
        };
        let until = [next, done_at].into_iter().flatten().min();
        play.wait_for_scene(until, |scene| {
            scene.is_over() || scene.next_due_ns() != next || (!uses_run && scene.is_done() != done)
        });
    }
}

fn perform_action(play: &Arc<Play>, action: UnlockedAction) {
    match action {
        UnlockedAction::Signal(signal) => {
            let (life, since) = (play.life(), play.life().signals_heeded());
            raise(signal);
            // The next event strikes after the signal was heeded, even if another thread has to receive it first.
            let heeded = || life.signals_heeded() > since;
            let late = play.clock.real() + MAX_HEED_NS;
            while !heeded() && play.clock.real() < late && !play.with_scene(|scene| scene.is_over())
            {
                std::thread::sleep(POLL_INTERVAL);
            }
            // The context announces a request first, and makes it then: a start in between would not know of it. So
            // wait for it.
            if heeded() {
                block_on(play.ctx().stop_requested());
            }
        }
        UnlockedAction::Kill(signal) => die(signal),
        UnlockedAction::Register(index) => pace::register(play, index),
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
fn make_call(play: &Arc<Play>, pending: PendingCall) -> Receiver<()> {
    let PendingCall {
        call,
        caller,
        from,
        message,
    } = pending;
    let (reaches, reached) = mpsc::sync_channel(0);
    let inside = from.clone();
    let theirs = Arc::clone(play);
    let called = async move {
        theirs.with_scene(|scene| scene.record(What::CallBegan { call, caller, from }));
        let main = pace::main(&theirs);
        let main = move |_| Main::Async(Box::pin(main()));
        let mut said = pin!(stage::call(theirs.ctx(), call, message, main));
        let first = poll_fn(|cx| Poll::Ready(said.as_mut().poll(cx))).await;
        drop::<mpsc::SyncSender<()>>(reaches);
        let returns = |said: Said| {
            theirs.with_scene(|scene| {
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
    let spawned = match (inside, play.context(), play.live.get()) {
        (Some(name), Some(context), Some(live)) => {
            let who = Who::new(context, 0, name, Kind::Thread);
            // Runs as code of the context's own, which is not recorded.
            let body = Box::new(move |scope: &deadstop::host::Scope| {
                scope.block_on(called);
                Ok(())
            });
            let told = CancellationToken::new();
            live.spawn_body(who, told, body, Box::new(|_| {})).is_ok()
        }
        _ => {
            let executor = play.executor.clone();
            let calls = move || {
                // Tasks that the call starts run on the service's executor; the call itself waits without the
                // executor.
                let _on = executor.enter();
                block_on(called);
            };
            start_thread("caller", calls).is_ok()
        }
    };
    assert!(spawned, "a live run can start its threads");
    reached
}
