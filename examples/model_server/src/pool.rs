//! The pool of prediction threads, and its jobs in flight.
//!
//! Its threads belong to the worker context, which tells and joins them at stop, once the requests are drained. The
//! pool itself is closed in cleanup, before the predictor and the database that its jobs use. From then on it takes
//! no more jobs, and it waits for the jobs that outlasted the join of their threads.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use deadstop::context::Close;
use deadstop::host::{BoxError, Scope};
use tokio::sync::Notify;

/// Maximum number of jobs that wait for a thread.
pub const MAX_WAITING_JOBS: usize = 256;

/// A job of the pool. It waits through the scope of the thread that it runs on.
pub type Job = Box<dyn FnOnce(&Scope) + Send + 'static>;

/// Jobs, and the number of threads that run them.
#[derive(Default)]
pub struct Pool {
    jobs: Mutex<Jobs>,
    /// Notified when a job has come or gone, or the pool has closed.
    changed: Notify,
}

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<Job>,
    running: usize,
    threads: usize,
    closed: bool,
}

/// Why a job was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// Too many jobs wait already.
    Full,
    /// The pool is closed, or has no thread left to run it.
    Closed,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let jobs = self.lock();
        f.debug_struct("Pool")
            .field("waiting", &jobs.waiting.len())
            .field("running", &jobs.running)
            .field("threads", &jobs.threads)
            .field("closed", &jobs.closed)
            .finish()
    }
}

impl Pool {
    /// Creates a pool for that number of threads. The caller has to start them, each with [`work`](Self::work).
    pub fn new(threads: usize) -> Self {
        let pool = Pool::default();
        pool.lock().threads = threads;
        pool
    }

    /// Queues a job for the next thread that is free.
    ///
    /// # Errors
    ///
    /// [`NotTaken`]; the job is dropped.
    pub fn submit(&self, job: Job) -> Result<(), NotTaken> {
        {
            let mut jobs = self.lock();
            if jobs.closed {
                return Err(NotTaken::Closed);
            }
            if jobs.waiting.len() >= MAX_WAITING_JOBS {
                return Err(NotTaken::Full);
            }
            jobs.waiting.push_back(job);
        }
        self.changed.notify_waiters();
        Ok(())
    }

    /// Runs jobs until the thread is told to stop, and then the jobs that still wait. It is the body of each of the
    /// pool's threads.
    pub fn work(&self, scope: &Scope) {
        while let Some(job) = scope.block_on(self.next(scope)) {
            // A job that panics must not end its thread. Its request gets no answer from it, and reports that.
            let ran = catch_unwind(AssertUnwindSafe(|| job(scope)));
            self.lock().running -= 1;
            self.changed.notify_waiters();
            if ran.is_err() {
                tracing::error!("a prediction panicked");
            }
        }
        self.leave();
    }

    /// Returns the next job; `None` once the thread is told to stop and no job waits, or the pool is closed.
    async fn next(&self, scope: &Scope) -> Option<Job> {
        loop {
            let changed = self.changed.notified();
            {
                let mut jobs = self.lock();
                if let Some(job) = jobs.waiting.pop_front() {
                    jobs.running += 1;
                    return Some(job);
                }
                if jobs.closed || !scope.running() {
                    return None;
                }
            }
            tokio::select! {
                biased;
                () = changed => {}
                () = scope.token().cancelled() => {}
            }
        }
    }

    /// Records that a thread has ended. After the last one the pool takes no more jobs, since no thread would run
    /// them.
    fn leave(&self) {
        let left = {
            let mut jobs = self.lock();
            jobs.threads -= 1;
            if jobs.threads > 0 {
                return;
            }
            jobs.closed = true;
            std::mem::take(&mut jobs.waiting)
        };
        drop(left);
        self.changed.notify_waiters();
    }

    /// Makes the pool take no more jobs, gives up those that no thread has begun, and returns their number.
    fn shut(&self) -> usize {
        let given_up = {
            let mut jobs = self.lock();
            jobs.closed = true;
            std::mem::take(&mut jobs.waiting)
        };
        self.changed.notify_waiters();
        given_up.len()
    }

