//! Parts: the components of a scripted worker, and what has become of each.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use super::growing::Growing;
use super::{Later, Stage, millis};
use crate::journal::{FaultVerb, How, Id, Kind, LostWhat, MAIN, Name, Registered, What};
use crate::scenario::{Component, Lasts, Scenario};

/// An instant that never comes.
pub(crate) const NEVER: u64 = u64::MAX;

/// The part that stands for main.
pub(crate) const MAIN_PART: usize = 0;

/// How a body is made to end, or a callback when called.
#[derive(Clone, Debug)]
pub(crate) enum Strike {
    Fail {
        message: Option<String>,
        code: Option<i32>,
    },
    Panic {
        message: Option<String>,
    },
    End,
}

/// One component, or main, and what has become of it.
pub(crate) struct Part {
    /// Its place among the parts.
    pub index: usize,
    pub name: Name,
    /// Of a user's own component it is known once that is registered.
    pub(super) kind: Cell<Kind>,
    /// What the file says of it; `None` for main, and for a user's own.
    pub component: Option<Component>,
    pub id: Cell<Option<Id>>,
    /// Who runs its code, as the stage numbers them.
    pub runs_as: Cell<Option<u32>>,
    hung_until: Cell<u64>,
    ignoring_until: Cell<u64>,
    slow: Cell<u64>,
    strike: RefCell<Option<Strike>>,
    /// Strikes of main's that wait for a registration.
    before: RefCell<Vec<(Name, Strike)>>,
    hold: Cell<Option<Lasts>>,
    jobs: RefCell<Vec<u32>>,
    /// How often its code was run.
    calls: Cell<u32>,
    runs: Cell<bool>,
    ended: Cell<bool>,
    /// Whether its code will do nothing more but return: for others it is over.
    finished: Cell<bool>,
    leaked: Cell<bool>,
    stepped: Cell<bool>,
    heard: Cell<bool>,
    /// Whether what it asked the executor to run has run.
    pub executor_ran: Cell<bool>,
    /// Whether it ran before it was registered, out of sight.
    pub(super) adopted: Cell<bool>,
    /// Whether the context says that it told it, and whether its token was cancelled.
    pub(super) told: Cell<bool>,
    pub(super) reached: Cell<bool>,
}

impl Part {
    pub(super) fn new(index: usize, name: Name, kind: Kind, component: Option<Component>) -> Self {
        Part {
            index,
            name,
            kind: Cell::new(kind),
            component,
            id: Cell::new(None),
            runs_as: Cell::new(None),
            hung_until: Cell::new(0),
            ignoring_until: Cell::new(0),
            slow: Cell::new(0),
            strike: RefCell::new(None),
            before: RefCell::default(),
            hold: Cell::new(None),
            jobs: RefCell::default(),
            calls: Cell::new(0),
            runs: Cell::new(false),
            ended: Cell::new(false),
            finished: Cell::new(false),
            leaked: Cell::new(false),
            stepped: Cell::new(false),
            heard: Cell::new(false),
            executor_ran: Cell::new(false),
            adopted: Cell::new(false),
            told: Cell::new(false),
            reached: Cell::new(false),
        }
    }

    pub fn kind(&self) -> Kind {
        self.kind.get()
    }

    /// What the file says of it.
    ///
    /// # Panics
    ///
    /// For main and for a user's own, of which the file says nothing.
    pub fn spec(&self) -> &Component {
        self.component
            .as_ref()
            .expect("a scripted component is described by its file")
    }

    fn is_call(&self) -> bool {
        matches!(self.kind(), Kind::Stop | Kind::Cleanup | Kind::Closeable)
    }

    /// Whether what it is can still be used: its close has not begun, its body has not ended.
    fn is_alive(&self) -> bool {
        if self.is_call() {
            self.calls.get() == 0
        } else {
            !self.ended.get() && !self.finished.get()
        }
    }

    /// Notes that the part's code only returns from here on. It is noted in the same look in which that is decided: what
    /// another thread sees of it does not depend on how long the return takes.
    pub(super) fn finish(&self) {
        self.finished.set(true);
    }

    pub fn runs(&self) -> bool {
        self.runs.get()
    }

    pub fn has_ended(&self) -> bool {
        self.ended.get()
    }

    pub fn has_jobs(&self) -> bool {
        !self.jobs.borrow().is_empty()
    }

