//! Bodies on threads of the operating system that pass a baton: a body's thread runs only while the executor's thread
//! waits for it to hand the baton back.
//!
//! The world belongs to the executor's thread. While a body has its turn, that thread is blocked in the hand-over, so
//! the body has the world to itself. The world is lent to the body for the turn, and taken back with the baton. The
//! hand-over happens under a lock, so each thread sees everything that the other has done, and a [bell](super::bell)
//! wakes the thread that receives the baton. What a body takes along when it begins, what it returns, and all that it
//! can put into the world or find there is `Send`; the compiler checks this.
//!
//! A body's last turn ends with its thread, so the destructors of its thread-locals are part of that turn. A body
//! that blocks for real keeps its turn, and with it keeps the executor's thread and the world in the hand-over. A
//! body that is left waiting has no world: it was taken back before.
//!
//! No thread spins, and no thread is bound to a core: the caller may bind them.

#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::Dispatch;
use tracing::dispatcher::{get_default, set_default};
use tracing::subscriber::NoSubscriber;

use super::bell::Bell;
use super::left_behind::too_many_left;
use super::turn::{Resume, Turned, WorldEnded};
use crate::journal::Name;
use crate::sim::guard::meter::LONG_TURN;
use crate::sim::guard::thread_id::KernelThreadId;
use crate::sim::guard::usage::Usage;
use crate::sim::guard::watched::Watched;
use crate::sim::thread::start_thread;
use crate::sim::world::{self, World};

/// Number of threads left behind at which an executor takes no more bodies.
const MAX_LEFT: u32 = 100;
/// Maximum number of pipes that the bodies of one executor have at once. Each pipe is two files, and a user's code
/// needs some too. Further bodies are woken through locks.
const MAX_PIPES: u32 = 64;

thread_local! {
    /// Hand-over of the body of this thread. The drop of this thread-local ends the body: a thread drops its
    /// thread-locals in the reverse order of their first use, so this one is dropped after those of the body.
    static HANDOVER: HandoverGuard = const { HandoverGuard(RefCell::new(None)) };
    /// The world, while the body of this thread has its turn; null otherwise.
    static LENT_WORLD: Cell<*const World> = const { Cell::new(std::ptr::null()) };
    /// Instant at which the turn of this thread's body began, and time that the thread had waited for a CPU when the
    /// kernel was last asked.
    static TURN_METER: Cell<Option<(Instant, Duration)>> = const { Cell::new(None) };
    /// State that the bodies of this executor share.
    static EXECUTOR: Arc<ExecutorThread> = Arc::new(ExecutorThread {
        bell: Bell::new(true),
        handovers: AtomicU32::new(0),
        left: AtomicU32::new(0),
    });
}

/// Pointer to the world that a body gets for its turn; null if it gets none.
#[derive(Clone, Copy)]
struct WorldPtr(*const World);

/// Fails to compile if a world may not move from thread to thread.
const fn assert_send<T: Send>() {}
const _: () = assert_send::<World>();

// SAFETY: a thread that has the pointer follows it in its own turn only, see `with_lent`. For that time the world is
// the body's alone, as if it had been moved to the body's thread and were moved back afterwards, which is sound since
// the world is `Send`. Its `Rc`, which is not `Send`, stays behind. Every reference to the world ends before the turn
// does, or is not used until the next turn.
unsafe impl Send for WorldPtr {}

/// Holder of the baton.
enum Holder {
    Executor,
    /// A body, for this turn, since this instant: the time until its thread runs is part of the turn.
    Body(Resume, WorldPtr, Option<Instant>),
    /// No thread: the body's thread is at its end.
    Gone,
}

/// State of a thread that runs worlds, shared with its bodies.
struct ExecutorThread {
    bell: Bell,
    /// Number of hand-overs that exist. A new body gets a pipe only if there are fewer than [`MAX_PIPES`].
    handovers: AtomicU32,
    /// Number of bodies that could not be ended.
    left: AtomicU32,
}

impl ExecutorThread {
    /// Returns the executor of the calling thread, which may be the thread of a body that starts another body.
    fn current() -> Arc<Self> {
        let guard = HANDOVER
            .try_with(|guard| guard.0.borrow().clone())
            .ok()
            .flatten();
        guard.map_or_else(
            || EXECUTOR.with(Arc::clone),
            |(handover, _)| Arc::clone(&handover.executor),
        )
    }
}

