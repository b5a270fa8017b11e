//! Bodies as threads of the operating system's, of which one has the baton: a body's thread runs only
//! while the executor's thread waits for it to hand the baton back.
//!
//! The world belongs to the executor's thread. While a body has its turn that thread is blocked in the
//! hand-over, so the body has the world for itself; it is lent to it for the turn, and taken back with
//! the baton. The hand-over is a lock, so that whatever one thread has done the next one sees.
//!
//! A body's last turn ends with its thread: the destructors of its thread-locals are a part of it.
//!
//! Nobody spins, and nobody is bound to a core: that is the caller's own to do.

#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tracing::Dispatch;
use tracing::dispatcher::{get_default, with_default};

use super::bodies::{Turn, Turned, WorldEnded};
use super::guard::{ThreadId, Watched};
use super::world::{self, World};
use crate::journal::Name;

/// Threads that may be left behind before this thread takes no more bodies.
const LEAKS: u32 = 200;

thread_local! {
    /// The desk at which the body of this thread hands over. Its end is that of the body: what a thread
    /// has first goes last, after the thread-locals of the body.
    static SEAT: Seat = const { Seat(RefCell::new(None)) };
    /// The world, while the body of this thread has its turn; null otherwise.
    static LENT: Cell<*const Rc<World>> = const { Cell::new(std::ptr::null()) };
    /// The bodies of this executor's that could not be ended.
    static LEAKED: Cell<u32> = const { Cell::new(0) };
}

/// Carries what is not `Send` to the body's thread and back.
struct Carried<T>(T);

// SAFETY: what is carried is touched by one thread at a time: by the body's during its turns, by the
// executor's between them, and each hand-over of the turn is through the desk's lock, which orders the
// one before the other. Nothing carried is bound to the thread that made it: `Rc` and `Cell` are not
// `Send` only for what two threads could do at once.
unsafe impl<T> Send for Carried<T> {}

impl<T> Carried<T> {
    /// By value: a closure that named the field would capture that alone.
    fn take(self) -> T {
        self.0
    }
}

/// Who has the baton.
enum Holder {
    Executor,
    Body(Turn, Carried<*const Rc<World>>),
    /// Nobody any more: the body's thread comes to its end.
    Gone,
}

/// Where an executor and one body hand the baton over.
struct Desk {
    holder: Mutex<Holder>,
    to_body: Condvar,
    to_executor: Condvar,
    watched: Option<Arc<Watched>>,
}

impl Desk {
    fn holder(&self) -> MutexGuard<'_, Holder> {
        self.holder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The executor gives a turn, and waits for its end; says whether the body waits.
    fn give(&self, turn: Turn, world: *const Rc<World>) -> bool {
        *self.holder() = Holder::Body(turn, Carried(world));
        self.to_body.notify_one();
        let mut holder = self.holder();
        while let Holder::Body(..) = *holder {
            holder = self
                .to_executor
                .wait(holder)
                .unwrap_or_else(PoisonError::into_inner);
        }
        matches!(*holder, Holder::Executor)
    }

    /// The body waits for its turn.
    fn turn(&self, thread: ThreadId) -> Turn {
        let mut holder = self.holder();
        loop {
            if let Holder::Body(turn, Carried(world)) = *holder {
                LENT.set(world);
                if let Some(watched) = &self.watched {
                    watched.lent_to(thread);
                }
                return turn;
            }
            holder = self
                .to_body
                .wait(holder)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The body gives its turn back.
    fn hand_back(&self, to: Holder) {
        LENT.set(std::ptr::null());
        *self.holder() = to;
        self.to_executor.notify_one();
    }
}

/// Who sits at a desk on this thread.
struct Seat(RefCell<Option<(Arc<Desk>, ThreadId)>>);

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some((desk, _)) = self.0.take() {
            desk.hand_back(Holder::Gone);
        }
    }
}

/// A body with its own thread.
pub(crate) struct Baton<T: 'static> {
    desk: Arc<Desk>,
    result: Arc<Mutex<Option<Carried<std::thread::Result<T>>>>>,
    done: bool,
}

