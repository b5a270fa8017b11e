//! The handle of a worker context, which services hold.

use std::panic::Location;
use std::sync::{Arc, Weak};

use super::budget::Budget;
use super::core::Core;
use super::error::{BlockingError, CalledFromInside, MainError, StartError};
use super::report::{Reason, Report};
use super::start::Main;
use crate::host::{BoxFuture, Scope};
use crate::journal::{By, Name, RefusedReason};
use crate::words::one_line;

/// A worker context: starts background threads and tasks, and at the end stops them and cleans up their resources, in
/// order, each step bounded in time.
///
/// A handle is cheap to clone, and all clones are the same worker. If the last handle is dropped without a stop,
/// every component is told to stop, and none is awaited.
///
/// Compared with a `CancellationToken` and a `TaskTracker`, a context knows threads and resources as well as tasks,
/// stops them in an order, gives each a bound within one grace, and reports the outcome of each.
///
/// ```
/// # use std::time::Duration;
/// use deadstop::context::{BodyOpts, CallOpts, WorkerCtx};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let ctx = WorkerCtx::new(());
/// ctx.start(|ctx| async move {
///     ctx.add_thread("flusher", BodyOpts::new(), |scope| {
///         while scope.wait(Duration::from_secs(1)).elapsed() { /* flush */ }
///     })?;
///     ctx.defer_cleanup("db", CallOpts::new(), |_scope| { /* close */ })?;
///     Ok(())
/// })
/// .await?;
///
/// let report = ctx.cleanup().await?;
/// assert!(report.is_ok(), "{report}");
/// # Ok(())
/// # }
/// ```
pub struct WorkerCtx<A = ()> {
    pub(super) core: Arc<Core>,
    app: Arc<A>,
}

impl<A> Clone for WorkerCtx<A> {
    fn clone(&self) -> Self {
        WorkerCtx {
            core: Arc::clone(&self.core),
            app: Arc::clone(&self.app),
        }
    }
}

impl<A> std::fmt::Debug for WorkerCtx<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerCtx")
            .field("running", &self.running())
            .finish_non_exhaustive()
    }
}

/// A handle that does not keep the worker alive. It is meant for bodies, which must not hold a strong one.
///
/// ```
/// use deadstop::context::WorkerCtx;
/// let ctx = WorkerCtx::new("the app");
/// let weak = ctx.downgrade();
/// assert_eq!(weak.upgrade().map(|ctx| *ctx.app()), Some("the app"));
/// drop(ctx);
/// assert!(weak.upgrade().is_none());
/// ```
pub struct WeakCtx<A = ()> {
    core: Weak<Core>,
    app: Weak<A>,
}

impl<A> WeakCtx<A> {
    /// Returns a strong handle to the worker, if the worker still exists.
    pub fn upgrade(&self) -> Option<WorkerCtx<A>> {
        Some(WorkerCtx {
            core: self.core.upgrade()?,
            app: self.app.upgrade()?,
        })
    }
}

impl<A> Clone for WeakCtx<A> {
    fn clone(&self) -> Self {
        WeakCtx {
            core: Weak::clone(&self.core),
            app: Weak::clone(&self.app),
        }
    }
}

impl<A> std::fmt::Debug for WeakCtx<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WeakCtx").finish_non_exhaustive()
    }
}

impl<A> WorkerCtx<A> {
    /// Returns the number of handles, this one included.
    #[doc(hidden)]
    pub fn handles(&self) -> usize {
        Arc::strong_count(&self.app)
    }
}

impl<A> WorkerCtx<A> {
    pub(super) fn of(core: Arc<Core>, app: A) -> Self {
        WorkerCtx {
            core,
            app: Arc::new(app),
        }
    }

    /// Returns the service's own state.
    pub fn app(&self) -> &A {
        &self.app
    }

    /// Returns a handle that does not keep the worker alive.
    pub fn downgrade(&self) -> WeakCtx<A> {
        WeakCtx {
            core: Arc::downgrade(&self.core),
            app: Arc::downgrade(&self.app),
        }
    }

    /// Returns whether the worker runs: true until stop begins. All handles share this one flag.
    pub fn running(&self) -> bool {
        self.core.running()
    }

    /// Returns whether the worker accepts new work: true from the end of a start that went well until the first
    /// request to stop. A readiness probe answers with this.
    ///
    /// Between that request and the begin of stop the worker goes on running: see
    /// [`pre_stop`](super::Limits::pre_stop).
    ///
    /// ```
    /// # use deadstop::context::WorkerCtx;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let ctx = WorkerCtx::new(());
    /// assert!(!ctx.ready(), "it has not started");
    /// ctx.start(|_ctx| async { Ok(()) }).await?;
    /// assert!(ctx.ready());
    /// ctx.request_stop("no more work");
    /// assert!(!ctx.ready() && ctx.running());
    /// # Ok(())
    /// # }
    /// ```
    pub fn ready(&self) -> bool {
        self.core.ready()
    }

