//! The components of a scripted worker, each with its state in a run.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use elsa::FrozenVec;

use super::fault::Faults;
use crate::journal::{Id, Kind, LostWhat, MAIN, Name, What};
use crate::scenario::{Component, Scenario};

/// An instant that never comes.
pub(crate) const NEVER: u64 = u64::MAX;

/// Index of main among the components.
pub(crate) const MAIN_PART: usize = 0;

/// One component, or main, with its state in a run.
pub(crate) struct Part {
    /// Its index among the components.
    pub index: usize,
    pub name: Name,
    /// Its kind. That of a user's own component is known once the component is registered.
    pub(super) kind: Cell<Kind>,
    /// Its description in the file; `None` for main, and for a user's own component.
    pub component: Option<Component>,
    pub id: Cell<Option<Id>>,
    /// Number of the simulator's entity that runs its code; 0 in a live run.
    pub runs_as: Cell<Option<u32>>,
    pub faults: Faults,
    pub(super) jobs: RefCell<Vec<u32>>,
    /// Number of runs or calls of its code.
    pub(super) run_count: Cell<u32>,
    pub(super) runs: Cell<bool>,
    pub(super) ended: Cell<bool>,
    /// Whether its code only returns from now on. For other components it has then ended.
    pub(super) returning: Cell<bool>,
    leaked: Cell<bool>,
    step_began: Cell<bool>,
    pub(super) heard: Cell<bool>,
    /// Whether the executor has run something for it since it asked for that.
    pub executor_ran: Cell<bool>,
    /// Whether it is a user's own component that ran, unseen, before it was registered.
    pub(super) adopted: Cell<bool>,
    /// Whether the context claims that it told the component.
    pub(super) told: Cell<bool>,
    /// Whether the token of a user's own component was cancelled.
    pub(super) token_cancelled: Cell<bool>,
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
            faults: Faults::default(),
            jobs: RefCell::default(),
            run_count: Cell::new(0),
            runs: Cell::new(false),
            ended: Cell::new(false),
            returning: Cell::new(false),
            leaked: Cell::new(false),
            step_began: Cell::new(false),
            heard: Cell::new(false),
            executor_ran: Cell::new(false),
            adopted: Cell::new(false),
            told: Cell::new(false),
            token_cancelled: Cell::new(false),
        }
    }

    pub fn kind(&self) -> Kind {
        self.kind.get()
    }

    /// Returns the component's description in the file.
    ///
    /// # Panics
    ///
    /// For main and for a user's own component: the file does not describe them.
    pub fn spec(&self) -> &Component {
        self.component
            .as_ref()
            .expect("a scripted component is described by its file")
    }

    fn is_callback(&self) -> bool {
        self.kind().is_callback()
    }

    /// Returns whether the component can still be used: a callback or closeable until its call begins, a body until it
    /// ends or only returns.
    pub(super) fn is_alive(&self) -> bool {
        if self.is_callback() {
            self.run_count.get() == 0
        } else {
            !self.ended.get() && !self.returning.get()
        }
    }

    /// Notes that the component's code only returns from now on. Callers note it in the same look in which they decide
    /// it, so that another thread's view of the component does not depend on how long the return takes.
    pub(super) fn note_returning(&self) {
        self.returning.set(true);
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
}

/// All components of a run: main, then the others in the order of the file.
pub(crate) struct Parts {
    /// A user's own worker registers components while others are borrowed.
    pub all: FrozenVec<Box<Part>>,
    by_name: RefCell<BTreeMap<Name, usize>>,
    /// Index of each id's component; `None` for the id of a registration that was refused.
    pub(super) by_id: RefCell<Vec<Option<usize>>>,
    /// Number of registrations of each name by a user's own worker.
    registration_counts: RefCell<BTreeMap<Name, u32>>,
    jobs_begun: Cell<u32>,
    /// Exit code that main asked for with its error.
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
        let all = std::iter::once(main).chain(parts);
        let all: Vec<Box<Part>> = all.map(Box::new).collect();
        let by_name = all
            .iter()
            .enumerate()
            .map(|(index, part)| (part.name.clone(), index))
            .collect();
        Parts {
            all: all.into(),
            by_name: RefCell::new(by_name),
            by_id: RefCell::new(vec![Some(MAIN_PART)]),
            registration_counts: RefCell::default(),
            jobs_begun: Cell::new(0),
            main_code: Cell::new(None),
            kill_fails: Cell::new(false),
        }
    }

    /// Makes the component of that index known by that name.
    pub(super) fn bind_name(&self, name: Name, index: usize) {
        self.by_name.borrow_mut().insert(name, index);
    }

    /// Makes the component of that index known by that id.
    pub(super) fn bind(&self, id: Id, index: usize) {
        let mut by_id = self.by_id.borrow_mut();
        by_id.resize(id as usize, None);
        by_id.push(Some(index));
    }

    /// Counts a registration of that name and returns its ordinal, from 1.
    pub(super) fn count_registration(&self, name: &Name) -> u32 {
        let mut counts = self.registration_counts.borrow_mut();
        let count = counts.entry(name.clone()).or_default();
        *count += 1;
        *count
    }

    /// Returns the number of a new job.
    pub(super) fn next_job(&self) -> u32 {
        let job = self.jobs_begun.get() + 1;
        self.jobs_begun.set(job);
        job
    }

    pub fn index_by_name(&self, name: &str) -> Option<usize> {
        self.by_name.borrow().get(name).copied()
    }

    pub fn named(&self, name: &str) -> Option<&Part> {
        self.index_by_name(name).map(|index| &self.all[index])
    }

    pub fn index_by_id(&self, id: Id) -> Option<usize> {
        self.by_id.borrow().get(id as usize).copied().flatten()
    }

    pub fn by_id(&self, id: Id) -> Option<&Part> {
        self.index_by_id(id).map(|index| &self.all[index])
    }

    pub fn step_began(&self, id: Id) {
        if let Some(part) = self.by_id(id) {
            part.step_began.set(true);
        }
    }

    pub fn leaked(&self, id: Id) {
        if let Some(part) = self.by_id(id) {
            part.leaked.set(true);
        }
    }

    /// Returns an event for each loss if the process ends now.
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
                // An async call that was aborted before it could begin has ended, though not well: it is no loss.
                if part.is_callback() && part.run_count.get() == 0 && !part.ended.get() {
                    losses.push(lost(if part.kind() == Kind::Stop {
                        LostWhat::NotStopped
                    } else {
                        LostWhat::NotClosed
                    }));
                } else if part.runs.get() || !part.ended.get() {
                    let what = if part.step_began.get() || part.is_callback() {
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
