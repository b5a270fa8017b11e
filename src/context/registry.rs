//! The registry: the components of a worker, and the state of its start, stop and cleanup.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::error::Refusal;
use super::limits::{BOUND_MAX, BOUND_MIN, Instants, MAX_DEATHS, NAME_BYTES, whole_ms};
use super::opts::Wake;
use super::report::{Death, Reason, WakePanic};
use crate::host::{Abort, Body, BoxError, BoxFuture, Ended, Executor};
use crate::journal::{By, How, Id, Kind, Name, RefusedReason, Registered, State, Told};
use crate::watchdog::Limits;

/// An async callback that has not been called.
pub(crate) type AsyncCall = Box<dyn FnOnce() -> BoxFuture<Result<(), BoxError>> + Send + 'static>;

/// A callback that has not been called.
pub(crate) enum Callback {
    Blocking(Body),
    /// With the executor on which it was registered, if the host distinguishes executors.
    Async(AsyncCall, Option<Box<dyn Executor>>),
}

/// A thread, task or watchdog that runs.
pub(crate) struct Running {
    /// Token that tells the body to stop. `None` for an adopted task, which cannot be told, and for a body that was
    /// told.
    pub token: Option<CancellationToken>,
    /// Whether it is an adopted task. An adopted thread has a token, and is not marked.
    pub adopted_task: bool,
    pub when_told: Told,
    pub wake: Option<Wake>,
    /// Aborts a task; `None` for a thread.
    pub abort: Option<Box<dyn Abort>>,
    /// Number of a watchdog's failures in a row.
    pub failures: Option<Arc<AtomicU32>>,
}

/// What the step of a component deals with: code that runs, or a call.
pub(crate) enum Action {
    Running(Running),
    Call(Callback),
}

impl Action {
    /// Returns whether code that overruns its bound can be aborted, and its end then confirmed.
    pub fn can_be_aborted(&self) -> bool {
        match self {
            Action::Running(running) => running.abort.is_some() && !running.adopted_task,
            Action::Call(callback) => matches!(callback, Callback::Async(..)),
        }
    }
}

/// A registered component.
pub(crate) struct RegisteredComponent {
    pub id: Id,
    pub name: Name,
    pub kind: Kind,
    pub order: i32,
    pub timeout: Duration,
    pub floor: Option<Duration>,
    pub uses: Vec<Name>,
    pub place: &'static Location<'static>,
    pub action: Action,
}

/// A component that is to be registered, before it has an id.
pub(crate) struct Spec {
    pub name: Name,
    pub kind: Kind,
    pub order: i32,
    pub timeout: Duration,
    pub floor: Option<Duration>,
    pub uses: Vec<Name>,
    pub place: &'static Location<'static>,
    /// Limits of a watchdog.
    pub watchdog: Option<Limits>,
    /// Whether it is a future that is run to its end (`run_async`).
    pub once: bool,
}

impl Spec {
    /// Returns the description of the registered component that the sink receives.
    pub fn registered(&self, id: Id, action: &Action) -> Registered {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let (told, is_async, adopted) = match action {
            Action::Running(running) => (
                running.when_told,
                running.abort.is_some(),
                running.token.is_none(),
            ),
            Action::Call(callback) => {
                (Told::AtOnce, matches!(callback, Callback::Async(..)), false)
            }
        };
        let watchdog = self.watchdog;
        Registered {
            id,
            kind: self.kind,
            name: self.name.clone(),
            order: self.order,
            timeout: ms(self.timeout),
            floor: self.floor.map(ms),
            uses: self.uses.clone(),
            told,
            is_async,
            adopted,
            once: self.once,
            interval: watchdog.map(|limits| ms(limits.interval)),
            attempts: watchdog.map(|limits| limits.attempts),
            request_timeout: watchdog.map(|limits| ms(limits.request_timeout)),
            start_grace: watchdog.and_then(|limits| limits.start_grace).map(ms),
        }
    }
}

/// Returns whether a kind belongs to stop, rather than to cleanup.
pub(crate) fn is_stop_kind(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Thread | Kind::Task | Kind::Watchdog | Kind::Stop
    )
}

/// A component that start, stop or cleanup has taken over, and whose code is not known to have ended.
#[cfg_attr(
    not(all(feature = "process", unix)),
    allow(dead_code, reason = "only the last resort reads it")
)]
pub(crate) struct TakenOver {
    pub kind: Kind,
    pub name: Name,
    /// Whether its step has begun.
    pub begun: bool,
}

