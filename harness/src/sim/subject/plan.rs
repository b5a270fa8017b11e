//! The second subject: [the plan's context](crate::plan), driven as the plan has it.
//!
//! Stop, cleanup and main run on the executor and hold it. A thread reads the plan's running flag once a cycle, or is
//! told by the callback that its `told-by` names. The watchdog's flag is never cleared. A signal is handled on top of
//! the code that runs; a second one ends the process at once.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, SetOnce};
use tokio_util::sync::CancellationToken;

use crate::journal::{
    BoundBy, Call, Cause, How, Id, Kind, MAIN, Name, Outcome, Phase, SignalName, What,
    ms_rounded_up,
};
use crate::lock::lock;
use crate::plan::{Callback, Line, PlanCtx, Task, Thread};
use crate::scenario::Component;
use crate::sim::body::wait::block;
use crate::sim::clock::Sleep;
use crate::sim::driven::{DrivenSubject, Ending};
use crate::sim::endpoint;
use crate::sim::entity::AbortEntity;
use crate::sim::host::{SimHost, scope};
use crate::sim::pace::{Awaits, Blocks};
use crate::sim::role::{Class, EntityId, Role};
use crate::sim::world::{self, World};
use crate::stage::Said;
use crate::stage::{self, blocking, called, live};
use crate::words::{one_line, panic_message};
use deadstop::context::MainError;
use deadstop::host::Host as _;
use deadstop::host::{Abort, BoxError, BoxFuture, Ended, Scope, timeout_at};
use deadstop::watchdog::Probe as _;

/// Exit code of a process that its own watchdog killed.
const KILLED: i32 = 137;

pub(crate) struct PlanSubject {
    shared: Arc<PlanState>,
    signals: AtomicU32,
    handled: Arc<SetOnce<()>>,
}

struct PlanState {
    ctx: PlanCtx,
    next_id: AtomicU64,
    /// The tokens of the threads that read the running flag.
    threads: Mutex<Vec<CancellationToken>>,
    /// The tokens of the threads that a callback tells, each with the callback's name.
    told_by: Mutex<Vec<(Name, CancellationToken)>>,
    /// Number of the plan's calls that the executor runs, one on top of another.
    busy: AtomicU32,
    freed: Arc<Notify>,
}

impl PlanSubject {
    pub fn new() -> Self {
        let ctx = PlanCtx::new(|line| world::with(|world| log(world, &line)));
        let shared = Arc::new(PlanState {
            ctx,
            next_id: AtomicU64::new(1),
            threads: Mutex::default(),
            told_by: Mutex::default(),
            busy: AtomicU32::new(0),
            freed: Arc::new(Notify::new()),
        });
        PlanSubject {
            shared,
            signals: AtomicU32::new(0),
            handled: Arc::new(SetOnce::new()),
        }
    }

    /// Runs one of the plan's calls on the executor, and holds the executor meanwhile. With `nested`, as for a signal's
    /// handler, it runs on top of the calls that run; otherwise it waits until they have returned.
    fn on_executor<T: Send + 'static>(
        &self,
        nested: bool,
        call: impl FnOnce(&PlanState, &Scope) -> T + Send + 'static,
    ) -> BoxFuture<std::thread::Result<T>> {
        let shared = Arc::clone(&self.shared);
        let result = Arc::new(Mutex::new(None));
        let put = Arc::clone(&result);
        let body = world::with(|world| {
            world.body(&Name::from("executor"), move || {
                while !nested && shared.busy.load(Ordering::Relaxed) > 0 {
                    let freed = Arc::clone(&shared.freed);
                    block(async move { freed.notified().await });
                }
                shared.busy.fetch_add(1, Ordering::Relaxed);
                world::with(|world| world.entities.borrow_mut().hold(true));
                let result = catch_unwind(AssertUnwindSafe(|| {
                    call(&shared, &scope(CancellationToken::new()))
                }));
                world::with(|world| world.entities.borrow_mut().hold(false));
                shared.busy.fetch_sub(1, Ordering::Relaxed);
                shared.freed.notify_one();
                *lock(&put) = Some(result);
                Ok(())
            })
        });
        Box::pin(async move {
            if let Ok(body) = body {
                let _ = body.await;
            }
            let result = lock(&result).take();
            result.unwrap_or_else(|| Err(Box::new("the plan's call could not be run")))
        })
    }
}

