//! What is registered, and what can be done with it when its step comes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::error::Refusal;
use super::limits::{BOUND_MAX, BOUND_MIN, DEATHS_KEPT, Instants, NAME_BYTES, whole_ms};
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
    /// With the executor on which it was registered, where the host tells executors apart.
    Async(AsyncCall, Option<Box<dyn Executor>>),
}

/// A thread or task that runs.
pub(crate) struct Running {
    /// Told to stop by this; `None` for what was adopted, which cannot be told, and for what was told.
    pub token: Option<CancellationToken>,
    pub adopted: bool,
    pub told: Told,
    pub wake: Option<Wake>,
    /// `Some` for tasks.
    pub abort: Option<Box<dyn Abort>>,
    /// A watchdog's failures in a row.
    pub attempts: Option<Arc<AtomicU32>>,
}

/// What a component does when its step comes.
pub(crate) enum Action {
    Running(Running),
    Call(Callback),
}

impl Action {
    /// Whether what overruns its bound can be aborted, and then has its end confirmed.
    pub fn can_be_aborted(&self) -> bool {
        match self {
            Action::Running(running) => running.abort.is_some() && !running.adopted,
            Action::Call(callback) => matches!(callback, Callback::Async(..)),
        }
    }
}

/// One registered component.
pub(crate) struct Entry {
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

/// What is to be registered, before it has an id.
pub(crate) struct Spec {
    pub name: Name,
    pub kind: Kind,
    pub order: i32,
    pub timeout: Duration,
    pub floor: Option<Duration>,
    pub uses: Vec<Name>,
    pub place: &'static Location<'static>,
    /// A watchdog's limits.
    pub watchdog: Option<Limits>,
    /// Whether it is a future that is run to its end.
    pub once: bool,
}

impl Spec {
    /// What was registered with these limits, as a sink is told.
    pub fn registered(&self, id: Id, action: &Action) -> Registered {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let (told, is_async, adopted) = match action {
            Action::Running(running) => (
                running.told,
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

/// Whether a kind belongs to stop, rather than to cleanup.
pub(crate) fn is_stop_kind(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Thread | Kind::Task | Kind::Watchdog | Kind::Stop
    )
}

/// What stop or cleanup has taken to itself, and whose code is not known to be over.
#[cfg_attr(
    not(all(feature = "process", unix)),
    allow(dead_code, reason = "only the last resort reads it")
)]
pub(crate) struct Taken {
    pub kind: Kind,
    pub name: Name,
    /// Whether its step has begun.
    pub begun: bool,
}

/// A request to stop that the sink has yet to be told of.
pub(crate) struct Unsaid {
    pub words: Name,
    pub by: By,
    /// What else it comes to, for the log.
    pub why: Option<&'static str>,
    /// The watchdogs that it disarmed, by their failures in a row.
    pub disarmed: Vec<u32>,
}

/// Maximum number of names that are remembered of what ended during the start.
pub(crate) const ENDED_IN_START_KEPT: usize = 1_000;

/// Everything about the worker that changes.
pub(crate) struct Registry {
    pub state: State,
    pub entries: BTreeMap<Id, Entry>,
    /// Who has left `entries` for a phase, until its code is over; and main, from its begin.
    pub taken: BTreeMap<Id, Taken>,
    next_id: Id,
    explicit_floors: Duration,
    /// The name of the watchdog, if there was ever one.
    watchdog: Option<Name>,
    pub reason: Option<Reason>,
    pub later_reasons: Vec<Reason>,
    pub later_reasons_in_all: u64,
    /// Requests that have yet to be said, and whether somebody is saying them.
    pub unsaid: VecDeque<Unsaid>,
    pub saying: bool,
    pub instants: Option<Instants>,
    pub want_stop: bool,
    pub want_cleanup: bool,
    /// Whether somebody drives stop and cleanup.
    pub closing: bool,
    pub start_begun: bool,
    /// Names of what ended by itself before the end of start, so many at most: `uses` may say them.
    pub ended_in_start: BTreeSet<Name>,
    pub main_token: Option<CancellationToken>,
    pub main_ended: Option<Ended>,
    pub main_code: Option<i32>,
    /// What has ended since the driver last looked; used from the begin of stop.
    pub ended: VecDeque<(Id, Ended)>,
    /// What of it had ended before its own step began.
    pub early: BTreeMap<Id, Ended>,
    pub deaths: VecDeque<Death>,
    pub deaths_in_all: u64,
    pub wakes_panicked: Vec<WakePanic>,
}

impl Registry {
    pub fn new() -> Self {
        Registry {
            state: State::Created,
            entries: BTreeMap::new(),
            taken: BTreeMap::new(),
            next_id: 1,
            explicit_floors: Duration::ZERO,
            watchdog: None,
            reason: None,
            later_reasons: Vec::new(),
            later_reasons_in_all: 0,
            unsaid: VecDeque::new(),
            saying: false,
            instants: None,
            want_stop: false,
            want_cleanup: false,
            closing: false,
            start_begun: false,
            ended_in_start: BTreeSet::new(),
            main_token: None,
            main_ended: None,
            main_code: None,
            ended: VecDeque::new(),
            early: BTreeMap::new(),
            deaths: VecDeque::new(),
            deaths_in_all: 0,
            wakes_panicked: Vec::new(),
        }
    }

