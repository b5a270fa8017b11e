//! The context under test, as the world sees it: one trait, two implementations.

use super::entity::{Class, Role};
use super::world::{self, World};
use crate::host::BoxFuture;
use crate::journal::{Call, Cause, Id, Name, SignalName, What};
use crate::stage::Said;

/// How the life of a process ended.
pub(crate) struct Ending {
    pub said: Said,
    pub code: i32,
    pub cause: Cause,
}

/// A worker context that the world can drive, from its own thread and from those of its bodies.
pub(crate) trait Subject: Send + Sync {
    /// The running flag.
    fn running(&self) -> bool;

    /// Registers a part; `None` if it was refused.
    fn register(&self, part: usize) -> Option<Id>;

    /// The life of a process that handles signals: start, stop, cleanup.
    fn live(&self) -> BoxFuture<Ending>;

    /// A signal has arrived.
    fn signal(&self, signal: SignalName);

    /// Somebody calls.
    fn call(&self, call: Call, message: Option<String>) -> BoxFuture<Said>;

    /// The code with which a program ends that stopped its worker by calls.
    fn exit_code(&self) -> i32;

    /// What is waited for while no step is.
    fn waits_for(&self) -> Option<Name>;

    /// The number of handles of the context, where a user's own code may hold some.
    fn handles(&self) -> usize {
        0
    }
}

impl World {
    /// Begins: the life of a process, or a program that only calls.
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
                world.subject().live()
            });
            let Ending { said, code, cause } = life.await;
            world::with(|world| {
                world.returned(Call::Run, caller, said);
                world.exit(code, cause);
            });
            Ok(())
        });
        let spawned = self.spawn("process".into(), Class::Free, Role::Nobody, life, None);
        debug_assert!(spawned.is_ok(), "a world runs on a runtime");
    }

    fn next_caller(&self) -> u32 {
        self.callers.set(self.callers.get() + 1);
        self.callers.get()
    }

    /// Somebody calls the context; from inside a component where one is named.
    pub fn call_by(&self, call: Call, from: Option<Name>, message: Option<String>) {
        let caller = self.next_caller();
        self.open_calls.set(self.open_calls.get() + 1);
        let role = if from.is_some() {
            Role::Inside
        } else {
            Role::Nobody
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
        match self.spawn(name, Class::Free, role, calls, None) {
            Ok(id) => self.entities.borrow_mut().strikes(id),
            Err(_) => debug_assert!(false, "a world runs on a runtime"),
        }
    }

    fn returned(&self, call: Call, caller: u32, said: Said) {
        self.record(said.returned(call, caller));
    }

    /// Where nobody handles signals, the program ends once all its calls have returned and nothing is
    /// to strike any more.
    pub fn program_returns(&self) -> bool {
        let returns =
            !self.run && self.open_calls.get() == 0 && self.script.borrow().first().is_none();
        if returns {
            let code = self.subject().exit_code();
            self.exit(code, Cause::Returned);
        }
        returns
    }

    /// Registers a part, unless it is refused.
    pub fn register_part(&self, index: usize) {
        if let Some(id) = self.subject().register(index) {
            self.stage().registered(index, id);
        }
    }
}
