//! Bodies as stackful coroutines: blocking code that waits in virtual time.
//!
//! This is the one file with `unsafe` in it. A coroutine is owned by its world and resumed by the
//! entity that stands for the body; when the body waits, it switches back to the executor.
//!
//! At the world's end a body is not unwound by force: a destructor that waits, or a body that catches
//! everything in a loop, would take the process with it. It is resumed with [`Turn::End`]; from then on
//! its waits return at once, after some it is unwound by a private payload, and what still goes on is
//! suspended for good and its stack left to leak.

#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};

/// What a body is resumed for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Run,
    End,
}

/// How a body's turn ended.
pub(crate) enum Turned<T> {
    /// It waits.
    Waits,
    /// It returned, or panicked with that payload.
    Done(std::thread::Result<T>),
}

/// Stack of one body, in bytes.
const STACK: usize = 256 * 1024;
/// Stacks kept for the next bodies of this thread.
const POOLED: usize = 64;
/// Waits that return at once after the world's end, before the body is unwound.
const WAITS_AFTER_END: u32 = 64;
/// How often a body is unwound before it is given up.
const UNWINDS: u32 = 8;
/// Stacks that may leak before this thread takes no more bodies: each holds two maps of the kernel's,
/// which run out at about 32,000.
const LEAKS: u32 = 1_000;

/// The payload that unwinds a body at the world's end.
struct WorldEnded;

thread_local! {
    /// The yielder of the coroutine that runs on this thread; null on the executor's own stack.
    static YIELDER: Cell<*const Yielder<Turn, ()>> = const { Cell::new(std::ptr::null()) };
    /// Waits since the world's end of the coroutine that is being ended.
    static WAITS: Cell<u32> = const { Cell::new(0) };
    static UNWOUND: Cell<u32> = const { Cell::new(0) };
    static LEAKED: Cell<u32> = const { Cell::new(0) };
    static POOL: RefCell<Vec<DefaultStack>> = const { RefCell::new(Vec::new()) };
}

/// A body with its own stack.
pub(crate) struct Blocking<T: 'static> {
    coroutine: Coroutine<Turn, (), std::thread::Result<T>, DefaultStack>,
}

impl<T: 'static> Blocking<T> {
    pub fn new(body: impl FnOnce() -> T + 'static) -> std::io::Result<Self> {
        let pooled = POOL.with_borrow_mut(Vec::pop);
        let stack = match pooled {
            Some(stack) => stack,
            None if LEAKED.get() >= LEAKS => {
                return Err(std::io::Error::other(
                    "too many bodies of this thread could not be ended",
                ));
            }
            None => DefaultStack::new(STACK)?,
        };
        let coroutine = Coroutine::with_stack(stack, move |yielder: &Yielder<Turn, ()>, turn| {
            YIELDER.set(std::ptr::from_ref(yielder));
            if turn == Turn::End {
                // Never begun: what the body holds is dropped with it, here, on its own stack.
                return catch_unwind(AssertUnwindSafe(|| {
                    drop(body);
                    resume_unwind(Box::new(WorldEnded))
                }));
            }
            catch_unwind(AssertUnwindSafe(body))
        });
        Ok(Blocking { coroutine })
    }

    /// Gives the body its turn, until it waits or is done.
    pub fn resume(&mut self) -> Turned<T> {
        self.turn(Turn::Run)
    }

    fn turn(&mut self, turn: Turn) -> Turned<T> {
        let result = self.coroutine.resume(turn);
        YIELDER.set(std::ptr::null());
        match result {
            CoroutineResult::Yield(()) => Turned::Waits,
            CoroutineResult::Return(result) => Turned::Done(result),
        }
    }

    /// Gives the stack of a body that is done to the next one.
    pub fn recycle(self) {
        if self.coroutine.done() {
            let stack = self.coroutine.into_stack();
            POOL.with_borrow_mut(|pool| {
                if pool.len() < POOLED {
                    pool.push(stack);
                }
            });
        }
    }

    /// Takes a body down at the world's end.
    pub fn end(mut self) {
        if !self.coroutine.done() {
            WAITS.set(0);
            UNWOUND.set(0);
            if let Turned::Waits = self.turn(Turn::End) {
                self.leave();
                return;
            }
        }
        self.recycle();
    }

    /// Leaves a body and its stack as they are, for good. Dropped, it would be unwound by force.
    pub fn leave(self) {
        LEAKED.set(LEAKED.get() + 1);
        std::mem::forget(self);
    }
}

/// Whether the caller runs inside a body.
pub(crate) fn is_body() -> bool {
    !YIELDER.get().is_null()
}