/// A request to stop that has not been announced to the sink yet.
pub(crate) struct Announcement {
    pub words: Name,
    pub by: By,
    /// Explanation that the log adds.
    pub note: Option<&'static str>,
    /// The watchdogs that the request disarmed, each as its number of failures in a row.
    pub disarmed: Vec<u32>,
}

/// Maximum number of names that are kept of components that ended during the start.
pub(crate) const MAX_ENDED_IN_START: usize = 1_000;

/// The state of a worker that changes under one lock.
pub(crate) struct Registry {
    pub state: State,
    pub components: BTreeMap<Id, RegisteredComponent>,
    /// Components that a phase has taken out of `components`, until their code has ended; also main, from its begin.
    pub taken_over: BTreeMap<Id, TakenOver>,
    next_id: Id,
    explicit_floors_sum: Duration,
    /// Name of the watchdog, if one was ever registered.
    watchdog: Option<Name>,
    pub reason: Option<Reason>,
    pub later_reasons: Vec<Reason>,
    pub later_reasons_in_all: u64,
    /// Requests that have not been announced yet.
    pub announcements: VecDeque<Announcement>,
    /// Whether a caller is announcing them.
    pub announcing: bool,
    pub instants: Option<Instants>,
    pub stop_wanted: bool,
    pub cleanup_wanted: bool,
    /// Whether a driver has taken on stop and cleanup.
    pub has_driver: bool,
    pub start_begun: bool,
    /// Names of components that ended by themselves before the end of the start, at most [`MAX_ENDED_IN_START`]:
    /// `uses` may contain them.
    pub ended_in_start: BTreeSet<Name>,
    pub main_token: Option<CancellationToken>,
    pub main_ended: Option<Ended>,
    pub main_code: Option<i32>,
    /// Ends that the driver has not processed yet. An end before stop begins is not among them, unless it is main's.
    pub unprocessed_ends: VecDeque<(Id, Ended)>,
    /// Ends that no step in progress was waiting for: of components whose steps are yet to begin, or were left
    /// behind.
    pub unmatched_ends: BTreeMap<Id, Ended>,
    pub deaths: VecDeque<Death>,
    pub deaths_in_all: u64,
    pub wakes_panicked: Vec<WakePanic>,
}

impl Registry {
    pub fn new() -> Self {
        Registry {
            state: State::Created,
            components: BTreeMap::new(),
            taken_over: BTreeMap::new(),
            next_id: 1,
            explicit_floors_sum: Duration::ZERO,
            watchdog: None,
            reason: None,
            later_reasons: Vec::new(),
            later_reasons_in_all: 0,
            announcements: VecDeque::new(),
            announcing: false,
            instants: None,
            stop_wanted: false,
            cleanup_wanted: false,
            has_driver: false,
            start_begun: false,
            ended_in_start: BTreeSet::new(),
            main_token: None,
            main_ended: None,
            main_code: None,
            unprocessed_ends: VecDeque::new(),
            unmatched_ends: BTreeMap::new(),
            deaths: VecDeque::new(),
            deaths_in_all: 0,
            wakes_panicked: Vec::new(),
        }
    }

    /// Checks whether a component may be registered now (rules 3, 7 and 18), and rounds its limits up to whole
    /// milliseconds.
    pub fn admit(&self, spec: &mut Spec, reserve: Duration) -> Result<(), Refusal> {
        let began = if is_stop_kind(spec.kind) {
            State::Stopping
        } else {
            State::CleaningUp
        };
        if self.state >= began {
            return Err(Refusal {
                reason: RefusedReason::PhaseBegan,
                detail: format!(
                    "the phase that would run it has begun (the worker is {})",
                    self.state
                ),
            });
        }
        if spec.name.is_empty()
            || spec.name.len() > NAME_BYTES
            || spec.name.contains(char::is_control)
        {
            return Err(Refusal::limit(format!(
                "a name has 1 to {NAME_BYTES} bytes and no control characters"
            )));
        }
        if self.next_id == Id::MAX {
            return Err(Refusal::limit("this context has run out of ids"));
        }
        // A watchdog's probes and events bear no name, so those of two watchdogs could not be told apart.
        if spec.kind == Kind::Watchdog
            && let Some(first) = &self.watchdog
        {
            return Err(Refusal::limit(format!(
                "a worker has one watchdog, and \"{first}\" is it"
            )));
        }
        spec.timeout = whole_ms(spec.timeout);
        if spec.timeout < BOUND_MIN || spec.timeout > BOUND_MAX {
            return Err(Refusal::limit(format!(
                "its bound of {:?} is not from 1 ms to 1 h",
                spec.timeout
            )));
        }
        let Some(floor) = spec.floor.map(whole_ms) else {
            return Ok(());
        };
        spec.floor = Some(floor);
        let detail = if spec.kind == Kind::Stop {
            "only cleanup steps have floors".to_owned()
        } else if floor > spec.timeout {
            format!(
                "its floor of {floor:?} is longer than its bound of {:?}",
                spec.timeout
            )
        } else if self.explicit_floors_sum + floor > reserve {
            format!(
                "its floor of {floor:?} does not fit: the reserve is {reserve:?}, and {:?} of it is promised",
                self.explicit_floors_sum
            )
        } else {
            return Ok(());
        };
        Err(Refusal {
            reason: RefusedReason::Floors,
            detail,
        })
    }

