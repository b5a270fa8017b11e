//! The part of a worker context that all its handles share, and that is not generic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, SetOnce};
use tokio_util::sync::CancellationToken;

use super::counting::Counting;
use super::error::{Refusal, StartError};
use super::limits::{Instants, Limits, ms};
use super::opts::Wake;
use super::registry::{Action, Entry, Registry, Running, Spec, Unsaid};
use super::report::{Reason, Report, StepReport, WakePanic};
use super::sink::Sink;
use crate::host::{
    Abort, Around, BoxError, BoxFuture, ContextId, Ended, Executor, Host, OnEnd, SpawnError, Who,
};
use crate::journal::{By, How, Id, Kind, Name, State, Told, WatchdogIs, What};
use crate::words::{contained, one_line, panic_message};

/// Reasons after the first that are kept.
const LATER_REASONS_KEPT: usize = 100;

/// What the log adds to the last request that is logged only because few came before it.
const ENOUGH: &str = "later requests are counted, and logged no more";

/// Number of panics of wakes that the report keeps.
const WAKE_PANICS_KEPT: usize = 100;

/// Requests that wait for the sink at once.
const UNSAID_KEPT: usize = 100;

pub(crate) struct Core {
    pub host: Arc<dyn Host>,
    pub sink: Arc<dyn Sink>,
    pub limits: Limits,
    running: AtomicBool,
    registry: Mutex<Registry>,
    /// Wakes the driver: something ended, a stop was requested, a signal came.
    pub wake: Notify,
    /// Cancelled at the first request, once that is said: what follows it is said after it.
    pub requested: CancellationToken,
    /// Cancelled at the first request, before anything else: watchdogs hold it.
    pub disarmed: CancellationToken,
    /// Cancelled once it is said that the grace has begun.
    grace_said: CancellationToken,
    /// Cancelled once stop need not wait any longer: a second signal, or a call.
    pub undelayed: CancellationToken,
    /// The signals that have come.
    pub signals: Counting,
    /// Whether a second signal came. No lock: whoever hears signals must not be held up by anybody.
    hurried: AtomicBool,
    /// When the grace began; for the last resort, which must not need the registry for it.
    pub grace: SetOnce<Duration>,
    /// Each with its place among the steps as they began.
    pub steps: Mutex<Vec<(usize, StepReport)>>,
    /// The executor that was around the context when it was built; when it is started, the one around that call.
    home: Mutex<Option<Arc<dyn Executor>>>,
    pub started: SetOnce<Result<(), StartError>>,
    pub stopped: SetOnce<Arc<Report>>,
    pub cleaned: SetOnce<Arc<Report>>,
}

impl Core {
    pub fn new(host: Arc<dyn Host>, sink: Arc<dyn Sink>, limits: Limits) -> Self {
        let core = Core {
            host,
            sink,
            limits,
            running: AtomicBool::new(true),
            registry: Mutex::new(Registry::new()),
            wake: Notify::new(),
            requested: CancellationToken::new(),
            disarmed: CancellationToken::new(),
            grace_said: CancellationToken::new(),
            undelayed: CancellationToken::new(),
            signals: Counting::default(),
            hurried: AtomicBool::new(false),
            grace: SetOnce::new(),
            steps: Mutex::new(Vec::new()),
            home: Mutex::default(),
            started: SetOnce::new(),
            stopped: SetOnce::new(),
            cleaned: SetOnce::new(),
        };
        core.settle_here();
        core
    }

    /// Makes the executor around the caller the one for tasks that are registered where none lasts. Without a lasting
    /// one here, what was known before stays.
    pub fn settle_here(&self) {
        if self.host.around() != Around::Lasting {
            return;
        }
        let home = self.host.executor().map(Arc::from);
        *self.home.lock().unwrap_or_else(PoisonError::into_inner) = home;
    }

    /// Runs a task: here where an executor lasts, otherwise on the context's own. A runtime that drives a single future
    /// would drop the task when that is ready, without a word.
    pub fn spawn_task(
        &self,
        who: Who,
        future: BoxFuture<Result<(), BoxError>>,
        ended: OnEnd,
    ) -> Result<Box<dyn Abort>, SpawnError> {
        let around = self.host.around();
        let home = {
            let home = self.home.lock().unwrap_or_else(PoisonError::into_inner);
            home.clone()
        };
        match (around, home) {
            (Around::Lasting, _) => self.host.spawn_task(who, future, ended),
            (_, Some(home)) => home.spawn_task(who, future, ended),
            // The caller of a start awaits main there, and its runtime lasts for so long.
            (Around::Passing, None) if who.kind == Kind::Main => {
                self.host.spawn_task(who, future, ended)
            }
            (Around::Passing, None) => Err(SpawnError::PassingRuntime),
            (Around::Nothing, None) => Err(SpawnError::NoRuntime),
        }
    }

