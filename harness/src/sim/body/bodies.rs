//! Runs bodies: blocking code that waits in virtual time, as a [coroutine](super::coroutine) or as a thread with a
//! [baton](super::baton).
//!
//! In both ways one body runs at a time, and only while the executor waits for it to give its turn back. So both make
//! the same choices in the same order, and give the same journal.

use std::cell::Cell;
use std::panic::resume_unwind;
use std::sync::{Arc, PoisonError};

use super::baton::{self, Baton};
use super::coroutine::{self, Coroutine};
use super::left_behind::LEFT_LAST;
use super::turn::{Resume, Turned, WorldEnded};
use crate::journal::Name;
use crate::sim::guard::watched::Watched;
use crate::sim::world;

/// What simulated bodies run on.
///
/// Both give the same journal, to the byte, for bodies that do not depend on their thread. For a user's own code,
/// with thread-locals, locks, destructors and span guards, batons are right.
///
/// In both ways a body waits through its [`Scope`](deadstop::host::Scope). A body that blocks otherwise keeps its turn,
/// and nothing else runs: in [`run`](fn@crate::sim::run) for as long as it blocks, in [`Runners`](crate::sim::Runners)
/// until their [patience](crate::sim::Runners::patience) is over. The same holds for a body that waits for a lock which
/// another body holds across a wait.
///
/// ```
/// use deadstop_harness::{scenario, sim::{self, Bodies, Options}};
///
/// let text = "title = 'A thread stops'\n[worker]\ncomponents = [{ thread = 'worker' }]\n\
///             [timeline]\nevents = [{ at = '10s', signal = 'SIGTERM' }]\n";
/// let scenario = scenario::parse("stops", text).map_err(|_| "invalid")?;
///
/// let batons = Options { bodies: Bodies::Batons, ..Options::default() };
/// assert_eq!(sim::run(&scenario, &batons), sim::run(&scenario, &Options::default()));
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Bodies {
    /// Coroutines on the simulator's own thread: fast. All bodies share that thread's thread-locals, its name and its
    /// id. A span that one body enters across a wait is entered for the others too.
    #[default]
    Coroutines,
    /// Operating-system threads, one for each body and with its name. Such a thread runs only while the simulator's
    /// thread waits for it: slower, but all that belongs to a thread is the body's alone. The scoped `tracing`
    /// subscriber of the simulator's thread applies there as well. A body finds a tokio runtime in `block_on` only,
    /// as it does live.
    Batons,
}

/// Maximum number of waits of a scripted body that return at once after the world's end, before the body is unwound:
/// it may end by itself. A user's body gets none, since it would go on with its work in a process that is gone.
const WAITS_AFTER_END: u32 = 64;
/// Maximum number of times that a body is unwound before it is given up.
const MAX_UNWINDS: u32 = 8;

/// Payload that ends a run for which the simulator lacks something, with a description. Such a run has no journal.
pub(crate) struct MissingResource(pub String);

thread_local! {
    /// Number of waits, since the world's end, of the body that is being ended on this thread.
    static WAITS_SINCE_END: Cell<u32> = const { Cell::new(0) };
    static UNWINDS_SINCE_END: Cell<u32> = const { Cell::new(0) };
}

/// Body with its own stack, and perhaps its own thread.
pub(crate) struct SimBody<T: 'static> {
    name: Name,
    kind: BodyKind<T>,
}

enum BodyKind<T: 'static> {
    Coroutine(Coroutine<T>),
    Baton(Baton<T>),
}

