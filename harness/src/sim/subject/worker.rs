//! The first subject: the library's worker context, with scripted components in virtual time.

use std::sync::Arc;

use tokio::sync::SetOnce;
use tokio_util::sync::CancellationToken;

use crate::journal::{Call, How, Id, Name, SignalName, Ties};
use crate::scenario::{self, Scenario};
use crate::sim::driven::{DrivenSubject, Ending};
use crate::sim::endpoint;
use crate::sim::entity::AbortEntity;
use crate::sim::host::SimHost;
use crate::sim::pace::{Awaits, Blocks};
use crate::sim::role::{Class, EntityId, Role};
use crate::sim::world::{self, World};
use crate::stage::{self, Cast, Said};
use deadstop::context::{
    BodyOpts, Builder, ComponentHandle, Life, LifeEnd, Limits, Main, WorkerCtx,
};
use deadstop::host::{Abort, Adopt, BoxFuture, Ended, Host, Scope};
use deadstop::watchdog::HttpProbe;

pub(crate) struct WorkerSubject {
    ctx: WorkerCtx,
    life: Life,
}

impl WorkerSubject {
    /// Creates a context with the scenario's limits.
    ///
    /// # Panics
    ///
    /// If the context refuses the scenario's limits. The parser has checked them.
    pub fn new(scenario: &Scenario) -> Self {
        let ctx = builder(&scenario.worker)
            .build(())
            .expect("a parsed scenario has limits that a context accepts");
        let life = Life::new(&ctx);
        WorkerSubject { ctx, life }
    }
}

/// Returns a builder of a simulated context with a scenario's limits.
pub(in crate::sim) fn builder(limits: &scenario::Worker) -> Builder {
    let outside = |world: &World| Some(Arc::clone(&world.foreign.as_ref()?.outside));
    let host = Arc::new(SimHost::of(world::try_with(outside).flatten()));
    WorkerCtx::builder()
        .limits(limits_of(limits))
        .host(Arc::clone(&host) as Arc<dyn Host>)
        .own_sink(host)
}

/// Returns a scenario's limits.
pub(crate) fn limits_of(limits: &scenario::Worker) -> Limits {
    let all = Limits::new()
        .grace(limits.grace)
        .reserve(limits.reserve)
        .margin(limits.margin)
        .start_timeout(limits.start_timeout)
        .pre_stop(limits.pre_stop);
    if limits.ties == Ties::Last {
        all.last_registered_first()
    } else {
        all
    }
}

/// Cast that plays scripted components in virtual time.
#[derive(Clone, Copy)]
struct SimCast;

impl Cast for SimCast {
    type Blocks<'a> = Blocks<'a>;
    type Awaits = Awaits;
    type Probe = HttpProbe;

    fn blocks<'a>(&self, _part: usize, scope: &'a Scope) -> Blocks<'a> {
        Blocks::new(scope)
    }

    fn awaits(&self, _part: usize, token: Option<CancellationToken>) -> Awaits {
        Awaits::new(token)
    }

    fn adopt(
        &self,
        ctx: &WorkerCtx,
        opts: BodyOpts,
        part: usize,
        name: Name,
    ) -> Option<ComponentHandle> {
        let task = AdoptedTask::spawn(part, name.clone());
        let entity = task.entity;
        let component = ctx.adopt_task(name, opts, task).ok();
        if component.is_none() {
            AbortEntity {
                id: entity,
                generation: world::with(|world| world.generation),
            }
            .abort();
        }
        component
    }

    fn probe(&self, _part: usize) -> HttpProbe {
        endpoint::probe()
    }
}

impl DrivenSubject for WorkerSubject {
    fn running(&self) -> bool {
        self.ctx.running()
    }

    fn register(&self, part: usize) -> Option<Id> {
        let spec = world::with(|world| world.parts.all[part].spec().clone());
        stage::register(&self.ctx, &SimCast, part, &spec)
    }

    fn run_life(&self) -> BoxFuture<Ending> {
        let life = self.life.clone();
        Box::pin(async move {
            let main = || async { stage::main(&Awaits::new(None)).await };
            ending(life.run(main).await)
        })
    }

    fn signal(&self, signal: SignalName) {
        self.life.signal(signal);
    }

    fn call(&self, call: Call, message: Option<String>) -> BoxFuture<Said> {
        let main = |_| Main::Async(Box::pin(async { stage::main(&Awaits::new(None)).await }));
        self::call(self.ctx.clone(), call, message, main)
    }

    fn exit_code(&self) -> i32 {
        self.life.exit_code()
    }
}

/// Converts the end of a life.
pub(in crate::sim) fn ending(end: LifeEnd) -> Ending {
    let LifeEnd {
        code,
        cause,
        started,
        report,
        ..
    } = end;
    Ending {
        said: Said::of(&started, &report),
        code,
        cause,
    }
}

/// Calls a context; `main` is what a start runs.
pub(in crate::sim) fn call<A, M>(
    ctx: WorkerCtx<A>,
    call: Call,
    message: Option<String>,
    main: M,
) -> BoxFuture<Said>
where
    A: Send + Sync + 'static,
    M: FnOnce(WorkerCtx<A>) -> Main + Send + 'static,
{
    Box::pin(async move { stage::call(&ctx, call, message, main).await })
}

/// An adopted task: the world runs it before it is registered.
struct AdoptedTask {
    entity: EntityId,
    generation: u64,
    done: Arc<SetOnce<Ended>>,
}

impl AdoptedTask {
    fn spawn(part: usize, name: Name) -> Self {
        let done = Arc::new(SetOnce::new());
        let set = Arc::clone(&done);
        let future = Box::pin(async move { stage::live(part, &Awaits::new(None), true).await });
        world::with(|world| {
            let on_end = Box::new(move |ended: Ended| {
                let _ = set.set(ended);
            });
            let entity = world
                .spawn(
                    name,
                    Class::Executor,
                    Role::ComponentAt(part),
                    future,
                    Some(on_end),
                )
                .expect("a world runs on a runtime");
            AdoptedTask {
                entity,
                generation: world.generation,
                done,
            }
        })
    }
}

impl Adopt for AdoptedTask {
    fn aborter(&self) -> Box<dyn Abort> {
        Box::new(AbortEntity {
            id: self.entity,
            generation: self.generation,
        })
    }

    fn join(self: Box<Self>) -> BoxFuture<(How, Option<String>)> {
        Box::pin(async move {
            let ended = self.done.wait().await;
            (ended.how, ended.error.as_ref().map(ToString::to_string))
        })
    }
}
