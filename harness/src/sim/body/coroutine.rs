//! Bodies as stackful coroutines: blocking code that waits in virtual time.
//!
//! A coroutine is owned by its world, and resumed by the entity that stands for the body. When the body waits, it
//! switches back to the executor.
//!
//! At the world's end a body is not unwound by force: a destructor that waits, or a body that catches every panic in
//! a loop, would take the process with it. Instead the body is resumed with [`Resume::End`]. From then on its waits
//! return at once. After a number of waits it is unwound by a private payload. A body that still goes on is suspended
//! for good, and its stack leaks.

#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use corosensei::stack::DefaultStack;
use corosensei::{CoroutineResult, Yielder};

use super::left_behind::too_many_left;
use super::turn::{Resume, Turned, WorldEnded};

/// Size of the stack of one body, in bytes.
const STACK_BYTES: usize = 256 * 1024;
/// Maximum number of stacks kept for the next bodies of this thread.
const MAX_KEPT_STACKS: usize = 64;
/// Number of leaked stacks at which this thread makes no more stacks. Each holds two of the kernel's memory maps,
/// which run out at about 32,000.
const MAX_LEAKED_STACKS: u32 = 1_000;

thread_local! {
    /// Yielder of the coroutine that runs on this thread; null on the executor's own stack.
    static YIELDER: Cell<*const Yielder<Resume, ()>> = const { Cell::new(std::ptr::null()) };
    static LEAKED: Cell<u32> = const { Cell::new(0) };
    static KEPT_STACKS: RefCell<Vec<DefaultStack>> = const { RefCell::new(Vec::new()) };
}

/// Returns a number of this thread that no other thread ever gets.
fn thread_number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    thread_local! {
        static THREAD_NUMBER: Cell<u64> = const { Cell::new(0) };
    }
    if THREAD_NUMBER.get() == 0 {
        THREAD_NUMBER.set(LAST.fetch_add(1, Ordering::Relaxed) + 1);
    }
    THREAD_NUMBER.get()
}

type Inner<T> = corosensei::Coroutine<Resume, (), std::thread::Result<T>, DefaultStack>;

/// Body with its own stack. It stays on the thread that made it.
pub(crate) struct Coroutine<T: 'static> {
    /// `None` once its stack was given back, or it was dropped on another thread.
    inner: Option<Inner<T>>,
    owner_thread: u64,
}

// SAFETY: what is on the stack may be bound to its thread, and only that thread touches it. Everything that resumes,
// unwinds or drops the coroutine goes through `inner()`, which refuses every other thread, or through `drop`, which
// leaks the stack on every other thread. So a world may hold a coroutine and still be `Send`.
unsafe impl<T: 'static> Send for Coroutine<T> {}

impl<T: 'static> Coroutine<T> {
    pub fn new(body: impl FnOnce() -> T + 'static) -> std::io::Result<Self> {
        let kept = KEPT_STACKS.with_borrow_mut(Vec::pop);
        let stack = match kept {
            Some(stack) => stack,
            None if LEAKED.get() >= MAX_LEAKED_STACKS => {
                return Err(too_many_left(LEAKED.get()));
            }
            None => DefaultStack::new(STACK_BYTES)?,
        };
        let inner =
            corosensei::Coroutine::with_stack(stack, move |yielder: &Yielder<Resume, ()>, turn| {
                YIELDER.set(std::ptr::from_ref(yielder));
                if turn == Resume::End {
                    // The body never began. What it holds is dropped with it, on its own stack.
                    return catch_unwind(AssertUnwindSafe(|| {
                        drop(body);
                        resume_unwind(Box::new(WorldEnded))
                    }));
                }
                catch_unwind(AssertUnwindSafe(body))
            });
        Ok(Coroutine {
            inner: Some(inner),
            owner_thread: thread_number(),
        })
    }

    /// Returns the inner coroutine.
    ///
    /// # Panics
    ///
    /// If called on another thread.
    fn inner(&mut self) -> &mut Option<Inner<T>> {
        assert_eq!(
            self.owner_thread,
            thread_number(),
            "a coroutine stays on its thread"
        );
        &mut self.inner
    }

    /// Gives the body a turn, which lasts until it waits or is done.
    pub fn turn(&mut self, turn: Resume) -> Turned<T> {
        let inner = self.inner().as_mut();
        let result = inner.expect("it is there until it is left").resume(turn);
        YIELDER.set(std::ptr::null());
        match result {
            CoroutineResult::Yield(()) => Turned::Waits,
            CoroutineResult::Return(result) => Turned::Done(result),
        }
    }

    /// Keeps the stack of a body that is done for the next body.
    pub fn recycle(mut self) {
        if let Some(inner) = self.inner().take_if(|inner| inner.done()) {
            let stack = inner.into_stack();
            KEPT_STACKS.with_borrow_mut(|stacks| {
                if stacks.len() < MAX_KEPT_STACKS {
                    stacks.push(stack);
                }
            });
        }
    }

    pub fn done(&self) -> bool {
        self.inner.as_ref().is_none_or(Inner::done)
    }

    /// Leaves a body and its stack as they are, for good. A drop would unwind the body by force.
    pub fn leave(self) {
        LEAKED.set(LEAKED.get() + 1);
        std::mem::forget(self);
    }
}

