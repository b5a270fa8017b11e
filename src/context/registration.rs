//! Registration: the methods with which services register the components of a worker.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::admission::refusal;
use super::close::Close;
use super::ctx::WorkerCtx;
use super::error::{Refusal, Refused};
use super::handle::ComponentHandle;
use super::limits::{BOUND_MAX, BOUND_MIN};
use super::opts::{BodyOpts, CallOpts, Opts};
use super::registry::{AsyncCall, Callback, Running, RunningWatchdog};
use crate::host::{Adopt, Around, BoxFuture, Ended, Ending, Scope, SpawnError, harness_part};
use crate::journal::{Kind, Name, RefusedReason};
use crate::watchdog::{Link, Watchdog};
use crate::words::one_line;

impl<A> WorkerCtx<A> {
    /// Runs a thread and registers it. Stop tells it, calls its `wake`, and joins it for up to its timeout. A thread
    /// that has not ended by then is reported as leaked.
    ///
    /// The body returns nothing or a result, which is its outcome. `name` has 1 to 200 bytes and no control
    /// characters.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use deadstop::context::{BodyOpts, WorkerCtx};
    /// let ctx = WorkerCtx::new(());
    /// let opts = BodyOpts::new().timeout(Duration::from_secs(5));
    /// ctx.add_thread("flusher", opts, |scope| {
    ///     while scope.wait(Duration::from_secs(1)).elapsed() { /* flush */ }
    ///     std::io::Write::flush(&mut std::io::stdout())
    /// })?;
    /// let report = ctx.stop_blocking()?;
    /// assert!(report.is_ok(), "{report}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Refused`] once stop has begun, if its name or bound is outside the limits, or if no thread can be started;
    /// it hands the body back.
    #[track_caller]
    pub fn add_thread<F, E>(
        &self,
        name: impl Into<Name>,
        opts: impl Into<BodyOpts>,
        body: F,
    ) -> Result<ComponentHandle, Refused<F>>
    where
        F: FnOnce(&Scope) -> E + Send + 'static,
        E: Ending,
    {
        self.register_body(name, Kind::Thread, opts, body, |starting, body| {
            starting.body(move |scope| body.take()(scope).into_result())
        })
    }

    /// Takes over a thread that already runs. It can be told only by its `wake`. It is joined for up to its timeout,
    /// then reported as leaked. An error that it returns is a failure, as with [`add_thread`](Self::add_thread).
    ///
    /// ```
    /// # use std::sync::mpsc;
    /// # use deadstop::context::{BodyOpts, WorkerCtx};
    /// let ctx = WorkerCtx::new(());
    /// let (wake, woken) = mpsc::channel();
    /// let handle = std::thread::spawn(move || woken.recv());
    /// let opts = BodyOpts::new().wake(move || drop(wake.send(())));
    /// ctx.adopt_thread("legacy", opts, handle)?;
    /// let report = ctx.stop_blocking()?;
    /// assert!(report.is_ok(), "{report}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Refused`] once stop has begun, if its name or bound is outside the limits, if the host cannot take over
    /// threads of the operating system, or if no thread can be started that joins it; it hands the handle back.
    #[track_caller]
    pub fn adopt_thread<T: Ending>(
        &self,
        name: impl Into<Name>,
        opts: impl Into<BodyOpts>,
        handle: std::thread::JoinHandle<T>,
    ) -> Result<ComponentHandle, Refused<std::thread::JoinHandle<T>>> {
        self.register_body(name, Kind::Thread, opts, handle, |starting, handle| {
            if !harness_part(&*starting.core.host).adopts_threads() {
                let unsupported = SpawnError::Unsupported("a thread that runs already");
                return Err(Refusal {
                    reason: RefusedReason::Host,
                    detail: unsupported.to_string(),
                });
            }
            // Std has no join with a timeout. So a second thread joins, and the wait for that thread's end has a
            // bound.
            starting.body(move |_| match handle.take().join() {
                Ok(output) => output.into_result(),
                Err(payload) => std::panic::resume_unwind(payload),
            })
        })
    }

