//! The simulator as a host: tasks and bodies are entities of the world, and time is the world's. Every simulated
//! worker context runs on it.

use std::panic::Location;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::baton;
use super::bodies::{self, Blocking, Lacking, Turned};
use super::clock::Sleep;
use super::endpoint::{self, meet_faults};
use super::entity::{AbortEntity, Class, Role};
use super::foreign::Outside;
use super::overlay;
use super::pace::{Ear, Pause};
use super::watched::Does;
use super::world::{self, World};
use crate::context::Sink;
use crate::host::{
    Abort, Around, Blocker, Body, BoxError, BoxFuture, ContextId, Executor, Host, OnEnd, Scope,
    SpawnError, Stream, Who,
};
use crate::journal::{Cause, Id, Kind, MAIN, Name, Registered, What};
use crate::stage::{NEVER, millis};

/// Host of a simulated worker context. It looks everything up in the world of the calling thread.
#[derive(Debug, Default)]
pub(crate) struct SimHost {
    outside: Option<Arc<Outside>>,
}

impl SimHost {
    /// Returns a host for a worker. With a user's own worker, calls from threads without a world are recorded in
    /// `outside`.
    pub fn of(outside: Option<Arc<Outside>>) -> Self {
        SimHost { outside }
    }

    /// Calls `f` with the world of this thread.
    ///
    /// # Panics
    ///
    /// If the thread has none.
    fn world<R>(&self, asked: impl FnOnce() -> String, f: impl FnOnce(&World) -> R) -> R {
        self.note(asked);
        world::with(f)
    }

