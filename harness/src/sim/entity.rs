//! Entities: everything in a world that takes turns, and the gate that every turn passes.
//!
//! The [world](super::world) grants one turn at a time to an entity of the [ready set](super::ready). The
//! [host](super::host) and the [subject](super::driven) start entities.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::task::unconstrained;

use super::body::bodies::Bodies;
use super::foreign::OutsideMailbox;
use super::guard::watched::{Activity, Kept, KeptBy};
use super::ready::ReadySet;
use super::role::{Class, EntityId, Role};
use super::schedule::{Candidate, Lend, Point, PointKind};
use super::world::{self, World};
use crate::journal::{How, MAIN, Name};
use crate::words::{one_line, panic_message};
use deadstop::host::{Abort, Around, BoxError, BoxFuture, Ended, OnEnd, SpawnError};

/// Maximum number of components that are recorded as having held a handle.
const MAX_HELD_HANDLES: usize = 1_000;

struct Entity {
    name: Name,
    class: Class,
    role: Role,
    /// Waker of the tokio task.
    task: Option<Waker>,
    /// Waker that puts the entity into the ready set.
    ready_waker: Waker,
    granted: bool,
    abort: bool,
    /// Whether the entity has ended. It may still be woken through a retained waker; a turn granted to it would be
    /// lost.
    ended: bool,
    /// Whether something about its component has changed, so that its pause ends early.
    interrupted: bool,
    /// Whether the entity is a body that drives a future. Live, such a body is on a runtime that ends with the
    /// future.
    drives_future: bool,
}

/// The entities of a world, and which of them are ready.
#[derive(Default)]
pub(crate) struct Entities {
    all: Vec<Entity>,
    ready: ReadySet,
    /// Entities of the executor that became ready while it was held.
    held_back: ReadySet,
    /// Number of holds on the executor.
    holds: u32,
    current: Option<EntityId>,
    /// Callers that the script has sent. Their first turns come before all others of the instant, as strikes do.
    sent_callers: VecDeque<EntityId>,
}

struct ReadyWaker {
    generation: u64,
    id: EntityId,
    /// Mailbox for wakes from other threads, which occur only with a user's own code.
    outside: Option<Arc<OutsideMailbox>>,
}

impl Wake for ReadyWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let here = world::try_with(|world| {
            let here = world.generation == self.generation;
            if here {
                world.entities.borrow_mut().enter(self.id);
            }
            here
        });
        // This thread runs no world, or another one.
        if let (Some(outside), None | Some(false)) = (&self.outside, here) {
            outside.wake(self.id);
        }
    }
}

impl Entities {
    /// Gives this entity its first turn before all others of the instant.
    pub fn put_first(&mut self, id: EntityId) {
        self.sent_callers.push_back(id);
    }

    pub fn enter(&mut self, id: EntityId) {
        if self.all[id as usize].ended {
            return;
        }
        if self.holds > 0 && self.all[id as usize].class == Class::Executor {
            self.held_back.insert(id);
        } else {
            self.ready.insert(id);
        }
    }

    /// Removes an entity from the entities that are ready or held back.
    fn remove_ready(&mut self, id: EntityId) {
        self.ready.remove(id);
        self.held_back.remove(id);
    }

    /// Holds the executor, or releases one hold. After the last release, the entities that were held back are ready.
    pub fn hold(&mut self, hold: bool) {
        if hold {
            self.holds += 1;
            for id in 0..self.all.len() {
                let id = EntityId::try_from(id).unwrap_or(EntityId::MAX);
                if self.all[id as usize].class == Class::Executor && self.ready.remove(id) {
                    self.held_back.insert(id);
                }
            }
            return;
        }
        self.holds = self.holds.saturating_sub(1);
        if self.holds == 0 {
            let mut back = std::mem::take(&mut self.held_back);
            while let Some(id) = back.nth(0) {
                back.remove(id);
                self.ready.insert(id);
            }
        }
    }

    /// Returns the name of the entity that runs, if one does.
    pub fn current_name(&self) -> Option<Name> {
        self.current.map(|id| self.name(id))
    }

    pub fn name(&self, id: EntityId) -> Name {
        self.all[id as usize].name.clone()
    }