    /// What tells this context from others: where it stands in memory, for as long as it stands there.
    fn id(&self) -> ContextId {
        ContextId(std::ptr::from_ref(self).addr())
    }

    pub fn running(&self) -> bool {
        self.running.load(Ordering::SeqCst)
    }

    /// Whether new work is welcome: started well, and nobody has asked for a stop.
    pub fn ready(&self) -> bool {
        self.registry().state == State::Running && !self.disarmed.is_cancelled()
    }

    /// The registry. Held for a few instructions, never across a wait; a panic of a caller's code
    /// cannot happen while it is held, so a poisoned lock is as good as any.
    pub fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn emit(&self, claim: What) {
        self.sink.claim(&claim);
    }

    pub fn who(&self, id: Id, name: &Name, kind: Kind) -> Who {
        Who {
            context: self.id(),
            id,
            name: name.clone(),
            kind,
        }
    }

    /// What hosts call when a component's code is over. Holds no strong handle: a body that is left
    /// behind must not keep the context.
    pub fn on_end(self: &Arc<Self>, id: Id, name: Name) -> OnEnd {
        let core: Weak<Core> = Arc::downgrade(self);
        Box::new(move |ended| {
            if let Some(core) = core.upgrade() {
                core.ended(id, name, ended);
            }
        })
    }

    fn ended(&self, id: Id, name: Name, ended: Ended) {
        self.sink.fact(&What::Ended {
            id,
            name,
            nth: 1,
            how: ended.how,
            error: ended.error.clone(),
            code: None,
        });
        let mut registry = self.registry();
        if id == crate::journal::MAIN {
            registry.main_ended = Some(ended.clone());
        }
        if registry.state < State::Stopping && id != crate::journal::MAIN {
            let left = registry.forget(id, &ended);
            drop(registry);
            // What wakes or aborts it is the caller's code, and so is its drop: under no lock.
            contained(|| drop(left));
            return;
        }
        registry.taken.remove(&id);
        // The driver takes all that has ended at once: it is woken for the first of it.
        let first = registry.ended.is_empty();
        registry.ended.push_back((id, ended));
        drop(registry);
        if first {
            self.wake.notify_one();
        }
    }

    /// A future that was run where it was called is over; if it failed, that is logged.
    pub fn future_ended(&self, name: Name, error: Option<Name>) {
        let how = if error.is_some() {
            How::Failed
        } else {
            How::Ok
        };
        self.sink.fact(&What::Ended {
            id: crate::journal::MAIN,
            name,
            nth: 1,
            how,
            error,
            code: None,
        });
    }

    /// Registers what `make` makes of an id, unless it is refused.
    pub fn register(
        self: &Arc<Self>,
        mut spec: Spec,
        make: impl FnOnce(&Arc<Self>, Id, &Spec) -> Result<Action, Refusal>,
    ) -> Result<Id, (Refusal, Kind, Name)> {
        let refusal = {
            let mut registry = self.registry();
            match registry.admit(&mut spec, self.limits.reserve) {
                Ok(()) => {
                    let id = registry.take_id();
                    match make(self, id, &spec) {
                        Ok(action) => {
                            let registered = spec.registered(id, &action);
                            let place = spec.place;
                            registry.insert(id, spec, action);
                            drop(registry);
                            self.sink.registered(&registered, place);
                            return Ok(id);
                        }
                        Err(refusal) => refusal,
                    }
                }
                Err(refusal) => refusal,
            }
        };
        Err(self.refuse(refusal, spec))
    }

    /// Says whether what needs no step, since it is over when its call returns, may run now.
    pub fn admit(&self, mut spec: Spec) -> Result<Spec, (Refusal, Kind, Name)> {
        let admitted = self.registry().admit(&mut spec, self.limits.reserve);
        match admitted {
            Ok(()) => Ok(spec),
            Err(refusal) => Err(self.refuse(refusal, spec)),
        }
    }