    /// The instant until which it is stuck.
    pub fn hung(&self, now: u64) -> Option<u64> {
        Some(self.hung_until.get()).filter(|until| *until > now)
    }

    /// The instant until which it does not heed stop.
    pub fn ignoring(&self, now: u64) -> Option<u64> {
        Some(self.ignoring_until.get()).filter(|until| *until > now)
    }

    pub fn take_slow(&self) -> u64 {
        self.slow.take()
    }

    pub fn strike(&self) -> Option<Strike> {
        self.strike.borrow().clone()
    }

    /// Returns how the part's code is made to end, if it is: then it [ends](Self::finish) now.
    pub(super) fn meet_strike(&self) -> Option<Strike> {
        let strike = self.strike();
        if strike.is_some() {
            self.finish();
        }
        strike
    }

    /// The strike that waits for main to come to that registration.
    pub fn strike_before(&self, name: &str) -> Option<Strike> {
        self.before
            .borrow()
            .iter()
            .find(|(before, _)| &**before == name)
            .map(|(_, strike)| strike.clone())
    }
}

/// All parts of a world: main, then the components in the order of the file.
pub(crate) struct Parts {
    pub all: Growing<Part>,
    by_name: RefCell<BTreeMap<Name, usize>>,
    /// An id may be nobody's: that of a registration that was refused.
    by_id: RefCell<Vec<Option<usize>>>,
    /// How often each name was registered by a user's own worker.
    names: RefCell<BTreeMap<Name, u32>>,
    jobs: Cell<u32>,
    /// The exit code that main asked for with its error.
    pub main_code: Cell<Option<i32>>,
    /// Whether the plan's kill tool fails.
    pub kill_fails: Cell<bool>,
}

impl Parts {
    pub fn new(scenario: &Scenario) -> Self {
        let main = Part::new(MAIN_PART, "main".into(), Kind::Main, None);
        main.id.set(Some(MAIN));
        let components = scenario.worker.components.iter().flatten();
        let parts = (1..).zip(components).map(|(index, component)| {
            Part::new(
                index,
                component.name.clone(),
                component.kind,
                Some(component.clone()),
            )
        });
        let all: Vec<Part> = std::iter::once(main).chain(parts).collect();
        let by_name = all
            .iter()
            .enumerate()
            .map(|(index, part)| (part.name.clone(), index))
            .collect();
        Parts {
            all: Growing::new(all),
            by_name: RefCell::new(by_name),
            by_id: RefCell::new(vec![Some(MAIN_PART)]),
            names: RefCell::default(),
            jobs: Cell::new(0),
            main_code: Cell::new(None),
            kill_fails: Cell::new(false),
        }
    }

    /// From here on the part has that name.
    pub(super) fn call(&self, name: Name, index: usize) {
        self.by_name.borrow_mut().insert(name, index);
    }

    /// From here on the part has that id.
    pub(super) fn bind(&self, id: Id, index: usize) {
        let mut by_id = self.by_id.borrow_mut();
        by_id.resize(id as usize, None);
        by_id.push(Some(index));
    }

    /// For which time that name is registered, from 1.
    pub(super) fn count(&self, name: &Name) -> u32 {
        let mut names = self.names.borrow_mut();
        let count = names.entry(name.clone()).or_default();
        *count += 1;
        *count
    }

    pub fn index(&self, name: &str) -> Option<usize> {
        self.by_name.borrow().get(name).copied()
    }

    pub fn named(&self, name: &str) -> Option<&Part> {
        self.index(name).map(|index| &self.all[index])
    }

    pub fn index_by_id(&self, id: Id) -> Option<usize> {
        self.by_id.borrow().get(id as usize).copied().flatten()
    }

    pub fn by_id(&self, id: Id) -> Option<&Part> {
        self.index_by_id(id).map(|index| &self.all[index])
    }

    pub fn step_began(&self, id: Id) {
        if let Some(part) = self.by_id(id) {
            part.stepped.set(true);
        }
    }

    pub fn leaked(&self, id: Id) {
        if let Some(part) = self.by_id(id) {
            part.leaked.set(true);
        }
    }

