//! The world: the state of one simulated run, on one thread.
//!
//! An *entity* is a task on tokio's executor. Its wakes do not reach tokio; they only put it into the
//! [ready set](super::ready). When nothing else can run, tokio calls a hook, which calls [`World::quiet`]. It grants a
//! poll to one ready entity, which the run's [schedule](super::schedule) picks. If none is ready, it moves time to the
//! next timer.

use std::any::Any;
use std::cell::{Cell, OnceCell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::runtime::Handle;

use super::body::baton;
use super::body::bodies::{Bodies, SimBody};
use super::clock::{TimerAction, Timers};
use super::driven::DrivenSubject;
use super::entity::Entities;
use super::foreign::Foreign;
use super::guard::watched::{Observed, Watched};
use super::role::EntityId;
use super::schedule::{Halt, Point, PointKind, Schedule};
use super::settlers::Settlers;
use crate::journal::{Cause, Event, Name, StuckWhy, What, ms_rounded_down};
use crate::scenario::Scenario;
use crate::stage::{Endpoint, MAIN_PART, Parts, Script};
use deadstop::host::BoxError;

/// Horizon: the longest virtual time that a run may take, 24 hours.
pub const HORIZON: Duration = Duration::from_secs(24 * 3_600);
/// Maximum number of events in one millisecond of virtual time. A run with more is stuck: it spins.
pub const MAX_EVENTS_PER_MS: u32 = 10_000;
/// Maximum number of events in a run. A run with more is stuck: it spins.
pub const MAX_EVENTS_PER_RUN: usize = 200_000;
/// Maximum number of rows in all reports of a run. The report to each caller has a row for each step, so a thousand
/// callers of a thousand components would need gigabytes.
pub const MAX_ROWS_PER_RUN: usize = 200_000;
/// Maximum number of turns in one millisecond of virtual time. A run with more spins, even if it records no event.
const TURNS_A_MILLISECOND: u32 = 1_000_000;
/// Maximum number of turns in a run. A run with more is stuck: it spins. A body that wakes once a millisecond would
/// take minutes of real time to reach the horizon; an hour of that is 3,600,000 turns.
pub const MAX_TURNS_PER_RUN: u64 = 5_000_000;

thread_local! {
    static CURRENT: RefCell<Option<Rc<World>>> = const { RefCell::new(None) };
}

static GENERATION: AtomicU64 = AtomicU64::new(1);

/// A body that has not ended (`None` while it runs, and once it has ended), and the entity that runs it.
pub(crate) type LiveBody = (Option<SimBody<Result<(), BoxError>>>, Option<EntityId>);

pub(crate) struct World {
    /// Number that tells worlds apart, so that a waker of an earlier world wakes no entity of this one.
    pub generation: u64,
    now_ms: Cell<u64>,
    /// The instants at which something was due, in milliseconds, ascending.
    instants: RefCell<Vec<u64>>,
    over: Cell<bool>,
    over_waker: RefCell<Option<Waker>>,
    schedule: RefCell<Box<dyn Schedule>>,
    /// The reason why the schedule has ended the run.
    halt: Cell<Option<Halt>>,
    pub timers: RefCell<Timers>,
    pub entities: RefCell<Entities>,
    pub settlers: RefCell<Settlers>,
    /// The bodies, each with the entity that runs it.
    pub bodies: RefCell<Vec<LiveBody>>,
    /// What bodies run on.
    pub body_kind: Bodies,
    pub observed: Arc<Observed>,
    /// Number of events in this millisecond.
    events_now: Cell<u32>,
    /// Number of rows in all reports so far.
    rows: Cell<usize>,
    turns_now: Cell<u32>,
    turns: Cell<u64>,
    pub parts: Parts,
    pub script: RefCell<Script>,
    pub endpoint: RefCell<Endpoint>,
    pub subject: RefCell<Option<Arc<dyn DrivenSubject>>>,
    /// The running flag as it was read last.
    last_running: Cell<bool>,
    /// The component of the step that began last, until any step ends: the one to blame when the run is stuck.
    pub awaited_step: RefCell<Option<Name>>,
    pub watched: Option<Arc<Watched>>,
    /// What only a foreign world has, in which a user's own code runs and tokio moves the clock.
    pub foreign: Option<Foreign>,
    /// The panic in the simulator's own code that ended the run.
    pub simulator_panic: Cell<Option<Box<dyn Any + Send>>>,
    /// Whether the program handles signals; otherwise it only calls.
    pub handles_signals: bool,
    pub callers: Cell<u32>,
    pub open_calls: Cell<u32>,
    /// The runtime on which the entities' tasks run.
    runtime: OnceCell<Handle>,
    /// The entities that poll a condition which wakes no entity when it changes.
    pollers: RefCell<Vec<EntityId>>,
    /// Number of turns and of moves of time so far.
    progress: Cell<u64>,
    /// The `progress` at which the pollers polled last.
    polled_progress: Cell<u64>,
}

/// Calls `f` with the world of this thread.
///
/// # Panics
///
/// Outside of a run.
pub(crate) fn with<R>(f: impl FnOnce(&World) -> R) -> R {
    try_with(f).expect(
        "only the main, tasks, threads and callbacks of a simulated worker may call its context: the simulator does \
         not know this thread",
    )
}

/// Calls `f` with the world of this thread, if there is one: its own, or the one lent to a body's thread for its turn.
pub(crate) fn try_with<R>(f: impl FnOnce(&World) -> R) -> Option<R> {
    let mut f = Some(f);
    let own = CURRENT.try_with(|current| {
        let current = current.try_borrow().ok()?;
        let world = current.as_ref()?;
        f.take().map(|f| f(world))
    });
    match own {
        Ok(Some(result)) => Some(result),
        // This thread has no world of its own; a body's thread may have one for its turn.
        _ => f.and_then(baton::with_lent),
    }
}

/// Calls `f` with this thread's own world, if it has one. The world stays while `f` runs.
pub(crate) fn lend<R>(f: impl FnOnce(Option<&World>) -> R) -> R {
    CURRENT.with_borrow(|current| f(current.as_deref()))
}

/// The state that a world is the one of this thread, until it is dropped.
pub(crate) struct Entered;

impl Entered {
    pub fn new(world: &Rc<World>) -> Self {
        CURRENT.with_borrow_mut(|current| {
            assert!(current.is_none(), "a thread runs one world at a time");
            *current = Some(Rc::clone(world));
        });
        Entered
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // No borrow is held while the world is dropped: destructors may look for it once more.
        let world = CURRENT.with_borrow_mut(Option::take);
        drop(world);
    }
}

impl World {
    pub fn new(
        scenario: &Scenario,
        schedule: Box<dyn Schedule>,
        body_kind: Bodies,
        foreign: bool,
        watched: Option<Arc<Watched>>,
    ) -> Rc<Self> {
        let parts = if foreign {
            Parts::of_own(scenario)
        } else {
            Parts::new(scenario)
        };
        let observed = Arc::new(Observed::new());
        if let Some(watched) = &watched {
            watched.publish(Arc::clone(&observed));
        }
        Rc::new(World {
            generation: GENERATION.fetch_add(1, Ordering::Relaxed),
            now_ms: Cell::new(0),
            instants: RefCell::default(),
            over: Cell::new(false),
            over_waker: RefCell::new(None),
            schedule: RefCell::new(schedule),
            halt: Cell::new(None),
            timers: RefCell::default(),
            entities: RefCell::default(),
            settlers: RefCell::default(),
            bodies: RefCell::default(),
            body_kind,
            observed,
            events_now: Cell::new(0),
            rows: Cell::new(0),
            turns_now: Cell::new(0),
            turns: Cell::new(0),
            parts,
            script: RefCell::new(Script::new(scenario)),
            endpoint: RefCell::default(),
            subject: RefCell::new(None),
            last_running: Cell::new(true),
            awaited_step: RefCell::new(None),
            watched,
            foreign: foreign.then(Foreign::default),
            simulator_panic: Cell::new(None),
            handles_signals: scenario.worker.run,
            callers: Cell::new(0),
            open_calls: Cell::new(0),
            runtime: OnceCell::new(),
            pollers: RefCell::default(),
            progress: Cell::new(0),
            polled_progress: Cell::new(0),
        })
    }

    /// Returns the milliseconds since the worker began, after a look at tokio's clock.
    pub fn now(&self) -> u64 {
        self.follow_tokio_clock();
        self.now_ms.get()
    }

    /// Returns the milliseconds since the worker began, as they were read last.
    pub fn time(&self) -> u64 {
        self.now_ms.get()
    }

    /// Advances the world's clock to `now`, in milliseconds; never moves it back.
    pub fn set_now(&self, now: u64) {
        if now <= self.now_ms.get() {
            return;
        }
        self.now_ms.set(now);
        if self.is_foreign() {
            // tokio has moved its clock, perhaps for a task that is no entity. This counts as a turn.
            self.turns.set(self.turns.get() + 1);
        }
        if let Some(watched) = &self.watched {
            watched.publish_now(now);
        }
        self.events_now.set(0);
        self.turns_now.set(0);
        self.made_progress();
    }

    /// Sets the runtime, once, before anything runs.
    pub fn set_runtime(&self, runtime: Handle) {
        let _ = self.runtime.set(runtime);
    }

    /// Returns the runtime, once it is set.
    pub fn runtime(&self) -> Option<Handle> {
        self.runtime.get().cloned()
    }

    /// Records that something has run, so that a poller may find its condition changed.
    pub fn made_progress(&self) {
        self.progress.set(self.progress.get() + 1);
    }

    /// Makes the entity that runs a poller: it is woken once something else has run.
    pub fn add_poller(&self) {
        let id = self.entities.borrow().current();
        self.pollers.borrow_mut().extend(id);
    }

    /// Withdraws the progress of a poller's turn in which its condition had not changed.
    pub fn withdraw_progress(&self) {
        self.progress.set(self.progress.get().saturating_sub(1));
    }

    /// Wakes the pollers if anything has run since they polled; returns whether there are any.
    fn wake_pollers(&self) -> bool {
        let progress = self.progress.get();
        if self.polled_progress.replace(progress) == progress {
            return false;
        }
        let pollers = self.pollers.take();
        let mut entities = self.entities.borrow_mut();
        for id in &pollers {
            entities.enter(*id);
        }
        !pollers.is_empty()
    }

    /// Returns whether the run is over: the process has ended, or the run is stuck.
    pub fn is_over(&self) -> bool {
        self.over.get()
    }

    /// Returns the subject. There is one from the first instant of the run to the last.
    pub fn subject(&self) -> Arc<dyn DrivenSubject> {
        Arc::clone(
            self.subject
                .borrow()
                .as_ref()
                .expect("a world has a subject while it runs"),
        )
    }

    /// Returns `Ready` once the run is over, and until then keeps the waker that the end of the run wakes.
    pub fn poll_over(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_over() {
            return Poll::Ready(());
        }
        *self.over_waker.borrow_mut() = Some(cx.waker().clone());
        if let Some(foreign) = &self.foreign {
            foreign.outside.set_executor(cx.waker());
        }
        Poll::Pending
    }

    /// Records an event in the journal, unless the run is over. An event beyond a limit ends the run.
    pub fn record(&self, what: What) {
        if self.is_over() {
            return;
        }
        if let What::Returned { steps, deaths, .. } = &what {
            self.rows.set(self.rows.get() + steps.len() + deaths.len());
        }
        let events_in_all = self.push(what);
        self.events_now.set(self.events_now.get() + 1);
        if self.events_now.get() > MAX_EVENTS_PER_MS || events_in_all > MAX_EVENTS_PER_RUN {
            self.stuck(StuckWhy::Spinning);
        } else if self.rows.get() > MAX_ROWS_PER_RUN {
            self.stuck(StuckWhy::TooLarge);
        }
    }

    /// Adds an event to the journal, and returns the number of events so far.
    fn push(&self, what: What) -> usize {
        let t = self.now();
        let mut number = 0;
        let events = self.observed.push(|seq| {
            number = seq;
            Event { t, seq, what }
        });
        self.script.borrow_mut().wrote(number, t);
        events
    }

    /// Records a claim of the context, and then the running flag if it has changed.
    pub fn claim(&self, mut claim: What) {
        if self.is_over() {
            return;
        }
        if self.is_foreign() {
            claim = self.stage().in_our_names(claim);
        }
        match &claim {
            What::StepStarted { name, id, .. } => {
                *self.awaited_step.borrow_mut() = Some(name.clone());
                self.parts.step_began(*id);
                self.script.borrow_mut().began(name, self.now());
            }
            What::StepEnded { .. } => *self.awaited_step.borrow_mut() = None,
            What::Leak { id, .. } => self.parts.leaked(*id),
            _ => {}
        }
        let told = match &claim {
            What::Told { id, .. } if self.is_foreign() => Some(*id),
            _ => None,
        };
        self.record(claim);
        if let Some(id) = told {
            self.stage().own_told(id);
        }
        self.look_at_running();
    }

    /// Reads the running flag, and records it if it has changed.
    pub fn look_at_running(&self) {
        let Some(subject) = self.subject.borrow().clone() else {
            return;
        };
        let value = subject.running();
        if self.last_running.replace(value) != value {
            self.record(What::Running { value });
        }
    }

    /// Grants a poll to a ready entity, or moves time if none is ready. tokio's hook calls this when nothing else can
    /// run.
    pub fn quiet(&self) {
        self.end_turn();
        if let Some(foreign) = &self.foreign {
            let woken = foreign.outside.take();
            if !woken.is_empty() {
                self.made_progress();
            }
            woken
                .into_iter()
                .for_each(|id| self.entities.borrow_mut().enter(id));
            self.fire_due();
        }
        loop {
            self.stage().strike_due();
            if self.is_over() {
                return;
            }
            let granted = self.grant();
            if self.is_over() {
                return;
            }
            if let Some(id) = granted {
                self.turns_now.set(self.turns_now.get() + 1);
                self.turns.set(self.turns.get() + 1);
                self.made_progress();
                if self.turns_now.get() > TURNS_A_MILLISECOND
                    || self.turns.get() > MAX_TURNS_PER_RUN
                {
                    let name = self.entities.borrow().name(id);
                    self.stuck_by(StuckWhy::Spinning, name);
                }
                return;
            }
            if self.wake_pollers() {
                continue;
            }
            if let Some(settler) = self.choose_settler() {
                settler.wake();
                continue;
            }
            if self.is_over() {
                return;
            }
            if self.end_if_returned() {
                return;
            }
            let next = [
                self.timers.borrow().next_instant(),
                self.script.borrow().first(),
            ];
            let horizon = ms_rounded_down(HORIZON);
            let mut next = next
                .into_iter()
                .flatten()
                .min()
                .filter(|next| *next <= horizon);
            // The world does not know what a user's own code waits for, so time must go on to the horizon.
            if self.is_foreign() && self.now() < horizon {
                next = next.or(Some(horizon));
            }
            let Some(next) = next else {
                self.stuck(StuckWhy::Horizon);
                return;
            };
            // A user's own timers may fire each millisecond until the horizon without any entity's turn.
            if self.is_foreign() && self.turns.get() > MAX_TURNS_PER_RUN {
                self.stuck(StuckWhy::Spinning);
                return;
            }
            if self.leaves_clock_to_tokio(next) {
                return;
            }
            self.advance(next);
        }
    }

    /// Returns the index of the candidate that the schedule takes. If it takes none, ends the run.
    pub fn choose(&self, point: &Point<'_>) -> Option<usize> {
        let answer = self.schedule.borrow_mut().choose(point);
        let halt = match answer {
            Ok(index) if index < point.candidates().len() => return Some(index),
            Ok(index) => Halt::no_such_candidate(point, index),
            Err(halt) => halt,
        };
        self.halt.set(Some(halt));
        self.end();
        None
    }

    /// Removes the waker of the call of `settle` that returns next, if there is one.
    fn choose_settler(&self) -> Option<Waker> {
        let mut settlers = self.settlers.borrow_mut();
        if settlers.is_empty() {
            return None;
        }
        let entities = self.entities.borrow();
        let named = settlers.named(&entities);
        let index = self.choose(&Point::lent(PointKind::Return, self.time(), &named))?;
        Some(settlers.remove(index))
    }

    /// Tells the schedule that the run is over, and returns why the schedule does not accept it.
    pub fn take_halt(&self) -> Option<Halt> {
        let halt = self.halt.take();
        halt.or_else(|| self.schedule.borrow_mut().end().err())
    }

    /// Moves time, strikes the events of the timeline that are due, and fires the timers that are due.
    fn advance(&self, to: u64) {
        let by = to.saturating_sub(self.now());
        if by > 0 {
            // tokio's clock moves at the first poll of `advance`; a second poll would only yield.
            let mut advance = std::pin::pin!(tokio::time::advance(Duration::from_millis(by)));
            let _ = advance
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
            self.set_now(to);
        }
        if self.is_strike_due() {
            self.record_instant();
        }
        self.fire_due();
    }

    /// Returns whether an event of the timeline is due.
    pub fn is_strike_due(&self) -> bool {
        let first = self.script.borrow().first();
        first.is_some_and(|at| at <= self.now())
    }

    /// Records this instant as one at which something is due. A live run keeps such instants apart.
    fn record_instant(&self) {
        let mut instants = self.instants.borrow_mut();
        if instants.last() != Some(&self.now_ms.get()) {
            instants.push(self.now_ms.get());
        }
    }

    /// Strikes the events of the timeline that are due, and fires the timers that are due.
    fn fire_due(&self) {
        self.stage().strike_due();
        let now = self.now();
        while !self.is_over() {
            let Some(due) = self.timers.borrow_mut().take_due(now) else {
                return;
            };
            match due {
                TimerAction::Wake(waker) => {
                    self.record_instant();
                    waker.wake();
                }
                TimerAction::WakeIdle(waker) => waker.wake(),
                TimerAction::Call(act) => {
                    self.record_instant();
                    act(self);
                }
            }
        }
    }

    /// Sets a timer that calls `act` after `delay` milliseconds.
    pub fn after(&self, delay: u64, act: impl FnOnce(&World) + Send + 'static) {
        let at = self.now().saturating_add(delay);
        self.timers
            .borrow_mut()
            .set(at, TimerAction::Call(Box::new(act)));
    }

    /// Ends the process: records what is lost, then the exit, and nothing after that.
    pub fn exit(&self, code: i32, cause: Cause) {
        if self.is_over() {
            return;
        }
        for lost in self.parts.losses() {
            self.push(lost);
        }
        self.push(What::Exit { code, cause });
        self.end();
    }

    /// Ends a run that cannot be finished, and records the component to blame.
    pub fn stuck(&self, why: StuckWhy) {
        if self.is_over() {
            return;
        }
        let running = self.entities.borrow().current_name();
        let awaited_step = self.awaited_step.borrow().clone();
        let culprit = match why {
            StuckWhy::Spinning | StuckWhy::Blocked | StuckWhy::Overtime | StuckWhy::TooLarge => {
                running.or(awaited_step)
            }
            // Nothing bounds main until a stop begins.
            StuckWhy::Horizon => awaited_step.or_else(|| {
                let main = &self.parts.all[MAIN_PART];
                main.runs().then(|| main.name.clone())
            }),
        };
        self.stuck_by(why, culprit.unwrap_or_else(|| Name::from("worker")));
    }

    /// Ends a run that cannot be finished, and blames `name`.
    fn stuck_by(&self, why: StuckWhy, name: Name) {
        self.push(What::Stuck { why, name });
        self.end();
    }

    /// Calls code of the simulator. If it panics, ends the run and keeps the panic for the caller of the run.
    pub fn or_fail<R>(&self, code: impl FnOnce() -> R) -> Option<R> {
        match catch_unwind(AssertUnwindSafe(code)) {
            Ok(result) => Some(result),
            Err(payload) => {
                self.simulator_panic.set(Some(payload));
                self.end();
                None
            }
        }
    }

    /// Publishes to the guard which entity has the turn.
    pub fn begin_turn(&self, id: EntityId) {
        if let Some(watched) = &self.watched {
            watched.begin_turn(id);
        }
    }

    /// Returns the entity that has the turn, as it was published to the guard.
    pub fn turn_holder(&self) -> Option<EntityId> {
        self.watched.as_ref().and_then(|watched| watched.entity())
    }

    /// Publishes to the guard that no entity has the turn.
    pub fn end_turn(&self) {
        if let Some(watched) = &self.watched {
            watched.end_turn();
        }
    }

    fn end(&self) {
        self.count_tasks();
        self.over.set(true);
        if let Some(waker) = self.over_waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Counts the tasks that a user's own code has spawned past the context and that have not ended.
    fn count_tasks(&self) {
        if let (Some(foreign), Some(runtime)) = (&self.foreign, self.runtime()) {
            let alive = runtime.metrics().num_alive_tasks();
            foreign.found.borrow_mut().tasks = alive.saturating_sub(foreign.entities.get());
        }
    }

    /// Takes the recorded events.
    pub fn take_events(&self) -> Vec<Event> {
        self.observed.take_events()
    }

    /// Takes the instants at which something was due.
    pub fn take_instants(&self) -> Vec<u64> {
        self.instants.take()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Bodies are left only after a panic of the simulator itself. Dropping them would unwind them by force, which
        // can abort the process.
        for (body, _) in self.bodies.take() {
            if let Some(body) = body {
                body.leave();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Fault, Timed, Trigger, Verb};
    use crate::sim::body::wait;
    use crate::sim::laid::lay;
    use crate::sim::{Options, Own, Run, Runners, Subject, run};
    use deadstop::context::WorkerCtx;

    fn parsed(worker: &str, events: &str) -> Scenario {
        let text =
            format!("title = \"A limit\"\n[worker]\n{worker}\n[timeline]\nevents = [{events}]\n");
        crate::scenario::parse("limit", &text)
            .unwrap_or_else(|invalid| panic!("{:?}", invalid.diagnostics))
    }

    /// Returns the last event of a run.
    fn end_of(worker: &str, events: &str, subject: Subject) -> (u64, What) {
        let journal = run(
            &parsed(worker, events),
            &Options {
                subject,
                ..Options::default()
            },
        );
        let last = journal.events.last().expect("no journal is empty");
        (last.t, last.what.clone())
    }

    fn stuck(why: StuckWhy, name: &str) -> What {
        let name = name.into();
        What::Stuck { why, name }
    }

    /// Waits and wakes itself at once, again and again, until the run is over.
    fn spin() {
        while !with(|world| world.is_over()) {
            let mut woken = false;
            wait::block(std::future::poll_fn(move |cx| {
                if std::mem::replace(&mut woken, true) {
                    return Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            }));
        }
    }

    /// A task past the gate has a timer that fires each millisecond, in a run that nothing ends.
    #[test]
    #[allow(clippy::disallowed_methods, reason = "as a user's code would")]
    fn a_users_own_timers_are_bounded_too() {
        let own = Own::new(|_: WorkerCtx| async {
            with(|world| world.turns.set(MAX_TURNS_PER_RUN - 1_000));
            tokio::spawn(async {
                loop {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            });
            Ok(())
        });
        let scenario =
            crate::scenario::parse("limit", "title = \"A limit\"\n[timeline]\nevents = []\n");
        let scenario = scenario.unwrap_or_else(|invalid| panic!("{:?}", invalid.diagnostics));
        let runners = Runners::new(1).expect("threads to run it on");
        let run = Run::new(Arc::new(scenario), Options::default()).of(own);
        let ran = runners.run_all([run]).next().expect("a result for the run");
        let ran = ran.expect("a run has a journal");
        assert!(!ran.kept_its_thread);
        let last = ran.journal.events.last().expect("no journal is empty");
        assert_eq!(last.what, stuck(StuckWhy::Spinning, "worker"));
        // Each millisecond counts as a turn, and main and the context have had a few turns before.
        assert!((980..=1_000).contains(&last.t), "{}", last.t);
    }

    #[test]
    fn run_in_which_nothing_can_happen_is_stuck_at_once() {
        let worker = "components = [{ thread = \"healthy\" }]";
        let end = end_of(worker, "", Subject::Worker);
        assert_eq!(end, (0, stuck(StuckWhy::Horizon, "worker")));
    }

    #[test]
    fn main_that_never_returns_is_blamed_with_and_without_run() {
        for runs in [true, false] {
            let db = "components = [{ closeable = \"db\", after = \"10s\" }]";
            let mut scenario = parsed(db, "");
            scenario.worker.run = runs;
            // A file cannot script this of main, but a user's own main can do it.
            scenario.timeline.push(Timed {
                trigger: Trigger::At(Duration::from_secs(5)),
                verb: Verb::Fault {
                    name: "main".into(),
                    fault: Fault::Hang { lasts: None },
                },
                span: 0..0,
            });
            let journal = run(&scenario, &Options::default());
            let last = journal.events.last().map(|last| (last.t, &last.what));
            let main = stuck(StuckWhy::Horizon, "main");
            assert_eq!(last, Some((5_000, &main)), "run = {runs}");
        }
    }

    #[test]
    fn a_callback_of_the_plans_that_never_returns_is_to_blame() {
        let worker = "run = false\ncomponents = [{ cleanup = \"fine\", order = 2 }, { cleanup = \"hung\", order = 1 }]";
        let events = "{ at = \"1s\", hang = \"hung\", for = \"forever\" }, { at = \"2s\", call = \"cleanup\" }";
        let end = end_of(worker, events, Subject::Plan);
        assert_eq!(end, (2_000, stuck(StuckWhy::Horizon, "hung")));
        // The worker context bounds the callback, and the program returns.
        let (t, what) = end_of(worker, events, Subject::Worker);
        assert!(t < 60_000, "{t}");
        assert!(matches!(what, What::Exit { .. }), "{what:?}");
    }

    #[test]
    fn time_goes_to_the_horizon_and_no_further() {
        let worker = "components = [{ thread = \"hourly\", period = \"1h\" }]";
        let end = end_of(worker, "", Subject::Worker);
        assert_eq!(end, (24 * 3_600_000, stuck(StuckWhy::Horizon, "worker")));
        let worker = "components = [{ thread = \"every 50 minutes\", period = \"50m\" }]";
        let end = end_of(worker, "", Subject::Worker);
        // This is 28 times 50 minutes; the 29th time would be after 24 h.
        assert_eq!(end, (28 * 3_000_000, stuck(StuckWhy::Horizon, "worker")));
    }

    #[test]
    fn endless_turns_in_one_instant_blame_their_entity() {
        lay("spins in virtual time", spin);
        let worker = "components = [{ thread = \"calm\" }, { thread = \"spins in virtual time\" }]";
        let events = "{ at = \"10s\", signal = \"SIGTERM\" }";
        let end = end_of(worker, events, Subject::Worker);
        assert_eq!(end, (0, stuck(StuckWhy::Spinning, "spins in virtual time")));
    }

    #[test]
    fn endless_events_in_one_instant_blame_their_entity() {
        lay("writes without end", || {
            while !with(|world| world.is_over()) {
                with(|world| world.record(What::Running { value: true }));
            }
        });
        let worker = "components = [{ thread = \"writes without end\" }]";
        let events = "{ at = \"10s\", signal = \"SIGTERM\" }";
        let end = end_of(worker, events, Subject::Worker);
        assert_eq!(end, (0, stuck(StuckWhy::Spinning, "writes without end")));
    }

    /// tokio's cooperative budget makes a task that receives much in one turn yield, and wakes it only after the hook
    /// in which time moves.
    #[test]
    fn entity_beyond_tokios_budget_finishes_in_its_instant() {
        static DONE_AT: AtomicU64 = AtomicU64::new(u64::MAX);
        lay("takes a thousand", || {
            let (give, mut take) = tokio::sync::mpsc::unbounded_channel();
            for n in 0..1_000 {
                let _ = give.send(n);
            }
            wait::block(async move {
                for _ in 0..1_000 {
                    let _ = take.recv().await;
                }
            });
            DONE_AT.store(with(|world| world.now()), Ordering::Relaxed);
        });
        let worker = "components = [{ thread = \"takes a thousand\" }]";
        let events = "{ at = \"10s\", signal = \"SIGTERM\" }";
        end_of(worker, events, Subject::Worker);
        assert_eq!(DONE_AT.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_watchdog_that_probes_for_ever_comes_to_the_limit_of_events() {
        let worker = "components = [{ watchdog = \"eager\", interval = \"100ms\" }]";
        let (t, what) = end_of(worker, "", Subject::Worker);
        assert_eq!(what, stuck(StuckWhy::Spinning, "eager"));
        // A probe has two events: this is 100,000 probes of 100 ms, less the events of the start.
        assert!((9_990_000..=10_000_000).contains(&t), "{t}");
    }
}