/// State that an executor and one body share to hand the baton over.
struct Handover {
    holder: Mutex<Holder>,
    bell: Bell,
    executor: Arc<ExecutorThread>,
    watched: Option<Arc<Watched>>,
}

impl Handover {
    fn holder(&self) -> MutexGuard<'_, Holder> {
        self.holder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the body a turn, waits on the executor's thread for the end of the turn, and returns whether the body
    /// waits.
    fn give_turn(&self, turn: Resume, world: Option<&World>) -> bool {
        let lent = WorldPtr(world.map_or(std::ptr::null(), std::ptr::from_ref));
        let since = self.watched.as_ref().map(|_| now());
        *self.holder() = Holder::Body(turn, lent, since);
        self.bell.ring();
        loop {
            self.executor.bell.wait();
            match *self.holder() {
                Holder::Body(..) => {}
                Holder::Executor => return true,
                Holder::Gone => return false,
            }
        }
    }

    /// Waits on the body's thread for the body's turn.
    fn await_turn(&self, thread: KernelThreadId) -> Resume {
        loop {
            self.bell.wait();
            if let Holder::Body(turn, WorldPtr(world), since) = *self.holder() {
                LENT_WORLD.set(world);
                if let (Some(watched), Some(since)) = (&self.watched, since) {
                    watched.continue_on(thread);
                    let starved = TURN_METER
                        .get()
                        .map_or(Duration::ZERO, |(_, starved)| starved);
                    TURN_METER.set(Some((since, starved)));
                }
                return turn;
            }
        }
    }

    /// Gives the turn back from the body's thread, and with it the baton to `to`.
    fn hand_back(&self, to: Holder) {
        self.report_starved();
        LENT_WORLD.set(std::ptr::null());
        *self.holder() = to;
        self.executor.bell.ring();
    }
}

impl Handover {
    /// Reports to the guard how long this thread has waited for a CPU, if its turn took long. Asking the kernel takes
    /// longer than most turns, so the time is counted from the last time that it was asked.
    fn report_starved(&self) {
        let (Some(watched), Ok(Some((began, before)))) =
            (&self.watched, TURN_METER.try_with(Cell::get))
        else {
            return;
        };
        if now().saturating_duration_since(began) >= LONG_TURN {
            let usage = Usage::of(KernelThreadId::current_if(true));
            let starved = usage.map_or(before, |usage| usage.starved);
            watched.starved_in_turn(starved.saturating_sub(before));
            let _ = TURN_METER.try_with(|meter| meter.set(Some((began, starved))));
        }
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "what takes real time is measured in real time"
)]
fn now() -> Instant {
    Instant::now()
}

/// Hand-over of the body on this thread, and the number of the thread.
struct HandoverGuard(RefCell<Option<(Arc<Handover>, KernelThreadId)>>);

impl Drop for HandoverGuard {
    fn drop(&mut self) {
        if let Some((handover, _)) = self.0.take() {
            handover.hand_back(Holder::Gone);
        }
    }
}

/// Body with its own thread.
pub(crate) struct Baton<T: 'static> {
    handover: Arc<Handover>,
    result: Arc<Mutex<Option<std::thread::Result<T>>>>,
    done: bool,
}