    /// Runs a task on the service's executor and registers it. Stop tells it by its token, awaits it for up to its
    /// timeout, then aborts it once.
    ///
    /// The task runs on the runtime around the caller. A plain thread has none. The runtime of a future that a scope's
    /// [`block_on`](Scope::block_on) drives, or [`spawn_or_block_on`](Self::spawn_or_block_on) on a plain thread, ends
    /// with that call. A task that is registered there runs on the runtime on which the worker was started, or else on
    /// the one on which the context was built.
    ///
    /// ```
    /// # use deadstop::context::{BodyOpts, WorkerCtx};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let ctx = WorkerCtx::new(());
    /// ctx.add_task("poller", BodyOpts::new(), |token| async move {
    ///     token.cancelled().await; // beside the work, in a `select!`
    /// })?;
    /// assert!(ctx.stop().await?.is_ok());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Refused`] once stop has begun, if its name or bound is outside the limits, or if there is no such runtime;
    /// it hands the task back.
    #[track_caller]
    pub fn add_task<F, Fut, E>(
        &self,
        name: impl Into<Name>,
        opts: impl Into<BodyOpts>,
        task: F,
    ) -> Result<ComponentHandle, Refused<F>>
    where
        F: FnOnce(CancellationToken) -> Fut + Send + 'static,
        Fut: Future<Output = E> + Send + 'static,
        E: Ending,
    {
        self.register_body(name, Kind::Task, opts, task, |starting, task| {
            starting.task(|token| Box::pin(async move { task.take()(token).await.into_result() }))
        })
    }

    /// Takes over a task that already runs, such as tokio's `JoinHandle`. It has no token: stop aborts it at once,
    /// and its timeout is the time that the abort may take. A task that is cancelled in this way is ok.
    ///
    /// An error that the task returns is a failure, as with [`add_task`](Self::add_task). The error is turned into
    /// text and dropped on a thread that all adopted tasks share: neither should block.
    ///
    /// A [`wake`](BodyOpts::wake) in its options is never called: the task is aborted instead of told.
    ///
    /// ```
    /// # use deadstop::context::{BodyOpts, WorkerCtx};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let ctx = WorkerCtx::new(());
    /// let handle = tokio::spawn(std::future::pending::<()>());
    /// ctx.adopt_task("legacy", BodyOpts::new(), handle)?;
    /// assert!(ctx.stop().await?.is_ok(), "cancelled, as it was meant to be");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Refused`] once stop has begun, or if its name or bound is outside the limits; it hands the task back.
    #[track_caller]
    pub fn adopt_task<T: Adopt>(
        &self,
        name: impl Into<Name>,
        opts: impl Into<BodyOpts>,
        task: T,
    ) -> Result<ComponentHandle, Refused<T>> {
        // This is the caller's code, which must not run under the registry's lock.
        let mut abort = Some(task.aborter());
        self.register_body(name, Kind::Task, opts, task, |starting, task| {
            let on_end = starting.core.on_end(starting.handle);
            let host = Arc::clone(&starting.core.host);
            let watch = async move {
                let (how, error) = crate::host::join(task.take()).await;
                let error = error.as_ref().map(|error| one_line(error));
                on_end(Ended {
                    how,
                    error,
                    at: host.now(),
                });
            };
            let host = &starting.core.host;
            host.watch(Box::pin(watch)).map_err(refusal)?;
            Ok(Running {
                adopted_task: true,
                abort: abort.take(),
                ..Running::default()
            })
        })
    }

    /// Runs a future to its end, wherever this is called. Inside a runtime the future becomes a task that stop
    /// awaits, on the runtime that [`add_task`](Self::add_task) chooses. Outside of one it runs on a small runtime of
    /// its own, before this returns. It never fails with "cannot start a runtime from within a runtime". An error of
    /// the future is logged.
    ///
    /// ```
    /// # use deadstop::context::WorkerCtx;
    /// let ctx = WorkerCtx::new(());
    /// // There is no runtime here: the future has run when the call returns.
    /// ctx.spawn_or_block_on("export spans", async { Ok::<(), std::io::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Refused`] like [`add_task`](Self::add_task); it hands the future back.
    ///
    /// # Panics
    ///
    /// If the future panics and is run outside of a runtime.
    #[track_caller]
    pub fn spawn_or_block_on<F, E>(
        &self,
        name: impl Into<Name>,
        future: F,
    ) -> Result<(), Refused<F>>
    where
        F: Future<Output = E> + Send + 'static,
        E: Ending,
    {
        if self.core.host.around() == Around::Nothing {
            return self.block_on(name.into(), future);
        }
        self.register_body(name, Kind::Task, (), future, |starting, future| {
            // No code listens to the token. Stop tells the task like any other, then awaits it.
            let running = starting
                .task(|_token| Box::pin(async move { future.take().await.into_result() }))?;
            Ok(Running {
                once: true,
                ..running
            })
        })
        .map(drop)
    }

    /// Runs a future to its end where no runtime is.
    fn block_on<F, E>(&self, name: Name, future: F) -> Result<(), Refused<F>>
    where
        F: Future<Output = E> + Send + 'static,
        E: Ending,
    {
        let mut opts = Opts::from(BodyOpts::new());
        let name = match self.core.admit(name, Kind::Task, &mut opts) {
            Ok(name) => name,
            Err((refusal, name)) => return Err(Refused::new(future, refusal, Kind::Task, name)),
        };
        let mut error = None;
        {
            let run = async { error = future.await.into_result().err() };
            self.core.host.block_on(std::pin::pin!(run));
        }
        let error = error.map(|error| one_line(&error));
        self.core.future_ended(name, error);
        Ok(())
    }

