//! What a run shows to its guard, which looks from another thread.
//!
//! [`Watched`] belongs to a thread that runs worlds: whose turn it is, and since when in virtual time. [`Observed`]
//! belongs to one run: its events, what its code waits for, and which of it kept its thread. The guard reads it of a
//! run that will not come back.

use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::entity::{EntityId, Role};
use super::guard::Usage;
use super::pool::{Job, Pool};
use super::stack::Stack;
use crate::journal::{Event, Name};

/// Stands where no entity has the turn: the simulator's own code runs.
const NOBODY: EntityId = EntityId::MAX;
/// The maximum number of long turns, and of panics, that are noted of a run.
const KEPT: usize = 100;

/// The kernel's number of a thread, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ThreadId(u32);

impl ThreadId {
    /// The thread that runs the worlds.
    pub const OWN: ThreadId = ThreadId(0);
    /// A thread whose number is not known yet.
    pub const UNKNOWN: ThreadId = ThreadId(u32::MAX);
    /// One that cannot know.
    pub const UNTOLD: ThreadId = ThreadId(u32::MAX - 1);

    /// The calling thread, where `wanted`: asking the system takes time.
    pub fn mine(wanted: bool) -> Self {
        let id = || {
            // "PID/task/TID". Only Linux says it without a call to the C library.
            let link = std::fs::read_link("/proc/thread-self").ok()?;
            link.file_name()?.to_str()?.parse().ok()
        };
        let id = wanted.then(id).flatten();
        id.map_or(ThreadId::UNTOLD, ThreadId)
    }

    /// The thread of that number.
    pub const fn of(thread: u32) -> Self {
        ThreadId(thread)
    }

    /// Returns the kernel's number, where it is known.
    pub fn known(self) -> Option<u32> {
        let special = [ThreadId::OWN, ThreadId::UNKNOWN, ThreadId::UNTOLD];
        (!special.contains(&self)).then_some(self.0)
    }
}

/// A world as its guard sees it: that it still takes turns, whose turn it is, and when that is in
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
    thread: OnceLock<ThreadId>,
    /// The body's thread that has the turn; 0 while nobody's has.
    lent: AtomicU32,
    /// How long, in nanoseconds, bodies' threads have waited for a CPU in turns that took long.
    starved: AtomicU64,
}

impl Watched {
    /// The calling thread will run the worlds. To be called once.
    pub fn is_this_thread(&self) {
        let _ = self.thread.set(ThreadId::mine(true));
    }

    /// A new world begins.
    pub fn begins(&self) {
        self.opens(Arc::default());
        self.now.store(0, Ordering::Relaxed);
        self.last.store(NOBODY, Ordering::Relaxed);
        self.lent.store(ThreadId::OWN.0, Ordering::Relaxed);
        self.nobodys_turn();
    }

    /// Shows a run.
    pub fn opens(&self, observed: Arc<Observed>) {
        *lock(&self.observed) = observed;
    }

    /// Returns the run that was shown last.
    pub fn observed(&self) -> Arc<Observed> {
        Arc::clone(&lock(&self.observed))
    }

    /// From here on it is an entity's turn.
    pub fn turn_of(&self, id: EntityId) {
        self.entity.store(id, Ordering::Relaxed);
        if id != NOBODY {
            self.last.store(id, Ordering::Relaxed);
        }
        // Only the watched thread writes: no read-modify-write is needed.
        let turn = self.turn.load(Ordering::Relaxed);
        self.turn.store(turn.wrapping_add(1), Ordering::Release);
    }

    /// From here on the simulator's own code runs.
    pub fn nobodys_turn(&self) {
        self.turn_of(NOBODY);
    }

    /// Returns the entity that had the last turn.
    pub fn last_turn(&self) -> Option<EntityId> {
        let id = self.last.load(Ordering::Relaxed);
        (id != NOBODY).then_some(id)
    }

    /// Virtual time has moved.
    pub fn is_now(&self, now: u64) {
        self.now.store(now, Ordering::Relaxed);
    }

    /// Returns the virtual time.
    pub fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// Which turn it is; never the same number twice.
    pub fn turn(&self) -> u64 {
        self.turn.load(Ordering::Acquire)
    }

    /// Returns the entity that has the turn.
    pub fn entity(&self) -> Option<EntityId> {
        let id = self.entity.load(Ordering::Relaxed);
        (id != NOBODY).then_some(id)
    }

    /// From here on the turn goes on on that thread.
    pub fn lent_to(&self, thread: ThreadId) {
        self.lent.store(thread.0, Ordering::Relaxed);
        // To the guard another thread is another turn.
        self.turn_of(self.entity.load(Ordering::Relaxed));
    }

    /// Whether the turn is one of a thread that has yet to begin with it: nobody can be blamed there.
    pub fn is_passing_on(&self) -> bool {
        self.lent.load(Ordering::Relaxed) == ThreadId::UNKNOWN.0
    }

    /// Returns the thread that has the turn.
    pub fn runs_on(&self) -> Option<ThreadId> {
        match ThreadId(self.lent.load(Ordering::Relaxed)) {
            ThreadId::OWN => self.thread.get().copied(),
            lent => Some(lent),
        }
    }

