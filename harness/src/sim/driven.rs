//! The context under test, as the world drives it: one trait, and the callers that a scenario sends to it.
//!
//! Three types implement it: [`WorkerSubject`](super::worker::WorkerSubject),
//! [`PlanSubject`](super::plan::PlanSubject), and the one of [`Own`](crate::sim::Own).

use super::role::{Class, Role};
use super::world::{self, World};
use crate::journal::{Call, Cause, Id, Name, SignalName, What};
use crate::stage::Said;
use deadstop::host::BoxFuture;

/// The end of a process's life.
pub(crate) struct Ending {
    pub said: Said,
    pub code: i32,
    pub cause: Cause,
}

/// A worker context that the world can drive, from its own thread and from those of its bodies.
pub(crate) trait DrivenSubject: Send + Sync {
    /// Returns the running flag.
    fn running(&self) -> bool;

    /// Registers the component with that index, and returns its id; `None` if it was refused.
    fn register(&self, part: usize) -> Option<Id>;

    /// Runs the life of a process that handles signals: start, stop, cleanup.
    fn run_life(&self) -> BoxFuture<Ending>;

    /// Handles a signal.
    fn signal(&self, signal: SignalName);

    /// Calls the context.
    fn call(&self, call: Call, message: Option<String>) -> BoxFuture<Said>;

    /// Returns the exit code of a program that stops its worker by calls.
    fn exit_code(&self) -> i32;

    /// Returns the number of strong handles of the context; 0 if no user's own code can hold one.
    fn handle_count(&self) -> usize {
        0
    }
}

impl World {
    /// Begins the run: with `run` as the life of a process, otherwise as a program that only calls.
    pub fn begin(&self, run: bool) {
        if !run {
            self.call_by(Call::Start, None, None);
            return;
        }
        let caller = self.next_caller();
        let life = Box::pin(async move {
            let life = world::with(|world| {
                world.record(What::CallBegan {
                    call: Call::Run,
                    caller,
                    from: None,
                });
                world.subject().run_life()
            });
            let Ending { said, code, cause } = life.await;
            world::with(|world| {
                world.returned(Call::Run, caller, said);
                world.exit(code, cause);
            });
            Ok(())
        });
        let spawned = self.spawn(
            "process".into(),
            Class::OwnThread,
            Role::Internal,
            life,
            None,
        );
        debug_assert!(spawned.is_ok(), "a world runs on a runtime");
    }

    fn next_caller(&self) -> u32 {
        self.callers.set(self.callers.get() + 1);
        self.callers.get()
    }

    /// Starts a caller of the context. With `from` it calls from inside that component.
    pub fn call_by(&self, call: Call, from: Option<Name>, message: Option<String>) {
        let caller = self.next_caller();
        self.open_calls.set(self.open_calls.get() + 1);
        let role = if from.is_some() {
            Role::Inside
        } else {
            Role::Internal
        };
        let name = from.clone().unwrap_or_else(|| Name::from("caller"));
        let calls = Box::pin(async move {
            let said = world::with(|world| {
                world.record(What::CallBegan { call, caller, from });
                world.subject().call(call, message)
            });
            let said = said.await;
            world::with(|world| {
                world.returned(call, caller, said);
                world.open_calls.set(world.open_calls.get() - 1);
            });
            Ok(())
        });
        match self.spawn(name, Class::OwnThread, role, calls, None) {
            Ok(id) => self.entities.borrow_mut().put_first(id),
            Err(_) => debug_assert!(false, "a world runs on a runtime"),
        }
    }

    fn returned(&self, call: Call, caller: u32, said: Said) {
        self.record(said.returned(call, caller));
    }

    /// Ends a program that only calls, once all its calls have returned and the timeline has nothing left to strike.
    /// Returns whether it has ended so.
    pub fn end_if_returned(&self) -> bool {
        let returns = !self.handles_signals
            && self.open_calls.get() == 0
            && self.script.borrow().first().is_none();
        if returns {
            let code = self.subject().exit_code();
            self.exit(code, Cause::Returned);
        }
        returns
    }

    /// Registers the component with that index, unless it is refused.
    pub fn register_part(&self, index: usize) {
        if let Some(id) = self.subject().register(index) {
            self.stage().registered(index, id);
        }
    }
}
