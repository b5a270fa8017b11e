//! The jobs of a run on its runtime's blocking pool: `spawn_blocking`, `tokio::fs`, the resolver.
//!
//! Jobs run in real time, and virtual time stands still until they are over. tokio does not report them. But it asks
//! for the name of each thread that it starts for a job, and asks on the thread that hands the job in. So [`Pool`]
//! knows which component a job belongs to. The guard's verdict and the notes on a run use this.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Builder;

use super::thread_id::KernelThreadId;
use super::usage::Usage;
use crate::journal::Name;
use crate::sim::world;

/// Shortest real time of a finished job that is kept; a shorter one is forgotten.
const MIN_KEPT_DURATION: Duration = Duration::from_millis(100);
/// Maximum number of finished jobs that are kept.
const MAX_FINISHED: usize = 1_000;

/// A job on the blocking pool.
#[derive(Clone, Debug)]
pub(crate) struct PoolJob {
    /// The component that handed it in; `None` if a task that the context does not know did.
    pub by: Option<Name>,
    /// The virtual time at which it was handed in, in milliseconds.
    pub since: u64,
    /// The thread that runs it.
    pub thread: KernelThreadId,
    began: Option<Instant>,
    /// The thread that handed it in, and the real time for which that thread had waited for a CPU by then. The job may
    /// wait for code that runs there.
    from: (KernelThreadId, Duration),
    /// The real time that it took, once it is over. From a job that was not brief, the time for which its thread and
    /// the one that handed it in waited for a CPU is subtracted.
    pub took: Option<Duration>,
}

impl PoolJob {
    /// Returns the name of the component that handed it in, or the words for a task that the context does not know.
    pub fn by(&self) -> Name {
        self.by.clone().unwrap_or_else(|| "a spawned task".into())
    }
}

/// The jobs of one run on its blocking pool.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    jobs: Mutex<Jobs>,
    over: Condvar,
}

#[derive(Debug, Default)]
struct Jobs {
    all: BTreeMap<u64, PoolJob>,
    next: u64,
    /// Number of finished jobs in `all`.
    finished: usize,
}

#[allow(
    clippy::disallowed_methods,
    reason = "jobs on the blocking pool take real time"
)]
impl Pool {
    /// Sets the runtime's hooks so that it reports the threads of its pool.
    pub fn observe(self: &Arc<Self>, builder: &mut Builder) {
        let (starts, begins, ends) = (Arc::clone(self), Arc::clone(self), Arc::clone(self));
        builder
            .thread_name_fn(move || starts.name_thread())
            .on_thread_start(move || begins.on_start())
            .on_thread_stop(move || ends.on_stop())
            // A thread that is kept alive takes its next job without any of these hooks.
            .thread_keep_alive(Duration::ZERO);
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that the code on this thread hands in a job, and returns the name for the job's thread.
    fn name_thread(&self) -> String {
        let (by, since) = world::try_with(|world| {
            let by = world.entities.borrow().current_name();
            (by, world.time())
        })
        .unwrap_or_default();
        let from = KernelThreadId::current_if(true);
        let mut jobs = self.jobs();
        let n = jobs.next;
        jobs.next += 1;
        let name = format!(
            "{}, blocking job {n}",
            by.as_deref().unwrap_or("a spawned task")
        );
        let job = PoolJob {
            by,
            since,
            thread: KernelThreadId::UNKNOWN,
            began: None,
            from: (from, Usage::starved_time(from)),
            took: None,
        };
        jobs.all.insert(n, job);
        name
    }

    /// Returns the number of the job that this thread was started for.
    fn job_of_this_thread() -> Option<u64> {
        let thread = std::thread::current();
        thread.name()?.rsplit(' ').next()?.parse().ok()
    }

    fn on_start(&self) {
        let thread = KernelThreadId::current_if(true);
        let began = Instant::now();
        let mut jobs = self.jobs();
        if let Some(job) = Pool::job_of_this_thread().and_then(|n| jobs.all.get_mut(&n)) {
            job.thread = thread;
            job.began = Some(began);
        }
    }

    fn on_stop(&self) {
        let now = Instant::now();
        let mut jobs = self.jobs();
        let Some(n) = Pool::job_of_this_thread() else {
            return;
        };
        let Some(job) = jobs.all.get_mut(&n) else {
            return;
        };
        let took = job
            .began
            .map_or(Duration::ZERO, |began| now.saturating_duration_since(began));
        // The thread was started for this job, so all its waiting for a CPU falls into the job.
        let waited = || {
            let (from, before) = job.from;
            Usage::starved_time(KernelThreadId::current_if(true))
                + Usage::starved_time(from).saturating_sub(before)
        };
        let took = if took < MIN_KEPT_DURATION {
            took
        } else {
            took.saturating_sub(waited())
        };
        job.took = Some(took);
        if took < MIN_KEPT_DURATION || jobs.finished >= MAX_FINISHED {
            jobs.all.remove(&n);
        } else {
            jobs.finished += 1;
        }
        drop(jobs);
        self.over.notify_all();
    }

    /// Returns the unfinished jobs.
    pub fn live(&self) -> Vec<PoolJob> {
        let jobs = self.jobs();
        let live = jobs.all.values().filter(|job| job.took.is_none());
        live.cloned().collect()
    }

    /// Returns the finished jobs that were not brief.
    pub fn finished(&self) -> Vec<PoolJob> {
        let jobs = self.jobs();
        let over = jobs.all.values().filter(|job| job.took.is_some());
        over.cloned().collect()
    }

    /// Waits until all jobs are finished, for at most `limit` of real time.
    pub fn settle(&self, limit: Duration) {
        let busy = |jobs: &mut Jobs| jobs.all.values().any(|job| job.took.is_none());
        let waited = self.over.wait_timeout_while(self.jobs(), limit, busy);
        drop(waited);
    }
}