impl<T: Send + 'static> Baton<T> {
    pub fn new(
        name: &Name,
        watched: Option<Arc<Watched>>,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> std::io::Result<Self> {
        let executor = ExecutorThread::current();
        let left = executor.left.load(Ordering::Relaxed);
        if left >= MAX_LEFT {
            return Err(too_many_left(left));
        }
        let by_pipe = executor.handovers.fetch_add(1, Ordering::Relaxed) < MAX_PIPES;
        let handover = Arc::new(Handover {
            holder: Mutex::new(Holder::Executor),
            bell: Bell::new(by_pipe),
            executor,
            watched,
        });
        let result = Arc::new(Mutex::new(None));
        let dispatch = get_default(Dispatch::clone);
        // `NoSubscriber` would also count as a scoped subscriber, and hide one that is set for the whole process
        // later.
        let dispatch = (!dispatch.is::<NoSubscriber>()).then_some(dispatch);
        let (at, put) = (Arc::clone(&handover), Arc::clone(&result));
        start_thread(name, move || {
            let thread = KernelThreadId::current_if(at.watched.is_some());
            HANDOVER.with(|guard| *guard.0.borrow_mut() = Some((Arc::clone(&at), thread)));
            let turn = at.await_turn(thread);
            let subscriber = dispatch.as_ref().map(set_default);
            let ran = catch_unwind(AssertUnwindSafe(|| match turn {
                Resume::Run => body(),
                // The body never began. What it holds is dropped with it, on its own thread.
                Resume::End => {
                    drop(body);
                    resume_unwind(Box::new(WorldEnded))
                }
            }));
            drop(subscriber);
            *put.lock().unwrap_or_else(PoisonError::into_inner) = Some(ran);
        })?;
        Ok(Baton {
            handover,
            result,
            done: false,
        })
    }

    /// Gives the body a turn, which lasts until the body waits or its thread has ended.
    pub fn turn(&mut self, turn: Resume) -> Turned<T> {
        if let Some(watched) = &self.handover.watched {
            watched.continue_on(KernelThreadId::UNKNOWN);
        }
        let waits = world::lend(|world| self.handover.give_turn(turn, world));
        if let Some(watched) = &self.handover.watched {
            watched.continue_on(KernelThreadId::OWN);
        }
        if waits {
            return Turned::Waits;
        }
        self.done = true;
        let result = self
            .result
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        Turned::Done(result.unwrap_or_else(|| Err(Box::new("its thread ended"))))
    }

    pub fn done(&self) -> bool {
        self.done
    }

    /// Leaves a body and its thread as they are, for good: the body waits for a turn that never comes.
    pub fn leave(self) {
        self.handover.executor.left.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Handover {
    /// Removes the hand-over from the executor's count, once both the executor and the body have dropped it.
    fn drop(&mut self) {
        self.executor.handovers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Returns whether the caller runs on the thread of a body.
pub(in crate::sim) fn is_body() -> bool {
    HANDOVER
        .try_with(|guard| guard.0.borrow().is_some())
        .unwrap_or(false)
}

/// Hands the baton back and waits for the next turn. Returns false if this is not a body's thread.
pub(in crate::sim) fn suspend() -> bool {
    let guard = HANDOVER
        .try_with(|guard| guard.0.borrow().clone())
        .ok()
        .flatten();
    let Some((handover, thread)) = guard else {
        return false;
    };
    handover.hand_back(Holder::Executor);
    let _turn = handover.await_turn(thread);
    true
}

/// Calls `f` with the world, if the body of this thread has its turn.
pub(in crate::sim) fn with_lent<R>(f: impl FnOnce(&World) -> R) -> Option<R> {
    let world = LENT_WORLD.get();
    // SAFETY: if the pointer is not null, the world was lent to this thread for a turn that goes on: `hand_back` sets
    // the pointer to null before it lets the executor continue. Until then the executor's thread is blocked in
    // `give_turn`, which has the world by a reference. So the world exists, and no other thread touches it meanwhile.
    // The hand-over's lock makes visible here what was done to the world before. If `f` waits, it continues in a
    // later turn, in the same world, or never: the world's end comes after every body's last turn.
    unsafe { world.as_ref() }.map(f)
}

/// Returns the number of bodies that this thread has left behind.
#[cfg(test)]
pub(in crate::sim) fn left() -> u32 {
    EXECUTOR.with(|executor| executor.left.load(Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::num::NonZeroU64;
    use std::sync::atomic::AtomicU64;
    use std::thread::{self, ThreadId as Id};

    use tracing::span::{Attributes, Record};
    use tracing::{Event, Metadata, Subscriber, span};

    use super::*;
    use crate::sim::body::wait;
    use crate::sim::laid::lay;
    use crate::sim::pace::Pause;
    use crate::sim::{Bodies, Journal, Options, run};

    /// Runs threads of these names, which work until they are told at 10 s.
    fn stopped(names: [&str; 2]) -> Journal {
        let [a, b] = names;
        let text = format!(
            "title = \"Stopped\"\n[worker]\ncomponents = [{{ thread = \"{a}\" }}, {{ thread = \"{b}\" }}]\n\
             [timeline]\nevents = [{{ at = \"10s\", signal = \"SIGTERM\" }}]\n"
        );
        let scenario = crate::scenario::parse("stopped", &text)
            .unwrap_or_else(|invalid| panic!("{:?}", invalid.diagnostics));
        let options = Options {
            bodies: Bodies::Batons,
            ..Options::default()
        };
        let journal = run(&scenario, &options);
        let (now, last) = journal
            .events
            .last()
            .map(|end| (end.t, &end.what))
            .expect("an end");
        let code = match last {
            crate::journal::What::Exit { code, .. } => *code,
            other => panic!("{other:?}"),
        };
        assert_eq!((now, code, left()), (10_000, 0, 0));
        assert!(LENT_WORLD.get().is_null() && !is_body());
        journal
    }

    fn wait_until(at: u64) {
        wait::block(Pause::new(at, None));
    }

    fn now() -> u64 {
        world::with(|world| world.now())
    }

    #[test]
    fn a_body_has_a_thread_of_its_own_with_its_name() {
        static SEEN: Mutex<Vec<(Option<String>, Id)>> = Mutex::new(Vec::new());
        let see = || {
            let me = thread::current();
            let seen = (me.name().map(str::to_owned), me.id());
            SEEN.lock().expect("not poisoned").push(seen);
        };
        for name in ["a thread with its name", "and another"] {
            lay(name, move || {
                see();
                wait_until(3_000);
                see();
            });
        }
        stopped(["a thread with its name", "and another"]);
        let seen = SEEN.lock().expect("not poisoned");
        let names: Vec<_> = seen.iter().map(|(name, _)| name.as_deref()).collect();
        let (a, b) = (Some("a thread with its name"), Some("and another"));
        assert_eq!(names, [a, b, a, b]);
        let ids: BTreeSet<String> = seen.iter().map(|(_, id)| format!("{id:?}")).collect();
        assert_eq!(ids.len(), 2);
        assert!(seen.iter().all(|(_, id)| *id != thread::current().id()));
    }

    #[test]
    fn thread_locals_are_a_bodys_own_and_fresh_in_every_run() {
        thread_local! {
            static COUNT: Cell<u32> = const { Cell::new(0) };
        }
        static SEEN: Mutex<Vec<u32>> = Mutex::new(Vec::new());
        for name in ["counts", "counts too"] {
            lay(name, || {
                for at in [1_000, 2_000, 3_000] {
                    COUNT.set(COUNT.get() + 1);
                    wait_until(at);
                }
                SEEN.lock().expect("not poisoned").push(COUNT.get());
            });
        }
        for run in 1..=3 {
            stopped(["counts", "counts too"]);
            assert_eq!(*SEEN.lock().expect("not poisoned"), vec![3; 2 * run]);
        }
        assert_eq!(COUNT.get(), 0);
    }

    /// A thread-local's destructor runs in the body's last turn, in its world.
    #[test]
    fn the_destructors_of_thread_locals_are_a_part_of_the_last_turn() {
        static SEEN: Mutex<Vec<u64>> = Mutex::new(Vec::new());
        struct Sees;
        impl Drop for Sees {
            fn drop(&mut self) {
                assert!(is_body());
                let ended = world::with(|world| world.parts.all[1].has_ended());
                assert!(!ended, "its end is reported when its thread is over");
                SEEN.lock().expect("not poisoned").push(now());
            }
        }
        thread_local! {
            static LAST: RefCell<Option<Sees>> = const { RefCell::new(None) };
        }
        lay("has a thread-local", || LAST.set(Some(Sees)));
        stopped(["has a thread-local", "has none"]);
        assert_eq!(*SEEN.lock().expect("not poisoned"), [10_000]);
    }

    #[test]
    fn a_lock_is_held_across_a_wait_by_its_body_alone() {
        static LOCK: Mutex<()> = Mutex::new(());
        static FREE: Mutex<Vec<(u64, bool)>> = Mutex::new(Vec::new());
        lay("holds a lock till 5 s", || {
            let _held = LOCK.lock().expect("not poisoned");
            wait_until(5_000);
        });
        lay("tries a lock", || {
            for at in [1_000, 6_000] {
                wait_until(at);
                let free = LOCK.try_lock().is_ok();
                FREE.lock().expect("not poisoned").push((at, free));
            }
        });
        stopped(["holds a lock till 5 s", "tries a lock"]);
        let free = FREE.lock().expect("not poisoned");
        assert_eq!(*free, [(1_000, false), (6_000, true)]);
    }

    #[test]
    fn body_finds_no_runtime_on_its_thread() {
        static FOUND: Mutex<Vec<bool>> = Mutex::new(Vec::new());
        lay("looks for a runtime", || {
            let found = tokio::runtime::Handle::try_current().is_ok();
            FOUND.lock().expect("not poisoned").push(found);
        });
        stopped(["looks for a runtime", "does not look"]);
        assert_eq!(*FOUND.lock().expect("not poisoned"), [false]);
    }

    thread_local! {
        static ENTERED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
    }

    /// Instant of each event, and the spans around it.
    type Seen = Vec<(u64, Vec<u64>)>;

    /// Subscriber that keeps the entered spans per thread, as registries do.
    struct Scopes {
        spans: AtomicU64,
        seen: Arc<Mutex<Seen>>,
    }

    impl Subscriber for Scopes {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target() == module_path!()
        }
        fn new_span(&self, _: &Attributes<'_>) -> span::Id {
            let n = self.spans.fetch_add(1, Ordering::Relaxed) + 1;
            span::Id::from_non_zero_u64(NonZeroU64::new(n).expect("counted from 1"))
        }
        fn record(&self, _: &span::Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn event(&self, _: &Event<'_>) {
            let scope = ENTERED.with_borrow(Vec::clone);
            self.seen.lock().expect("not poisoned").push((now(), scope));
        }
        fn enter(&self, span: &span::Id) {
            ENTERED.with_borrow_mut(|entered| entered.push(span.into_u64()));
        }
        fn exit(&self, _: &span::Id) {
            ENTERED.with_borrow_mut(Vec::pop);
        }
    }

    /// The subscriber is the caller's, since it is scoped; the spans are each body's own.
    #[test]
    fn a_span_entered_across_a_wait_is_entered_for_its_body_alone() {
        for (name, at) in [
            ("in a span", [1_000, 3_000]),
            ("in another", [2_000, 4_000]),
        ] {
            lay(name, move || {
                let span = tracing::info_span!("a body's");
                let _entered = span.enter();
                for at in at {
                    wait_until(at);
                    tracing::info!("after a wait");
                }
            });
        }
        let seen = Arc::new(Mutex::new(Vec::new()));
        let scopes = Scopes {
            spans: AtomicU64::new(0),
            seen: Arc::clone(&seen),
        };
        tracing::subscriber::with_default(scopes, || {
            tracing::info_span!("the caller's").in_scope(|| stopped(["in a span", "in another"]))
        });
        // The caller's span is 1.
        let (one, other) = (vec![2], vec![3]);
        let right = [
            (1_000, one.clone()),
            (2_000, other.clone()),
            (3_000, one),
            (4_000, other),
        ];
        assert_eq!(*seen.lock().expect("not poisoned"), right);
    }

    #[test]
    fn executor_with_too_many_left_bodies_takes_no_more() {
        let new = || Baton::new(&"one of many".into(), None, || ());
        let leave =
            || EXECUTOR.with(|executor| executor.left.store(MAX_LEFT - 1, Ordering::Relaxed));
        leave();
        let body = new().expect("one more");
        body.leave();
        assert!(new().is_err());
        leave();
        assert!(matches!(
            new().expect("one more").turn(Resume::Run),
            Turned::Done(Ok(()))
        ));
    }

    /// The threads of bodies that ended, or never had a turn, end as well.
    #[test]
    fn no_thread_is_left_behind_without_being_counted() {
        let alive = Arc::new(());
        for turn in [Resume::Run, Resume::End] {
            let held = Arc::clone(&alive);
            let mut body = Baton::new(&"short".into(), None, move || drop(held)).expect("a thread");
            assert!(matches!(body.turn(turn), Turned::Done(_)));
            assert!(body.done());
        }
        assert_eq!(Arc::strong_count(&alive), 1);
    }

    #[test]
    fn bodies_without_a_pipe_get_their_turns() {
        let bodies = (0..MAX_PIPES + 6).map(|n| {
            let body = move || {
                suspend();
                n
            };
            Baton::new(&"one of many".into(), None, body).expect("a thread")
        });
        let mut bodies: Vec<_> = bodies.collect();
        let by_pipe = bodies.iter().filter(|body| body.handover.bell.is_pipe());
        assert_eq!(by_pipe.count(), MAX_PIPES as usize);
        for body in &mut bodies {
            assert!(matches!(body.turn(Resume::Run), Turned::Waits));
        }
        for (body, n) in bodies.iter_mut().zip(0..) {
            assert!(matches!(body.turn(Resume::Run), Turned::Done(Ok(done)) if done == n));
        }
    }

    #[test]
    fn thread_of_a_body_takes_any_name() {
        for name in ["", "a\0b", "a name that is longer than the kernel keeps"] {
            let named = || thread::current().name().map(str::to_owned);
            let mut body = Baton::new(&name.into(), None, named).expect("a thread");
            match body.turn(Resume::Run) {
                Turned::Done(Ok(is)) => assert_eq!(is, Some(name.replace('\0', ""))),
                _ => panic!("it returns"),
            }
        }
    }
}
