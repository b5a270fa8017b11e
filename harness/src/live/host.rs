//! The host of a live run: the live host on the scenario's clock. It records when the code that it runs begins and
//! ends.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::blocker::TurnBlocker;
use super::executor::RecordedTask;
use super::play::Play;
use super::probe::meet_faults;
use super::scene::Scene;
use super::turns::{InTurns, PolledIn, Turns, Unbegun};
use crate::journal::{Cause, Claim, Id, Kind, Name, ms_rounded_up};
use crate::sim::start_thread;
use crate::stage::{NEVER, Stage as _};
use deadstop::host::{
    Abort, Around, Blocker, Body, BoxError, BoxFuture, ContextId, Ended, Executor, HarnessHost,
    Host, Live, OnEnd, Scope, SpawnError, Stream, Who,
};
use deadstop::journal::{Record, Sink};

/// The host of a live run. Its threads, tasks and waits are those of [`Live`].
pub(super) struct LiveHost {
    play: Arc<Play>,
    pub live: Arc<Live>,
}

impl LiveHost {
    pub fn new(play: Arc<Play>) -> Self {
        let live = Arc::new(Live::new());
        LiveHost { play, live }
    }

    /// Returns a task that records its begin, and an `OnEnd` that records its end.
    fn recorded(
        &self,
        who: &Who,
        future: BoxFuture<Result<(), BoxError>>,
        ended: OnEnd,
    ) -> (BoxFuture<Result<(), BoxError>>, OnEnd) {
        recorded_task(&self.play, who, future, ended)
    }
}

fn recorded_task(
    play: &Arc<Play>,
    who: &Who,
    future: BoxFuture<Result<(), BoxError>>,
    ended: OnEnd,
) -> (BoxFuture<Result<(), BoxError>>, OnEnd) {
    play.record_registration(who);
    let part = play.index_of(who.id);
    let nth = Arc::new(AtomicU32::new(0));
    let turns = Arc::new(Turns::new(play, true));
    let ended = on_end(play, part, &nth, &turns, ended);
    (
        Box::pin(RecordedTask::new(
            Arc::clone(play),
            part,
            nth,
            turns,
            future,
        )),
        ended,
    )
}

impl fmt::Debug for LiveHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LiveHost")
    }
}

impl Host for LiveHost {
    fn now(&self) -> Duration {
        self.play.clock.now()
    }

