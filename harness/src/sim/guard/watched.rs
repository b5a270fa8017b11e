//! What a run publishes to its guard, which looks from another thread.
//!
//! [`Watched`] belongs to a thread that runs worlds: which entity has the turn, and the virtual time. [`Observed`]
//! belongs to one run: its events, what its entities wait for, and the turns that took long. The guard reads it when a
//! run will not come back.

use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use super::pool::{Pool, PoolJob};
use super::stack::Stack;
use super::thread_id::KernelThreadId;
use super::usage::Usage;
use crate::journal::{Event, Name};
use crate::lock::lock;
use crate::sim::role::{EntityId, Role};

/// Number that stands for no entity: the simulator's own code runs, or a task that the context does not know.
const NO_ENTITY: EntityId = EntityId::MAX;
/// Maximum number of long turns, and of panics, that are kept of a run.
const MAX_KEPT: usize = 100;

/// A thread's current world as its guard sees it: whether it still takes turns, which entity has the turn, and the
/// virtual time.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    turn: AtomicU64,
    entity: AtomicU32,
    /// The entity that had the last turn.
    last: AtomicU32,
    now: AtomicU64,
    observed: Mutex<Arc<Observed>>,
    /// The thread that runs the worlds.
    thread: OnceLock<KernelThreadId>,
    /// The body's thread that has the turn; [`KernelThreadId::OWN`] while no body's thread has it.
    lent: AtomicU32,
    /// The time, in nanoseconds, for which bodies' threads have waited for a CPU in turns that took long.
    starved: AtomicU64,
}

impl Watched {
    /// Records that the calling thread runs the worlds. Must be called once.
    pub fn set_thread(&self) {
        let _ = self.thread.set(KernelThreadId::current_if(true));
    }

    /// Resets everything for a new world, which begins at time 0.
    pub fn reset(&self) {
        self.publish(Arc::default());
        self.now.store(0, Ordering::Relaxed);
        self.last.store(NO_ENTITY, Ordering::Relaxed);
        self.lent.store(KernelThreadId::OWN.0, Ordering::Relaxed);
        self.end_turn();
    }

    /// Publishes a run.
    pub fn publish(&self, observed: Arc<Observed>) {
        *lock(&self.observed) = observed;
    }

    /// Returns the run that was published last.
    pub fn observed(&self) -> Arc<Observed> {
        Arc::clone(&lock(&self.observed))
    }

    /// Publishes that a new turn begins, which is that entity's.
    pub fn begin_turn(&self, id: EntityId) {
        self.entity.store(id, Ordering::Relaxed);
        if id != NO_ENTITY {
            self.last.store(id, Ordering::Relaxed);
        }
        // Only the watched thread writes: no read-modify-write is needed.
        let turn = self.turn.load(Ordering::Relaxed);
        self.turn.store(turn.wrapping_add(1), Ordering::Release);
    }

    /// Publishes that the turn is over, and no entity has one.
    pub fn end_turn(&self) {
        self.begin_turn(NO_ENTITY);
    }

    /// Returns the entity that had the last turn.
    pub fn last_turn(&self) -> Option<EntityId> {
        let id = self.last.load(Ordering::Relaxed);
        (id != NO_ENTITY).then_some(id)
    }

    /// Publishes the virtual time, in milliseconds.
    pub fn publish_now(&self, now: u64) {
        self.now.store(now, Ordering::Relaxed);
    }

    /// Returns the virtual time, in milliseconds.
    pub fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// Returns the number of the turn; no two turns have the same.
    pub fn turn(&self) -> u64 {
        self.turn.load(Ordering::Acquire)
    }

    /// Returns the entity that has the turn.
    pub fn entity(&self) -> Option<EntityId> {
        let id = self.entity.load(Ordering::Relaxed);
        (id != NO_ENTITY).then_some(id)
    }

    /// Publishes that the turn continues on that thread.
    pub fn continue_on(&self, thread: KernelThreadId) {
        self.lent.store(thread.0, Ordering::Relaxed);
        // The guard must take a turn on another thread for another turn.
        self.begin_turn(self.entity.load(Ordering::Relaxed));
    }

    /// Returns whether the turn was given to a body's thread that has not taken it yet: no component can be blamed
    /// then.
    pub fn is_passing_on(&self) -> bool {
        self.lent.load(Ordering::Relaxed) == KernelThreadId::UNKNOWN.0
    }

    /// Returns the thread that has the turn.
    pub fn turn_thread(&self) -> Option<KernelThreadId> {
        match KernelThreadId(self.lent.load(Ordering::Relaxed)) {
            KernelThreadId::OWN => self.thread.get().copied(),
            lent => Some(lent),
        }
    }

    /// Adds the time for which a body's thread has waited for a CPU in a turn that took long.
    pub fn starved_in_turn(&self, starved: Duration) {
        let starved = u64::try_from(starved.as_nanos()).unwrap_or(u64::MAX);
        self.starved.fetch_add(starved, Ordering::Relaxed);
    }

    /// Returns how long threads have waited for a CPU: the thread that runs the worlds in all its time, and the
    /// threads of bodies in turns that took long.
    pub fn starved(&self) -> Duration {
        let own = self.thread.get().copied().map(Usage::starved_time);
        let own = own.unwrap_or_default();
        own + Duration::from_nanos(self.starved.load(Ordering::Relaxed))
    }

    /// Returns what the kernel reports about the thread that has the turn.
    pub fn usage(&self) -> Option<Usage> {
        Usage::of(self.turn_thread()?)
    }
}