    /// Returns the entity as a schedule is told of it.
    pub fn candidate(&self, id: EntityId) -> Candidate<'_> {
        let name = &self.all[id as usize].name;
        Candidate { id, name }
    }

    /// Returns the entity that runs.
    pub fn current(&self) -> Option<EntityId> {
        self.current
    }

    /// Returns the role of the entity that runs.
    pub fn current_role(&self) -> Option<Role> {
        self.current.map(|id| self.all[id as usize].role)
    }

    /// Returns whether the entity that runs is a body, step or task of the context.
    pub fn is_inside(&self) -> bool {
        self.current
            .is_some_and(|id| self.all[id as usize].role != Role::Internal)
    }

    /// Returns what is around the code that runs, as a live host has it: a body is on a thread of its own, and
    /// everything else is on the service's executor.
    pub fn around(&self) -> Around {
        let Some(current) = self.current.map(|id| &self.all[id as usize]) else {
            return Around::Lasting;
        };
        let body = current.class == Class::OwnThread
            && matches!(current.role, Role::Component(_) | Role::ComponentAt(_));
        match (body, current.drives_future) {
            (false, _) => Around::Lasting,
            (true, true) => Around::Passing,
            (true, false) => Around::Nothing,
        }
    }

    /// Sets whether the entity that runs drives a future, and returns the previous value.
    pub fn set_drives_future(&mut self, drives_future: bool) -> bool {
        let current = self.current.map(|id| &mut self.all[id as usize]);
        current.is_some_and(|entity| std::mem::replace(&mut entity.drives_future, drives_future))
    }

    /// Returns the waker of the entity that runs.
    pub fn current_waker(&self) -> Waker {
        self.current.map_or_else(
            || Waker::noop().clone(),
            |id| self.all[id as usize].ready_waker.clone(),
        )
    }

    /// Ends an entity's pause early.
    pub fn interrupt(&mut self, id: EntityId) {
        self.all[id as usize].interrupted = true;
        self.enter(id);
    }

    /// Returns whether the pause of the entity that runs is to end early, and resets that.
    pub fn take_interrupt(&mut self) -> bool {
        self.current
            .is_some_and(|id| std::mem::take(&mut self.all[id as usize].interrupted))
    }
}

/// Lends the ready entities.
impl Lend for Entities {
    fn len(&self) -> usize {
        self.ready.len()
    }

    fn nth(&self, index: usize) -> Option<Candidate<'_>> {
        self.ready.nth(index).map(|id| self.candidate(id))
    }
}

impl World {
    /// Grants one of the ready entities its poll, and returns that entity.
    pub fn grant(&self) -> Option<EntityId> {
        let mut entities = self.entities.borrow_mut();
        if entities.ready.len() == 0 {
            return None;
        }
        let (turn, at_ms) = (PointKind::Turn, self.time());
        let caller = entities.sent_callers.pop_front();
        let id = match caller.filter(|id| entities.ready.remove(*id)) {
            Some(id) => {
                self.choose(&Point::alone(turn, at_ms, &entities.candidate(id)))?;
                id
            }
            None => {
                let nth = self.choose(&Point::lent(turn, at_ms, &*entities))?;
                let id = entities.ready.nth(nth)?;
                entities.ready.remove(id);
                id
            }
        };
        let entity = &mut entities.all[id as usize];
        entity.granted = true;
        if let Some(watched) = &self.watched {
            watched.begin_turn(id);
        }
        if let Some(task) = &entity.task {
            task.wake_by_ref();
        }
        Some(id)
    }

    /// Starts an entity. It is ready at once, or held back if it belongs to the executor and that is held.
    pub fn spawn(
        &self,
        name: Name,
        class: Class,
        role: Role,
        future: BoxFuture<Result<(), BoxError>>,
        on_end: Option<OnEnd>,
    ) -> Result<EntityId, SpawnError> {
        let runtime = self.runtime().ok_or(SpawnError::NoRuntime)?;
        let id = {
            let mut entities = self.entities.borrow_mut();
            let id = EntityId::try_from(entities.all.len())
                .map_err(|_| SpawnError::Unsupported("so many entities"))?;
            let ready_waker = Waker::from(Arc::new(ReadyWaker {
                generation: self.generation,
                id,
                outside: self
                    .foreign
                    .as_ref()
                    .map(|foreign| Arc::clone(&foreign.outside)),
            }));
            self.observed.spawned(&name, role);
            let held = entities.holds > 0 && class == Class::Executor;
            if held {
                entities.held_back.insert(id)
            } else {
                entities.ready.insert(id)
            }
            entities.all.push(Entity {
                name,
                class,
                role,
                task: None,
                ready_waker,
                granted: false,
                abort: false,
                ended: false,
                interrupted: false,
                drives_future: false,
            });
            id
        };
        if let Some(foreign) = &self.foreign {
            foreign.entities.set(foreign.entities.get() + 1);
        }
        let gated = Gated {
            id,
            future: Some(future),
            on_end,
            nth: 0,
        };
        #[allow(
            clippy::disallowed_methods,
            reason = "the gate is where the simulator's tasks are started"
        )]
        drop(runtime.spawn(gated));
        Ok(id)
    }
}

