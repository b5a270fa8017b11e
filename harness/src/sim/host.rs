//! The simulator as a host: tasks and bodies are entities of the world, and time is the world's. Every simulated
//! worker context runs on it.

use std::panic::Location;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::body::baton;
use super::body::bodies::{self, MissingResource, SimBody};
use super::body::turn::Turned;
use super::body::wait::{block, wait_for};
use super::clock::Sleep;
use super::endpoint;
use super::entity::AbortEntity;
use super::foreign::OutsideMailbox;
use super::guard::watched::Activity;
use super::overlay;
use super::pace::{Pause, TokenListener};
use super::role::{Class, Role};
use super::world::{self, World};
use crate::journal::{Cause, Claim, How, Id, Kind, MAIN, Name, Registered, ms_rounded_up};
use crate::stage::NEVER;
use deadstop::host::{
    Abort, Around, Blocker, Body, BoxError, BoxFuture, ContextId, Executor, HarnessHost, Host,
    OnEnd, Scope, SpawnError, Stream, Who,
};
use deadstop::journal::{Record, Sink};

/// Host of a simulated worker context. It looks everything up in the world of the calling thread.
#[derive(Debug, Default)]
pub(crate) struct SimHost {
    outside: Option<Arc<OutsideMailbox>>,
}

impl SimHost {
    /// Returns a host for a worker. With a user's own worker, calls from threads without a world are recorded in
    /// `outside`.
    pub fn of(outside: Option<Arc<OutsideMailbox>>) -> Self {
        SimHost { outside }
    }

    /// Calls `f` with the world of this thread.
    ///
    /// # Panics
    ///
    /// If the thread has none.
    fn with_world<R>(&self, asked: impl FnOnce() -> String, f: impl FnOnce(&World) -> R) -> R {
        self.record_outside_request(asked);
        world::with(f)
    }

    /// Records what a thread without a world asks the context for.
    fn record_outside_request(&self, asked: impl FnOnce() -> String) {
        if let Some(outside) = &self.outside
            && world::try_with(|_| ()).is_none()
        {
            outside.record_request(asked);
        }
    }
}

fn start_of(name: &Name) -> impl FnOnce() -> String + '_ {
    move || format!("the start of \"{name}\"")
}

impl Host for SimHost {
    fn now(&self) -> Duration {
        Duration::from_millis(world::try_with(|world| world.now()).unwrap_or_default())
    }

    fn sleep_until(&self, at: Duration) -> BoxFuture<()> {
        Box::pin(Sleep::until(ms_rounded_up(at)))
    }

    fn drive(&self, future: BoxFuture<()>) -> Result<(), SpawnError> {
        let future = Box::pin(async move {
            future.await;
            Ok(())
        });
        self.with_world(
            || "a call that waits".to_owned(),
            |world| {
                world.spawn(
                    "deadstop".into(),
                    Class::OwnThread,
                    Role::Internal,
                    future,
                    None,
                )
            },
        )
        .map(drop)
    }

    fn spawn_task(
        &self,
        who: Who,
        future: BoxFuture<Result<(), BoxError>>,
        ended: OnEnd,
    ) -> Result<Box<dyn Abort>, SpawnError> {
        let name = who.name.clone();
        self.with_world(start_of(&name), |world| {
            let future = if world.is_foreign() {
                overlay::task(&who, future)
            } else {
                future
            };
            let id = world.spawn(
                who.name,
                Class::Executor,
                Role::Component(who.id),
                future,
                Some(ended),
            )?;
            Ok(Box::new(AbortEntity {
                id,
                generation: world.generation,
            }) as Box<dyn Abort>)
        })
    }

    fn executor(&self) -> Option<Box<dyn Executor>> {
        let outside = self.outside.clone();
        Some(Box::new(SimHost { outside }))
    }

    fn around(&self) -> Around {
        world::try_with(|world| world.entities.borrow().around()).unwrap_or(Around::Lasting)
    }