impl<T: 'static> Drop for Coroutine<T> {
    fn drop(&mut self) {
        if self.owner_thread != thread_number() {
            std::mem::forget(self.inner.take());
        }
    }
}

/// Returns whether the caller runs inside a coroutine.
pub(in crate::sim) fn is_body() -> bool {
    !YIELDER.get().is_null()
}

/// Switches from the coroutine back to the executor, until the coroutine's next turn.
pub(in crate::sim) fn suspend() {
    let yielder = YIELDER.get();
    assert!(
        !yielder.is_null(),
        "a simulated body waits through its own scope, on its own stack"
    );
    // SAFETY: the pointer was set from the reference that the running coroutine's root holds, either when the
    // coroutine began or below, and `turn` sets it to null whenever control leaves a coroutine. It is not null, so a
    // coroutine runs, this is its stack, and the root's reference is alive below us on that stack.
    let _turn = unsafe { (*yielder).suspend(()) };
    YIELDER.set(yielder);
}

/// Returns the number of bodies that this thread has left behind.
#[cfg(test)]
pub(in crate::sim) fn left() -> u32 {
    LEAKED.get()
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::words::panic_message;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "another thread is the point")]
    fn coroutine_is_neither_resumed_nor_dropped_on_another_thread() {
        struct Drops(thread::ThreadId);
        impl Drop for Drops {
            fn drop(&mut self) {
                assert_eq!(thread::current().id(), self.0);
            }
        }
        let drops = Drops(thread::current().id());
        let mut there = Coroutine::new(move || {
            let _held = &drops;
            suspend();
        })
        .expect("there is a stack");
        assert!(matches!(there.turn(Resume::Run), Turned::Waits));
        let resumed = thread::spawn(move || drop(there.turn(Resume::Run))).join();
        let said = resumed.expect_err("it panics");
        assert!(panic_message(&*said).contains("a coroutine stays on its thread"));

        let drops = Drops(thread::current().id());
        let there = Coroutine::new(move || drop(drops)).expect("there is a stack");
        assert!(thread::spawn(move || drop(there)).join().is_ok());
    }

    #[test]
    fn thread_with_too_many_leaked_stacks_takes_no_more_bodies() {
        LEAKED.set(MAX_LEAKED_STACKS - 1);
        assert!(Coroutine::new(|| ()).is_ok_and(|body| {
            body.leave();
            true
        }));
        assert!(Coroutine::new(|| ()).is_err());
        // A returned stack can still be used.
        KEPT_STACKS.with_borrow_mut(|stacks| stacks.extend(DefaultStack::new(STACK_BYTES).ok()));
        let body = Coroutine::new(|| ());
        assert!(matches!(
            body.expect("there is a stack").turn(Resume::Run),
            Turned::Done(Ok(()))
        ));
    }
}
