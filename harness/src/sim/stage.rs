//! The world as the [stage](crate::stage) of a scenario's script, in virtual time.

use std::cell::RefCell;

use super::role::{Class, EntityId, Role};
use super::world::{self, World};
use crate::journal::{Call, Cause, How, Name, SignalName, What};
use crate::stage::{Endpoint, Later, Part, Parts, Script, Stage};

impl Stage for World {
    fn parts(&self) -> &Parts {
        &self.parts
    }

    fn script(&self) -> &RefCell<Script> {
        &self.script
    }

    fn endpoint(&self) -> &RefCell<Endpoint> {
        &self.endpoint
    }

    fn now(&self) -> u64 {
        self.now()
    }

    fn is_over(&self) -> bool {
        self.is_over()
    }

    fn record(&self, what: What) {
        self.record(what);
    }

    fn wake(&self, part: &Part) {
        if let Some(entity) = part.runs_as.get() {
            self.entities.borrow_mut().interrupt(entity);
        }
    }

    fn hold_executor(&self, _part: &Part, hold: bool) {
        self.entities.borrow_mut().hold(hold);
    }

    fn ask_executor(&self, part: &Part) {
        let index = part.index;
        let ask = Box::pin(async move {
            world::with(|world| {
                let part = &world.parts.all[index];
                part.executor_ran.set(true);
                world.stage().interrupt(part);
            });
            Ok(())
        });
        let _ = self.spawn(
            part.name.clone(),
            Class::Executor,
            Role::Internal,
            ask,
            None,
        );
    }

    fn later(&self, delay: u64, later: Later) {
        self.after(delay, move |world| world.stage().happen(later));
    }

    fn signal(&self, signal: SignalName) {
        self.subject().signal(signal);
    }

    fn kill(&self, signal: SignalName) {
        self.record(What::Killed { signal });
        self.exit(128 + signal.number(), Cause::Killed);
    }

    fn call(&self, call: Call, from: Option<Name>, message: Option<String>) {
        self.call_by(call, from, message);
    }

    fn register(&self, index: usize) {
        self.register_part(index);
    }
}

impl World {
    pub fn stage(&self) -> &dyn Stage {
        self
    }

    pub fn part_of(&self, role: Role) -> Option<&Part> {
        match role {
            Role::Component(id) => self.parts.by_id(id),
            Role::ComponentAt(index) => self
                .parts
                .all
                .get(index)
                .filter(|part| part.id.get().is_some()),
            Role::Internal | Role::Inside => None,
        }
    }

    /// Records that an entity begins a run or call of a component's code, and returns its ordinal, from 1.
    pub fn began(&self, role: Role, entity: EntityId) -> u32 {
        self.part_of(role)
            .map_or(1, |part| self.stage().began(part, entity))
    }

    /// Records that the `nth` run or call of a component's code has ended; `nth` is 0 if it never began.
    pub fn ended(&self, role: Role, nth: u32, how: How, error: Option<Name>) {
        if let Some(part) = self.part_of(role) {
            self.stage().ended(part, nth, how, error);
        }
    }
}