    fn sleep_until(&self, at: Duration) -> BoxFuture<()> {
        let wakes = self.play.clock.at(self.play.clock.time_map.wakes_at(at));
        Box::pin(async move {
            match wakes {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        })
    }

    fn ready(&self) -> Result<(), SpawnError> {
        self.live.ready()
    }

    fn drive(&self, future: BoxFuture<()>) -> Result<(), SpawnError> {
        let future = InTurns::of_the_context(&self.play, future);
        self.live.drive(future)
    }

    fn spawn_task(
        &self,
        who: Who,
        future: BoxFuture<Result<(), BoxError>>,
        ended: OnEnd,
    ) -> Result<Box<dyn Abort>, SpawnError> {
        let (future, ended) = self.recorded(&who, future, ended);
        self.live.spawn_task(who, future, ended)
    }

    fn executor(&self) -> Option<Box<dyn Executor>> {
        let home = self.live.executor()?;
        let play = Arc::clone(&self.play);
        Some(Box::new(HomeExecutor { play, home }))
    }

    fn around(&self) -> Around {
        self.live.around()
    }

    fn block_on(&self, future: Pin<&mut (dyn Future<Output = ()> + Send)>) {
        self.live.block_on(future);
    }

    fn spawn_body(
        &self,
        who: Who,
        told: CancellationToken,
        body: Body,
        ended: OnEnd,
    ) -> Result<(), SpawnError> {
        self.play.record_registration(&who);
        let play = Arc::clone(&self.play);
        let part = play.index_of(who.id);
        let nth = Arc::new(AtomicU32::new(0));
        let turns = Arc::new(Turns::new(&play, false));
        let ended = on_end(&play, part, &nth, &turns, ended);
        let unbegun = Unbegun::new(&play, false);
        // A watchdog runs its production body, so its faults strike where that body waits.
        let struck_component = part.filter(|_| who.kind == Kind::Watchdog);
        let body = move |scope: &Scope| {
            // The last turn of the body stays open until its end is recorded.
            turns.begin();
            drop(unbegun);
            let blocker = Arc::new(TurnBlocker {
                clock: Arc::clone(&play.clock),
                inner: scope.blocker(),
                turns,
            });
            if let Some(part) = part {
                play.set_blocker(part, &blocker);
                nth.store(play.record_begin(part), Ordering::SeqCst);
            }
            let blocker = Arc::new(ScenarioBlocker {
                play,
                blocker,
                struck_component,
            });
            blocker.meet_faults();
            body(&Scope::new(scope.token().clone(), blocker))
        };
        self.live.spawn_body(who, told, Box::new(body), ended)
    }

    fn withdraw(&self, context: ContextId, id: Id) -> Option<SpawnError> {
        self.live.withdraw(context, id)
    }

    fn watch(&self, future: BoxFuture<()>) -> Result<(), SpawnError> {
        let future = InTurns::of_the_context(&self.play, future);
        self.live.watch(future)
    }

    fn call(&self, name: &Name, call: Box<dyn FnOnce() + Send + 'static>) {
        self.live.call(name, call);
    }

    fn connect(&self, authority: &str) -> BoxFuture<std::io::Result<Box<dyn Stream>>> {
        self.live.connect(authority)
    }

    fn harness_part(&self) -> Option<&dyn HarnessHost> {
        Some(self)
    }

    fn is_inside(&self, context: ContextId) -> bool {
        self.live.is_inside(context)
    }

    fn exit(&self, code: i32, cause: Cause) {
        if self.play.record_exit(code, cause) {
            self.live.exit(code, cause);
        }
    }
}

impl HarnessHost for LiveHost {
    /// Waits until everything that can run in this instant has run. An instant has an extent in real time here.
    fn settle(&self) -> BoxFuture<()> {
        let clock = &self.play.clock;
        let left = clock
            .time_map
            .settled_at(clock.real())
            .saturating_sub(clock.real());
        // The wait has a thread of its own: the caller may await it on the service's runtime, which may be wedged.
        let (over, is_over) = tokio::sync::oneshot::channel::<()>();
        let play = Arc::clone(&self.play);
        let wait = move || {
            std::thread::sleep(Duration::from_nanos(left));
            // On a slow machine, code that was started or woken in this instant may still be about to run.
            let late = play.clock.real() + play.clock.time_map.start_allowance();
            let quiet = |scene: &Scene| scene.is_over() || scene.is_quiet();
            play.wait_for_scene(Some(late), quiet);
            play.ping_executor(late);
            play.wait_for_scene(Some(late), quiet);
            drop(over);
        };
        let waits = start_thread("settle", wait);
        Box::pin(async move {
            if waits.is_ok() {
                let _ = is_over.await;
            }
        })
    }
}

/// The executor on which an async callback was registered.
struct HomeExecutor {
    play: Arc<Play>,
    home: Box<dyn Executor>,
}

impl Executor for HomeExecutor {
    fn spawn_task(
        &self,
        who: Who,
        future: BoxFuture<Result<(), BoxError>>,
        ended: OnEnd,
    ) -> Result<Box<dyn Abort>, SpawnError> {
        let (future, ended) = recorded_task(&self.play, &who, future, ended);
        self.home.spawn_task(who, future, ended)
    }
}

/// Blocker that waits as the live host's does, but for durations of the scenario.
pub(super) struct ScenarioBlocker {
    play: Arc<Play>,
    blocker: Arc<TurnBlocker>,
    /// The component whose faults strike while it waits; only a watchdog has one here. A scripted behaviour meets its
    /// own faults.
    struck_component: Option<usize>,
}

impl ScenarioBlocker {
    fn meet_faults(&self) -> bool {
        self.struck_component
            .map(|part| meet_faults(&self.play, part))
            .is_some()
    }
}

impl Blocker for ScenarioBlocker {
    fn wait(&self, told: &CancellationToken, limit: Option<Duration>) {
        let now = self.play.clock.now();
        let until = limit.and_then(|limit| now.checked_add(limit));
        let Some(part) = self.struck_component else {
            return self.blocker.wait_until(told, until);
        };
        loop {
            let instant = until.map_or(NEVER, ms_rounded_up);
            self.play
                .wait_interruptibly(part, told.child_token(), instant, |token| {
                    self.blocker.wait_until(&token, until);
                });
            self.meet_faults();
            // A fault ends the pause early; the wait then goes on.
            let is_due = until.is_some_and(|until| self.play.clock.now() >= until);
            if is_due || told.is_cancelled() {
                return;
            }
        }
    }

    fn sleep(&self, duration: Duration) {
        let until = self.play.clock.now().checked_add(duration);
        self.blocker.outside(|| {
            while let Some(until) = until.filter(|until| self.play.clock.now() < *until) {
                self.blocker.inner.sleep(self.play.clock.until(until));
            }
        });
    }

    fn block_on(&self, future: Pin<&mut (dyn Future<Output = ()> + Send)>) {
        let future = std::pin::pin!(PolledIn {
            turns: &self.blocker.turns,
            future,
        });
        // The current turn stays open up to the first await.
        self.blocker.inner.block_on(future);
        self.blocker.turns.begin();
    }

    fn running(&self, told: &CancellationToken) -> bool {
        self.blocker.inner.running(told)
    }
}

/// Sink that records the context's claims in the journal. The host records the facts, registrations and the ends of
/// code among them.
pub(super) struct LiveSink(pub Arc<Play>);

impl Sink for LiveSink {
    fn record(&self, record: &Record<'_>) {
        if !matches!(record.claim, Claim::Registered(_) | Claim::Ended { .. }) {
            self.0.claim(record.claim.into());
        }
    }
}

/// Returns an `OnEnd` that records the end, at the clock's time, before it notifies the context. Both belong to
/// the last turn of the code, which is still open unless the code was dropped.
fn on_end(
    play: &Arc<Play>,
    part: Option<usize>,
    nth: &Arc<AtomicU32>,
    turns: &Arc<Turns>,
    ended: OnEnd,
) -> OnEnd {
    let (play, nth, turns) = (Arc::clone(play), Arc::clone(nth), Arc::clone(turns));
    Box::new(move |end: Ended| {
        turns.begin();
        if let Some(part) = part {
            play.record_end(part, nth.load(Ordering::SeqCst), end.how, end.error.clone());
        }
        ended(Ended::new(end.how, end.error, play.clock.now()));
        turns.end();
    })
}