/// One run, as other threads may read it at any time.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    events: Mutex<Vec<Event>>,
    entities: Mutex<Vec<ObservedEntity>>,
    long_turns: Mutex<Vec<Kept>>,
    panics: Mutex<Vec<Panicked>>,
    /// The jobs on the blocking pool of a user's own worker.
    pub pool: Arc<Pool>,
    /// Whether the run is over and its remains are being dropped.
    teardown: AtomicBool,
}

/// One entity, and what it does.
#[derive(Clone, Debug)]
pub(crate) struct ObservedEntity {
    pub name: Name,
    pub role: Role,
    pub activity: Activity,
}

/// What an entity does while it does not have the turn.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Activity {
    /// Its first turn has yet to come, or goes on.
    Begins,
    /// It has waited since that virtual time: in a call of its scope at that place, or at an `.await`.
    Waits(u64, Option<&'static Location<'static>>),
    /// It has ended.
    Ended,
}

/// A turn that took long in real time, in which no virtual time passes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Kept {
    /// The component that had the turn, or words for other code.
    pub name: Name,
    /// The virtual time, in milliseconds.
    pub at: u64,
    /// The real time that it took, without the time for which its thread waited for a CPU.
    pub took: Duration,
    /// The kind of code that had the turn.
    pub by: KeptBy,
}

/// The kind of code with a turn that took long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeptBy {
    /// The component's own code.
    Component,
    /// A job that the component has on the blocking pool.
    Pool,
    /// Tasks that the context does not know.
    Spawned,
}

/// A panic of a user's own code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panicked {
    /// The component; `None` for a task that the context does not know, or a destructor.
    pub name: Option<Name>,
    /// The virtual time, in milliseconds.
    pub at: u64,
    /// The panic's message, in one line.
    pub message: Name,
    /// The file, line and column of the panic.
    pub place: String,
    /// The return addresses of the panic's stack.
    stack: Vec<usize>,
}

impl Panicked {
    /// Captures a panic that happens now, on this thread, with its stack.
    pub(in crate::sim) fn now(name: Option<Name>, at: u64, message: Name, place: String) -> Self {
        Panicked {
            name,
            at,
            message,
            place,
            stack: super::stack::here(),
        }
    }

    /// Returns the panic's stack. This reads the binary's debug information, which takes a while.
    pub fn stack(&self) -> Stack {
        Stack::at(&self.stack)
    }
}

impl Observed {
    /// Creates an empty run, with room for the events of a short journal.
    pub fn new() -> Self {
        Observed {
            events: Mutex::new(Vec::with_capacity(128)),
            ..Observed::default()
        }
    }

    /// Appends the event that `event` makes from its number, and returns the number of events.
    pub fn push(&self, event: impl FnOnce(u64) -> Event) -> usize {
        let mut events = lock(&self.events);
        let event = event(events.len() as u64);
        events.push(event);
        events.len()
    }

    /// Returns the events up to now.
    pub fn events(&self) -> Vec<Event> {
        lock(&self.events).clone()
    }

    /// Returns the number of events.
    pub fn count(&self) -> usize {
        lock(&self.events).len()
    }

    /// Publishes that the run is over, and that its remains are dropped from now on.
    pub fn begin_teardown(&self) {
        self.teardown.store(true, Ordering::Relaxed);
    }

    /// Returns whether the run is over and its remains are being dropped.
    pub fn in_teardown(&self) -> bool {
        self.teardown.load(Ordering::Relaxed)
    }

    /// Takes the events.
    pub fn take_events(&self) -> Vec<Event> {
        std::mem::take(&mut lock(&self.events))
    }

    /// Adds an entity, which gets the next number.
    pub fn spawned(&self, name: &Name, role: Role) {
        lock(&self.entities).push(ObservedEntity {
            name: name.clone(),
            role,
            activity: Activity::Begins,
        });
    }

    /// Records what an entity does from now on.
    pub fn set_activity(&self, id: EntityId, activity: Activity) {
        if let Some(entity) = lock(&self.entities).get_mut(id as usize) {
            entity.activity = activity;
        }
    }

    /// Returns the entities.
    pub fn entities(&self) -> Vec<ObservedEntity> {
        lock(&self.entities).clone()
    }

    /// Records a turn that took long. If there are too many, the longest are kept.
    pub fn record_long_turn(&self, kept: Kept) {
        let mut all = lock(&self.long_turns);
        if all.len() < MAX_KEPT {
            all.push(kept);
        } else if let Some(least) = all.iter_mut().min_by_key(|kept| kept.took)
            && least.took < kept.took
        {
            *least = kept;
        }
    }

    /// Records a panic. If there are too many, the first are kept.
    pub fn record_panic(&self, panicked: Panicked) {
        let mut all = lock(&self.panics);
        if all.len() < MAX_KEPT {
            all.push(panicked);
        }
    }

    /// Returns the panics.
    pub fn panics(&self) -> Vec<Panicked> {
        lock(&self.panics).clone()
    }

    /// Returns the turns and the jobs on the pool that took long.
    pub fn long_turns(&self) -> Vec<Kept> {
        let mut kept = lock(&self.long_turns).clone();
        kept.extend(self.pool.finished().into_iter().map(|job| Kept {
            name: job.by(),
            at: job.since,
            took: job.took.unwrap_or_default(),
            by: KeptBy::Pool,
        }));
        kept
    }

    /// Returns, for each unfinished job on the pool, the name of the component that handed it in.
    pub fn left_on_pool(&self) -> Vec<Name> {
        self.pool.live().iter().map(PoolJob::by).collect()
    }
}