    /// Says that something was refused, and what of it its caller is told.
    pub fn refuse(&self, refusal: Refusal, spec: Spec) -> (Refusal, Kind, Name) {
        self.emit(What::Refused {
            what: spec.kind.as_str().into(),
            // A name may be what was refused.
            name: one_line(&spec.name),
            reason: refusal.reason,
        });
        (refusal, spec.kind, spec.name)
    }

    /// Somebody wants the worker to stop. The first reason wins; at the first the watchdogs are
    /// disarmed.
    pub fn request(&self, reason: Reason) {
        self.ask(reason, false, None);
    }

    /// As [`request`](Self::request), and the grace begins with it.
    pub fn request_now(&self, reason: Reason) {
        self.ask(reason, true, None);
    }

    /// As [`request_now`](Self::request_now), and the log is told what else it comes to.
    pub fn request_now_and(&self, reason: Reason, why: Option<&'static str>) {
        self.ask(reason, true, why);
    }

    /// One at a time says what is to be said, in the order in which it was asked: the words of a later request
    /// are said by whoever still says an earlier one. So nobody waits for another's sink here, nor for its own
    /// where the sink asks; stop waits, until the first has been said (rule 1).
    fn ask(&self, reason: Reason, grace_begins: bool, why: Option<&'static str>) {
        // A request that is logged however many came before it.
        let matters = reason.by == By::Signal || grace_begins && self.grace.get().is_none();
        if grace_begins {
            // Now, whoever says so and when: the last resort goes by it.
            self.mark_grace();
        }
        let speaks = {
            let mut registry = self.registry();
            if registry.state == State::Done {
                return; // What is over already cannot be asked for.
            }
            let mut unsaid = Unsaid {
                words: reason.words.clone(),
                by: reason.by,
                why,
                disarmed: Vec::new(),
            };
            if registry.reason.is_none() {
                registry.reason = Some(reason);
                for entry in registry.entries.values() {
                    if let Action::Running(Running {
                        attempts: Some(attempts),
                        ..
                    }) = &entry.action
                    {
                        unsaid.disarmed.push(attempts.load(Ordering::SeqCst));
                    }
                }
            } else {
                registry.later_reasons_in_all += 1;
                let kept = registry.later_reasons.len();
                if kept < LATER_REASONS_KEPT {
                    registry.later_reasons.push(reason);
                } else if !matters {
                    return;
                }
                if kept + 1 == LATER_REASONS_KEPT {
                    unsaid.why = unsaid.why.or(Some(ENOUGH));
                }
            }
            if registry.unsaid.len() < UNSAID_KEPT || matters {
                registry.unsaid.push_back(unsaid);
            }
            !std::mem::replace(&mut registry.saying, true)
        };
        // Disarmed before anything is said: the sink may be slow, and no probe may follow the word.
        self.disarmed.cancel();
        if !speaks {
            return;
        }
        while let Some(unsaid) = self.next_unsaid() {
            let Unsaid {
                words,
                by,
                why,
                disarmed,
            } = unsaid;
            let claim = What::Requested { reason: words, by };
            match why {
                None => self.emit(claim),
                Some(why) => self.sink.claim_why(&claim, why),
            }
            for attempt in disarmed {
                self.emit(What::Watchdog {
                    is: WatchdogIs::Disarmed,
                    attempt,
                });
            }
            if self.grace.get().is_some() {
                self.begin_grace();
            }
            // Last: whoever this wakes says on another thread what comes next.
            self.requested.cancel();
            self.wake.notify_one();
        }
    }

    /// What who speaks has to say next; without any, nobody speaks from here on.
    fn next_unsaid(&self) -> Option<Unsaid> {
        let mut registry = self.registry();
        let next = registry.unsaid.pop_front();
        registry.saying = next.is_some();
        next
    }

    /// As [`begin_grace`](Self::begin_grace), and waits until that is said, by whomever: what stop says comes
    /// after it.
    pub async fn grace_begun(&self) -> Instants {
        let instants = self.begin_grace();
        self.grace_said.cancelled().await;
        instants
    }

    /// The grace begins, once, now.
    pub fn begin_grace(&self) -> Instants {
        let (instants, first) = {
            let from = self.mark_grace();
            let mut registry = self.registry();
            match registry.instants {
                Some(instants) => (instants, false),
                None => {
                    let instants = self.limits.instants(from);
                    registry.instants = Some(instants);
                    (instants, true)
                }
            }
        };
        if first {
            self.emit(What::GraceBegan {
                stop_ends: ms(instants.stop_ends),
                cleanup_ends: ms(instants.cleanup_ends),
                last_resort: ms(instants.last_resort),
                kill: ms(instants.kill),
            });
            self.grace_said.cancel();
        }
        instants
    }