    /// Returns the id of the next component, and counts it as used.
    pub fn allocate_id(&mut self) -> Id {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    pub fn insert(&mut self, id: Id, spec: Spec, action: Action) {
        self.explicit_floors_sum += spec.floor.unwrap_or_default();
        let Spec {
            name,
            kind,
            order,
            timeout,
            floor,
            uses,
            place,
            watchdog: _,
            once: _,
        } = spec;
        if kind == Kind::Watchdog {
            self.watchdog = Some(name.clone());
        }
        self.components.insert(
            id,
            RegisteredComponent {
                id,
                name,
                kind,
                order,
                timeout,
                floor,
                uses,
                place,
                action,
            },
        );
    }

    /// Removes a body that ended before stop, and records its death if it ended badly. A task that was dropped ended
    /// badly: its runtime was shut down, or its own side aborted it, and its work is not done. The returned action is
    /// the caller's to drop, once the lock is released.
    #[must_use]
    pub fn remove_ended(&mut self, id: Id, ended: &Ended) -> Option<Action> {
        let component = self.components.remove(&id)?;
        if self.state <= State::Starting && self.ended_in_start.len() < MAX_ENDED_IN_START {
            self.ended_in_start.insert(component.name.clone());
        }
        if ended.how != How::Ok {
            self.deaths_in_all += 1;
            if self.deaths.len() == MAX_DEATHS {
                self.deaths.pop_front();
            }
            self.deaths.push_back(Death {
                id,
                name: component.name,
                kind: component.kind,
                how: ended.how,
                error: ended.error.clone(),
                at: ended.at,
            });
        }
        Some(component.action)
    }

    /// Records that start, stop or cleanup has taken over a component.
    pub fn take_over(&mut self, id: Id, kind: Kind, name: Name) {
        let begun = false;
        self.taken_over.insert(id, TakenOver { kind, name, begun });
    }

    /// Takes out the components of one phase, in the order of their registration.
    pub fn take_over_phase(&mut self, stop: bool) -> Vec<RegisteredComponent> {
        let all = std::mem::take(&mut self.components);
        let mut taken = Vec::with_capacity(all.len());
        for (id, component) in all {
            if is_stop_kind(component.kind) == stop {
                self.take_over(id, component.kind, component.name.clone());
                taken.push(component);
            } else {
                self.components.insert(id, component);
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> Spec {
        Spec {
            name: "task".into(),
            kind: Kind::Task,
            order: 0,
            timeout: Duration::from_secs(2),
            floor: None,
            uses: Vec::new(),
            place: Location::caller(),
            watchdog: None,
            once: false,
        }
    }

    #[test]
    fn ids_beyond_32_bits_are_accepted() {
        let mut registry = Registry::new();
        registry.next_id = u32::MAX.into();
        for past in 0..3 {
            let admitted = registry.admit(&mut spec(), Duration::from_secs(10));
            assert!(admitted.is_ok(), "{past} past it: {admitted:?}");
            assert_eq!(registry.allocate_id(), u64::from(u32::MAX) + past);
        }
    }

    #[test]
    fn the_last_id_is_refused() {
        let mut registry = Registry::new();
        registry.next_id = Id::MAX;
        let refused = registry.admit(&mut spec(), Duration::from_secs(10));
        let detail = refused.map_err(|refusal| refusal.detail);
        assert_eq!(detail, Err("this context has run out of ids".to_owned()));
    }
}