    fn block_on(&self, future: Pin<&mut (dyn Future<Output = ()> + Send)>) {
        let role = world::with(|world| {
            let role = world.entities.borrow().current_role();
            role.filter(|_| world.is_foreign())
        });
        let target = match role {
            Some(Role::Component(id)) => FaultTarget::Own(id),
            _ => FaultTarget::None,
        };
        drive(future, target);
    }

    fn spawn_body(
        &self,
        who: Who,
        told: CancellationToken,
        body: Body,
        ended: OnEnd,
    ) -> Result<(), SpawnError> {
        let name = who.name.clone();
        self.with_world(start_of(&name), |world| {
            let target = FaultTarget::of(world, &who);
            let told = overlay::component_token(world, who.id, told);
            let future = world.body(&who.name, move || {
                let scope = scope_with_faults(told, target);
                if let FaultTarget::Own(id) = target {
                    return overlay::run(id, who.kind, || body(&scope));
                }
                target.meet_faults();
                body(&scope)
            })?;
            world
                .spawn(
                    who.name,
                    Class::OwnThread,
                    Role::Component(who.id),
                    future,
                    Some(ended),
                )
                .map(drop)
        })
    }

    fn connect(&self, _authority: &str) -> BoxFuture<std::io::Result<Box<dyn Stream>>> {
        Box::pin(endpoint::connect())
    }

    fn harness_part(&self) -> Option<&dyn HarnessHost> {
        Some(self)
    }

    fn is_inside(&self, _context: ContextId) -> bool {
        self.with_world(
            || "a stop".to_owned(),
            |world| world.entities.borrow().is_inside(),
        )
    }

    fn exit(&self, code: i32, cause: Cause) {
        self.with_world(
            || "the end of the process".to_owned(),
            |world| world.exit(code, cause),
        );
    }
}

impl HarnessHost for SimHost {
    fn settle(&self) -> BoxFuture<()> {
        Box::pin(Settle { asked: false })
    }

    fn given(&self, who: &Who, told: CancellationToken) -> CancellationToken {
        self.with_world(
            || "a token".to_owned(),
            |world| overlay::component_token(world, who.id, told),
        )
    }

    fn adopts_threads(&self) -> bool {
        false
    }
}

/// The world has one executor, whichever thread asks for it.
impl Executor for SimHost {
    fn spawn_task(
        &self,
        who: Who,
        future: BoxFuture<Result<(), BoxError>>,
        ended: OnEnd,
    ) -> Result<Box<dyn Abort>, SpawnError> {
        Host::spawn_task(self, who, future, ended)
    }
}

/// As a sink the host is the journal: it takes claims, and records the facts itself.
impl Sink for SimHost {
    fn record(&self, record: &Record<'_>) {
        match record.claim {
            Claim::Registered(registered) => self.registered(registered),
            Claim::Ended {
                id,
                name,
                how,
                error,
                ..
            } => ended(*id, name, *how, error.clone()),
            claim => {
                self.record_outside_request(|| match claim {
                    Claim::Requested { reason, .. } => format!("a stop (\"{reason}\")"),
                    Claim::Refused { name, .. } => format!("the registration of \"{name}\""),
                    other => format!("`{}`", other.name()),
                });
                world::try_with(|world| world.claim(claim.into()));
            }
        }
    }
}

impl SimHost {
    fn registered(&self, registered: &Registered) {
        self.record_outside_request(|| format!("the registration of \"{}\"", registered.name));
        world::try_with(|world| {
            // The world itself records the registration of a scripted component.
            if world.is_foreign() {
                world.stage().own_registered(registered);
            }
        });
    }
}

/// Records the end of a foreign worker's code. The end of a scripted component's code is recorded where it runs.
fn ended(id: Id, name: &Name, how: How, error: Option<Name>) {
    world::try_with(|world| {
        let Some(foreign) = &world.foreign else {
            return;
        };
        // The context does not report main's own end, so this is the end of a future that main has run.
        if id == MAIN && **name != *"main" {
            foreign.found.borrow_mut().futures += 1;
        }
        world.stage().own_ended(id, how, error);
    });
}

