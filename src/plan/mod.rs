//! The plan's worker context, as the plan was written: **a specimen, not for use**.
//!
//! Deadstop started from the plan of a worker context for a Python model server. This is that plan in
//! Rust, with its flaws left in: threads are joined one after another, a task's cancellation is not
//! awaited and its `cancel_timeout` never looked at, nothing bounds a callback, stop and cleanup run
//! synchronously on the executor, a second stop calls everything again, what is registered late is
//! silently lost, and a failing start leaves open what it had opened.
//!
//! The simulator drives it as its second subject. It shows each flaw as a broken law, and proves that
//! the laws have teeth and that the harness can drive a context that is not its own.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::host::{BoxError, Scope};
use crate::journal::Name;
use crate::words::one_line;

/// A callback of the plan's: called as often as somebody calls stop or cleanup.
pub type Callback = Arc<dyn Fn(&Scope) -> Result<(), BoxError> + Send + Sync>;

/// A thread, as the plan knows it.
pub trait Thread: Send + Sync {
    /// Whether it still runs.
    fn is_alive(&self) -> bool;

    /// Waits for its end, at most so long.
    fn join(&self, scope: &Scope, timeout: Duration);
}

/// A task, as the plan knows it.
pub trait Task: Send + Sync {
    /// Whether it has ended.
    fn done(&self) -> bool;

    /// Asks it to end, and does not wait.
    fn cancel(&self);
}

/// A line that the plan logs, in the plan's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Debug, before a stop callback.
    Stopping {
        /// The callback's description.
        desc: Name,
    },
    /// Warning, after one that raised.
    StopFailed {
        /// The callback's description.
        desc: Name,
        /// What it raised.
        error: Name,
    },
    /// Info, before a cleanup callback.
    Cleanup {
        /// The callback's description.
        desc: Name,
    },
    /// Error, after one that raised.
    CleanupFailed {
        /// The callback's description.
        desc: Name,
        /// What it raised.
        error: Name,
    },
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Stopping { desc } => write!(f, "Stopping: {desc}"),
            Line::StopFailed { desc, error } => write!(f, "Error during stop of {desc}: {error}"),
            Line::Cleanup { desc } => write!(f, "FastAPIWorkerCtx cleanup: {desc}"),
            Line::CleanupFailed { desc, error } => write!(f, "Cleanup failed for {desc}: {error}"),
        }
    }
}

/// The plan's worker context. See the [module](self): a specimen, not for use.
pub struct PlanCtx {
    running: AtomicBool,
    on_stop: Mutex<Calls>,
    on_cleanup: Mutex<Calls>,
    logger: Box<dyn Fn(Line) + Send + Sync>,
}

type Calls = Vec<(i32, Callback, Name)>;

/// Nobody is called with the list locked: a callback may register another one.
fn lock(calls: &Mutex<Calls>) -> MutexGuard<'_, Calls> {
    calls.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PlanCtx {
    /// A context that does not run yet, and logs to `logger`.
    pub fn new(logger: impl Fn(Line) + Send + Sync + 'static) -> Self {
        PlanCtx {
            running: AtomicBool::new(false),
            on_stop: Mutex::default(),
            on_cleanup: Mutex::default(),
            logger: Box::new(logger),
        }
    }

    /// Registers a thread to be joined by stop, one after another. It has no order.
    pub fn add_thread(&self, thread: impl Thread + 'static, join_timeout: Duration, name: Name) {
        let join = move |scope: &Scope| {
            if thread.is_alive() {
                thread.join(scope, join_timeout);
            }
            Ok(())
        };
        self.defer_stop(Arc::new(join), 0, name);
    }

    /// Registers a task to be cancelled by stop. Its timeout is not looked at, its end not waited for.
    pub fn add_async_task(&self, task: impl Task + 'static, _cancel_timeout: Duration, name: Name) {
        let cancel = move |_: &Scope| {
            if !task.done() {
                task.cancel();
            }
            Ok(())
        };
        self.defer_stop(Arc::new(cancel), 0, name);
    }

    /// Registers an object to be closed by cleanup.
    pub fn add_closeable(&self, close: Callback, order: i32, desc: Name) {
        self.defer_cleanup(close, order, desc);
    }

    /// Registers a callback for stop.
    pub fn defer_stop(&self, call: Callback, order: i32, desc: Name) {
        lock(&self.on_stop).push((order, call, desc));
    }

    /// Registers a callback for cleanup.
    pub fn defer_cleanup(&self, call: Callback, order: i32, desc: Name) {
        lock(&self.on_cleanup).push((order, call, desc));
    }

    /// Runs main. What main had registered when it fails stays as it is.
    ///
    /// # Errors
    ///
    /// Main's.
    pub fn start<E>(&self, main: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        self.running.store(true, Ordering::Relaxed);
        main()
    }

    /// Calls the stop callbacks, ascending by order, each for as long as it takes. An error is logged; a
    /// panic is not caught, like the plan's `SystemExit`.
    pub fn stop(&self, scope: &Scope) {
        self.running.store(false, Ordering::Relaxed);
        let mut calls = lock(&self.on_stop).clone();
        calls.sort_by_key(|(order, _, _)| *order);
        for (_, call, desc) in calls {
            (self.logger)(Line::Stopping { desc: desc.clone() });
            if let Err(error) = call(scope) {
                (self.logger)(Line::StopFailed {
                    desc,
                    error: one_line(&error),
                });
            }
        }
    }

    /// Calls the cleanup callbacks, descending by order; otherwise like [`stop`](Self::stop).
    pub fn cleanup(&self, scope: &Scope) {
        let mut calls = lock(&self.on_cleanup).clone();
        // Python's `sorted(reverse=True)` keeps the order of equals.
        calls.sort_by_key(|(order, _, _)| std::cmp::Reverse(*order));
        for (_, call, desc) in calls {
            (self.logger)(Line::Cleanup { desc: desc.clone() });
            if let Err(error) = call(scope) {
                (self.logger)(Line::CleanupFailed {
                    desc,
                    error: one_line(&error),
                });
            }
        }
    }

    /// Whether it runs: false before start, too.
    pub fn running(&self) -> bool {
        self.running.load(Ordering::Relaxed)
    }
}