/// Switches from the body back to the executor, until the body is given its next turn. `over` says
/// that the world has ended: then nothing is waited for any more.
pub(crate) fn suspend(over: bool) {
    // A switch while unwinding would leave every other body of this thread unwinding too.
    if std::thread::panicking() {
        return;
    }
    if over {
        WAITS.set(WAITS.get() + 1);
        if WAITS.get() <= WAITS_AFTER_END {
            return;
        }
        if UNWOUND.get() < UNWINDS {
            UNWOUND.set(UNWOUND.get() + 1);
            // No panic hook: this is no panic of anybody's.
            resume_unwind(Box::new(WorldEnded));
        }
    }
    let yielder = YIELDER.get();
    assert!(
        !yielder.is_null(),
        "a simulated body waits through its own scope, on its own stack"
    );
    // SAFETY: the pointer was set from the reference that the running coroutine's root holds, either
    // when the coroutine began or below, and `turn` sets it to null whenever control leaves a
    // coroutine. It is not null, so a coroutine runs, this is its stack, and the root's reference is
    // alive below us on that stack.
    let _turn = unsafe { (*yielder).suspend(()) };
    YIELDER.set(yielder);
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::journal::{Event, What};
    use crate::sim::laid::lay;
    use crate::sim::pace::Pause;
    use crate::sim::{Journal, Options, host, run};
    use crate::stage::NEVER;

    /// A thread of that name works when the process is killed at 10 s.
    fn killed(thread: &str) -> Journal {
        let text = format!(
            "title = \"Killed\"\n[worker]\ncomponents = [{{ thread = \"{thread}\" }}, {{ thread = \"other\" }}]\n\
             [timeline]\nevents = [{{ at = \"10s\", signal = \"SIGKILL\" }}]\n"
        );
        let scenario = crate::scenario::parse("killed", &text)
            .unwrap_or_else(|invalid| panic!("{:?}", invalid.diagnostics));
        let journal = run(&scenario, &Options::default());
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

    fn wait() {
        host::block(Pause::new(NEVER, None));
    }

    /// Does something when dropped.
    struct Drops<F: FnMut()>(F);

    impl<F: FnMut()> Drop for Drops<F> {
        fn drop(&mut self) {
            (self.0)();
        }
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
        killed("waits as it goes");
        assert_eq!((DROPPED.load(Ordering::Relaxed), LEAKED.get()), (1, 0));
    }

    /// Nothing switches while a thread unwinds: what waits there goes on at once.
    #[test]
    fn a_destructor_that_waits_while_its_body_panics_takes_no_time() {
        lay("panics and waits as it goes", || {
            let _waits = Drops(|| host::block(Pause::new(5_000, None)));
            resume_unwind(Box::new("scripted"))
        });
        let (done, is_done) = std::sync::mpsc::channel();
        #[allow(clippy::disallowed_methods, reason = "it would hang for real")]
        std::thread::spawn(move || done.send(killed("panics and waits as it goes")));
        let journal = is_done.recv_timeout(std::time::Duration::from_secs(20));
        let journal = journal.expect("the run comes to an end");
        let panicked = journal.events.iter().find_map(|event| match event.what {
            What::Ended { id: 1, how, .. } => Some((event.t, how)),
            _ => None,
        });
        assert_eq!(panicked, Some((0, crate::journal::How::Panicked)));
    }

    #[test]
    fn a_destructor_that_panics_ends_with_the_world() {
        lay("panics as it goes", || {
            Drops(|| resume_unwind(Box::new("scripted")))
        });
        killed("panics as it goes");
        assert_eq!(LEAKED.get(), 0);
    }

    #[test]
    fn a_lock_held_across_a_wait_is_not_poisoned() {
        let mutex = Arc::new(Mutex::new(0));
        let held = Arc::clone(&mutex);
        lay("holds a lock", move || {
            let mut held = held.lock().expect("nobody else has it");
            wait();
            *held += 1;
        });
        killed("holds a lock");
        assert_eq!(mutex.lock().map(|held| *held).ok(), Some(1));
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
        killed("waits in a loop");
        assert_eq!((DROPPED.load(Ordering::Relaxed), LEAKED.get()), (1, 0));
    }

    #[test]
    fn a_body_that_catches_everything_is_left_and_the_next_run_is_as_ever() {
        lay("catches everything", || {
            loop {
                let _ = catch_unwind(|| {
                    loop {
                        wait();
                    }
                });
            }
        });
        let before = killed("an ordinary one");
        for left in 1..=3 {
            killed("catches everything");
            assert_eq!(LEAKED.get(), left);
            assert_eq!(killed("an ordinary one"), before);
        }
    }

    #[test]
    fn a_body_that_never_began_drops_what_it_holds_on_its_own_stack() {
        static DROPPED: AtomicUsize = AtomicUsize::new(0);
        let held = Drops(|| {
            assert!(is_body());
            DROPPED.fetch_add(1, Ordering::Relaxed);
        });
        let body = Blocking::new(move || drop(held));
        body.expect("there is a stack").end();
        assert_eq!((DROPPED.load(Ordering::Relaxed), LEAKED.get()), (1, 0));
    }

    #[test]
    fn after_so_many_left_behind_the_thread_takes_no_more() {
        LEAKED.set(LEAKS - 1);
        assert!(Blocking::new(|| ()).is_ok_and(|body| {
            body.leave();
            true
        }));
        assert!(Blocking::new(|| ()).is_err());
        // A stack that came back is as good as ever.
        POOL.with_borrow_mut(|pool| pool.extend(DefaultStack::new(STACK).ok()));
        let body = Blocking::new(|| ());
        assert!(matches!(
            body.expect("there is a stack").resume(),
            Turned::Done(Ok(()))
        ));
    }
}
