//! The part of a worker context that is not generic, and that all its handles share.

use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, SetOnce};
use tokio_util::sync::CancellationToken;

use super::counting::SignalCounter;
use super::error::{Refusal, StartError};
use super::handle::ComponentHandle;
use super::limits::{Instants, ResolvedLimits};
use super::opts::{Opts, Wake};
use super::registry::{Announcement, Code, RegisteredComponent, Registry};
use super::report::{Reason, Report, StepReport, WakePanic};
use crate::host::{
    Abort, Around, BoxError, BoxFuture, ContextId, Ended, Executor, Host, OnEnd, SpawnError, Who,
};
use crate::journal::ms_rounded_down;
use crate::journal::{By, Claim, How, Id, Kind, Name, Record, Sink, State, Told, WatchdogIs};
use crate::words::{contained, one_line, panic_message};

/// Maximum number of reasons after the first that the report keeps.
const MAX_LATER_REASONS: usize = 100;

/// Explanation that the log adds to the last request within [`MAX_LATER_REASONS`]. Beyond it, only a signal and the
/// request that begins the grace are logged.
const LAST_LOGGED_NOTE: &str = "later requests are counted, and logged no more";

/// Maximum number of panics of wakes that the report keeps.
const MAX_WAKE_PANICS: usize = 100;

/// Maximum number of requests that wait for the sink at once. Requests that are always logged wait beyond it.
const MAX_ANNOUNCEMENTS: usize = 100;

pub(crate) struct Core {
    pub host: Arc<dyn Host>,
    pub sink: Arc<dyn Sink>,
    pub limits: ResolvedLimits,
    running: AtomicBool,
    registry: Mutex<Registry>,
    /// Wakes the driver when a component has ended, a stop was requested, or a second signal arrived.
    pub driver_wake: Notify,
    /// Cancelled at the first request, once that is announced: its consequences are announced after it.
    pub request_announced: CancellationToken,
    /// Cancelled at the first request, before anything else. The watchdog holds it.
    pub disarmed: CancellationToken,
    /// Cancelled once the begin of the grace is announced.
    grace_announced: CancellationToken,
    /// Cancelled once no pre-stop delay applies any more: after a second signal, a call of `stop` or `cleanup`, or a
    /// request to a worker that is not running.
    pub pre_stop_skipped: CancellationToken,
    /// Count of the signals that have arrived.
    pub signals: SignalCounter,
    /// Whether a second signal came. It is behind no lock, since nothing may hold up the thread that receives signals.
    second_signal_came: AtomicBool,
    /// Instant at which the grace began. The last resort reads it without the registry's lock.
    pub grace: SetOnce<Duration>,
    /// Reports of the steps that have ended, each with its position in the order in which steps began.
    pub step_reports: Mutex<Vec<(usize, StepReport)>>,
    /// Lasting executor around the caller that built the context, if any; from the start on, the one around the
    /// caller of the start, if any.
    lasting_executor: Mutex<Option<Arc<dyn Executor>>>,
    pub start_result: SetOnce<Result<(), StartError>>,
    pub stop_report: SetOnce<Arc<Report>>,
    pub cleanup_report: SetOnce<Arc<Report>>,
}

impl Core {
    pub fn new(host: Arc<dyn Host>, sink: Arc<dyn Sink>, limits: ResolvedLimits) -> Self {
        let core = Core {
            host,
            sink,
            limits,
            running: AtomicBool::new(true),
            registry: Mutex::new(Registry::new()),
            driver_wake: Notify::new(),
            request_announced: CancellationToken::new(),
            disarmed: CancellationToken::new(),
            grace_announced: CancellationToken::new(),
            pre_stop_skipped: CancellationToken::new(),
            signals: SignalCounter::default(),
            second_signal_came: AtomicBool::new(false),
            grace: SetOnce::new(),
            step_reports: Mutex::new(Vec::new()),
            lasting_executor: Mutex::default(),
            start_result: SetOnce::new(),
            stop_report: SetOnce::new(),
            cleanup_report: SetOnce::new(),
        };
        core.remember_lasting_executor();
        core
    }

    /// Makes the executor around the caller the one for tasks that are registered where none lasts. If none lasts
    /// here either, keeps the one that was known before.
    pub fn remember_lasting_executor(&self) {
        if self.host.around() != Around::Lasting {
            return;
        }
        let lasting_executor = self.host.executor().map(Arc::from);
        *self
            .lasting_executor
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = lasting_executor;
    }

