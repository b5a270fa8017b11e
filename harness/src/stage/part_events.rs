//! What a component does, as events: its registration, its runs and calls, their ends.

use super::part::Part;
use super::seam::Stage;
use crate::journal::{How, Id, Kind, LostWhat, MAIN, Name, Registered, What, ms_rounded_up};
use std::sync::Arc;

impl dyn Stage + '_ {
    /// Records that a scripted component was registered. From now on it has an id, and its events are recorded.
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
        self.record(What::Registered(Arc::new(Registered {
            id,
            kind: part.kind(),
            name: part.name.clone(),
            order: spec.order,
            timeout: ms_rounded_up(spec.timeout),
            floor: spec.floor.map(ms_rounded_up),
            uses: spec.uses.clone(),
            told: spec.told,
            is_async: spec.is_async || part.kind() == Kind::Task,
            adopted: spec.adopted,
            once: false,
            interval: watchdog.map(|watchdog| ms_rounded_up(watchdog.interval)),
            attempts: watchdog.map(|watchdog| watchdog.attempts),
            request_timeout: watchdog.map(|watchdog| ms_rounded_up(watchdog.request_timeout)),
            start_grace: watchdog
                .and_then(|watchdog| watchdog.start_grace)
                .map(ms_rounded_up),
        })));
    }

    /// Records a run or call of the component's code and returns its ordinal, from 1.
    pub fn began(&self, part: &Part, runs_as: u32) -> u32 {
        part.runs_as.set(Some(runs_as));
        part.run_count.set(part.run_count.get() + 1);
        part.runs.set(true);
        part.ended.set(false);
        part.returning.set(false);
        let id = part.id.get().unwrap_or(MAIN);
        self.record(What::Began {
            id,
            name: part.name.clone(),
            nth: part.run_count.get(),
        });
        if id == MAIN {
            self.script().borrow_mut().began(&part.name, self.now());
        }
        self.strike_begun(part);
        part.run_count.get()
    }

    /// Records that the component's code has run, unseen, since before its registration.
    pub(super) fn runs_already(&self, part: &Part) {
        part.run_count.set(1);
        part.runs.set(true);
        if let Some(id) = part.id.get() {
            self.record(What::Began {
                id,
                name: part.name.clone(),
                nth: 1,
            });
        }
    }

    /// Records the end of the `nth` run or call of the component's code; `nth` is 0 if it never began.
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
        self.script().borrow_mut().ended(&part.name, self.now());
        // Jobs that the end has not waited for are lost with it.
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

    /// Records that a body learns that it is to stop. Later calls for the same component record nothing.
    pub fn heard(&self, part: &Part) {
        if let (Some(id), false) = (part.id.get(), part.heard.replace(true)) {
            self.record(What::Heard {
                id,
                name: part.name.clone(),
            });
        }
    }

    /// Ends the component's pause early, since something about the component has changed.
    pub fn interrupt(&self, part: &Part) {
        if part.runs.get() {
            self.wake(part);
        }
    }

    /// Records that a job, body or callback of the component touches the components that it uses.
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
}