impl PlanState {
    fn start(&self, scope: &Scope) -> Result<(), MainError> {
        let nth = record_begin(Role::Component(MAIN));
        let main = || {
            self.ctx
                .start(|| blocking(stage::main(&Blocks::new(scope))))
        };
        let result = catch_unwind(AssertUnwindSafe(main));
        let (how, error) = match &result {
            Ok(Ok(())) => (How::Ok, None),
            Ok(Err(error)) => (How::Failed, Some(one_line(error))),
            Err(payload) => (How::Panicked, Some(one_line(&panic_message(&**payload)))),
        };
        world::with(|world| world.ended(Role::Component(MAIN), nth, how, error));
        result.unwrap_or_else(|payload| resume_unwind(payload))
    }

    fn stop(&self, scope: &Scope) {
        // Stop clears the flag before all else, so the threads find it cleared at their next look.
        for thread in &*lock(&self.threads) {
            thread.cancel();
        }
        self.ctx.stop(scope);
    }

    fn take_id(&self) -> Id {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Makes a callback of the plan, which runs the component's code each time it is called.
    fn callback(self: &Arc<Self>, part: usize, spec: &Component) -> Callback {
        if spec.is_async {
            // In Python the call only makes a coroutine, which the plan never awaits.
            return Arc::new(|_| Ok(()));
        }
        let shared = Arc::clone(self);
        let name = spec.name.clone();
        Arc::new(move |scope| {
            for (by, token) in &*lock(&shared.told_by) {
                if *by == name {
                    token.cancel();
                }
            }
            inline(part, || blocking(called(part, &Blocks::new(scope))))
        })
    }
}

/// Records a run or call of code inside the entity that calls it, and returns its ordinal, from 1.
fn record_begin(role: Role) -> u32 {
    world::with(|world| {
        let entity = world.entities.borrow().current().unwrap_or_default();
        world.began(role, entity)
    })
}

/// Runs a component's code inside the entity that calls it, and records that it began and ended.
fn inline(part: usize, code: impl FnOnce() -> Result<(), BoxError>) -> Result<(), BoxError> {
    let role = Role::ComponentAt(part);
    let nth = record_begin(role);
    let result = catch_unwind(AssertUnwindSafe(code));
    let (how, error) = match &result {
        Ok(Ok(())) => (How::Ok, None),
        Ok(Err(error)) => (How::Failed, Some(one_line(error))),
        Err(payload) => (How::Panicked, Some(one_line(&panic_message(&**payload)))),
    };
    world::with(|world| world.ended(role, nth, how, error));
    result.unwrap_or_else(|payload| resume_unwind(payload))
}

/// Records a line of the plan's log as a claim: a step began, or has failed.
fn log(world: &World, line: &Line) {
    let (phase, desc, error) = match line {
        Line::Stopping { desc } => (Phase::Stop, desc, None),
        Line::StopFailed { desc, error } => (Phase::Stop, desc, Some(error)),
        Line::Cleanup { desc } => (Phase::Cleanup, desc, None),
        Line::CleanupFailed { desc, error } => (Phase::Cleanup, desc, Some(error)),
    };
    let Some(part) = world.parts.named(desc) else {
        return;
    };
    let (Some(id), spec) = (part.id.get(), part.spec()) else {
        return;
    };
    let (name, order) = (desc.clone(), spec.order);
    world.claim(match error {
        None => What::StepStarted {
            phase,
            name,
            order,
            bound: ms_rounded_up(spec.timeout),
            bound_by: own_bound(part.kind()),
            id,
            kind: part.kind(),
            group: 0,
        },
        Some(error) => {
            let (outcome, error) = (Outcome::Failed, Some(error.clone()));
            What::StepEnded {
                phase,
                name,
                order,
                outcome,
                took: 0,
                id,
                error,
            }
        }
    });
}

/// Returns what bounds a step of the plan: every step has its own timeout only.
fn own_bound(kind: Kind) -> BoundBy {
    match kind {
        Kind::Thread | Kind::Watchdog => BoundBy::JoinTimeout,
        Kind::Task => BoundBy::CancelTimeout,
        Kind::Stop | Kind::Cleanup | Kind::Closeable | Kind::Main => BoundBy::Timeout,
    }
}

/// A scripted thread as the plan knows it.
struct PlanThread {
    ended: Arc<SetOnce<Ended>>,
}

impl Thread for PlanThread {
    fn is_alive(&self) -> bool {
        self.ended.get().is_none()
    }