    /// Records what a thread without a world asks the context for.
    fn note(&self, asked: impl FnOnce() -> String) {
        if let Some(outside) = &self.outside
            && world::try_with(|_| ()).is_none()
        {
            outside.asked(asked);
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
        Box::pin(Sleep::until(millis(at)))
    }

    fn settle(&self) -> BoxFuture<()> {
        Box::pin(Settle { asked: false })
    }

    fn drive(&self, future: BoxFuture<()>) -> Result<(), SpawnError> {
        let future = Box::pin(async move {
            future.await;
            Ok(())
        });
        self.world(
            || "a call that waits".to_owned(),
            |world| world.spawn("deadstop".into(), Class::Free, Role::Nobody, future, None),
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
        self.world(start_of(&name), |world| {
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
        let strikes = match role {
            Some(Role::Component(id)) => Strikes::Own(id),
            _ => Strikes::Nobody,
        };
        drive(future, strikes);
    }

    fn spawn_body(
        &self,
        who: Who,
        told: CancellationToken,
        body: Body,
        ended: OnEnd,
    ) -> Result<(), SpawnError> {
        let name = who.name.clone();
        self.world(start_of(&name), |world| {
            let strikes = Strikes::of(world, &who);
            let told = overlay::given(world, who.id, told);
            let future = world.body(&who.name, move || {
                let scope = scope_of(told, strikes);
                if let Strikes::Own(id) = strikes {
                    return overlay::run(id, who.kind, || body(&scope));
                }
                strikes.meet();
                body(&scope)
            })?;
            world
                .spawn(
                    who.name,
                    Class::Free,
                    Role::Component(who.id),
                    future,
                    Some(ended),
                )
                .map(drop)
        })
    }

    fn given(&self, who: &Who, told: CancellationToken) -> CancellationToken {
        self.world(
            || "a token".to_owned(),
            |world| overlay::given(world, who.id, told),
        )
    }

    fn connect(&self, _authority: &str) -> BoxFuture<std::io::Result<Box<dyn Stream>>> {
        Box::pin(endpoint::connect())
    }

    fn adopts_threads(&self) -> bool {
        false
    }

    fn is_inside(&self, _context: ContextId) -> bool {
        self.world(
            || "a stop".to_owned(),
            |world| world.entities.borrow().is_inside(),
        )
    }

    fn exit(&self, code: i32, cause: Cause) {
        self.world(
            || "the end of the process".to_owned(),
            |world| world.exit(code, cause),
        );
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
    fn claim(&self, claim: &What) {
        self.note(|| match claim {
            What::Requested { reason, .. } => format!("a stop (\"{reason}\")"),
            What::Refused { name, .. } => format!("the registration of \"{name}\""),
            other => format!("`{}`", other.name()),
        });
        world::try_with(|world| world.claim(claim));
    }

    fn registered(&self, registered: &Registered, _place: &'static Location<'static>) {
        self.note(|| format!("the registration of \"{}\"", registered.name));
        world::try_with(|world| {
            // The world itself records the registration of a scripted component.
            if world.is_foreign() {
                world.stage().own_registered(registered);
            }
        });
    }

    fn fact(&self, fact: &What) {
        world::try_with(|world| {
            let Some(foreign) = &world.foreign else {
                return;
            };
            // The context does not report main's own end as a fact, so this is the end of a future that main has run.
            if matches!(fact, What::Ended { id: MAIN, name, .. } if **name != *"main") {
                foreign.found.borrow_mut().futures += 1;
            }
            world.stage().own_fact(fact);
        });
    }
}

/// Returns a scope with waits that take virtual time.
pub(crate) fn scope(told: CancellationToken) -> Scope {
    scope_of(told, Strikes::Nobody)
}

fn scope_of(told: CancellationToken, strikes: Strikes) -> Scope {
    let ear = Ear::new(told.clone());
    Scope::new(told, Arc::new(SimBlocker { ear, strikes }))
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
        let blocking = Blocking::new(self.runs_on, name, self.watched.as_ref(), body);
        let blocking = blocking.inspect_err(|error| {
            // What this machine or process lacks is not part of the scenario, so such a run has no journal.
            let lacking = Lacking(format!("\"{name}\" could not be started: {error}"));
            self.or_fail(|| std::panic::resume_unwind(Box::new(lacking)));
        })?;
        let mut bodies = self.bodies.borrow_mut();
        let place = bodies.len();
        bodies.push((Some(blocking), None));
        Ok(Box::pin(BodyFuture { place }))
    }

    /// Ends, at the world's end, every body that has not ended.
    pub fn end_bodies(&self) {
        for (blocking, entity) in self.bodies.take() {
            if let Some(blocking) = blocking {
                match entity {
                    Some(entity) => self.turn_of(entity),
                    None => self.nobodys_turn(),
                }
                blocking.end();
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
                let (blocking, entity) = &mut world.bodies.borrow_mut()[self.place];
                *entity = runs_as;
                blocking.take()
            };
            let mut blocking = taken.expect("a body is polled until it is done");
            match blocking.resume() {
                Turned::Waits => {
                    world.bodies.borrow_mut()[self.place].0 = Some(blocking);
                    Poll::Pending
                }
                Turned::Done(result) => {
                    blocking.recycle();
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
        world::with(|world| world.settlers.borrow_mut().push(cx.waker().clone()));
        Poll::Pending
    }
}

/// Future that waits until something else has run.
struct LookAgain {
    asked: bool,
}

impl Future for LookAgain {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.asked, true) {
            return Poll::Ready(());
        }
        world::with(World::looks_again);
        Poll::Pending
    }
}

/// Blocker of a simulated body, which lets it wait in virtual time.
struct SimBlocker {
    ear: Ear,
    strikes: Strikes,
}

/// Component that faults strike while its body waits.
#[derive(Clone, Copy)]
enum Strikes {
    /// None: a scripted behaviour looks after its own faults.
    Nobody,
    /// A watchdog, which has the production body.
    Watchdog(Id),
    /// A component with a user's own body.
    Own(Id),
}

impl Strikes {
    fn of(world: &World, who: &Who) -> Self {
        if world.is_foreign() {
            Strikes::Own(who.id)
        } else if who.kind == Kind::Watchdog {
            Strikes::Watchdog(who.id)
        } else {
            Strikes::Nobody
        }
    }

    /// Meets the faults of the component, and returns whether there is one.
    fn meet(self) -> bool {
        match self {
            Strikes::Nobody => return false,
            Strikes::Watchdog(id) => {
                if let Some(part) = world::with(|world| world.parts.index_by_id(id)) {
                    meet_faults(part);
                }
            }
            Strikes::Own(id) => overlay::meet(id),
        }
        true
    }
}

impl Blocker for SimBlocker {
    fn wait(&self, _told: &CancellationToken, limit: Option<Duration>) {
        let until = deadline(limit);
        loop {
            block(Pause::new(until, Some(&self.ear)));
            if !self.strikes.meet() {
                return;
            }
            // A fault ends the pause early; then the wait goes on.
            if world::with(|world| world.is_over() || world.now() >= until) || self.ear.told() {
                return;
            }
        }
    }

    fn sleep(&self, duration: Duration) {
        let until = deadline((duration != Duration::MAX).then_some(duration));
        block(Pause::new(until, None));
        if let Strikes::Own(id) = self.strikes {
            overlay::meet(id);
            // A fault ends the pause early; then the sleep goes on.
            while world::with(|world| !world.is_over() && world.now() < until) && bodies::can_wait()
            {
                block(Pause::new(until, None));
                overlay::meet(id);
            }
        }
    }

    fn block_on(&self, future: Pin<&mut (dyn Future<Output = ()> + Send)>) {
        drive(future, self.strikes);
    }

    fn until(&self, attempt: &mut dyn FnMut() -> bool, _block: &mut dyn FnMut()) {
        if attempt() {
            return;
        }
        loop {
            wait_for(pin!(LookAgain { asked: false }), true, self.strikes);
            if attempt() {
                return;
            }
            world::with(World::saw_nothing);
        }
    }

    fn waits_at(&self, place: &'static Location<'static>) {
        world::with(|world| {
            let id = world.entities.borrow().current();
            if let (true, Some(id)) = (world.is_foreign(), id) {
                let waits = Does::Waits(world.time(), Some(place));
                world.observed.now_does(id, waits);
            }
        });
    }

    fn running(&self, _told: &CancellationToken) -> bool {
        !self.ear.told() && !world::with(|world| world.is_over())
    }
}

fn deadline(limit: Option<Duration>) -> u64 {
    world::with(|world| limit.map_or(NEVER, |limit| world.now().saturating_add(millis(limit))))
}

/// Suspends the body until the future is ready. At the world's end it returns although the future is not.
pub(crate) fn block(future: impl Future<Output = ()>) {
    wait_for(pin!(future), false, Strikes::Nobody);
}

/// Drives a body's future to its end. Meanwhile the executor around its code is a [passing](Around::Passing) one, as
/// it is live.
fn drive(future: Pin<&mut (dyn Future<Output = ()> + Send)>, strikes: Strikes) {
    struct Outer(bool);
    impl Drop for Outer {
        fn drop(&mut self) {
            world::try_with(|world| world.entities.borrow_mut().set_drives(self.0));
        }
    }
    let drives = |world: &World| world.entities.borrow_mut().set_drives(true);
    let _outer = Outer(world::with(drives));
    // A user's future finds a runtime, as it does live; the rest of a body has none. Coroutines are on the runtime's
    // own thread, and could not leave the runtime in another order than they entered it.
    let runtime = baton::is_body()
        .then(|| world::with(World::runtime))
        .flatten();
    let _inside = runtime.as_ref().map(|runtime| runtime.enter());
    wait_for(future, true, strikes);
}

/// Polls with the waker of the body's entity, and switches back to the executor between polls. With `to_its_end` the
/// caller needs the result of the future: at the world's end the body is unwound instead of returning without it.
fn wait_for<F: Future<Output = ()> + ?Sized>(
    mut future: Pin<&mut F>,
    to_its_end: bool,
    strikes: Strikes,
) {
    let waker = world::with(|world| world.entities.borrow().current_waker());
    let mut cx = Context::from_waker(&waker);
    loop {
        let over = world::with(|world| world.is_over());
        if over {
            bodies::suspend(true);
            if !to_its_end {
                return;
            }
        }
        if future.as_mut().poll(&mut cx).is_ready() {
            return;
        }
        if !over {
            // If the body cannot switch, no time passes either. A wait in a destructor while its body panics then
            // returns at once, since it would never end.
            if !to_its_end && !bodies::can_wait() {
                return;
            }
            bodies::suspend(false);
            if let Strikes::Own(id) = strikes {
                overlay::meet(id);
            }
        }
    }
}