    /// Notes when the grace began, if it has not begun before. Nothing is said yet, and no lock is taken
    /// that a caller's code could hold.
    pub fn mark_grace(&self) -> Duration {
        let now = self.host.now();
        let _ = self.grace.set(now);
        self.grace.get().copied().unwrap_or(now)
    }

    /// A second signal: nothing is waited for any more but the floors.
    pub fn hurry(&self) {
        self.hurried.store(true, Ordering::SeqCst);
        self.undelayed.cancel();
        self.wake.notify_one();
    }

    /// Whether a second signal came.
    pub fn hurried(&self) -> bool {
        self.hurried.load(Ordering::SeqCst)
    }

    pub fn set_state(&self, state: State) {
        self.registry().state = state;
        self.emit(What::State { state });
    }

    /// Clears the flag that everyone sees.
    pub fn clear_running(&self) {
        self.running.store(false, Ordering::SeqCst);
    }

    /// The time until `end`, never negative.
    pub fn left(&self, end: Duration) -> Duration {
        end.saturating_sub(self.host.now())
    }

    /// The report as it stands.
    pub fn report(&self) -> Arc<Report> {
        let steps = {
            let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
            let mut steps: Vec<_> = steps.iter().collect();
            // The members of a group end in any order.
            steps.sort_unstable_by_key(|(place, _)| *place);
            steps.into_iter().map(|(_, step)| step.clone()).collect()
        };
        let registry = self.registry();
        Arc::new(Report {
            reason: registry.reason.clone(),
            later_reasons: registry.later_reasons.clone(),
            later_reasons_in_all: registry.later_reasons_in_all,
            steps,
            deaths: registry.deaths.iter().cloned().collect(),
            deaths_in_all: registry.deaths_in_all,
            wakes_panicked: registry.wakes_panicked.clone(),
        })
    }

    /// The report that every caller has; before there is one, what there is of it.
    pub fn last_report(&self) -> Arc<Report> {
        self.cleaned.get().map_or_else(|| self.report(), Arc::clone)
    }