    /// Says whether something may be registered now (rules 3, 7 and 18), and rounds its limits up to whole
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
        // What it asks and says bears no name: of two, nobody could tell whose it is.
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
        } else if self.explicit_floors + floor > reserve {
            format!(
                "its floor of {floor:?} does not fit: the reserve is {reserve:?}, and {:?} of it is promised",
                self.explicit_floors
            )
        } else {
            return Ok(());
        };
        Err(Refusal {
            reason: RefusedReason::Floors,
            detail,
        })
    }

    /// The id that the next component gets.
    pub fn take_id(&mut self) -> Id {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    pub fn insert(&mut self, id: Id, spec: Spec, action: Action) {
        self.explicit_floors += spec.floor.unwrap_or_default();
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
        self.entries.insert(
            id,
            Entry {
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

    /// Takes note that a body ended before stop: it leaves the registry, and is remembered if it ended
    /// badly. A task that was dropped did: its runtime went, or its own side aborted it, and its work is not done. What it leaves is the caller's to drop, once the lock is released.
    #[must_use]
    pub fn forget(&mut self, id: Id, ended: &Ended) -> Option<Action> {
        let entry = self.entries.remove(&id)?;
        if self.state <= State::Starting && self.ended_in_start.len() < ENDED_IN_START_KEPT {
            self.ended_in_start.insert(entry.name.clone());
        }
        if ended.how != How::Ok {
            self.deaths_in_all += 1;
            if self.deaths.len() == DEATHS_KEPT {
                self.deaths.pop_front();
            }
            self.deaths.push_back(Death {
                id,
                name: entry.name,
                kind: entry.kind,
                how: ended.how,
                error: ended.error.clone(),
                at: ended.at,
            });
        }
        Some(entry.action)
    }

    /// Notes that somebody is in the hands of start, stop or cleanup.
    pub fn take(&mut self, id: Id, kind: Kind, name: Name) {
        let begun = false;
        self.taken.insert(id, Taken { kind, name, begun });
    }

    /// Takes out the components of one phase, as they were registered.
    pub fn take_phase(&mut self, stop: bool) -> Vec<Entry> {
        let all = std::mem::take(&mut self.entries);
        let mut taken = Vec::with_capacity(all.len());
        for (id, entry) in all {
            if is_stop_kind(entry.kind) == stop {
                self.take(id, entry.kind, entry.name.clone());
                taken.push(entry);
            } else {
                self.entries.insert(id, entry);
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
            assert_eq!(registry.take_id(), u64::from(u32::MAX) + past);
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
