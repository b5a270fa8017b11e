//! The parts of a worker process: the app, its main function, its limits, its runtime.

use std::panic::Location;
use std::sync::Arc;

use tokio::runtime::Handle;

use crate::context::{Builder, Limits, Main, MainError, WorkerCtx};
use crate::host::{Host, Scope};
use crate::journal::Sink;

/// A worker process, for [`run`](super::run), which has an example.
///
/// Its main function registers what the worker is made of and returns; the worker then runs until it is
/// asked to stop.
#[must_use = "a worker does nothing until it is run"]
pub struct Worker<A = ()> {
    pub(super) app: A,
    pub(super) main: MainOf<A>,
    /// Place where the worker was made; reports give it as main's place.
    pub(super) place: &'static Location<'static>,
    pub(super) builder: Builder,
    pub(super) runtime: RuntimeKind,
    pub(super) raise_again: bool,
}

/// The main function, as called with its context.
pub(super) type MainOf<A> = Box<dyn FnOnce(WorkerCtx<A>) -> Main + Send>;

/// The runtime that the service runs on.
#[derive(Debug)]
pub(super) enum RuntimeKind {
    MultiThread { threads: Option<usize> },
    CurrentThread,
    Given(Handle),
}

impl<A> std::fmt::Debug for Worker<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker")
            .field("runtime", &self.runtime)
            .field("raise_again", &self.raise_again)
            .finish_non_exhaustive()
    }
}

impl<A: Send + Sync + 'static> Worker<A> {
    /// Makes a worker around the service's own state, with the default limits, on a multi-thread runtime.
    #[track_caller]
    pub fn new<F, Fut>(app: A, main: F) -> Self
    where
        F: FnOnce(WorkerCtx<A>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), MainError>> + Send + 'static,
    {
        let main = |ctx| Main::Async(Box::pin(async move { main(ctx).await }));
        Worker::from_parts(app, Box::new(main), Location::caller())
    }

    /// Makes a worker whose main may block; main runs on a thread of its own.
    #[track_caller]
    pub fn blocking<F>(app: A, main: F) -> Self
    where
        F: FnOnce(WorkerCtx<A>, &Scope) -> Result<(), MainError> + Send + 'static,
    {
        let main = |ctx| Main::Blocking(Box::new(move |scope: &Scope| main(ctx, scope)));
        Worker::from_parts(app, Box::new(main), Location::caller())
    }

    fn from_parts(app: A, main: MainOf<A>, place: &'static Location<'static>) -> Self {
        Worker {
            app,
            main,
            place,
            builder: WorkerCtx::builder(),
            runtime: RuntimeKind::MultiThread { threads: None },
            raise_again: false,
        }
    }

    /// Sets the worker's limits: grace, reserve, margin, pre-stop delay.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.builder = self.builder.limits(limits);
        self
    }

    /// Sets the sink that receives what the context reports. Default: `tracing`.
    pub fn sink(mut self, sink: Arc<dyn Sink>) -> Self {
        self.builder = self.builder.sink(sink);
        self
    }

    /// Sets the host on which the context runs. Default: the operating system.
    pub fn host(mut self, host: Arc<dyn Host>) -> Self {
        self.builder = self.builder.host(host);
        self
    }

    /// Runs the service on a multi-thread runtime with `threads` threads, at least one. The default is one thread a
    /// core.
    pub fn worker_threads(mut self, threads: usize) -> Self {
        self.runtime = RuntimeKind::MultiThread {
            threads: Some(threads.max(1)),
        };
        self
    }

    /// Runs the service on a current-thread runtime, driven by a thread of its own.
    pub fn current_thread(mut self) -> Self {
        self.runtime = RuntimeKind::CurrentThread;
        self
    }

    /// Runs the service on a runtime that exists already; it is not shut down at the end.
    pub fn on(mut self, runtime: Handle) -> Self {
        self.runtime = RuntimeKind::Given(runtime);
        self
    }

    /// Ends a process that a signal stopped by that signal, once everything is done. Shells and supervisors then see
    /// the signal, as they would with a process that handles none.
    ///
    /// After one signal, the exit code of a failure is kept: main failed, or a step did not end well. After a second
    /// signal, the process ends by that signal however its steps ended, since its exit code would have been the
    /// signal's too. A third signal and the last resort end the process with their codes as ever. No exit handler is
    /// called.
    ///
    /// The first process of a container (PID 1) cannot end by a signal of its own. It returns 128 + the signal's
    /// number, which is what a container's runtime would report for it.
    pub fn raise_again(mut self) -> Self {
        self.raise_again = true;
        self
    }
}