impl World {
    /// Records a turn that took long in real time: that of entity `id`, or what ran between two turns.
    pub fn record_long_turn(&self, id: Option<EntityId>) {
        let (Some(foreign), Some(watched)) = (&self.foreign, &self.watched) else {
            return;
        };
        let Some(took) = foreign.meter.stop(|| watched.starved()) else {
            return;
        };
        let mut at = self.time();
        let (name, by) = match id {
            None => {
                // tokio's clock is read directly: `World::now` would advance the world, and the real time of a turn
                // must not change the run.
                at = foreign.now().unwrap_or(at);
                ("a spawned task".into(), KeptBy::Spawned)
            }
            Some(id) => {
                let role = self.entities.borrow().all[id as usize].role;
                let part = self.part_of(role).map(|part| part.name.clone());
                let name = part.unwrap_or_else(|| self.entities.borrow().name(id));
                (name, KeptBy::Component)
            }
        };
        self.observed.record_long_turn(Kept { name, at, took, by });
    }

    /// Starts to measure how long the code that runs next takes in real time, in a user's own worker.
    pub fn start_meter(&self) {
        if let Some(foreign) = &self.foreign {
            foreign.meter.start();
        }
    }

    /// Records that a user's own task, or main, awaits. A body itself records where it waits.
    fn awaits(&self, id: EntityId, role: Role) {
        let Some(foreign) = &self.foreign else { return };
        if role == Role::Component(MAIN) {
            foreign.found.borrow_mut().main_waits = Some(self.time());
        }
        if self.entities.borrow().all[id as usize].class == Class::Executor {
            let activity = Activity::Waits(self.time(), None);
            self.observed.set_activity(id, activity);
        }
    }

    /// Returns the number of the context's handles in a user's own worker, and 0 in any other.
    fn handle_count(&self) -> usize {
        if self.is_foreign() {
            let subject = self.subject.borrow();
            subject.as_ref().map_or(0, |subject| subject.handle_count())
        } else {
            0
        }
    }

    /// Records the component with code that was dropped since `before` was counted, if a handle was dropped with it.
    /// Main is left out, since it is given a handle.
    fn record_held_handle(&self, role: Role, before: usize) {
        let Some(foreign) = &self.foreign else { return };
        if let Some(part) = self.part_of(role)
            && role != Role::Component(MAIN)
            && self.handle_count() < before
        {
            let mut found = foreign.found.borrow_mut();
            if found.held_handle.len() < MAX_HELD_HANDLES {
                found.held_handle.push(part.name.clone());
            }
        }
    }
}

/// Abort of an entity. Like everything else that the entity does, its end passes the gate.
pub(crate) struct AbortEntity {
    pub id: EntityId,
    pub generation: u64,
}

impl Abort for AbortEntity {
    fn abort(&self) {
        world::try_with(|world| {
            if world.generation == self.generation {
                let mut entities = world.entities.borrow_mut();
                entities.all[self.id as usize].abort = true;
                entities.enter(self.id);
            }
        });
    }
}

/// Future that is polled only when its entity was granted a turn.
struct Gated {
    id: EntityId,
    future: Option<BoxFuture<Result<(), BoxError>>>,
    on_end: Option<OnEnd>,
    /// Ordinal of this run of its component's code, from 1; 0 before it begins.
    nth: u32,
}

enum Grant {
    Wait,
    Abort,
    Run(Waker, Role),
}

impl Gated {
    fn take_grant(&self, world: &World, cx: &Context<'_>) -> Grant {
        let mut entities = world.entities.borrow_mut();
        let entity = &mut entities.all[self.id as usize];
        if entity.task.is_none() {
            entity.task = Some(cx.waker().clone());
        }
        if !std::mem::take(&mut entity.granted) {
            return Grant::Wait;
        }
        if entity.abort {
            return Grant::Abort;
        }
        let grant = Grant::Run(entity.ready_waker.clone(), entity.role);
        entities.current = Some(self.id);
        grant
    }

