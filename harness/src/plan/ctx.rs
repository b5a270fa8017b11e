//! The plan's context: registration, stop and cleanup, with their flaws.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::journal::Name;
use crate::lock::lock;
use crate::words::one_line;
use deadstop::host::{BoxError, Scope};

/// A callback of the plan. It is called once in each stop or cleanup.
pub type Callback = Arc<dyn Fn(&Scope) -> Result<(), BoxError> + Send + Sync>;

/// A thread as the plan knows it.
pub trait Thread: Send + Sync {
    /// Returns whether the thread still runs.
    fn is_alive(&self) -> bool;

    /// Waits for the thread's end, for at most `timeout`.
    fn join(&self, scope: &Scope, timeout: Duration);
}

/// A task as the plan knows it.
pub trait Task: Send + Sync {
    /// Returns whether the task has ended.
    fn done(&self) -> bool;

    /// Asks the task to end, and does not wait.
    fn cancel(&self);
}

/// A line of the plan's log. It is displayed in the plan's words.
///
/// It is exhaustive: a reader of the plan has to handle each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Logged at debug level before a stop callback is called.
    Stopping {
        /// The callback's description.
        desc: Name,
    },
    /// Logged at warning level after a stop callback raised an error.
    StopFailed {
        /// The callback's description.
        desc: Name,
        /// The error that it raised.
        error: Name,
    },
    /// Logged at info level before a cleanup callback is called.
    Cleanup {
        /// The callback's description.
        desc: Name,
    },
    /// Logged at error level after a cleanup callback raised an error.
    CleanupFailed {
        /// The callback's description.
        desc: Name,
        /// The error that it raised.
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

/// The plan's worker context: a specimen, not for use. The [module](super) lists its flaws.
pub struct PlanCtx {
    running: AtomicBool,
    on_stop: Mutex<Calls>,
    on_cleanup: Mutex<Calls>,
    logger: Box<dyn Fn(Line) + Send + Sync>,
}

/// A list of callbacks. None may be called under the lock of its list, since it may register another one.
type Calls = Vec<(i32, Callback, Name)>;

impl PlanCtx {
    /// Creates a context that does not run yet and logs to `logger`.
    pub fn new(logger: impl Fn(Line) + Send + Sync + 'static) -> Self {
        PlanCtx {
            running: AtomicBool::new(false),
            on_stop: Mutex::default(),
            on_cleanup: Mutex::default(),
            logger: Box::new(logger),
        }
    }

    /// Registers a thread. Stop joins threads one after another. A thread has no order of its own: it takes part with
    /// order 0.
    pub fn add_thread(&self, thread: impl Thread + 'static, join_timeout: Duration, name: Name) {
        let join = move |scope: &Scope| {
            if thread.is_alive() {
                thread.join(scope, join_timeout);
            }
            Ok(())
        };
        self.defer_stop(Arc::new(join), 0, name);
    }

    /// Registers a task, which stop cancels with order 0. The timeout is ignored, and the task's end is not awaited.
    pub fn add_async_task(&self, task: impl Task + 'static, _cancel_timeout: Duration, name: Name) {
        let cancel = move |_: &Scope| {
            if !task.done() {
                task.cancel();
            }
            Ok(())
        };
        self.defer_stop(Arc::new(cancel), 0, name);
    }

    /// Registers an object, which cleanup closes.
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

    /// Runs main. If main fails, all that it has registered stays as it is.
    ///
    /// # Errors
    ///
    /// Returns main's error.
    pub fn start<E>(&self, main: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        self.running.store(true, Ordering::Relaxed);
        main()
    }

    /// Calls the stop callbacks, ascending by order, without a bound. An error is logged. A panic is not caught, like
    /// the plan's `SystemExit`.
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

    /// Calls the cleanup callbacks, descending by order, and otherwise does as [`stop`](Self::stop).
    pub fn cleanup(&self, scope: &Scope) {
        let mut calls = lock(&self.on_cleanup).clone();
        // Python's `sorted(reverse=True)` keeps equals in their order, and so does this sort.
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

    /// Returns whether the context runs: from start until stop. It is false before start.
    pub fn running(&self) -> bool {
        self.running.load(Ordering::Relaxed)
    }
}