    /// Runs a task on the executor around the caller if that lasts, otherwise on the context's own. A runtime that
    /// drives a single future would silently drop the task when that future is ready.
    pub fn spawn_task(
        &self,
        who: Who,
        future: BoxFuture<Result<(), BoxError>>,
        ended: OnEnd,
    ) -> Result<Box<dyn Abort>, SpawnError> {
        let around = self.host.around();
        let lasting_executor = {
            let lasting_executor = self
                .lasting_executor
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            lasting_executor.clone()
        };
        match (around, lasting_executor) {
            (Around::Lasting, _) => self.host.spawn_task(who, future, ended),
            (_, Some(executor)) => executor.spawn_task(who, future, ended),
            // The caller of the start awaits main on this runtime, which lasts long enough for that.
            (Around::Passing, None) if who.kind == Kind::Main => {
                self.host.spawn_task(who, future, ended)
            }
            (Around::Passing, None) => Err(SpawnError::PassingRuntime),
            (Around::Nothing, None) => Err(SpawnError::NoRuntime),
        }
    }

    /// Returns what distinguishes this context from others: its address, which is unique while the context exists.
    fn context_id(&self) -> ContextId {
        ContextId(std::ptr::from_ref(self).addr())
    }

    pub fn running(&self) -> bool {
        self.running.load(Ordering::SeqCst)
    }

    /// Returns whether new work is welcome: the start went well, and no stop was requested.
    pub fn ready(&self) -> bool {
        self.registry().state == State::Running && !self.disarmed.is_cancelled()
    }

    /// Locks the registry. The lock is held for a few instructions, or while the code of a registration is started,
    /// but never across a wait. A caller's code cannot panic while it is held, so a poisoned lock is as good as any.
    pub fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn emit(&self, claim: Claim) {
        self.sink.record(&Record::of(&claim));
    }

    pub fn who(&self, component: &ComponentHandle) -> Who {
        Who {
            context: self.context_id(),
            id: component.id(),
            name: component.name().clone(),
            kind: component.kind(),
        }
    }

    /// Returns the function that a host calls when a component's code has ended. It holds no strong handle: a body
    /// that is left behind must not keep the context alive.
    pub fn on_end(self: &Arc<Self>, component: &ComponentHandle) -> OnEnd {
        let core: Weak<Core> = Arc::downgrade(self);
        let component = component.clone();
        Box::new(move |ended| {
            component.set_ended(&ended);
            if let Some(core) = core.upgrade() {
                core.record_end(&component, ended);
            }
        })
    }