    /// Ends the entity once its future is gone, and reports how it ended.
    fn end(&mut self, world: &World, how: How, error: Option<Name>) {
        let role = {
            let mut entities = world.entities.borrow_mut();
            entities.current = None;
            let entity = &mut entities.all[self.id as usize];
            entity.ended = true;
            let role = entity.role;
            entities.remove_ready(self.id);
            role
        };
        if let Some(foreign) = &world.foreign {
            world.observed.set_activity(self.id, Activity::Ended);
            if role == Role::Component(MAIN) && how != How::Dropped {
                foreign.found.borrow_mut().main_waits = None;
            }
        }
        world.ended(role, self.nth, how, error.clone());
        if let Some(on_end) = self.on_end.take() {
            on_end(Ended::new(how, error, Duration::from_millis(world.now())));
        }
    }
}

impl Future for Gated {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        world::with(|world| {
            // A component's panic is caught earlier. Any other panic would be swallowed by tokio.
            let polled = world.or_fail(|| {
                let polled = self.poll_turn(world, cx);
                // Scripted components all pass the gate: when a turn has ended nothing else can run, and the next
                // turn can be granted without a detour through tokio's park. A user's code may have spawned tasks
                // past the gate, which must run before time moves.
                if polled.is_some() {
                    if world.is_foreign() || world.body_kind != Bodies::Coroutines {
                        world.end_turn();
                    } else {
                        world.quiet();
                    }
                }
                polled.unwrap_or(Poll::Pending)
            });
            world.start_meter();
            polled.unwrap_or(Poll::Ready(()))
        })
    }
}

impl Drop for Gated {
    fn drop(&mut self) {
        let before = world::try_with(|world| {
            if let Some(foreign) = &world.foreign {
                foreign
                    .entities
                    .set(foreign.entities.get().saturating_sub(1));
            }
            let before = world.turn_holder();
            world.begin_turn(self.id);
            before
        });
        // What the future holds may block while it is dropped. What is dropped after it belongs to another turn.
        self.future = None;
        world::try_with(|world| match before.flatten() {
            Some(id) => world.begin_turn(id),
            None => world.end_turn(),
        });
    }
}

impl Gated {
    /// Takes the entity's turn, if one was granted.
    fn poll_turn(&mut self, world: &World, cx: &mut Context<'_>) -> Option<Poll<()>> {
        let (waker, role) = match self.take_grant(world, cx) {
            Grant::Wait => return None,
            Grant::Abort => {
                let (role, handles) = (
                    world.entities.borrow().all[self.id as usize].role,
                    world.handle_count(),
                );
                self.future = None;
                world.record_held_handle(role, handles);
                self.end(world, How::Dropped, None);
                return Some(Poll::Ready(()));
            }
            Grant::Run(waker, role) => (waker, role),
        };
        if self.nth == 0 {
            self.nth = world.began(role, self.id);
            if world.is_strike_due() {
                // Timeline events that wait for the begin of main strike before main's own code goes on.
                world.stage().strike_due();
                let mut entities = world.entities.borrow_mut();
                entities.enter(self.id);
                entities.current = None;
                return Some(Poll::Pending);
            }
            // An entity that holds the executor from its first moment on does nothing else before it lets go.
            let mut entities = world.entities.borrow_mut();
            if entities.holds > 0 && entities.all[self.id as usize].class == Class::Executor {
                entities.enter(self.id);
                entities.current = None;
                return Some(Poll::Pending);
            }
        }
        let Some(future) = &mut self.future else {
            return Some(Poll::Ready(()));
        };
        let mut cx = Context::from_waker(&waker);
        // tokio makes a task that did much in one turn yield, and wakes it when the executor parks. Here time moves
        // when the executor parks, so the task would go on at a later instant. A task that spins is a matter for the
        // guard instead. In a foreign world tokio moves time, and a task that yields has another turn before that.
        let foreign = world.is_foreign();
        let handles = world.handle_count();
        world.start_meter();
        let polled = catch_unwind(AssertUnwindSafe(|| {
            if foreign {
                future.as_mut().poll(&mut cx)
            } else {
                pin!(unconstrained(future.as_mut())).poll(&mut cx)
            }
        }));
        world.record_long_turn(Some(self.id));
        let (how, error) = match polled {
            Ok(Poll::Pending) => {
                world.awaits(self.id, role);
                world.entities.borrow_mut().current = None;
                return Some(Poll::Pending);
            }
            Ok(Poll::Ready(Ok(()))) => (How::Ok, None),
            Ok(Poll::Ready(Err(error))) => (How::Failed, Some(one_line(&error))),
            Err(payload) => (How::Panicked, Some(one_line(&panic_message(&*payload)))),
        };
        // The future is dropped first: what it holds is gone when its end is reported.
        let _ = catch_unwind(AssertUnwindSafe(|| self.future = None));
        world.record_held_handle(role, handles);
        self.end(world, how, error);
        Some(Poll::Ready(()))
    }
}