/// Returns a scope with waits that take virtual time.
pub(crate) fn scope(told: CancellationToken) -> Scope {
    scope_with_faults(told, FaultTarget::None)
}

fn scope_with_faults(told: CancellationToken, target: FaultTarget) -> Scope {
    let listener = TokenListener::new(told.clone());
    Scope::new(told, Arc::new(SimBlocker { listener, target }))
}

impl World {
    /// Returns a body as a future, each poll of which is a turn of the body. The world keeps the body, and the future
    /// only its place there.
    pub fn body(
        &self,
        name: &Name,
        body: impl FnOnce() -> Result<(), BoxError> + Send + 'static,
    ) -> Result<BoxFuture<Result<(), BoxError>>, SpawnError> {
        if self.is_over() {
            // Bodies are being ended: this one would no longer be ended, and its stack would leak.
            return Err(std::io::Error::other("the process has ended").into());
        }
        let body = SimBody::new(self.body_kind, name, self.watched.as_ref(), body);
        let body = body.inspect_err(|error| {
            // What this machine or process lacks is not part of the scenario, so such a run has no journal.
            let missing = MissingResource(format!("\"{name}\" could not be started: {error}"));
            self.or_fail(|| std::panic::resume_unwind(Box::new(missing)));
        })?;
        let mut bodies = self.bodies.borrow_mut();
        let place = bodies.len();
        bodies.push((Some(body), None));
        Ok(Box::pin(BodyFuture { place }))
    }

    /// Ends, at the world's end, every body that has not ended.
    pub fn end_bodies(&self) {
        for (body, entity) in self.bodies.take() {
            if let Some(body) = body {
                match entity {
                    Some(entity) => self.begin_turn(entity),
                    None => self.end_turn(),
                }
                body.end();
            }
        }
    }
}

struct BodyFuture {
    place: usize,
}

impl Future for BodyFuture {
    type Output = Result<(), BoxError>;

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Self::Output> {
        world::with(|world| {
            let runs_as = world.entities.borrow().current();
            let taken = {
                let (body, entity) = &mut world.bodies.borrow_mut()[self.place];
                *entity = runs_as;
                body.take()
            };
            let mut body = taken.expect("a body is polled until it is done");
            match body.resume() {
                Turned::Waits => {
                    world.bodies.borrow_mut()[self.place].0 = Some(body);
                    Poll::Pending
                }
                Turned::Done(result) => {
                    body.recycle();
                    match result {
                        Ok(result) => Poll::Ready(result),
                        // The panic hook must not be called a second time; the gate catches the panic.
                        Err(payload) => std::panic::resume_unwind(payload),
                    }
                }
            }
        })
    }
}

/// Future that waits until nothing else can run in this instant.
struct Settle {
    asked: bool,
}

impl Future for Settle {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.asked, true) {
            return Poll::Ready(());
        }
        world::with(|world| {
            let id = world.entities.borrow().current();
            let mut settlers = world.settlers.borrow_mut();
            settlers.push(id, cx.waker().clone());
        });
        Poll::Pending
    }
}

/// Future that waits until something else has run.
struct PollAgain {
    asked: bool,
}

impl Future for PollAgain {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.asked, true) {
            return Poll::Ready(());
        }
        world::with(World::add_poller);
        Poll::Pending
    }
}

/// Blocker of a simulated body, which lets it wait in virtual time.
struct SimBlocker {
    listener: TokenListener,
    target: FaultTarget,
}

/// Component that faults strike while its body waits.
#[derive(Clone, Copy)]
enum FaultTarget {
    /// None: a scripted behaviour looks after its own faults.
    None,
    /// A watchdog, which has the production body.
    Watchdog(Id),
    /// A component with a user's own body.
    Own(Id),
}

