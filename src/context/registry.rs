//! The registry: the components of a worker, and the state of its start, stop and cleanup.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::error::Refusal;
use super::handle::ComponentHandle;
use super::limits::{BOUND_MAX, BOUND_MIN, Instants, MAX_DEATHS, NAME_BYTES};
use super::opts::Opts;
use super::report::{Death, Reason, WakePanic};
use crate::host::{Abort, Body, BoxError, BoxFuture, Ended, Executor};
use crate::journal::{By, How, Id, Kind, Name, RefusedReason, Registered, State};
use crate::journal::{ms_rounded_down, whole_ms};
use crate::watchdog::WatchdogLimits;

/// An async callback that has not been called.
pub(crate) type AsyncCall = Box<dyn FnOnce() -> BoxFuture<Result<(), BoxError>> + Send + 'static>;

/// A callback that has not been called.
pub(crate) enum Callback {
    Blocking(Body),
    /// With the executor on which it was registered, if the host distinguishes executors.
    Async(AsyncCall, Option<Box<dyn Executor>>),
}

/// A thread, task or watchdog that runs.
#[derive(Default)]
pub(crate) struct Running {
    /// Token that tells the body to stop. `None` for an adopted task, which cannot be told, and for a body that was
    /// told.
    pub token: Option<CancellationToken>,
    /// Whether it is an adopted task. An adopted thread has a token, and is not marked.
    pub adopted_task: bool,
    /// Aborts a task; `None` for a thread.
    pub abort: Option<Box<dyn Abort>>,
    /// Whether it is a future that is run to its end (`spawn_or_block_on`).
    pub once: bool,
    /// `None` unless it is a watchdog.
    pub watchdog: Option<Box<RunningWatchdog>>,
}

/// A running watchdog, as the context knows it.
pub(crate) struct RunningWatchdog {
    pub limits: WatchdogLimits,
    /// Number of its failures in a row.
    pub failures: Arc<AtomicU32>,
}

/// The code of a component: it runs already, or its step calls it.
pub(crate) enum Code {
    Running(Running),
    Call(Callback),
}

/// A registered component: from its registration to the begin of its step, and main as a step.
pub(crate) struct RegisteredComponent {
    pub handle: ComponentHandle,
    pub opts: Opts,
    pub place: &'static Location<'static>,
    pub code: Code,
}

impl RegisteredComponent {
    pub fn id(&self) -> Id {
        self.handle.id()
    }

    pub fn name(&self) -> &Name {
        self.handle.name()
    }

    pub fn kind(&self) -> Kind {
        self.handle.kind()
    }

    /// Returns whether code that overruns its bound can be aborted, and its end then confirmed.
    pub fn can_be_aborted(&self) -> bool {
        match &self.code {
            Code::Running(running) => running.abort.is_some() && !running.adopted_task,
            Code::Call(callback) => matches!(callback, Callback::Async(..)),
        }
    }