    fn record_end(&self, component: &ComponentHandle, ended: Ended) {
        let id = component.id();
        self.emit(Claim::Ended {
            id,
            name: component.name().clone(),
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
            let removed = registry.remove_ended(id, &ended);
            drop(registry);
            // Its wake and its abort are the caller's code, and so are their drops: they run under no lock.
            contained(|| drop(removed));
            return;
        }
        registry.taken_over.remove(&id);
        // The driver takes all ends at once, so only the first one wakes it.
        let first = registry.unprocessed_ends.is_empty();
        registry.unprocessed_ends.push_back((id, ended));
        drop(registry);
        if first {
            self.driver_wake.notify_one();
        }
    }

    /// Records the end of a future that ran where it was called. If it failed, the error is logged.
    pub fn future_ended(&self, name: Name, error: Option<Name>) {
        let how = if error.is_some() {
            How::Failed
        } else {
            How::Ok
        };
        self.emit(Claim::Ended {
            id: crate::journal::MAIN,
            name,
            nth: 1,
            how,
            error,
            code: None,
        });
    }

    /// Registers a component whose code `start` starts, or prepares for its call, unless the registration is refused.
    pub fn register(
        self: &Arc<Self>,
        name: Name,
        kind: Kind,
        mut opts: Opts,
        place: &'static Location<'static>,
        start: impl FnOnce(&Arc<Self>, &ComponentHandle) -> Result<Code, Refusal>,
    ) -> Result<ComponentHandle, (Refusal, Name)> {
        opts.uses = opts.uses.deduplicated();
        let refusal = {
            let mut registry = self.registry();
            let admitted = registry.admit(&name, kind, &mut opts, self.limits.reserve);
            let started = admitted.and_then(|()| {
                let handle = ComponentHandle::new(registry.allocate_id(), name.clone(), kind);
                start(self, &handle).map(|code| (handle, code))
            });
            match started {
                Ok((handle, code)) => {
                    let component = RegisteredComponent {
                        handle: handle.clone(),
                        opts,
                        place,
                        code,
                    };
                    let claim = Claim::Registered(Arc::new(component.registered()));
                    registry.insert(component);
                    drop(registry);
                    self.sink.record(&Record::of(&claim).at(place));
                    return Ok(handle);
                }
                Err(refusal) => refusal,
            }
        };
        Err(self.refuse(refusal, kind, name))
    }

    /// Checks whether a future may run now that is over when its call returns, and so needs no step. Returns its
    /// name.
    pub fn admit(&self, name: Name, kind: Kind, opts: &mut Opts) -> Result<Name, (Refusal, Name)> {
        let reserve = self.limits.reserve;
        let admitted = self.registry().admit(&name, kind, opts, reserve);
        match admitted {
            Ok(()) => Ok(name),
            Err(refusal) => Err(self.refuse(refusal, kind, name)),
        }
    }

    /// Announces a refusal, and returns the parts of it that the caller's error contains.
    fn refuse(&self, refusal: Refusal, kind: Kind, name: Name) -> (Refusal, Name) {
        self.emit(Claim::Refused {
            what: kind.as_str().into(),
            // The name itself may be the reason of the refusal.
            name: one_line(&name),
            reason: refusal.reason,
        });
        (refusal, name)
    }

    /// Requests a stop. The first request sets the reason, and disarms the watchdog.
    pub fn request(&self, reason: Reason) {
        self.record_and_announce(reason, false, None);
    }

    /// Requests a stop like [`request`](Self::request), and begins the grace.
    pub fn request_and_begin_grace(&self, reason: Reason) {
        self.record_and_announce(reason, true, None);
    }

    /// Requests a stop like [`request_and_begin_grace`](Self::request_and_begin_grace), and adds an explanation to the
    /// log.
    pub fn request_and_begin_grace_with_note(&self, reason: Reason, note: Option<&'static str>) {
        self.record_and_announce(reason, true, note);
    }

    /// Records a request, and announces it. One caller announces at a time, in the order of the requests. A request
    /// that comes while an earlier one is being announced is queued; the caller that announces the earlier one
    /// announces it too. So no caller waits here for another caller's sink, nor for its own sink if the
    /// sink asks. Stop waits until the first request has been announced (rule 1).
    fn record_and_announce(&self, reason: Reason, grace_begins: bool, note: Option<&'static str>) {
        // Whether the request is announced however many came before it.
        let always_logged = reason.by == By::Signal || grace_begins && self.grace.get().is_none();
        if grace_begins {
            // The mark is set now, whichever caller announces it and when: the last resort depends on it.
            self.mark_grace();
        }
        let is_announcer = {
            let mut registry = self.registry();
            if registry.state == State::Done {
                return; // A stop that is over cannot be requested.
            }
            let mut announcement = Announcement {
                words: reason.words.clone(),
                by: reason.by,
                note,
                disarmed: Vec::new(),
            };
            if registry.reason.is_none() {
                registry.reason = Some(reason);
                for component in registry.components.values() {
                    if let Code::Running(running) = &component.code
                        && let Some(watchdog) = &running.watchdog
                    {
                        let failures = watchdog.failures.load(Ordering::SeqCst);
                        announcement.disarmed.push(failures);
                    }
                }
            } else {
                registry.later_reasons_in_all += 1;
                let kept = registry.later_reasons.len();
                if kept < MAX_LATER_REASONS {
                    registry.later_reasons.push(reason);
                } else if !always_logged {
                    return;
                }
                if kept + 1 == MAX_LATER_REASONS {
                    announcement.note = announcement.note.or(Some(LAST_LOGGED_NOTE));
                }
            }
            if registry.announcements.len() < MAX_ANNOUNCEMENTS || always_logged {
                registry.announcements.push_back(announcement);
            }
            !std::mem::replace(&mut registry.announcing, true)
        };
        // Disarmed before anything is announced: the sink may be slow, and no probe may follow the announcement.
        self.disarmed.cancel();
        if !is_announcer {
            return;
        }
        while let Some(announcement) = self.next_announcement() {
            let Announcement {
                words,
                by,
                note,
                disarmed,
            } = announcement;
            let claim = Claim::Requested { reason: words, by };
            match note {
                None => self.emit(claim),
                Some(note) => self.sink.record(&Record::of(&claim).because(note)),
            }
            for attempt in disarmed {
                self.emit(Claim::Watchdog {
                    is: WatchdogIs::Disarmed,
                    attempt,
                });
            }
            if self.grace.get().is_some() {
                self.begin_grace();
            }
            // This comes last: the threads that it wakes make the next announcements.
            self.request_announced.cancel();
            self.driver_wake.notify_one();
        }
    }

    /// Returns the next queued request; if there is none, releases the role of the announcer.
    fn next_announcement(&self) -> Option<Announcement> {
        let mut registry = self.registry();
        let next = registry.announcements.pop_front();
        registry.announcing = next.is_some();
        next
    }

    /// Begins the grace like [`begin_grace`](Self::begin_grace), and waits until the begin is announced, by this
    /// caller or another: stop's announcements come after it.
    pub async fn begin_grace_and_await_announcement(&self) -> Instants {
        let instants = self.begin_grace();
        self.grace_announced.cancelled().await;
        instants
    }

    /// Begins the grace and announces it, unless that was done before. Returns its instants.
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
            self.emit(Claim::GraceBegan {
                stop_ends: ms_rounded_down(instants.stop_ends),
                cleanup_ends: ms_rounded_down(instants.cleanup_ends),
                last_resort: ms_rounded_down(instants.last_resort),
                kill: ms_rounded_down(instants.kill),
            });
            self.grace_announced.cancel();
        }
        instants
    }

    /// Records now as the begin of the grace, unless it has begun before, and returns the begin. It announces
    /// nothing, and takes no lock that a caller's code could hold.
    pub fn mark_grace(&self) -> Duration {
        let now = self.host.now();
        let _ = self.grace.set(now);
        self.grace.get().copied().unwrap_or(now)
    }

    /// Ends all waiting except for floors, after a second signal.
    pub fn end_waits_on_second_signal(&self) {
        self.second_signal_came.store(true, Ordering::SeqCst);
        self.pre_stop_skipped.cancel();
        self.driver_wake.notify_one();
    }

    /// Returns whether a second signal came.
    pub fn second_signal_came(&self) -> bool {
        self.second_signal_came.load(Ordering::SeqCst)
    }

    pub fn set_state(&self, state: State) {
        self.registry().state = state;
        self.emit(Claim::State { state });
    }

    /// Clears the flag that [`running`](Self::running) returns.
    pub fn clear_running(&self) {
        self.running.store(false, Ordering::SeqCst);
    }

    /// Returns the time until `end`, or zero if that is past.
    pub fn time_left(&self, end: Duration) -> Duration {
        end.saturating_sub(self.host.now())
    }

    /// Returns the report as it stands.
    pub fn report(&self) -> Arc<Report> {
        let steps = {
            let steps = self
                .step_reports
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let mut steps: Vec<_> = steps.iter().collect();
            // The steps of a group end in any order.
            steps.sort_unstable_by_key(|(position, _)| *position);
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

    /// Returns the report that every caller gets; before there is one, the report as it stands.
    pub fn last_report(&self) -> Arc<Report> {
        self.cleanup_report
            .get()
            .map_or_else(|| self.report(), Arc::clone)
    }

    /// Returns the components that have not ended: those that are awaited, those that were given up, and those whose
    /// steps have not begun. Waits for no lock, and returns `None` if one is held.
    #[cfg(all(feature = "process", unix))]
    pub fn left_behind(&self) -> Option<Vec<String>> {
        fn unlocked<T>(lock: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
            match lock.try_lock() {
                Ok(guard) => Some(guard),
                Err(std::sync::TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
                Err(std::sync::TryLockError::WouldBlock) => None,
            }
        }
        use super::report::kind_and_name;
        use crate::journal::Outcome;
        use std::collections::BTreeMap;
        let steps = unlocked(&self.step_reports)?;
        let registry = unlocked(&self.registry)?;
        let ended: BTreeMap<Id, Outcome> = steps
            .iter()
            .map(|(_, step)| (step.id, step.outcome))
            .collect();
        let (mut waited_for, mut given_up, mut not_begun) = (Vec::new(), Vec::new(), Vec::new());
        for (id, component) in &registry.taken_over {
            let name = kind_and_name(component.kind(), component.name());
            match ended.get(id) {
                Some(outcome @ (Outcome::Leaked | Outcome::NotAwaited)) => {
                    given_up.push(format!("{name} ({outcome})"));
                }
                Some(_) => {}
                None if component.step_begun() => waited_for.push(format!("{name} (waited for)")),
                None => not_begun.push(format!("{name} (not begun)")),
            }
        }
        for component in registry.components.values() {
            let name = kind_and_name(component.kind(), component.name());
            not_begun.push(format!("{name} (not begun)"));
        }
        // The components that hold up the end come first: the last resort may not name them all.
        Some([waited_for, given_up, not_begun].concat())
    }

    /// Has the host drive a future. If the host cannot, returns the future, which the caller must drive.
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

    /// Returns the caller of the wakes of components that are told.
    pub fn wake_caller(self: &Arc<Self>) -> WakeCaller {
        WakeCaller {
            sink: Arc::clone(&self.sink),
            core: Arc::downgrade(self),
        }
    }

    /// Takes back the call of a component that has not begun, and returns why it has not.
    pub fn withdraw(&self, id: Id) -> Option<SpawnError> {
        let why = self.host.withdraw(self.context_id(), id)?;
        // Its code never runs, so no end will remove it from `taken_over`.
        self.registry().taken_over.remove(&id);
        Some(why)
    }

    pub fn is_inside(&self) -> bool {
        self.host.is_inside(self.context_id())
    }
}

/// Tells one thread or task to stop, after calling `announce`: the component may end before this returns, and its end
/// must not precede the announcement in a log. Adopted tasks cannot be told, and no component is told twice.
pub(crate) fn tell(
    host: &dyn Host,
    wake_caller: &WakeCaller,
    component: &mut RegisteredComponent,
    announce: impl FnOnce(),
) {
    let Code::Running(running) = &mut component.code else {
        return;
    };
    // The token is dropped as soon as possible: a component that was told needs it no more.
    let token = running.token.take();
    let Some(token) = token.filter(|token| !token.is_cancelled()) else {
        return;
    };
    announce();
    token.cancel();
    if let Some(wake) = component.opts.wake.take() {
        wake_caller.call(host, &component.handle, wake);
    }
}

/// A caller of wakes, which reports their panics.
pub(crate) struct WakeCaller {
    sink: Arc<dyn Sink>,
    /// Gone once the last handle was dropped: then there is no report.
    core: Weak<Core>,
}

impl WakeCaller {
    /// Has the host call a wake. The wake and its drop are the caller's code: neither their panic nor their blocking
    /// affects the stop, and a panic is reported.
    fn call(&self, host: &dyn Host, component: &ComponentHandle, wake: Wake) {
        let (sink, core) = (Arc::clone(&self.sink), Weak::clone(&self.core));
        let name = component.name().clone();
        let component = component.clone();
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
                if panicked.len() < MAX_WAKE_PANICS {
                    panicked.push(WakePanic {
                        id: component.id(),
                        name: component.name().clone(),
                        kind: component.kind(),
                        error: error.clone(),
                    });
                }
            }
            let claim = Claim::WakePanicked {
                id: component.id(),
                name: component.name().clone(),
                error,
            };
            sink.record(&Record::of(&claim));
        };
        host.call(&name, Box::new(call));
    }
}