    /// What has not ended: what is waited for, what was given up, what was never begun. Waits for no lock,
    /// and gives nothing where one is held.
    #[cfg(all(feature = "process", unix))]
    pub fn left_behind(&self) -> Option<Vec<String>> {
        fn unlocked<T>(lock: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
            match lock.try_lock() {
                Ok(guard) => Some(guard),
                Err(std::sync::TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
                Err(std::sync::TryLockError::WouldBlock) => None,
            }
        }
        use super::registry::Taken;
        use super::report::called;
        use crate::journal::Outcome;
        use std::collections::BTreeMap;
        let steps = unlocked(&self.steps)?;
        let registry = unlocked(&self.registry)?;
        let ended: BTreeMap<Id, Outcome> = steps
            .iter()
            .map(|(_, step)| (step.id, step.outcome))
            .collect();
        let (mut waited_for, mut given_up, mut not_begun) = (Vec::new(), Vec::new(), Vec::new());
        for (id, Taken { kind, name, begun }) in &registry.taken {
            match ended.get(id) {
                Some(outcome @ (Outcome::Leaked | Outcome::NotAwaited)) => {
                    given_up.push(format!("{} ({outcome})", called(*kind, name)));
                }
                Some(_) => {}
                None if *begun => waited_for.push(format!("{} (waited for)", called(*kind, name))),
                None => not_begun.push(format!("{} (not begun)", called(*kind, name))),
            }
        }
        for entry in registry.entries.values() {
            not_begun.push(format!("{} (not begun)", called(entry.kind, &entry.name)));
        }
        // Who holds the end up comes first: not all may be named.
        Some([waited_for, given_up, not_begun].concat())
    }

    /// Has the host drive a future. Where it cannot, the future is handed back: the caller drives it.
    pub fn drive(&self, future: BoxFuture<()>) -> Option<BoxFuture<()>> {
        let slot = Arc::new(Mutex::new(Some(future)));
        let take = |slot: &Mutex<Option<_>>| {
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            slot.take()
        };
        let theirs = Arc::clone(&slot);
        let driven = self.host.drive(Box::pin(async move {
            let future: Option<BoxFuture<()>> = take(&theirs);
            if let Some(future) = future {
                future.await;
            }
        }));
        driven.err().and_then(|_| take(&slot))
    }

    /// What calls the wakes of those who are told.
    pub fn wakes(self: &Arc<Self>) -> Wakes {
        Wakes {
            sink: Arc::clone(&self.sink),
            core: Arc::downgrade(self),
        }
    }

    /// Takes back the call of a component that has not begun, and says why it has not.
    pub fn withdraw(&self, id: Id) -> Option<SpawnError> {
        let why = self.host.withdraw(self.id(), id)?;
        // Its code never runs, so that no end of it will take it from `taken`.
        self.registry().taken.remove(&id);
        Some(why)
    }

    pub fn is_inside(&self) -> bool {
        self.host.is_inside(self.id())
    }
}

/// Tells one thread or task to stop, after `said` has said so: it may be over before this returns, and
/// no log should have its end first. Adopted tasks cannot be told, and nobody is told twice.
pub(crate) fn tell(host: &dyn Host, wakes: &Wakes, entry: &mut Entry, said: impl FnOnce()) {
    let Action::Running(Running { token, wake, .. }) = &mut entry.action else {
        return;
    };
    // Let go while it is at hand: who was told needs it no more.
    let Some(token) = token.take().filter(|token| !token.is_cancelled()) else {
        return;
    };
    said();
    token.cancel();
    if let Some(wake) = wake.take() {
        wakes.call(host, entry.id, entry.name.clone(), entry.kind, wake);
    }
}

/// Where a panic of a `wake` is reported.
pub(crate) struct Wakes {
    sink: Arc<dyn Sink>,
    /// Gone where the last handle was dropped: then there is no report.
    core: Weak<Core>,
}

impl Wakes {
    /// Has the host call a wake. It is a caller's code, and so is its drop: neither its panic nor its blocking is the
    /// stop's, and a panic is reported.
    pub fn call(&self, host: &dyn Host, id: Id, name: Name, kind: Kind, wake: Wake) {
        let (sink, core) = (Arc::clone(&self.sink), Weak::clone(&self.core));
        let of = name.clone();
        let call = move || {
            let called = catch_unwind(AssertUnwindSafe(|| {
                wake();
                drop(wake);
            }));
            let Err(payload) = called else { return };
            let error = one_line(&panic_message(&*payload));
            std::mem::forget(payload);
            if let Some(core) = core.upgrade() {
                let panicked = &mut core.registry().wakes_panicked;
                if panicked.len() < WAKE_PANICS_KEPT {
                    panicked.push(WakePanic {
                        id,
                        name: name.clone(),
                        kind,
                        error: error.clone(),
                    });
                }
            }
            sink.claim(&What::WakePanicked { id, name, error });
        };
        host.call(&of, Box::new(call));
    }
}

/// Whether a component is told as soon as stop begins.
pub(crate) fn is_told_at_once(entry: &Entry) -> bool {
    matches!(
        &entry.action,
        Action::Running(Running {
            told: Told::AtOnce,
            ..
        })
    )
}

impl Drop for Core {
    /// Without a stop: everyone is told, nobody is waited for, no callback is called (rule 10).
    fn drop(&mut self) {
        let registry = self
            .registry
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let mut entries = std::mem::take(&mut registry.entries);
        if self.stopped.get().is_some() {
            // Stopped, but not cleaned up: nobody asked for it.
            std::mem::forget(entries);
            return;
        }
        self.clear_running();
        self.disarmed.cancel();
        self.requested.cancel();
        let wakes = Wakes {
            sink: Arc::clone(&self.sink),
            core: Weak::new(),
        };
        for entry in entries.values_mut() {
            tell(&*self.host, &wakes, entry, || {});
        }
        let names: Vec<Name> = entries.values().map(|entry| entry.name.clone()).collect();
        // Values of callbacks that were never called are forgotten, not dropped: a drop can block.
        std::mem::forget(entries);
        if !names.is_empty() {
            self.sink.claim(&What::Abandoned { names });
        }
    }
}

/// How the end of a piece of code reads as an outcome, where nothing was overdue.
pub(crate) fn outcome_of(how: How) -> crate::journal::Outcome {
    use crate::journal::Outcome;
    match how {
        How::Ok => Outcome::Ok,
        How::Failed => Outcome::Failed,
        How::Panicked => Outcome::Panicked,
        How::Dropped => Outcome::Aborted,
    }
}