    /// Waits until no job runs.
    async fn idle(&self) {
        loop {
            let changed = self.changed.notified();
            if self.lock().running == 0 {
                return;
            }
            changed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The closeable of the pool.
#[derive(Debug)]
pub struct ClosePool(pub Arc<Pool>);

impl Close for ClosePool {
    fn close(&mut self, scope: &Scope) -> Result<(), BoxError> {
        let given_up = self.0.shut();
        let token = scope.token().clone();
        let in_time = scope.block_on(async {
            tokio::select! {
                biased;
                () = self.0.idle() => true,
                () = token.cancelled() => false,
            }
        });
        match (in_time, given_up) {
            (true, 0) => Ok(()),
            (true, jobs) => Err(format!("jobs that were never begun: {jobs}").into()),
            (false, _) => Err(format!("jobs that still run: {}", self.0.lock().running).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use deadstop::context::{BodyOpts, CallOpts, WorkerCtx};
    use deadstop::journal::Outcome;

    use super::*;

    /// Returns a worker with a pool of one thread.
    fn worker() -> (WorkerCtx, Arc<Pool>) {
        let ctx = WorkerCtx::new(());
        let pool = Arc::new(Pool::new(1));
        let own = Arc::clone(&pool);
        ctx.add_thread("worker", BodyOpts::new(), move |scope| own.work(scope))
            .unwrap();
        ctx.add_closeable("pool", CallOpts::new(), ClosePool(Arc::clone(&pool)))
            .unwrap();
        (ctx, pool)
    }

    #[test]
    fn jobs_that_wait_when_the_thread_is_told_are_still_run() {
        let (ctx, pool) = worker();
        let (begun, has_begun) = mpsc::channel();
        let (go, may_go) = mpsc::channel::<()>();
        let (ran, has_run) = mpsc::channel();
        pool.submit(Box::new(move |_| {
            begun.send(()).unwrap();
            let _ = may_go.recv();
        }))
        .unwrap();
        for n in 0..3 {
            let ran = ran.clone();
            pool.submit(Box::new(move |_| ran.send(n).unwrap()))
                .unwrap();
        }
        has_begun.recv().unwrap();
        ctx.request_stop("with one job running and three waiting");
        drop(go);
        assert!(ctx.cleanup_blocking().unwrap().is_ok());
        drop(ran);
        assert_eq!(has_run.iter().collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(pool.submit(Box::new(|_| {})), Err(NotTaken::Closed));
    }

    #[test]
    fn a_job_that_panics_leaves_its_thread_to_the_next() {
        let (ctx, pool) = worker();
        let (ran, has_run) = mpsc::channel();
        pool.submit(Box::new(|_| {
            std::panic::resume_unwind(Box::new("a bad feature"))
        }))
        .unwrap();
        pool.submit(Box::new(move |_| ran.send(()).unwrap()))
            .unwrap();
        has_run.recv().unwrap();
        assert!(ctx.cleanup_blocking().unwrap().is_ok());
    }

    #[test]
    fn pool_without_a_thread_gives_up_its_jobs_with_an_error() {
        let pool = Arc::new(Pool::new(1));
        pool.submit(Box::new(|_| {})).unwrap();
        let ctx = WorkerCtx::new(());
        ctx.add_closeable("pool", CallOpts::new(), ClosePool(Arc::clone(&pool)))
            .unwrap();
        let report = ctx.cleanup_blocking().unwrap();
        assert_eq!(report.steps[0].outcome, Outcome::Failed);
        let error = report.steps[0].error.as_deref();
        assert_eq!(error, Some("jobs that were never begun: 1"));
    }

    #[test]
    fn a_full_queue_refuses() {
        let pool = Pool::new(1);
        for _ in 0..MAX_WAITING_JOBS {
            pool.submit(Box::new(|_| {})).unwrap();
        }
        assert_eq!(pool.submit(Box::new(|_| {})), Err(NotTaken::Full));
    }
}