    /// Runs the health watchdog on a thread of its own, and registers it.
    ///
    /// See [`Watchdog`] for an example.
    ///
    /// # Errors
    ///
    /// [`Refused`] once stop has begun, if its name, bound or settings are outside the limits, or if no thread can be
    /// started; it hands the watchdog back. A worker has one watchdog: a second one is refused as well. If several
    /// endpoints are to be watched, one [`Probe`](crate::watchdog::Probe) asks them all.
    #[track_caller]
    pub fn add_watchdog(
        &self,
        name: impl Into<Name>,
        opts: impl Into<BodyOpts>,
        watchdog: Watchdog,
    ) -> Result<ComponentHandle, Refused<Watchdog>> {
        let (limits, flaw) = (watchdog.limits(), watchdog.flaw(&(BOUND_MIN..=BOUND_MAX)));
        self.register_body(
            name,
            Kind::Watchdog,
            opts,
            watchdog,
            |starting, watchdog| {
                if let Some(flaw) = flaw {
                    return Err(Refusal::limit(flaw));
                }
                let core = starting.core;
                let link = Link::new(
                    core.disarmed.clone(),
                    Arc::clone(&core.host),
                    Arc::clone(&core.sink),
                );
                let failures = link.attempts();
                let running = starting.body(move |scope| watchdog.take().run(scope, &link))?;
                Ok(Running {
                    watchdog: Some(Box::new(RunningWatchdog { limits, failures })),
                    ..running
                })
            },
        )
    }

    /// Registers a callback that stop calls. It may block.
    ///
    /// Its scope is told when its bound is over: from then on the context does not wait for it.
    ///
    /// ```
    /// # use deadstop::context::{CallOpts, WorkerCtx};
    /// let ctx = WorkerCtx::new(());
    /// ctx.defer_stop("stop listening", CallOpts::new().order(-10), |_scope| { /* close the listener */ })?;
    /// assert!(ctx.stop_blocking()?.is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Refused`] once stop has begun, if its name or bound is outside the limits, or if it has a floor; it hands
    /// the callback back.
    #[track_caller]
    pub fn defer_stop<F, E>(
        &self,
        name: impl Into<Name>,
        opts: impl Into<CallOpts>,
        call: F,
    ) -> Result<ComponentHandle, Refused<F>>
    where
        F: FnOnce(&Scope) -> E + Send + 'static,
        E: Ending,
    {
        self.defer(name, Kind::Stop, opts, call)
    }

    /// Registers an async callback that stop calls on the service's executor.
    ///
    /// It runs on the runtime on which it was registered. If it was registered outside of a runtime, or in a future
    /// that a scope or [`spawn_or_block_on`](Self::spawn_or_block_on) drives, it runs on a thread and a small runtime
    /// of its own.
    ///
    /// ```
    /// # use deadstop::context::{CallOpts, WorkerCtx};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let ctx = WorkerCtx::new(());
    /// ctx.defer_stop_async("leave the cluster", CallOpts::new(), || async { /* say goodbye */ })?;
    /// assert!(ctx.stop().await?.is_ok());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`defer_stop`](Self::defer_stop).
    #[track_caller]
    pub fn defer_stop_async<F, Fut, E>(
        &self,
        name: impl Into<Name>,
        opts: impl Into<CallOpts>,
        call: F,
    ) -> Result<ComponentHandle, Refused<F>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = E> + Send + 'static,
        E: Ending,
    {
        self.defer_async(name, Kind::Stop, opts, call)
    }

    /// Registers a callback that cleanup calls. It may block.
    ///
    /// Its scope is told when its bound is over: from then on the context does not wait for it.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use deadstop::context::{CallOpts, WorkerCtx};
    /// let ctx = WorkerCtx::new(());
    /// // This step always gets two seconds, however long the steps before it take.
    /// let opts = CallOpts::new().order(50).floor(Duration::from_secs(2));
    /// ctx.defer_cleanup("flush", opts, |_scope| std::io::Write::flush(&mut std::io::stdout()))?;
    /// assert!(ctx.cleanup_blocking()?.is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Refused`] once cleanup has begun, if its name or bound is outside the limits, or if its floor does not fit;
    /// it hands the callback back.
    #[track_caller]
    pub fn defer_cleanup<F, E>(
        &self,
        name: impl Into<Name>,
        opts: impl Into<CallOpts>,
        call: F,
    ) -> Result<ComponentHandle, Refused<F>>
    where
        F: FnOnce(&Scope) -> E + Send + 'static,
        E: Ending,
    {
        self.defer(name, Kind::Cleanup, opts, call)
    }