    /// Notes that a body's thread has waited so long for a CPU in a turn that took long.
    pub fn starved_in_turn(&self, starved: Duration) {
        let starved = u64::try_from(starved.as_nanos()).unwrap_or(u64::MAX);
        self.starved.fetch_add(starved, Ordering::Relaxed);
    }

    /// Returns how long the threads of the worlds have waited for a CPU: the one that runs them in all, those of bodies in
    /// turns that took long.
    pub fn starved(&self) -> Duration {
        let own = self.thread.get().copied().map(Usage::starved_so_far);
        let own = own.unwrap_or_default();
        own + Duration::from_nanos(self.starved.load(Ordering::Relaxed))
    }

    /// What the kernel says of the thread that has the turn.
    pub fn usage(&self) -> Option<Usage> {
        Usage::of(self.runs_on()?)
    }
}

/// One run as other threads may read it.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    events: Mutex<Vec<Event>>,
    entities: Mutex<Vec<Entity>>,
    kept: Mutex<Vec<Kept>>,
    panics: Mutex<Vec<Panicked>>,
    /// The jobs on the blocking pool of a user's own worker.
    pub pool: Arc<Pool>,
    /// Whether the run is over, and what is left of it is being dropped.
    ending: AtomicBool,
}

/// One entity, and what it does.
#[derive(Clone, Debug)]
pub(crate) struct Entity {
    pub name: Name,
    pub role: Role,
    pub does: Does,
}

/// What an entity does while it does not have the turn.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Does {
    /// Its first turn has yet to come, or goes on.
    Begins,
    /// It waits since that virtual time: in its scope, which was called at that place, or at an `.await`.
    Waits(u64, Option<&'static Location<'static>>),
    /// It is over.
    Ended,
}

/// A turn that took long in real time, in which no virtual time passes.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The component, or what else had the turn.
    pub name: Name,
    /// The virtual time.
    pub at: u64,
    /// The real time that it took, less what its thread waited for a CPU.
    pub took: Duration,
    /// Whose turn it was.
    pub by: KeptBy,
}

/// Whose turn took long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptBy {
    /// The component's own.
    Component,
    /// That of a job that the component has on the blocking pool.
    Pool,
    /// That of tasks which the context does not know.
    Spawned,
}

/// A panic of a user's own code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panicked {
    /// The component; none where it is a task that the context does not know, or a destructor.
    pub name: Option<Name>,
    /// The virtual time.
    pub at: u64,
    /// Its words.
    pub message: Name,
    /// The file, line and column.
    pub place: String,
    /// The return addresses of its stack.
    stack: Vec<usize>,
}

impl Panicked {
    /// A panic that happens now, on this thread.
    #[cfg(feature = "kit")]
    pub(super) fn now(name: Option<Name>, at: u64, message: Name, place: String) -> Self {
        Panicked {
            name,
            at,
            message,
            place,
            stack: super::stack::here(),
        }
    }

    /// Returns its stack. This reads the binary's debug information, which takes a while.
    pub fn stack(&self) -> Stack {
        Stack::at(&self.stack)
    }
}

impl Observed {
    /// A run with room for that number of events.
    pub fn new() -> Self {
        Observed {
            events: Mutex::new(Vec::with_capacity(128)),
            ..Observed::default()
        }
    }

    /// Appends an event, which is made from its number, and returns how many there are.
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

    /// From here on what is left of the run is dropped.
    pub fn ends(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    /// Whether what is left of the run is being dropped.
    pub fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// Takes the events.
    pub fn take_events(&self) -> Vec<Event> {
        std::mem::take(&mut lock(&self.events))
    }

    /// Adds an entity; its number is the next.
    pub fn spawned(&self, name: &Name, role: Role) {
        lock(&self.entities).push(Entity {
            name: name.clone(),
            role,
            does: Does::Begins,
        });
    }

    /// Notes what an entity does from here on.
    pub fn now_does(&self, id: EntityId, does: Does) {
        if let Some(entity) = lock(&self.entities).get_mut(id as usize) {
            entity.does = does;
        }
    }

    /// Returns the entities.
    pub fn entities(&self) -> Vec<Entity> {
        lock(&self.entities).clone()
    }

    /// Notes a turn that took long.
    pub fn note_kept(&self, kept: Kept) {
        let mut all = lock(&self.kept);
        if all.len() < KEPT {
            all.push(kept);
        } else if let Some(least) = all.iter_mut().min_by_key(|kept| kept.took)
            && least.took < kept.took
        {
            *least = kept;
        }
    }

    /// Notes a panic.
    #[cfg(feature = "kit")]
    pub fn note_panic(&self, panicked: Panicked) {
        let mut all = lock(&self.panics);
        if all.len() < KEPT {
            all.push(panicked);
        }
    }

    /// Returns the panics.
    pub fn panics(&self) -> Vec<Panicked> {
        lock(&self.panics).clone()
    }

    /// Returns the turns and the jobs on the pool that took long.
    pub fn kept(&self) -> Vec<Kept> {
        let mut kept = lock(&self.kept).clone();
        kept.extend(self.pool.kept().into_iter().map(|job| Kept {
            name: job.by(),
            at: job.since,
            took: job.took.unwrap_or_default(),
            by: KeptBy::Pool,
        }));
        kept
    }

    /// Returns who has handed in the jobs on the pool that are not over.
    pub fn left_on_pool(&self) -> Vec<Name> {
        self.pool.live().iter().map(Job::by).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