    /// What is lost if the process ends now.
    pub fn losses(&self) -> Vec<What> {
        let mut losses = Vec::new();
        for &index in self.by_id.borrow().iter().skip(1).flatten() {
            let part = &self.all[index];
            let Some(id) = part.id.get() else { continue };
            let lost = |what| What::Lost {
                id,
                name: part.name.clone(),
                what,
            };
            if !part.leaked.get() {
                // An async call that was aborted before it could begin has ended, and not well.
                if part.is_call() && part.calls.get() == 0 && !part.ended.get() {
                    losses.push(lost(if part.kind() == Kind::Stop {
                        LostWhat::NotStopped
                    } else {
                        LostWhat::NotClosed
                    }));
                } else if part.runs.get() || !part.ended.get() {
                    let what = if part.stepped.get() || part.is_call() {
                        LostWhat::Running
                    } else {
                        LostWhat::NotStopped
                    };
                    losses.push(lost(what));
                }
            }
            losses.extend(part.jobs.borrow().iter().map(|_| lost(LostWhat::Job)));
        }
        losses
    }
}

impl dyn Stage + '_ {
    /// A part was registered: from here on it has an id, and everything of it is written down.
    pub fn registered(&self, index: usize, id: Id) {
        let part = &self.parts().all[index];
        part.id.set(Some(id));
        {
            let mut by_id = self.parts().by_id.borrow_mut();
            debug_assert_eq!(
                by_id.len(),
                id as usize,
                "ids are given in the order of registration"
            );
            by_id.push(Some(index));
        }
        let spec = part.spec();
        let watchdog = spec.watchdog;
        self.record(What::Registered(Box::new(Registered {
            id,
            kind: part.kind(),
            name: part.name.clone(),
            order: spec.order,
            timeout: millis(spec.timeout),
            floor: spec.floor.map(millis),
            uses: spec.uses.clone(),
            told: spec.told,
            is_async: spec.is_async || part.kind() == Kind::Task,
            adopted: spec.adopted,
            once: false,
            interval: watchdog.map(|watchdog| millis(watchdog.interval)),
            attempts: watchdog.map(|watchdog| watchdog.attempts),
            request_timeout: watchdog.map(|watchdog| millis(watchdog.request_timeout)),
            start_grace: watchdog
                .and_then(|watchdog| watchdog.start_grace)
                .map(millis),
        })));
    }

    /// The code of a component runs for the first time, or is called: for which time, from 1.
    pub fn began(&self, part: &Part, runs_as: u32) -> u32 {
        part.runs_as.set(Some(runs_as));
        part.calls.set(part.calls.get() + 1);
        part.runs.set(true);
        part.ended.set(false);
        part.finished.set(false);
        let id = part.id.get().unwrap_or(MAIN);
        self.record(What::Began {
            id,
            name: part.name.clone(),
            nth: part.calls.get(),
        });
        if id == MAIN {
            self.script().borrow_mut().began(&part.name, self.now());
        }
        if let Some(lasts) = part.hold.take() {
            self.hold(part, lasts);
        }
        part.calls.get()
    }

    /// The code of a part has been running before it was registered, where nobody could see it.
    pub(super) fn runs_already(&self, part: &Part) {
        part.calls.set(1);
        part.runs.set(true);
        if let Some(id) = part.id.get() {
            self.record(What::Began {
                id,
                name: part.name.clone(),
                nth: 1,
            });
        }
    }

    /// The code of a component is over, for the `nth` time; 0 if it never began.
    pub fn ended(&self, part: &Part, nth: u32, how: How, error: Option<Name>) {
        part.runs.set(false);
        part.ended.set(true);
        let id = part.id.get().unwrap_or(MAIN);
        self.record(What::Ended {
            id,
            name: part.name.clone(),
            nth,
            how,
            error,
            code: self
                .parts()
                .main_code
                .get()
                .filter(|_| id == MAIN && how == How::Failed),
        });
        // Jobs that the end has not waited for go down with it.
        for _ in part.jobs.take() {
            self.record(What::Lost {
                id,
                name: part.name.clone(),
                what: LostWhat::Job,
            });
        }
        for other in self.parts().all.iter() {
            if other
                .component
                .as_ref()
                .is_some_and(|spec| spec.needs.is_some())
            {
                self.interrupt(other);
            }
        }
    }

    /// A body sees for the first time that it is to stop.
    pub fn heard(&self, part: &Part) {
        if let (Some(id), false) = (part.id.get(), part.heard.replace(true)) {
            self.record(What::Heard {
                id,
                name: part.name.clone(),
            });
        }
    }

    /// Something about a part has changed: its pause ends early.
    pub fn interrupt(&self, part: &Part) {
        if part.runs.get() {
            self.wake(part);
        }
    }

    /// A job or body of a part touches what it uses.
    pub fn touch(&self, part: &Part) {
        let (Some(id), Some(spec)) = (part.id.get(), &part.component) else {
            return;
        };
        for used in &spec.uses {
            let Some(used) = self.parts().named(used) else {
                continue;
            };
            if let Some(of) = used.id.get() {
                self.record(What::Used {
                    id,
                    of,
                    alive: used.is_alive(),
                });
            }
        }
    }

    fn fault(&self, part: &Part, fault: FaultVerb, lasts: Lasts) {
        self.record(What::Fault {
            fault,
            name: part.name.clone(),
            id: part.id.get(),
            lasts: lasts.map(millis),
            answer: None,
        });
    }

    pub fn hang(&self, part: &Part, lasts: Lasts) {
        self.fault(part, FaultVerb::Hang, lasts);
        part.hung_until.set(self.until(lasts));
        self.interrupt(part);
    }

    pub fn ignore(&self, part: &Part, lasts: Lasts) {
        self.fault(part, FaultVerb::Ignore, lasts);
        part.ignoring_until.set(self.until(lasts));
        self.interrupt(part);
    }

    pub fn slow(&self, part: &Part, by: Duration) {
        self.fault(part, FaultVerb::Slow, Some(by));
        part.slow.set(part.slow.get().saturating_add(millis(by)));
        self.interrupt(part);
    }

    pub fn strike(&self, part: &Part, fault: FaultVerb, strike: Strike, before: Option<Name>) {
        self.fault(part, fault, None);
        match before {
            Some(before) => part.before.borrow_mut().push((before, strike)),
            None => {
                *part.strike.borrow_mut() = Some(strike);
                self.interrupt(part);
            }
        }
    }

    /// The executor is held, now or when the part's code is called.
    pub fn hold_fault(&self, part: &Part, lasts: Lasts) {
        self.fault(part, FaultVerb::Hold, lasts);
        if part.runs.get() {
            self.hold(part, lasts);
        } else if !part.ended.get() {
            part.hold.set(Some(lasts));
        }
    }

    fn hold(&self, part: &Part, lasts: Lasts) {
        let (Some(id), name) = (part.id.get(), part.name.clone()) else {
            return;
        };
        self.record(What::Held {
            id,
            name: name.clone(),
        });
        self.hold_executor(part, true);
        if let Some(lasts) = lasts {
            self.in_time(millis(lasts), Later::Release(part.index));
        }
    }

    /// A hold is over.
    fn release(&self, part: &Part) {
        self.hold_executor(part, false);
        if let Some(id) = part.id.get() {
            let name = part.name.clone();
            self.record(What::Released { id, name });
        }
    }

    /// Has something happen after so many milliseconds; what takes no time happens at once, as part of what strikes.
    fn in_time(&self, delay: u64, later: Later) {
        match delay {
            0 => self.happen(later),
            delay => self.later(delay, later),
        }
    }

    /// What was set for later happens.
    pub fn happen(&self, later: Later) {
        match later {
            Later::Release(index) => self.release(&self.parts().all[index]),
            Later::JobDone(index, job) => self.job_done(index, job),
        }
    }

    pub fn jobs(&self, index: usize, count: u32, takes: Lasts) {
        let part = &self.parts().all[index];
        self.fault(part, FaultVerb::Job, takes);
        let Some(id) = part.id.get() else { return };
        if part.ended.get() {
            return;
        }
        for _ in 0..count {
            let job = self.parts().jobs.get() + 1;
            self.parts().jobs.set(job);
            part.jobs.borrow_mut().push(job);
            self.record(What::JobBegan { id, job });
            if let Some(takes) = takes {
                self.in_time(millis(takes), Later::JobDone(index, job));
            }
        }
    }

    fn job_done(&self, index: usize, job: u32) {
        let part = &self.parts().all[index];
        let Some(id) = part.id.get() else { return };
        let mut jobs = part.jobs.borrow_mut();
        let Some(position) = jobs.iter().position(|open| *open == job) else {
            return;
        };
        jobs.remove(position);
        drop(jobs);
        self.touch(part);
        self.record(What::JobEnded { id, job });
        self.interrupt(part);
    }

    fn until(&self, lasts: Lasts) -> u64 {
        lasts.map_or(NEVER, |lasts| self.now().saturating_add(millis(lasts)))
    }
}