    /// Registers an async callback that cleanup calls on the service's executor.
    ///
    /// It runs on the same runtime as with [`defer_stop_async`](Self::defer_stop_async).
    ///
    /// ```
    /// # use deadstop::context::{CallOpts, WorkerCtx};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let ctx = WorkerCtx::new(());
    /// ctx.defer_cleanup_async("flush", CallOpts::new(), || async { Ok::<(), std::io::Error>(()) })?;
    /// assert!(ctx.cleanup().await?.is_ok());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`defer_cleanup`](Self::defer_cleanup).
    #[track_caller]
    pub fn defer_cleanup_async<F, Fut, E>(
        &self,
        name: impl Into<Name>,
        opts: impl Into<CallOpts>,
        call: F,
    ) -> Result<ComponentHandle, Refused<F>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = E> + Send + 'static,
        E: Ending,
    {
        self.defer_async(name, Kind::Cleanup, opts, call)
    }

    /// Registers a resource that cleanup closes, and drops in the same step.
    ///
    /// See [`Close`] for an example.
    ///
    /// # Errors
    ///
    /// As [`defer_cleanup`](Self::defer_cleanup); it hands the resource back.
    #[track_caller]
    pub fn add_closeable<C: Close>(
        &self,
        name: impl Into<Name>,
        opts: impl Into<CallOpts>,
        resource: C,
    ) -> Result<ComponentHandle, Refused<C>> {
        self.register_call(name, Kind::Closeable, opts, resource, |resource| {
            Callback::Blocking(Box::new(move |scope| resource.take().close(scope)))
        })
    }

    /// Registers a resource that cleanup closes with a closure, and drops in the same step.
    ///
    /// ```
    /// # use deadstop::context::{CallOpts, WorkerCtx};
    /// let ctx = WorkerCtx::new(());
    /// let file = std::io::BufWriter::new(Vec::new());
    /// ctx.add_closeable_with("log", CallOpts::new(), file, |file, _scope| std::io::Write::flush(file))?;
    /// assert!(ctx.cleanup_blocking()?.is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`add_closeable`](Self::add_closeable); it hands resource and closure back.
    #[track_caller]
    pub fn add_closeable_with<T, F, E>(
        &self,
        name: impl Into<Name>,
        opts: impl Into<CallOpts>,
        resource: T,
        close: F,
    ) -> Result<ComponentHandle, Refused<(T, F)>>
    where
        T: Send + 'static,
        F: FnOnce(&mut T, &Scope) -> E + Send + 'static,
        E: Ending,
    {
        self.register_call(name, Kind::Closeable, opts, (resource, close), |value| {
            Callback::Blocking(Box::new(move |scope| {
                let (mut resource, close) = value.take();
                close(&mut resource, scope).into_result()
            }))
        })
    }

    /// Registers an async closure that closes a resource in cleanup, on the service's executor.
    ///
    /// It runs on the same runtime as with [`defer_stop_async`](Self::defer_stop_async).
    ///
    /// ```
    /// # use deadstop::context::{CallOpts, WorkerCtx};
    /// # struct Pool;
    /// # impl Pool { async fn close(self) {} }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let ctx = WorkerCtx::new(());
    /// let pool = Pool;
    /// ctx.add_closeable_async("pool", CallOpts::new(), move || pool.close())?;
    /// assert!(ctx.cleanup().await?.is_ok());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`add_closeable`](Self::add_closeable); it hands the closure back.
    #[track_caller]
    pub fn add_closeable_async<F, Fut, E>(
        &self,
        name: impl Into<Name>,
        opts: impl Into<CallOpts>,
        close: F,
    ) -> Result<ComponentHandle, Refused<F>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = E> + Send + 'static,
        E: Ending,
    {
        self.defer_async(name, Kind::Closeable, opts, close)
    }

    #[track_caller]
    fn defer<F, E>(
        &self,
        name: impl Into<Name>,
        kind: Kind,
        opts: impl Into<CallOpts>,
        call: F,
    ) -> Result<ComponentHandle, Refused<F>>
    where
        F: FnOnce(&Scope) -> E + Send + 'static,
        E: Ending,
    {
        self.register_call(name, kind, opts, call, |call| {
            Callback::Blocking(Box::new(move |scope| call.take()(scope).into_result()))
        })
    }

    #[track_caller]
    fn defer_async<F, Fut, E>(
        &self,
        name: impl Into<Name>,
        kind: Kind,
        opts: impl Into<CallOpts>,
        call: F,
    ) -> Result<ComponentHandle, Refused<F>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = E> + Send + 'static,
        E: Ending,
    {
        let executor = self.core.host.executor();
        self.register_call(name, kind, opts, call, |call| {
            let call: AsyncCall = Box::new(move || -> BoxFuture<_> {
                Box::pin(async move { call.take()().await.into_result() })
            });
            Callback::Async(call, executor)
        })
    }
}