impl FaultTarget {
    fn of(world: &World, who: &Who) -> Self {
        if world.is_foreign() {
            FaultTarget::Own(who.id)
        } else if who.kind == Kind::Watchdog {
            FaultTarget::Watchdog(who.id)
        } else {
            FaultTarget::None
        }
    }

    /// Meets the faults of the component, and returns whether there is one.
    fn meet_faults(self) -> bool {
        match self {
            FaultTarget::None => return false,
            FaultTarget::Watchdog(id) => overlay::meet_watchdog_faults(id),
            FaultTarget::Own(id) => overlay::meet_faults(id),
        }
        true
    }

    /// Meets the faults of a component with a user's own body.
    fn meet_own(self) {
        if let FaultTarget::Own(id) = self {
            overlay::meet_faults(id);
        }
    }
}

impl Blocker for SimBlocker {
    fn wait(&self, _told: &CancellationToken, limit: Option<Duration>) {
        let until = deadline(limit);
        loop {
            block(Pause::new(until, Some(&self.listener)));
            if !self.target.meet_faults() {
                return;
            }
            // A fault ends the pause early; then the wait goes on.
            if world::with(|world| world.is_over() || world.now() >= until) || self.listener.told()
            {
                return;
            }
        }
    }

    fn sleep(&self, duration: Duration) {
        let until = deadline((duration != Duration::MAX).then_some(duration));
        block(Pause::new(until, None));
        if let FaultTarget::Own(id) = self.target {
            overlay::meet_faults(id);
            // A fault ends the pause early; then the sleep goes on.
            while world::with(|world| !world.is_over() && world.now() < until) && bodies::can_wait()
            {
                block(Pause::new(until, None));
                overlay::meet_faults(id);
            }
        }
    }

    fn block_on(&self, future: Pin<&mut (dyn Future<Output = ()> + Send)>) {
        drive(future, self.target);
    }

    fn until(&self, attempt: &mut dyn FnMut() -> bool, _block: &mut dyn FnMut()) {
        if attempt() {
            return;
        }
        loop {
            wait_for(pin!(PollAgain { asked: false }), true, || {
                self.target.meet_own()
            });
            if attempt() {
                return;
            }
            world::with(World::withdraw_progress);
        }
    }

    fn waits_at(&self, place: &'static Location<'static>) {
        world::with(|world| {
            let id = world.entities.borrow().current();
            if let (true, Some(id)) = (world.is_foreign(), id) {
                let waits = Activity::Waits(world.time(), Some(place));
                world.observed.set_activity(id, waits);
            }
        });
    }

    fn running(&self, _told: &CancellationToken) -> bool {
        !self.listener.told() && !world::with(|world| world.is_over())
    }
}

fn deadline(limit: Option<Duration>) -> u64 {
    world::with(|world| {
        limit.map_or(NEVER, |limit| {
            world.now().saturating_add(ms_rounded_up(limit))
        })
    })
}

/// Drives a body's future to its end. Meanwhile the executor around its code is a [passing](Around::Passing) one, as
/// it is live.
fn drive(future: Pin<&mut (dyn Future<Output = ()> + Send)>, target: FaultTarget) {
    struct Outer(bool);
    impl Drop for Outer {
        fn drop(&mut self) {
            world::try_with(|world| world.entities.borrow_mut().set_drives_future(self.0));
        }
    }
    let drives = |world: &World| world.entities.borrow_mut().set_drives_future(true);
    let _outer = Outer(world::with(drives));
    // A user's future finds a runtime, as it does live; the rest of a body has none. Coroutines are on the runtime's
    // own thread, and could not leave the runtime in another order than they entered it.
    let runtime = baton::is_body()
        .then(|| world::with(World::runtime))
        .flatten();
    let _inside = runtime.as_ref().map(|runtime| runtime.enter());
    wait_for(future, true, || target.meet_own());
}
