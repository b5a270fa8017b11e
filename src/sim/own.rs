//! A user's own worker in the simulator: its real registration code is main.

use std::fmt;
use std::sync::Arc;

use super::overlay;
use super::subject::{Ending, Subject};
use super::worker::{builder, call, ending};
use crate::context::{Life, MainError, WorkerCtx};
use crate::host::BoxFuture;
use crate::journal::{Call, Id, Name, SignalName};
use crate::scenario::Scenario;
use crate::stage::Said;

/// What a user's own worker is made of: its state, and the function that registers what it runs.
///
/// For each run the state is made anew, and the function is called as main.
#[derive(Clone)]
pub struct Own {
    make: Arc<Make>,
}

type Make = dyn Fn(&Scenario) -> Arc<dyn Subject> + Send + Sync;

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own").finish_non_exhaustive()
    }
}

impl Own {
    /// What a journal calls it.
    pub const SUBJECT: &str = "own-worker";

    /// A worker with the default state.
    pub fn new<A, F, Fut>(register: F) -> Self
    where
        A: Default + Send + Sync + 'static,
        F: Fn(WorkerCtx<A>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), MainError>> + Send + 'static,
    {
        Own::with_app(A::default, register)
    }

    /// A worker with a state of the caller's making.
    pub fn with_app<A, F, Fut>(app: impl Fn() -> A + Send + Sync + 'static, register: F) -> Self
    where
        A: Send + Sync + 'static,
        F: Fn(WorkerCtx<A>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), MainError>> + Send + 'static,
    {
        let register: Register<A> = Arc::new(move |ctx| Box::pin(register(ctx)));
        Own {
            make: Arc::new(move |scenario| {
                Arc::new(OwnWorker::new(scenario, app(), Arc::clone(&register)))
            }),
        }
    }

    pub(super) fn subject(&self, scenario: &Scenario) -> Arc<dyn Subject> {
        (self.make)(scenario)
    }
}

type Register<A> = Arc<dyn Fn(WorkerCtx<A>) -> BoxFuture<Result<(), MainError>> + Send + Sync>;

struct OwnWorker<A> {
    ctx: WorkerCtx<A>,
    life: Life,
    register: Register<A>,
}

impl<A: Send + Sync + 'static> OwnWorker<A> {
    fn new(scenario: &Scenario, app: A, register: Register<A>) -> Self {
        let ctx = builder(&scenario.worker)
            .build(app)
            .expect("a scenario has limits that a context accepts");
        let life = Life::new(&ctx);
        OwnWorker {
            ctx,
            life,
            register,
        }
    }
}

impl<A: Send + Sync + 'static> Subject for OwnWorker<A> {
    fn running(&self) -> bool {
        self.ctx.running()
    }

    /// What is registered late is the user's code's own doing.
    fn register(&self, _part: usize) -> Option<Id> {
        None
    }

    fn live(&self) -> BoxFuture<Ending> {
        let (life, ctx, register) = (
            self.life.clone(),
            self.ctx.clone(),
            Arc::clone(&self.register),
        );
        let main = move || overlay::main(async move { register(ctx).await });
        Box::pin(async move { ending(life.live(main).await) })
    }

    fn signal(&self, signal: SignalName) {
        self.life.signal(signal);
    }

    fn call(&self, what: Call, message: Option<String>) -> BoxFuture<Said> {
        let register = Arc::clone(&self.register);
        let main = move |ctx| overlay::main(async move { register(ctx).await });
        call(self.ctx.clone(), what, message, main)
    }

    fn exit_code(&self) -> i32 {
        self.life.exit_code()
    }

    fn waits_for(&self) -> Option<Name> {
        None
    }
}
