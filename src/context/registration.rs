//! Registration: the methods with which services register the components of a worker.

use std::collections::BTreeSet;
use std::panic::Location;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::close::Close;
use super::core::Core;
use super::error::{Refusal, Refused};
use super::opts::{BodyOpts, CallOpts, Wake};
use super::registry::{Action, AsyncCall, Callback, Running, Spec};
use crate::host::{Abort, Adopt, Around, Body, BoxFuture, Ended, Ending, Scope, SpawnError};
use crate::journal::{Id, Kind, Name, RefusedReason, Told};
use crate::watchdog::{Link, Watchdog};
use crate::words::one_line;

use super::ctx::WorkerCtx;

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
        opts: BodyOpts,
        body: F,
    ) -> Result<Id, Refused<F>>
    where
        F: FnOnce(&Scope) -> E + Send + 'static,
        E: Ending,
    {
        let body_spec = body_spec(name, Kind::Thread, opts);
        self.register_body(body_spec, body, |core, id, spec, body| {
            let token = CancellationToken::new();
            let body: Body = Box::new(move |scope| body.take()(scope).into_result());
            let who = core.who(id, &spec.name, spec.kind);
            core.host
                .spawn_body(who, token.clone(), body, core.on_end(id, spec.name.clone()))
                .map_err(refusal)?;
            Ok(StartedBody {
                token: Some(token),
                abort: None,
                failures: None,
            })
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
        opts: BodyOpts,
        handle: std::thread::JoinHandle<T>,
    ) -> Result<Id, Refused<std::thread::JoinHandle<T>>> {
        let body_spec = body_spec(name, Kind::Thread, opts);
        self.register_body(body_spec, handle, |core, id, spec, handle| {
            if !core.host.adopts_threads() {
                let unsupported = SpawnError::Unsupported("a thread that runs already");
                return Err(Refusal {
                    reason: RefusedReason::Host,
                    detail: unsupported.to_string(),
                });
            }
            // Std has no join with a timeout. So a second thread joins, and the wait for that thread's end has a
            // bound.
            let reaper: Body = Box::new(move |_| match handle.take().join() {
                Ok(output) => output.into_result(),
                Err(payload) => std::panic::resume_unwind(payload),
            });
            let token = CancellationToken::new();
            let who = core.who(id, &spec.name, spec.kind);
            core.host
                .spawn_body(
                    who,
                    token.clone(),
                    reaper,
                    core.on_end(id, spec.name.clone()),
                )
                .map_err(refusal)?;
            Ok(StartedBody {
                token: Some(token),
                abort: None,
                failures: None,
            })
        })
    }

    /// Runs a task on the service's executor and registers it. Stop tells it by its token, awaits it for up to its
    /// timeout, then aborts it once.
    ///
    /// The task runs on the runtime around the caller. A plain thread has none. The runtime of a future that a scope's
    /// [`block_on`](Scope::block_on) drives, or [`run_async`](Self::run_async) on a plain thread, ends with that call.
    /// A task that is registered there runs on the runtime on which the worker was started, or else on the one on which
    /// the context was built.
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
        opts: BodyOpts,
        task: F,
    ) -> Result<Id, Refused<F>>
    where
        F: FnOnce(CancellationToken) -> Fut + Send + 'static,
        Fut: Future<Output = E> + Send + 'static,
        E: Ending,
    {
        let body_spec = body_spec(name, Kind::Task, opts);
        self.register_body(body_spec, task, |core, id, spec, task| {
            let token = CancellationToken::new();
            let who = core.who(id, &spec.name, spec.kind);
            let given = core.host.given(&who, token.clone());
            let future = Box::pin(async move { task.take()(given).await.into_result() });
            let on_end = core.on_end(id, spec.name.clone());
            let abort = core.spawn_task(who, future, on_end).map_err(refusal)?;
            Ok(StartedBody {
                token: Some(token),
                abort: Some(abort),
                failures: None,
            })
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
        opts: BodyOpts,
        task: T,
    ) -> Result<Id, Refused<T>> {
        let body_spec = body_spec(name, Kind::Task, opts);
        // This is the caller's code, which must not run under the registry's lock.
        let mut abort = Some(task.aborter());
        self.register_body(body_spec, task, |core, id, spec, task| {
            let on_end = core.on_end(id, spec.name.clone());
            let host = Arc::clone(&core.host);
            let watch = async move {
                let (how, error) = crate::host::join(task.take()).await;
                let error = error.as_ref().map(|error| one_line(error));
                on_end(Ended {
                    how,
                    error,
                    at: host.now(),
                });
            };
            core.host.watch(Box::pin(watch)).map_err(refusal)?;
            Ok(StartedBody {
                token: None,
                abort: abort.take(),
                failures: None,
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
    /// ctx.run_async("export spans", async { Ok::<(), std::io::Error>(()) })?;
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
    pub fn run_async<F, E>(&self, name: impl Into<Name>, future: F) -> Result<(), Refused<F>>
    where
        F: Future<Output = E> + Send + 'static,
        E: Ending,
    {
        let mut body_spec = body_spec(name, Kind::Task, BodyOpts::new());
        body_spec.0.once = true;
        if self.core.host.around() != Around::Nothing {
            return self
                .register_body(body_spec, future, |core, id, spec, future| {
                    let future = Box::pin(async move { future.take().await.into_result() });
                    let who = core.who(id, &spec.name, spec.kind);
                    let on_end = core.on_end(id, spec.name.clone());
                    // No code listens to this token. Stop tells the task like any other, then awaits it.
                    let token = CancellationToken::new();
                    drop(core.host.given(&who, token.clone()));
                    let abort = core.spawn_task(who, future, on_end).map_err(refusal)?;
                    Ok(StartedBody {
                        token: Some(token),
                        abort: Some(abort),
                        failures: None,
                    })
                })
                .map(|_| ());
        }
        let (spec, ..) = body_spec;
        let name = match self.core.admit(spec) {
            Ok(spec) => spec.name,
            Err((refusal, kind, name)) => return Err(Refused::new(future, refusal, kind, name)),
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
        opts: BodyOpts,
        watchdog: Watchdog,
    ) -> Result<Id, Refused<Watchdog>> {
        let mut body_spec = body_spec(name, Kind::Watchdog, opts);
        body_spec.0.watchdog = Some(watchdog.limits());
        let flaw = watchdog.flaw();
        self.register_body(body_spec, watchdog, |core, id, spec, watchdog| {
            if let Some(flaw) = flaw {
                return Err(Refusal::limit(flaw));
            }
            let token = CancellationToken::new();
            let link = Link::new(
                core.disarmed.clone(),
                Arc::clone(&core.host),
                Arc::clone(&core.sink),
            );
            let failures = link.attempts();
            let body: Body = Box::new(move |scope| watchdog.take().run(scope, &link));
            let who = core.who(id, &spec.name, spec.kind);
            core.host
                .spawn_body(who, token.clone(), body, core.on_end(id, spec.name.clone()))
                .map_err(refusal)?;
            Ok(StartedBody {
                token: Some(token),
                abort: None,
                failures: Some(failures),
            })
        })
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
        opts: CallOpts,
        call: F,
    ) -> Result<Id, Refused<F>>
    where
        F: FnOnce(&Scope) -> E + Send + 'static,
        E: Ending,
    {
        self.defer(call_spec(name, Kind::Stop, opts), call)
    }

    /// Registers an async callback that stop calls on the service's executor.
    ///
    /// It runs on the runtime on which it was registered. If it was registered outside of a runtime, or in a future
    /// that a scope or [`run_async`](Self::run_async) drives, it runs on a thread and a small runtime of its own.
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
        opts: CallOpts,
        call: F,
    ) -> Result<Id, Refused<F>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = E> + Send + 'static,
        E: Ending,
    {
        self.defer_async(call_spec(name, Kind::Stop, opts), call)
    }

    /// Registers a callback that cleanup calls. It may block.
    ///
    /// Its scope is told when its bound is over: from then on the context does not wait for it.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use deadstop::context::{CallOpts, WorkerCtx};
    /// let ctx = WorkerCtx::new(());
    /// // This step always gets two seconds, whatever comes before it.
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
        opts: CallOpts,
        call: F,
    ) -> Result<Id, Refused<F>>
    where
        F: FnOnce(&Scope) -> E + Send + 'static,
        E: Ending,
    {
        self.defer(call_spec(name, Kind::Cleanup, opts), call)
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
        opts: CallOpts,
        call: F,
    ) -> Result<Id, Refused<F>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = E> + Send + 'static,
        E: Ending,
    {
        self.defer_async(call_spec(name, Kind::Cleanup, opts), call)
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
        opts: CallOpts,
        resource: C,
    ) -> Result<Id, Refused<C>> {
        self.register(
            call_spec(name, Kind::Closeable, opts),
            resource,
            |_, _, _, resource| {
                Ok(Action::Call(Callback::Blocking(Box::new(move |scope| {
                    resource.take().close(scope)
                }))))
            },
        )
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
        opts: CallOpts,
        resource: T,
        close: F,
    ) -> Result<Id, Refused<(T, F)>>
    where
        T: Send + 'static,
        F: FnOnce(&mut T, &Scope) -> E + Send + 'static,
        E: Ending,
    {
        self.register(
            call_spec(name, Kind::Closeable, opts),
            (resource, close),
            |_, _, _, value| {
                Ok(Action::Call(Callback::Blocking(Box::new(move |scope| {
                    let (mut resource, close) = value.take();
                    close(&mut resource, scope).into_result()
                }))))
            },
        )
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
        opts: CallOpts,
        close: F,
    ) -> Result<Id, Refused<F>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = E> + Send + 'static,
        E: Ending,
    {
        self.defer_async(call_spec(name, Kind::Closeable, opts), close)
    }

    fn defer<F, E>(&self, spec: Spec, call: F) -> Result<Id, Refused<F>>
    where
        F: FnOnce(&Scope) -> E + Send + 'static,
        E: Ending,
    {
        self.register(spec, call, |_, _, _, call| {
            Ok(Action::Call(Callback::Blocking(Box::new(move |scope| {
                call.take()(scope).into_result()
            }))))
        })
    }

    fn defer_async<F, Fut, E>(&self, spec: Spec, call: F) -> Result<Id, Refused<F>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = E> + Send + 'static,
        E: Ending,
    {
        let executor = self.core.host.executor();
        self.register(spec, call, |_, _, _, call| {
            let call: AsyncCall = Box::new(move || -> BoxFuture<_> {
                Box::pin(async move { call.take()().await.into_result() })
            });
            Ok(Action::Call(Callback::Async(call, executor)))
        })
    }

    /// Registers a body that runs from now on. If it is refused, the rest of what the caller gave is dropped here,
    /// where no lock is held.
    fn register_body<T: Send + 'static>(
        &self,
        (spec, when_told, wake): (Spec, Told, Option<Wake>),
        value: T,
        begin: impl FnOnce(&Arc<Core>, Id, &Spec, Slot<T>) -> Result<StartedBody, Refusal>,
    ) -> Result<Id, Refused<T>> {
        let mut wake = wake;
        self.register(spec, value, |core, id, spec, value| {
            let StartedBody {
                token,
                abort,
                failures,
            } = begin(core, id, spec, value)?;
            Ok(Action::Running(Running {
                adopted_task: token.is_none(),
                token,
                when_told,
                wake: wake.take(),
                abort,
                failures,
            }))
        })
    }

    /// Registers the action that `make` creates from a value. A refusal hands the value back.
    fn register<T: Send + 'static>(
        &self,
        spec: Spec,
        value: T,
        make: impl FnOnce(&Arc<Core>, Id, &Spec, Slot<T>) -> Result<Action, Refusal>,
    ) -> Result<Id, Refused<T>> {
        let slot = Slot(Arc::new(Mutex::new(Some(value))));
        self.core
            .register(spec, |core, id, spec| {
                make(core, id, spec, Slot(Arc::clone(&slot.0)))
            })
            .map_err(|(refusal, kind, name)| Refused::new(slot.take(), refusal, kind, name))
    }
}

/// A body that has been started.
struct StartedBody {
    token: Option<CancellationToken>,
    abort: Option<Box<dyn Abort>>,
    failures: Option<Arc<AtomicU32>>,
}

/// A value that is either run or handed back: if its code cannot be started, the value stays here.
struct Slot<T>(Arc<Mutex<Option<T>>>);

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, Option<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> T {
        self.lock()
            .take()
            .expect("a registered value is taken once: run, or handed back")
    }
}

#[track_caller]
fn body_spec(name: impl Into<Name>, kind: Kind, opts: BodyOpts) -> (Spec, Told, Option<Wake>) {
    let BodyOpts {
        order,
        timeout,
        when_told,
        uses,
        wake,
    } = opts;
    let spec = Spec {
        name: name.into(),
        kind,
        order,
        timeout,
        floor: None,
        uses: deduplicated(uses),
        place: Location::caller(),
        watchdog: None,
        once: false,
    };
    (spec, when_told, wake)
}

#[track_caller]
fn call_spec(name: impl Into<Name>, kind: Kind, opts: CallOpts) -> Spec {
    let CallOpts {
        order,
        timeout,
        floor,
        uses,
    } = opts;
    Spec {
        name: name.into(),
        kind,
        order,
        timeout,
        floor,
        uses: deduplicated(uses),
        place: Location::caller(),
        watchdog: None,
        once: false,
    }
}

/// Returns the names without repetitions, in their order.
fn deduplicated(mut names: Vec<Name>) -> Vec<Name> {
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(Name::clone(name)));
    names
}

fn refusal(error: SpawnError) -> Refusal {
    Refusal::limit(error.to_string())
}