    fn join(&self, _scope: &Scope, timeout: Duration) {
        let until = world::with(|world| world.now().saturating_add(ms_rounded_up(timeout)));
        let ended = Arc::clone(&self.ended);
        block(async move {
            tokio::select! {
                biased;
                _ = ended.wait() => {}
                () = Sleep::until(until) => {}
            }
        });
    }
}

/// A scripted task as the plan knows it.
struct PlanTask {
    token: Option<CancellationToken>,
    entity: EntityId,
    generation: u64,
    ended: Arc<SetOnce<Ended>>,
}

impl Task for PlanTask {
    fn done(&self) -> bool {
        self.ended.get().is_some()
    }

    fn cancel(&self) {
        match &self.token {
            Some(token) => token.cancel(),
            None => AbortEntity {
                id: self.entity,
                generation: self.generation,
            }
            .abort(),
        }
    }
}

/// Runs the plan's watchdog, flaws included. Its flag is never cleared, so stop does not end it. An error status is
/// neither a success nor a failure, and the next probe follows at once. Failures count from the first probe. A tool
/// kills the process, and may fail.
fn watchdog(spec: &Component, scope: &Scope) -> Result<(), BoxError> {
    let limits = spec.watchdog.ok_or("a watchdog has its limits")?;
    let mut probe = endpoint::probe();
    let mut attempt: u64 = 0;
    loop {
        let host = SimHost::default();
        let deadline = host.now() + limits.request_timeout;
        match scope.block_on(timeout_at(&host, deadline, probe.probe(&host))) {
            Some(Ok(status)) if status < 400 => {
                attempt = 0;
                // In steps of a second: the plan's code reads its flag between them.
                for _ in 0..limits.interval.as_secs() {
                    scope.sleep(Duration::from_secs(1));
                }
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => {
                attempt += 1;
                if attempt >= u64::from(limits.attempts) {
                    world::with(|world| {
                        if !world.parts.kill_fails.get() {
                            world.exit(KILLED, Cause::Watchdog);
                        }
                    });
                    return Ok(());
                }
                scope.sleep(Duration::from_secs(4 * attempt * attempt));
            }
        }
        if world::with(|world| world.is_over()) {
            return Ok(());
        }
    }
}

impl DrivenSubject for PlanSubject {
    fn running(&self) -> bool {
        self.shared.ctx.running()
    }

    fn register(&self, part: usize) -> Option<Id> {
        let shared = &self.shared;
        let spec = world::with(|world| world.parts.all[part].spec().clone());
        let name = spec.name.clone();
        let ended = Arc::new(SetOnce::new());
        let set = Arc::clone(&ended);
        let on_end = Box::new(move |end: Ended| {
            let _ = set.set(end);
        });
        let ctx = &shared.ctx;
        match spec.kind {
            Kind::Thread | Kind::Watchdog => {
                let token = CancellationToken::new();
                if spec.kind == Kind::Thread {
                    match &spec.told_by {
                        None => lock(&shared.threads).push(token.clone()),
                        Some(by) => lock(&shared.told_by).push((by.clone(), token.clone())),
                    }
                }
                let timeout = spec.timeout;
                let of = spec.clone();
                let spawned = world::with(|world| {
                    let body = world.body(&name, move || match of.kind {
                        Kind::Watchdog => watchdog(&of, &scope(token)),
                        _ => blocking(live(part, &Blocks::new(&scope(token)), false)),
                    });
                    // If there is no body, the run is over or has no journal.
                    let body = body.ok()?;
                    Some(world.spawn(
                        name.clone(),
                        Class::OwnThread,
                        Role::ComponentAt(part),
                        body,
                        Some(on_end),
                    ))
                });
                spawned?.expect("a world runs on a runtime");
                ctx.add_thread(PlanThread { ended }, timeout, name);
            }
            Kind::Task => {
                let token = (!spec.adopted).then(CancellationToken::new);
                let pace = Awaits::new(token.clone());
                let future = Box::pin(async move { live(part, &pace, true).await });
                let (entity, generation) = world::with(|world| {
                    let entity = world.spawn(
                        name.clone(),
                        Class::Executor,
                        Role::ComponentAt(part),
                        future,
                        Some(on_end),
                    );
                    (entity.expect("a world runs on a runtime"), world.generation)
                });
                ctx.add_async_task(
                    PlanTask {
                        token,
                        entity,
                        generation,
                        ended,
                    },
                    spec.timeout,
                    name,
                );
            }
            Kind::Stop => ctx.defer_stop(shared.callback(part, &spec), spec.order, name),
            Kind::Cleanup => ctx.defer_cleanup(shared.callback(part, &spec), spec.order, name),
            Kind::Closeable => ctx.add_closeable(shared.callback(part, &spec), spec.order, name),
            Kind::Main => return None,
        }
        Some(shared.take_id())
    }

    fn run_life(&self) -> BoxFuture<Ending> {
        let start = self.on_executor(false, PlanState::start);
        let handled = Arc::clone(&self.handled);
        Box::pin(async move {
            let result = match start.await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(one_line(&error)),
                Err(payload) => Err(one_line(&panic_message(&*payload))),
            };
            if let Err(error) = result {
                // Nothing is rolled back, and the exit code that main asked for is lost.
                let said = Said::plain(format!("start-failed: {error}"));
                return Ending {
                    said,
                    code: 1,
                    cause: Cause::StartFailed,
                };
            }
            handled.wait().await;
            Ending {
                said: Said::plain("ok"),
                code: 0,
                cause: Cause::Stopped,
            }
        })
    }

    fn signal(&self, _signal: SignalName) {
        if self.signals.fetch_add(1, Ordering::Relaxed) > 0 {
            world::with(|world| world.exit(0, Cause::SecondSignal));
            return;
        }
        let handler = self.on_executor(true, |shared, scope| {
            shared.stop(scope);
            shared.ctx.cleanup(scope);
        });
        let handled = Arc::clone(&self.handled);
        let handler = Box::pin(async move {
            // An uncaught panic of stop or cleanup ends the handler and nothing else.
            let _ = handler.await;
            let _ = handled.set(());
            Ok(())
        });
        let spawned = world::with(|world| {
            world.spawn(
                "signal handler".into(),
                Class::OwnThread,
                Role::Internal,
                handler,
                None,
            )
        });
        debug_assert!(spawned.is_ok(), "a world runs on a runtime");
    }

    fn call(&self, call: Call, _message: Option<String>) -> BoxFuture<Said> {
        let call = self.on_executor(false, move |shared, scope| match call {
            Call::Start => shared
                .start(scope)
                .err()
                .map(|error| format!("start-failed: {error}")),
            Call::Stop => {
                shared.stop(scope);
                None
            }
            Call::Cleanup => {
                shared.ctx.cleanup(scope);
                None
            }
            // The plan has no call that requests a stop.
            Call::RequestStop | Call::Run => None,
        });
        Box::pin(async move {
            match call.await {
                Ok(None) => Said::plain("ok"),
                Ok(Some(error)) => Said::plain(error),
                Err(payload) => Said::plain(format!("panicked: {}", panic_message(&*payload))),
            }
        })
    }

    fn exit_code(&self) -> i32 {
        0
    }
}
