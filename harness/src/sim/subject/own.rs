//! A user's own worker as a subject of the simulator. Its real registration code is main.
//!
//! The test kit runs scenarios with [`Own`]; [`overlay`] puts the scripted faults on its code.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use super::worker::{builder, call, ending};
use crate::journal::{Call, Id, SignalName};
use crate::scenario::Scenario;
use crate::sim::driven::{DrivenSubject, Ending};
use crate::sim::overlay;
use crate::stage::Said;
use deadstop::context::{Life, Limits, Main, MainError, ResolvedLimits, WorkerCtx};
use deadstop::host::{BoxFuture, Scope};

/// A user's own worker: a function that makes its state, and the function that registers its components.
///
/// Each run makes a new state, and calls the registering function as main.
#[derive(Clone)]
pub struct Own {
    make_subject: Arc<MakeSubject>,
    limits: Option<ResolvedLimits>,
}

type MakeSubject = dyn Fn(&Scenario) -> Arc<dyn DrivenSubject> + Send + Sync;

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own").finish_non_exhaustive()
    }
}

impl Own {
    /// Name of this subject in a journal.
    pub const SUBJECT: &str = "own-worker";

    /// Creates a worker with the default state.
    pub fn new<A, F, Fut>(register: F) -> Self
    where
        A: Default + Send + Sync + 'static,
        F: Fn(WorkerCtx<A>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), MainError>> + Send + 'static,
    {
        Own::with_app(A::default, register)
    }

    /// Creates a worker with the state that `app` returns.
    pub fn with_app<A, F, Fut>(app: impl Fn() -> A + Send + Sync + 'static, register: F) -> Self
    where
        A: Send + Sync + 'static,
        F: Fn(WorkerCtx<A>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), MainError>> + Send + 'static,
    {
        let register = Arc::new(register);
        Own::with_main(app, move |ctx| {
            let register = Arc::clone(&register);
            Main::Async(Box::pin(overlay::main(async move { register(ctx).await })))
        })
    }

    /// Creates a worker with the default state and a main that may block. As with
    /// [`start_blocking_main`](WorkerCtx::start_blocking_main), main runs on a thread of its own.
    pub fn blocking<A, F>(register: F) -> Self
    where
        A: Default + Send + Sync + 'static,
        F: Fn(WorkerCtx<A>, &Scope) -> Result<(), MainError> + Send + Sync + 'static,
    {
        Own::blocking_with_app(A::default, register)
    }

    /// Creates a worker with a main that may block and the state that `app` returns.
    pub fn blocking_with_app<A, F>(app: impl Fn() -> A + Send + Sync + 'static, register: F) -> Self
    where
        A: Send + Sync + 'static,
        F: Fn(WorkerCtx<A>, &Scope) -> Result<(), MainError> + Send + Sync + 'static,
    {
        let register = Arc::new(register);
        Own::with_main(app, move |ctx| {
            let register = Arc::clone(&register);
            Main::Blocking(Box::new(move |scope| {
                overlay::blocking_main(|| register(ctx, scope))
            }))
        })
    }

    fn with_main<A: Send + Sync + 'static>(
        app: impl Fn() -> A + Send + Sync + 'static,
        main: impl Fn(WorkerCtx<A>) -> Main + Send + Sync + 'static,
    ) -> Self {
        let main: MainOf<A> = Arc::new(main);
        Own {
            make_subject: Arc::new(move |scenario| {
                Arc::new(OwnWorker::new(scenario, app(), Arc::clone(&main)))
            }),
            limits: None,
        }
    }

    /// Sets the limits that the service has in production. They apply to each limit that a scenario file does not set.
    ///
    /// Without this call, the limits under test are the file's. A file that sets none has a grace of 30 s.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use deadstop::context::{CallOpts, Limits, MainError, WorkerCtx};
    /// # use deadstop_harness::{journal::SignalName, kit::{Own, Trial}, scenario::Fault};
    /// # async fn register(ctx: WorkerCtx) -> Result<(), MainError> {
    /// #     ctx.defer_cleanup("db", CallOpts::new(), |scope| scope.sleep(Duration::MAX))?;
    /// #     Ok(())
    /// # }
    /// /// What `main` gives to `Worker::limits`.
    /// fn limits() -> Limits {
    ///     Limits::new().grace(Duration::from_secs(10))
    /// }
    ///
    /// let trial = Trial::of_own(Own::new(register).limits(limits()));
    /// let journal = trial.at("1s", Fault::hang("db")).at("10s", SignalName::Sigterm).run();
    /// assert_eq!(journal.took("db"), Some(Duration::from_millis(9_500)), "a grace of 10 s less its margin");
    /// ```
    ///
    /// # Panics
    ///
    /// If the limits do not [fit one another](Limits::resolve).
    #[must_use]
    #[track_caller]
    pub fn limits(mut self, limits: Limits) -> Self {
        let limits = limits.resolve();
        self.limits = Some(limits.unwrap_or_else(|error| panic!("these are no limits: {error}")));
        self
    }

    /// Returns the limits that [`limits`](Own::limits) set.
    pub(crate) fn own_limits(&self) -> Option<&ResolvedLimits> {
        self.limits.as_ref()
    }

    pub(in crate::sim) fn subject(&self, scenario: &Scenario) -> Arc<dyn DrivenSubject> {
        (self.make_subject)(scenario)
    }
}

/// Makes main, with its faults, from the context.
type MainOf<A> = Arc<dyn Fn(WorkerCtx<A>) -> Main + Send + Sync>;

struct OwnWorker<A> {
    ctx: WorkerCtx<A>,
    life: Life,
    main: MainOf<A>,
}

impl<A: Send + Sync + 'static> OwnWorker<A> {
    fn new(scenario: &Scenario, app: A, main: MainOf<A>) -> Self {
        let ctx = builder(&scenario.worker)
            .build(app)
            .expect("a scenario has limits that a context accepts");
        let life = Life::new(&ctx);
        OwnWorker { ctx, life, main }
    }
}

impl<A: Send + Sync + 'static> DrivenSubject for OwnWorker<A> {
    fn running(&self) -> bool {
        self.ctx.running()
    }

    /// Registers nothing: the user's code registers its late components itself.
    fn register(&self, _part: usize) -> Option<Id> {
        None
    }

    fn run_life(&self) -> BoxFuture<Ending> {
        let (life, ctx, main) = (self.life.clone(), self.ctx.clone(), Arc::clone(&self.main));
        let lives = life.lead(move || main(ctx), Location::caller());
        Box::pin(async move { ending(lives.await) })
    }

    fn signal(&self, signal: SignalName) {
        self.life.signal(signal);
    }

    fn call(&self, what: Call, message: Option<String>) -> BoxFuture<Said> {
        let main = Arc::clone(&self.main);
        call(self.ctx.clone(), what, message, move |ctx| main(ctx))
    }

    fn exit_code(&self) -> i32 {
        self.life.exit_code()
    }

    fn handle_count(&self) -> usize {
        self.ctx.handles()
    }
}