    /// Returns the description of the component that the sink receives.
    pub fn registered(&self) -> Registered {
        let (is_async, running) = match &self.code {
            Code::Running(running) => (running.abort.is_some(), Some(running)),
            Code::Call(callback) => (matches!(callback, Callback::Async(..)), None),
        };
        let watchdog = running.and_then(|running| running.watchdog.as_deref());
        let watchdog = watchdog.map(|watchdog| watchdog.limits);
        Registered {
            id: self.id(),
            kind: self.kind(),
            name: self.name().clone(),
            order: self.opts.order,
            timeout: ms_rounded_down(self.opts.timeout),
            floor: self.opts.floor.map(ms_rounded_down),
            uses: self.opts.uses.names().to_vec(),
            told: self.opts.when_told,
            is_async,
            adopted: running.is_some_and(|running| running.adopted_task),
            once: running.is_some_and(|running| running.once),
            interval: watchdog.map(|limits| ms_rounded_down(limits.interval)),
            attempts: watchdog.map(|limits| limits.attempts),
            request_timeout: watchdog.map(|limits| ms_rounded_down(limits.request_timeout)),
            start_grace: watchdog
                .and_then(|limits| limits.start_grace)
                .map(ms_rounded_down),
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
    /// Components that a phase has taken out of `components`, until their code is known to have ended; also main, from
    /// its begin.
    pub taken_over: BTreeMap<Id, ComponentHandle>,
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
    /// Main, and the token that tells it, once it has begun.
    pub main: Option<(ComponentHandle, CancellationToken)>,
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
            main: None,
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
    pub fn admit(
        &self,
        name: &Name,
        kind: Kind,
        opts: &mut Opts,
        reserve: Duration,
    ) -> Result<(), Refusal> {
        let began = if is_stop_kind(kind) {
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
        if name.is_empty() || name.len() > NAME_BYTES || name.contains(char::is_control) {
            return Err(Refusal::limit(format!(
                "a name has 1 to {NAME_BYTES} bytes and no control characters"
            )));
        }
        if self.next_id == Id::MAX {
            return Err(Refusal::limit("this context has run out of ids"));
        }
        // A watchdog's probes and events bear no name, so those of two watchdogs could not be told apart.
        if kind == Kind::Watchdog
            && let Some(first) = &self.watchdog
        {
            return Err(Refusal::limit(format!(
                "a worker can have only one watchdog, and \"{first}\" is registered already"
            )));
        }
        opts.timeout = whole_ms(opts.timeout);
        if opts.timeout < BOUND_MIN || opts.timeout > BOUND_MAX {
            return Err(Refusal::limit(format!(
                "its bound is {:?}: it must be from 1 ms to 1 h",
                opts.timeout
            )));
        }
        let Some(floor) = opts.floor.map(whole_ms) else {
            return Ok(());
        };
        opts.floor = Some(floor);
        let detail = if kind == Kind::Stop {
            "only cleanup steps have floors".to_owned()
        } else if floor > opts.timeout {
            format!(
                "its floor of {floor:?} is longer than its bound of {:?}",
                opts.timeout
            )
        } else if self.explicit_floors_sum + floor > reserve {
            format!(
                "its floor of {floor:?} does not fit: the reserve is {reserve:?}, and earlier floors take {:?} of it",
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

    pub fn insert(&mut self, component: RegisteredComponent) {
        self.explicit_floors_sum += component.opts.floor.unwrap_or_default();
        if component.kind() == Kind::Watchdog {
            self.watchdog = Some(component.name().clone());
        }
        self.components.insert(component.id(), component);
    }

    /// Removes a body that ended before stop, and records its death if it ended badly. A task that was dropped ended
    /// badly: its runtime was shut down, or its own side aborted it, and its work is not done. The returned
    /// component is the caller's to drop, once the lock is released.
    #[must_use]
    pub fn remove_ended(&mut self, id: Id, ended: &Ended) -> Option<RegisteredComponent> {
        let component = self.components.remove(&id)?;
        if self.state <= State::Starting && self.ended_in_start.len() < MAX_ENDED_IN_START {
            self.ended_in_start.insert(component.name().clone());
        }
        if ended.how != How::Ok {
            self.deaths_in_all += 1;
            if self.deaths.len() == MAX_DEATHS {
                self.deaths.pop_front();
            }
            self.deaths.push_back(Death {
                id,
                name: component.name().clone(),
                kind: component.kind(),
                how: ended.how,
                error: ended.error.clone(),
                at: ended.at,
            });
        }
        Some(component)
    }

    /// Takes out the components of one phase, in the order of their registration.
    pub fn take_over_phase(&mut self, stop: bool) -> Vec<RegisteredComponent> {
        let all = std::mem::take(&mut self.components);
        let mut taken = Vec::with_capacity(all.len());
        for (id, component) in all {
            if is_stop_kind(component.kind()) == stop {
                self.taken_over.insert(id, component.handle.clone());
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

    fn admit(registry: &Registry) -> Result<(), String> {
        let mut opts = Opts::with_timeout(Duration::from_secs(2));
        let admitted = registry.admit(
            &"task".into(),
            Kind::Task,
            &mut opts,
            Duration::from_secs(10),
        );
        admitted.map_err(|refusal| refusal.detail)
    }

    #[test]
    fn ids_beyond_32_bits_are_accepted() {
        let mut registry = Registry::new();
        registry.next_id = u32::MAX.into();
        for past in 0..3 {
            let admitted = admit(&registry);
            assert!(admitted.is_ok(), "{past} past it: {admitted:?}");
            assert_eq!(registry.allocate_id(), u64::from(u32::MAX) + past);
        }
    }

    #[test]
    fn the_last_id_is_refused() {
        let mut registry = Registry::new();
        registry.next_id = Id::MAX;
        assert_eq!(
            admit(&registry),
            Err("this context has run out of ids".to_owned())
        );
    }
}