/// Returns whether a component is told as soon as stop begins.
pub(crate) fn is_told_at_once(component: &RegisteredComponent) -> bool {
    matches!(component.code, Code::Running(_)) && component.opts.when_told == Told::AtOnce
}

impl Drop for Core {
    /// Tells every component if no stop was made, waits for none, and calls no callback (rule 10).
    fn drop(&mut self) {
        let registry = self
            .registry
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let mut components = std::mem::take(&mut registry.components);
        if self.stop_report.get().is_some() {
            // The worker was stopped, and cleanup was never requested.
            std::mem::forget(components);
            return;
        }
        self.clear_running();
        self.disarmed.cancel();
        self.request_announced.cancel();
        let wake_caller = WakeCaller {
            sink: Arc::clone(&self.sink),
            core: Weak::new(),
        };
        for component in components.values_mut() {
            tell(&*self.host, &wake_caller, component, || {});
        }
        let names: Vec<Name> = components
            .values()
            .map(|component| component.name().clone())
            .collect();
        // The values of callbacks that were never called are forgotten, not dropped: a drop can block.
        std::mem::forget(components);
        if !names.is_empty() {
            self.emit(Claim::Abandoned { names });
        }
    }
}

/// Returns the outcome of a step whose code ended in this way, if nothing was overdue.
pub(crate) fn outcome_of(how: How) -> crate::journal::Outcome {
    use crate::journal::Outcome;
    match how {
        How::Ok => Outcome::Ok,
        How::Failed => Outcome::Failed,
        How::Panicked => Outcome::Panicked,
        How::Dropped => Outcome::Aborted,
    }
}