impl<T: Send + 'static> SimBody<T> {
    pub fn new(
        bodies: Bodies,
        name: &Name,
        watched: Option<&Arc<Watched>>,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> std::io::Result<Self> {
        let kind = match bodies {
            Bodies::Coroutines => BodyKind::Coroutine(Coroutine::new(body)?),
            Bodies::Batons => BodyKind::Baton(Baton::new(name, watched.cloned(), body)?),
        };
        let name = name.clone();
        Ok(SimBody { name, kind })
    }

    /// Gives the body a turn, which lasts until it waits or is done.
    pub fn resume(&mut self) -> Turned<T> {
        self.turn(Resume::Run)
    }

    fn turn(&mut self, turn: Resume) -> Turned<T> {
        match &mut self.kind {
            BodyKind::Coroutine(coroutine) => coroutine.turn(turn),
            BodyKind::Baton(baton) => baton.turn(turn),
        }
    }

    fn done(&self) -> bool {
        match &self.kind {
            BodyKind::Coroutine(coroutine) => coroutine.done(),
            BodyKind::Baton(baton) => baton.done(),
        }
    }

    /// Keeps the stack of a body that is done for the next body.
    pub fn recycle(self) {
        if let BodyKind::Coroutine(coroutine) = self.kind {
            coroutine.recycle();
        }
    }

    /// Ends a body at the world's end, or leaves it behind if it cannot be ended.
    pub fn end(mut self) {
        if !self.done() {
            WAITS_SINCE_END.set(0);
            UNWINDS_SINCE_END.set(0);
            if let Turned::Waits = self.turn(Resume::End) {
                self.leave();
                return;
            }
        }
        self.recycle();
    }

    /// Leaves a body and its stack as they are, for good.
    pub fn leave(self) {
        *LEFT_LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.name);
        match self.kind {
            BodyKind::Coroutine(coroutine) => coroutine.leave(),
            BodyKind::Baton(baton) => baton.leave(),
        }
    }
}

/// Returns whether the caller runs inside a body.
pub(crate) fn is_body() -> bool {
    coroutine::is_body() || baton::is_body()
}

/// Returns whether a wait can suspend the caller. If a coroutine switched while it unwinds, every other body of its
/// thread would be unwinding too; a body on its own thread unwinds alone.
pub(crate) fn can_wait() -> bool {
    !std::thread::panicking() || baton::is_body()
}

