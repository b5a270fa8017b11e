//! How bodies are run: blocking code that waits in virtual time, in one of two ways.
//!
//! Either way one body runs at a time, and only while the executor waits for it to give its turn back.
//! So both make the same choices in the same order, and the same journal.

use std::cell::Cell;
use std::panic::resume_unwind;
use std::sync::Arc;

use super::baton::{self, Baton};
use super::coroutine::{self, Coroutine};
use super::guard::Watched;
use crate::journal::Name;

/// What simulated bodies run on.
///
/// Both give the same journal, to the byte, for bodies that know nothing of their thread. Where bodies
/// are a user's own code, with thread-locals, locks, destructors and span guards, batons are right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Bodies {
    /// Coroutines on the simulator's own thread: fast. All share that thread's thread-locals, its name
    /// and its id, and a span that is entered across a wait is entered for the others too.
    #[default]
    Coroutines,
    /// Each body on a thread of the operating system's, of its own and with its name, which runs only
    /// while the simulator's thread waits for it: slower, and all that belongs to a thread is the body's
    /// alone. The scoped `tracing` subscriber and the tokio runtime of the simulator's thread hold there.
    Batons,
}

/// What a body is resumed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// Waits that return at once after the world's end, before the body is unwound.
const WAITS_AFTER_END: u32 = 64;
/// How often a body is unwound before it is given up.
const UNWINDS: u32 = 8;

/// The payload that unwinds a body at the world's end.
pub(crate) struct WorldEnded;

thread_local! {
    /// Waits since the world's end of the body that is being ended on this thread.
    static WAITS: Cell<u32> = const { Cell::new(0) };
    static UNWOUND: Cell<u32> = const { Cell::new(0) };
}

/// A body that has its own stack, and perhaps its own thread.
pub(crate) enum Blocking<T: 'static> {
    Coroutine(Coroutine<T>),
    Baton(Baton<T>),
}

impl<T: 'static> Blocking<T> {
    pub fn new(
        bodies: Bodies,
        name: &Name,
        watched: Option<&Arc<Watched>>,
        body: impl FnOnce() -> T + 'static,
    ) -> std::io::Result<Self> {
        Ok(match bodies {
            Bodies::Coroutines => Blocking::Coroutine(Coroutine::new(body)?),
            Bodies::Batons => Blocking::Baton(Baton::new(name, watched.cloned(), body)?),
        })
    }

    /// Gives the body its turn, until it waits or is done.
    pub fn resume(&mut self) -> Turned<T> {
        self.turn(Turn::Run)
    }

    fn turn(&mut self, turn: Turn) -> Turned<T> {
        match self {
            Blocking::Coroutine(coroutine) => coroutine.turn(turn),
            Blocking::Baton(baton) => baton.turn(turn),
        }
    }

    fn done(&self) -> bool {
        match self {
            Blocking::Coroutine(coroutine) => coroutine.done(),
            Blocking::Baton(baton) => baton.done(),
        }
    }

    /// Gives what a body that is done has left to the next one.
    pub fn recycle(self) {
        if let Blocking::Coroutine(coroutine) = self {
            coroutine.recycle();
        }
    }

    /// Takes a body down at the world's end.
    pub fn end(mut self) {
        if !self.done() {
            WAITS.set(0);
            UNWOUND.set(0);
            if let Turned::Waits = self.turn(Turn::End) {
                self.leave();
                return;
            }
        }
        self.recycle();
    }

    /// Leaves a body and its stack as they are, for good.
    pub fn leave(self) {
        match self {
            Blocking::Coroutine(coroutine) => coroutine.leave(),
            Blocking::Baton(baton) => baton.leave(),
        }
    }
}

/// Whether the caller runs inside a body.
pub(crate) fn is_body() -> bool {
    coroutine::is_body() || baton::is_body()
}

/// Whether what waits here can wait. A coroutine that switched while it unwinds would leave every other
/// body of its thread unwinding too; a thread of its own unwinds alone.
pub(crate) fn can_wait() -> bool {
    baton::is_body() || !std::thread::panicking()
}

/// Gives the turn back to the executor, until the body is given its next. `over` says that the world
/// has ended: then nothing is waited for any more.
pub(crate) fn suspend(over: bool) {
    if !can_wait() {
        return;
    }
    if over {
        WAITS.set(WAITS.get() + 1);
        if WAITS.get() <= WAITS_AFTER_END {
            return;
        }
        // A second panic while one unwinds would end the process.
        if UNWOUND.get() < UNWINDS && !std::thread::panicking() {
            UNWOUND.set(UNWOUND.get() + 1);
            // No panic hook: this is no panic of anybody's.
            resume_unwind(Box::new(WorldEnded));
        }
    }
    if !baton::suspend() {
        coroutine::suspend();
    }
}