    /// Returns how the grace is divided, and what each component gets of it.
    ///
    /// ```
    /// # use std::time::Duration;
    /// use deadstop::context::{BodyOpts, WorkerCtx};
    /// let ctx = WorkerCtx::new(());
    /// ctx.add_thread("flusher", BodyOpts::new(), |_scope| {})?;
    /// // grace 30 s = stop 19.5 s + cleanup 10 s + margin 500 ms, then a line for each component
    /// println!("{}", ctx.budget());
    /// assert_eq!(ctx.budget().stop_share, Duration::from_millis(19_500));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn budget(&self) -> Budget {
        self.core.budget()
    }

    /// Waits until a stop has been requested, by any caller.
    ///
    /// ```
    /// # use deadstop::context::WorkerCtx;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let ctx = WorkerCtx::new(());
    /// ctx.request_stop("the queue is empty");
    /// ctx.stop_requested().await;
    /// assert!(ctx.running(), "stop has not begun");
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Safe: the future can be dropped, and this can be called again.
    pub async fn stop_requested(&self) {
        self.core.request_announced.cancelled().await;
    }

    /// Requests a stop, and returns at once. The first request sets the reason and disarms the watchdog. A request
    /// does not begin the grace, and refuses nothing by itself.
    pub fn request_stop(&self, reason: impl Into<Name>) {
        let words = one_line(&reason.into());
        self.core.request(Reason::new(words, By::Call));
    }

    /// Starts the worker: runs main, which registers the worker's components. If main fails or panics, or a stop is
    /// requested before main has returned, everything that was registered is stopped and cleaned up before this
    /// returns.
    ///
    /// ```
    /// # use deadstop::context::{MainError, StartError, WorkerCtx};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let ctx = WorkerCtx::new(());
    /// let started = ctx
    ///     .start(|_ctx| async { Err(MainError::with_code(3, "the model cannot be loaded")) })
    ///     .await;
    /// let Err(StartError::Main { code, report, .. }) = started else { panic!() };
    /// assert_eq!(code, Some(3));
    /// assert!(report.is_ok(), "what main had registered was cleaned up: {report}");
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`StartError`], with main's error and the report.
    ///
    /// # Cancel safety
    ///
    /// The start goes on when this future is dropped.
    #[track_caller]
    pub fn start<F, Fut>(
        &self,
        main: F,
    ) -> impl Future<Output = Result<(), StartError>> + Send + use<A, F, Fut>
    where
        A: Send + Sync + 'static,
        F: FnOnce(WorkerCtx<A>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), MainError>> + Send + 'static,
    {
        self.start_main(|ctx| Main::Async(Box::pin(async move { main(ctx).await })))
    }

    /// Starts the worker with a main that may block. Main runs on a thread of its own.
    ///
    /// ```
    /// # use deadstop::context::{CallOpts, WorkerCtx};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let ctx = WorkerCtx::new(());
    /// ctx.start_blocking_main(|ctx, _scope| {
    ///     // load the model, which takes its time
    ///     ctx.defer_cleanup("model", CallOpts::new(), |_scope| {})?;
    ///     Ok(())
    /// })
    /// .await?;
    /// assert!(ctx.cleanup().await?.is_ok());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    ///
    /// # Cancel safety
    ///
    /// The start goes on when this future is dropped.
    #[track_caller]
    pub fn start_blocking_main<F>(
        &self,
        main: F,
    ) -> impl Future<Output = Result<(), StartError>> + Send + use<A, F>
    where
        A: Send + Sync + 'static,
        F: FnOnce(WorkerCtx<A>, &Scope) -> Result<(), MainError> + Send + 'static,
    {
        self.start_main(|ctx| Main::Blocking(Box::new(move |scope| main(ctx, scope))))
    }

    /// Starts the worker with a main of either kind.
    #[track_caller]
    #[doc(hidden)]
    pub fn start_main<F>(
        &self,
        main: F,
    ) -> impl Future<Output = Result<(), StartError>> + Send + use<A, F>
    where
        A: Send + Sync + 'static,
        F: FnOnce(WorkerCtx<A>) -> Main + Send + 'static,
    {
        let place = Location::caller();
        let ctx = self.clone();
        async move {
            let core = Arc::clone(&ctx.core);
            core.start(move || main(ctx), place, false).await
        }
    }

    /// Stops the worker: tells every thread and task, awaits them, and calls the stop callbacks, in order. Stop
    /// happens once, however often and from wherever this is called: every caller gets the same report.
    ///
    /// ```
    /// # use deadstop::context::WorkerCtx;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let ctx = WorkerCtx::new(());
    /// let report = ctx.stop().await?;
    /// assert!(!ctx.running() && report.is_ok());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`CalledFromInside`] if the caller is a body, step or task of this context. The stop is then requested, and
    /// not awaited.
    ///
    /// # Cancel safety
    ///
    /// The stop goes on when this future is dropped.
    pub async fn stop(&self) -> Result<Arc<Report>, CalledFromInside> {
        self.refuse_inside(false)?;
        if let Some(undriven) = self.shut_down(false, "stop was called") {
            undriven.await;
        }
        Ok(Arc::clone(self.core.stop_report.wait().await))
    }

    /// Cleans up: runs or joins stop first, then calls the cleanup callbacks and closes the resources, in order.
    /// Cleanup happens once: every caller gets the same report, which covers both phases.
    ///
    /// ```
    /// # use deadstop::context::{CallOpts, WorkerCtx};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let ctx = WorkerCtx::new(());
    /// ctx.defer_cleanup("db", CallOpts::new(), |_scope| Err("still in use"))?;
    /// let report = ctx.cleanup().await?;
    /// assert_eq!(report.bad().next().and_then(|step| step.error.as_deref()), Some("still in use"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`CalledFromInside`] if the caller is a body, step or task of this context. Nothing is done then.
    ///
    /// # Cancel safety
    ///
    /// The cleanup goes on when this future is dropped.
    pub async fn cleanup(&self) -> Result<Arc<Report>, CalledFromInside> {
        self.refuse_inside(true)?;
        if let Some(undriven) = self.shut_down(true, "cleanup was called") {
            undriven.await;
        }
        Ok(Arc::clone(self.core.cleanup_report.wait().await))
    }

    /// Stops the worker like [`stop`](Self::stop), for callers that are not on a runtime.
    ///
    /// ```
    /// # use deadstop::context::WorkerCtx;
    /// let ctx = WorkerCtx::new(());
    /// assert!(ctx.stop_blocking()?.is_ok());
    /// # Ok::<(), deadstop::context::BlockingError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`BlockingError`] if the caller is on a runtime, or inside the context.
    pub fn stop_blocking(&self) -> Result<Arc<Report>, BlockingError> {
        self.refuse_inside(false)?;
        Ok(block(self.stop())??)
    }

    /// Cleans up like [`cleanup`](Self::cleanup), for callers that are not on a runtime.
    ///
    /// ```
    /// # use deadstop::context::WorkerCtx;
    /// let ctx = WorkerCtx::new(());
    /// assert!(ctx.cleanup_blocking()?.is_ok());
    /// # Ok::<(), deadstop::context::BlockingError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`BlockingError`] if the caller is on a runtime, or inside the context.
    pub fn cleanup_blocking(&self) -> Result<Arc<Report>, BlockingError> {
        self.refuse_inside(true)?;
        Ok(block(self.cleanup())??)
    }

    /// Refuses a call from inside, which would wait for itself. A refused stop is still requested.
    fn refuse_inside(&self, cleanup: bool) -> Result<(), CalledFromInside> {
        if !self.core.is_inside() {
            return Ok(());
        }
        let call = if cleanup { "cleanup" } else { "stop" };
        self.core.refuse_call(call, RefusedReason::Inside);
        if !cleanup {
            let words = "stop was called from inside";
            self.core.request(Reason::new(words, By::Call));
        }
        Err(CalledFromInside)
    }

    /// Asks for stop, and for cleanup if `cleanup` is set. If that is done already, asks for nothing.
    fn shut_down(&self, cleanup: bool, words: &str) -> Option<BoxFuture<()>> {
        let done = if cleanup {
            self.core.cleanup_report.get()
        } else {
            self.core.stop_report.get()
        };
        if done.is_some() {
            return None;
        }
        self.core
            .request_and_begin_grace(Reason::new(words, By::Call));
        self.core.shut_down(cleanup)
    }
}

/// Waits for a future on a thread that is not on a runtime. The wait is bounded by the future's own bounds.
fn block<F: Future>(future: F) -> Result<F::Output, BlockingError> {
    if tokio::runtime::Handle::try_current().is_ok() {
        return Err(BlockingError::OnRuntime);
    }
    // This runtime has a clock, in case this thread has to drive the stop itself.
    Ok(match crate::host::small_runtime() {
        Ok(runtime) => runtime.block_on(future),
        Err(_) => crate::host::block_on(future),
    })
}