/// Gives the turn back to the executor until the body's next turn. If `over` is true, the world has ended and no wait
/// takes place any more: the call returns at once, or unwinds the body, or suspends it for good.
pub(crate) fn suspend(over: bool) {
    if !can_wait() {
        return;
    }
    if over {
        WAITS_SINCE_END.set(WAITS_SINCE_END.get() + 1);
        let foreign = world::try_with(|world| world.is_foreign()) == Some(true);
        if WAITS_SINCE_END.get() <= WAITS_AFTER_END && !foreign {
            return;
        }
        // A second panic during an unwind would end the process.
        if UNWINDS_SINCE_END.get() < MAX_UNWINDS && !std::thread::panicking() {
            UNWINDS_SINCE_END.set(UNWINDS_SINCE_END.get() + 1);
            // The panic hook is not called, since no code has panicked.
            resume_unwind(Box::new(WorldEnded));
        }
    }
    if !baton::suspend() {
        coroutine::suspend();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::journal::{Event, How, What};
    use crate::sim::body::wait;
    use crate::sim::laid::lay;
    use crate::sim::pace::Pause;
    use crate::sim::{Journal, Options, Subject, run};
    use crate::stage::NEVER;

    const BOTH: [Bodies; 2] = [Bodies::Coroutines, Bodies::Batons];

    /// Returns the number of bodies that this thread has left behind.
    fn left(bodies: Bodies) -> u32 {
        match bodies {
            Bodies::Coroutines => coroutine::left(),
            Bodies::Batons => baton::left(),
        }
    }

    /// Runs a thread of that name, which works when the process is killed at 10 s.
    fn killed(thread: &str, bodies: Bodies) -> Journal {
        let text = format!(
            "title = \"Killed\"\n[worker]\ncomponents = [{{ thread = \"{thread}\" }}, {{ thread = \"other\" }}]\n\
             [timeline]\nevents = [{{ at = \"10s\", signal = \"SIGKILL\" }}]\n"
        );
        let scenario = crate::scenario::parse("killed", &text)
            .unwrap_or_else(|invalid| panic!("{:?}", invalid.diagnostics));
        let options = Options {
            bodies,
            ..Options::default()
        };
        let journal = run(&scenario, &options);
        let exit = |what: &What| matches!(what, What::Exit { code: 137, .. });
        let last = journal.events.last();
        assert!(
            last.is_some_and(|Event { t, what, .. }| *t == 10_000 && exit(what)),
            "{last:?}"
        );
        assert!(!std::thread::panicking());
        assert!(!is_body());
        journal
    }

    /// Does the same on another thread with a limit of real time, since a mistake would hang for real.
    fn killed_in_time(thread: &'static str, bodies: Bodies) -> Journal {
        let (done, is_done) = mpsc::channel();
        #[allow(clippy::disallowed_methods, reason = "it would hang for real")]
        std::thread::spawn(move || done.send((killed(thread, bodies), left(bodies))));
        let (journal, left) = is_done
            .recv_timeout(Duration::from_secs(20))
            .expect("the run comes to an end");
        assert_eq!(left, 0);
        journal
    }

    fn wait() {
        wait::block(Pause::new(NEVER, None));
    }

    /// Value that calls a function when dropped.
    struct Drops<F: FnMut()>(F);

    impl<F: FnMut()> Drop for Drops<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }

    /// Returns when and how the first component ended.
    fn end_of_first(journal: &Journal) -> Option<(u64, How)> {
        journal.events.iter().find_map(|event| match event.what {
            What::Ended { id: 1, how, .. } => Some((event.t, how)),
            _ => None,
        })
    }

    #[test]
    fn a_destructor_that_waits_ends_with_the_world() {
        static DROPPED: AtomicUsize = AtomicUsize::new(0);
        lay("waits as it goes", || {
            Drops(|| {
                wait();
                DROPPED.fetch_add(1, Ordering::Relaxed);
            })
        });
        for (bodies, dropped) in BOTH.into_iter().zip(1..) {
            killed("waits as it goes", bodies);
            assert_eq!(
                (DROPPED.load(Ordering::Relaxed), left(bodies)),
                (dropped, 0)
            );
        }
    }

    /// A coroutine does not switch while it unwinds, so a wait there returns at once. A thread can wait.
    #[test]
    fn destructor_waits_while_its_body_panics_on_a_baton_only() {
        lay("panics and waits as it goes", || {
            let _waits = Drops(|| wait::block(Pause::new(5_000, None)));
            resume_unwind(Box::new("scripted"))
        });
        let ended = |bodies| end_of_first(&killed_in_time("panics and waits as it goes", bodies));
        assert_eq!(ended(Bodies::Coroutines), Some((0, How::Panicked)));
        assert_eq!(ended(Bodies::Batons), Some((5_000, How::Panicked)));
    }

    #[test]
    fn endless_wait_in_a_panic_destructor_ends_with_the_world() {
        static DROPPED: AtomicUsize = AtomicUsize::new(0);
        lay("panics and waits for ever", || {
            let _waits = Drops(|| {
                wait();
                DROPPED.fetch_add(1, Ordering::Relaxed);
            });
            resume_unwind(Box::new("scripted"))
        });
        killed_in_time("panics and waits for ever", Bodies::Batons);
        assert_eq!(DROPPED.load(Ordering::Relaxed), 1);
    }

    /// Unwinding the body a second time would end the process.
    #[test]
    fn body_with_repeated_waits_in_a_panic_destructor_is_left() {
        lay("panics and waits again and again", || {
            let _waits = Drops(|| {
                loop {
                    wait();
                }
            });
            resume_unwind(Box::new("scripted"))
        });
        killed("panics and waits again and again", Bodies::Batons);
        assert_eq!(left(Bodies::Batons), 1);
    }

    #[test]
    fn a_destructor_that_panics_ends_with_the_world() {
        lay("panics as it goes", || {
            Drops(|| resume_unwind(Box::new("scripted")))
        });
        for bodies in BOTH {
            killed("panics as it goes", bodies);
            assert_eq!(left(bodies), 0);
        }
    }

    #[test]
    fn a_lock_held_across_a_wait_is_not_poisoned() {
        let mutex = Arc::new(Mutex::new(0));
        let held = Arc::clone(&mutex);
        lay("holds a lock", move || {
            let mut held = held.lock().expect("not poisoned");
            wait();
            *held += 1;
        });
        for (bodies, times) in BOTH.into_iter().zip(1..) {
            killed("holds a lock", bodies);
            assert_eq!(mutex.lock().map(|held| *held).ok(), Some(times));
        }
    }

    #[test]
    fn a_body_that_waits_for_ever_is_unwound_with_what_it_holds() {
        static DROPPED: AtomicUsize = AtomicUsize::new(0);
        lay("waits in a loop", || {
            let _held = Drops(|| {
                DROPPED.fetch_add(1, Ordering::Relaxed);
            });
            loop {
                wait();
            }
        });
        for (bodies, dropped) in BOTH.into_iter().zip(1..) {
            killed("waits in a loop", bodies);
            assert_eq!(
                (DROPPED.load(Ordering::Relaxed), left(bodies)),
                (dropped, 0)
            );
        }
    }

    #[test]
    fn unwound_body_drops_what_it_holds_last_first() {
        static ORDER: Mutex<Vec<u8>> = Mutex::new(Vec::new());
        let drops = |n| Drops(move || ORDER.lock().expect("not poisoned").push(n));
        lay("holds three", move || {
            let _first = drops(1);
            let _second = drops(2);
            let _third = drops(3);
            loop {
                wait();
            }
        });
        for bodies in BOTH {
            killed("holds three", bodies);
            let order = std::mem::take(&mut *ORDER.lock().expect("not poisoned"));
            assert_eq!(order, [3, 2, 1], "{bodies:?}");
        }
    }

    #[test]
    fn body_catching_every_panic_is_left_and_next_run_is_the_same() {
        lay("catches everything", || {
            loop {
                let _ = catch_unwind(|| {
                    loop {
                        wait();
                    }
                });
            }
        });
        let before = killed("an ordinary one", Bodies::Coroutines);
        for bodies in BOTH {
            for n in 1..=3 {
                killed("catches everything", bodies);
                assert_eq!(left(bodies), n);
                assert_eq!(killed("an ordinary one", bodies), before);
            }
        }
    }

    #[test]
    fn a_body_that_never_began_drops_what_it_holds_on_its_own_stack() {
        static DROPPED: AtomicUsize = AtomicUsize::new(0);
        for (bodies, dropped) in BOTH.into_iter().zip(1..) {
            let held = Drops(|| {
                assert!(is_body());
                DROPPED.fetch_add(1, Ordering::Relaxed);
            });
            let body = SimBody::new(bodies, &"own".into(), None, move || drop(held));
            body.expect("there is a stack").end();
            assert_eq!(
                (DROPPED.load(Ordering::Relaxed), left(bodies)),
                (dropped, 0)
            );
        }
    }

    /// The plan's main goes on registering while it is being ended. A body that it registers then gets no stack.
    #[test]
    fn body_that_would_begin_at_the_worlds_end_is_not_begun() {
        let text = "title = \"Killed in main\"\n[worker]\ngrace = \"3ms\"\n\
                    components = [{ watchdog = \"w\", after = \"200ms\" }, { thread = \"t\" }]\n\
                    [timeline]\nevents = [{ signal = \"SIGTERM\" }]\n";
        let scenario = crate::scenario::parse("killed", text).expect("it is valid");
        for bodies in BOTH {
            for subject in [Subject::Worker, Subject::Plan] {
                let options = Options {
                    bodies,
                    subject,
                    ..Options::default()
                };
                let journals: Vec<_> = (0..3).map(|_| run(&scenario, &options)).collect();
                assert_eq!(journals[0], journals[1]);
                assert_eq!(journals[0], journals[2]);
                assert_eq!(left(bodies), 0, "{bodies:?}, {subject:?}");
            }
        }
    }
}