impl<T: 'static> Baton<T> {
    #[allow(
        clippy::disallowed_methods,
        reason = "a simulated body's thread is started here"
    )]
    pub fn new(
        name: &Name,
        watched: Option<Arc<Watched>>,
        body: impl FnOnce() -> T + 'static,
    ) -> std::io::Result<Self> {
        if LEAKED.get() >= LEAKS {
            return Err(std::io::Error::other(
                "too many bodies of this thread could not be ended",
            ));
        }
        let desk = Arc::new(Desk {
            holder: Mutex::new(Holder::Executor),
            to_body: Condvar::new(),
            to_executor: Condvar::new(),
            watched,
        });
        let result = Arc::new(Mutex::new(None));
        let runtime = tokio::runtime::Handle::try_current().ok();
        let dispatch = get_default(Dispatch::clone);
        let (at, put, body) = (Arc::clone(&desk), Arc::clone(&result), Carried(body));
        // The operating system cuts names short; std refuses only this.
        let name = name.chars().filter(|c| *c != '\0').collect();
        std::thread::Builder::new().name(name).spawn(move || {
            let thread = ThreadId::mine(at.watched.is_some());
            SEAT.with(|seat| *seat.0.borrow_mut() = Some((Arc::clone(&at), thread)));
            let _inside = runtime.as_ref().map(|runtime| runtime.enter());
            let turn = at.turn(thread);
            let body = body.take();
            let ran = with_default(&dispatch, || {
                catch_unwind(AssertUnwindSafe(|| match turn {
                    Turn::Run => body(),
                    // Never begun: what the body holds is dropped with it, here.
                    Turn::End => {
                        drop(body);
                        resume_unwind(Box::new(WorldEnded))
                    }
                }))
            });
            *put.lock().unwrap_or_else(PoisonError::into_inner) = Some(Carried(ran));
        })?;
        Ok(Baton {
            desk,
            result,
            done: false,
        })
    }

    /// Gives the body its turn, until it waits or its thread comes to its end.
    pub fn turn(&mut self, turn: Turn) -> Turned<T> {
        if let Some(watched) = &self.desk.watched {
            watched.lent_to(ThreadId::UNKNOWN);
        }
        let waits = world::lend(|world| self.desk.give(turn, world));
        if let Some(watched) = &self.desk.watched {
            watched.lent_to(ThreadId::OWN);
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
        Turned::Done(result.map_or_else(|| Err(Box::new("its thread ended") as _), Carried::take))
    }

    pub fn done(&self) -> bool {
        self.done
    }

    /// Leaves a body and its thread as they are, for good: it waits for a turn that never comes.
    pub fn leave(self) {
        LEAKED.set(LEAKED.get() + 1);
        std::mem::forget(self);
    }
}

/// Whether the caller runs on the thread of a body.
pub(super) fn is_body() -> bool {
    SEAT.try_with(|seat| seat.0.borrow().is_some())
        .unwrap_or(false)
}

/// Hands the baton back, and waits for the next turn; says whether this is a body's thread.
pub(super) fn suspend() -> bool {
    let seat = SEAT.try_with(|seat| seat.0.borrow().clone()).ok().flatten();
    let Some((desk, thread)) = seat else {
        return false;
    };
    desk.hand_back(Holder::Executor);
    let _turn = desk.turn(thread);
    true
}

/// Calls `f` with the world, if the body of this thread has its turn.
pub(super) fn with_lent<R>(f: impl FnOnce(&Rc<World>) -> R) -> Option<R> {
    let world = LENT.get();
    // SAFETY: not null, it was lent to this thread for a turn that goes on: `hand_back` sets it to null
    // before it lets the executor go. Until then the executor's thread is blocked in `give`, below
    // `world::lend`, which keeps the world where it is; so nobody else touches it meanwhile, and what
    // was done to it before is seen here by way of the desk's lock.
    unsafe { world.as_ref() }.map(f)
}
