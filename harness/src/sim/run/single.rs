//! Runs one scenario on the calling thread, from an empty world to its journal.

use std::sync::{Arc, Mutex, PoisonError};

use super::header::header;
use super::journal::{Aside, Journal};
use super::options::{Options, Subject};
use crate::scenario::Scenario;
use crate::sim::body::bodies::MissingResource;
use crate::sim::driven::DrivenSubject;
use crate::sim::guard::meter::LONG_TURN;
use crate::sim::guard::watched::{Panicked, Watched};
use crate::sim::inside;
use crate::sim::schedule::{Halt, Schedule, Seeded};
use crate::sim::subject::own::Own;
use crate::sim::subject::plan::PlanSubject;
use crate::sim::subject::worker::WorkerSubject;
use crate::sim::world::{self, Entered, World};
use crate::words::{one_line, panic_message};

/// Runs a scenario on this thread, without a guard: code that blocks the thread for real blocks the caller.
/// [`Runners`](crate::sim::Runners) run scenarios under a guard.
///
/// # Panics
///
/// If the simulator itself has a fault, if the system has no thread or stack left, or if called inside another run or
/// runtime. Simulated code can have a thread of its own call this function, but cannot call it itself.
pub fn run(scenario: &Scenario, options: &Options) -> Journal {
    or_panic(|| run_seeded(scenario, options, None))
}

/// Runs a scenario by a schedule, on this thread and [without a guard](run), and returns the schedule as the run has
/// left it. The seed of the options decides nothing then; the journal only names it.
///
/// # Errors
///
/// The journal is an error if the schedule has [ended](Halt) the run.
///
/// # Panics
///
/// As [`run`], and if the schedule panics.
pub fn run_with<S: Schedule + 'static>(
    scenario: &Scenario,
    options: &Options,
    schedule: S,
) -> (Result<Journal, Halt>, S) {
    let schedule = Arc::new(Mutex::new(schedule));
    let lent = Box::new(Arc::clone(&schedule));
    let journal = or_panic(|| run_watched(scenario, options, None, None, lent));
    let schedule = Arc::into_inner(schedule).expect("a run drops its world and its schedule");
    let schedule = schedule.into_inner();
    (journal, schedule.unwrap_or_else(PoisonError::into_inner))
}

/// Runs a scenario for a user's own worker on this thread, [without a guard](run).
///
/// # Panics
///
/// As [`run`].
pub fn run_own(scenario: &Scenario, options: &Options, own: &Own) -> Journal {
    or_panic(|| run_seeded(scenario, options, Some(own)))
}

/// Turns the private payload of a run for which the simulator lacks something into a panic with a message.
fn or_panic<R>(run: impl FnOnce() -> R) -> R {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)) {
        Ok(result) => result,
        Err(payload) => match payload.downcast_ref::<MissingResource>() {
            Some(MissingResource(why)) => panic!("the scenario was not run: {why}"),
            None => std::panic::resume_unwind(payload),
        },
    }
}

fn run_seeded(scenario: &Scenario, options: &Options, own: Option<&Own>) -> Journal {
    let seeded = Box::new(Seeded::new(options.seed));
    let journal = run_watched(scenario, options, own, None, seeded);
    journal.expect("a seed ends no run")
}

pub(in crate::sim) fn run_watched(
    scenario: &Scenario,
    options: &Options,
    own: Option<&Own>,
    watched: Option<&Arc<Watched>>,
    schedule: Box<dyn Schedule>,
) -> Result<Journal, Halt> {
    inside::refuse();
    let foreign = own.is_some();
    let world = World::new(
        scenario,
        schedule,
        options.bodies,
        foreign,
        watched.cloned(),
    );
    let entered = Entered::new(&world);
    let mut builder = tokio::runtime::Builder::new_current_thread();
    if own.is_some() {
        // A user's own code may bind a socket; no peer will connect to it.
        builder.enable_all();
        world.observed.pool.observe(&mut builder);
    }
    let runtime = builder
        .enable_time()
        .start_paused(true)
        .on_thread_park(|| {
            world::try_with(|world| {
                world.record_long_turn(None);
                world.or_fail(|| world.quiet())
            });
        })
        .on_thread_unpark(|| {
            world::try_with(|world| world.start_meter());
        })
        .build()
        .expect("a runtime without I/O needs nothing that could be missing");
    world.set_runtime(runtime.handle().clone());
    {
        let _inside = runtime.enter();
        begin_run(&world, scenario, options, own);
    }
    runtime.block_on(std::future::poll_fn(|cx| world.poll_over(cx)));
    let unstruck = world.script.borrow().unstruck();
    // The guard can still read the events while destructors run, since a destructor may block. Events that
    // destructors add are cut off below.
    let (happened, instants) = (world.observed.count(), world.take_instants());
    let simulator_panic = world.simulator_panic.take();
    // After a fault of the simulator the state of the bodies is unknown, so they are not ended. If the simulator only
    // lacked a thread or stack for one body, the others are intact.
    if simulator_panic
        .as_ref()
        .is_none_or(|simulator_panic| simulator_panic.is::<MissingResource>())
    {
        let _inside = runtime.enter();
        world.end_bodies();
    }
    // The runtime is dropped before the world, since what its tasks hold may still look the world up. A job on its
    // blocking pool that does not end is not waited for, as it is not when a process ends.
    world.observed.pool.settle(LONG_TURN);
    world.observed.begin_teardown();
    world.end_turn();
    runtime.shutdown_background();
    drop(world.subject.take());
    drop(entered);
    let mut events = world.take_events();
    events.truncate(happened);
    if let Some(simulator_panic) = simulator_panic {
        std::panic::resume_unwind(simulator_panic);
    }
    if let Some(halt) = world.take_halt() {
        return Err(halt);
    }
    let outside = world.foreign.as_ref();
    let outside = outside.and_then(|foreign| foreign.outside.first_request());
    let found = world.foreign.as_ref();
    let found = found
        .map(|foreign| foreign.found.take())
        .unwrap_or_default();
    Ok(Journal {
        events,
        instants,
        unstruck,
        outside,
        aside: Box::new(Aside {
            found,
            jobs: world.observed.left_on_pool(),
            panics: world.observed.panics(),
            stall: None,
            kept: world.observed.long_turns(),
        }),
    })
}

/// Records a panic of a user's own code in its run, and returns whether it was one.
pub(crate) fn note_panic(info: &std::panic::PanicHookInfo<'_>) -> bool {
    let noted = world::try_with(|world| {
        if !world.is_foreign() {
            return false;
        }
        let entities = world.entities.try_borrow();
        let name = entities.ok().and_then(|entities| entities.current_name());
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let message = one_line(&panic_message(info.payload()));
        let panicked = Panicked::now(name, world.time(), message, place);
        world.observed.record_panic(panicked);
        true
    });
    noted == Some(true)
}

fn begin_run(world: &World, scenario: &Scenario, options: &Options, own: Option<&Own>) {
    if let Some(foreign) = &world.foreign {
        foreign.begin();
        let starved = world.watched.as_ref().map(|watched| watched.starved());
        foreign.meter.reset(starved.unwrap_or_default());
    }
    for what in header(scenario, options, own.is_some(), "sim") {
        world.record(what);
    }
    let subject: Arc<dyn DrivenSubject> = match (own, options.subject) {
        (Some(own), _) => own.subject(scenario),
        (None, Subject::Worker) => Arc::new(WorkerSubject::new(scenario)),
        (None, Subject::Plan) => Arc::new(PlanSubject::new()),
    };
    *world.subject.borrow_mut() = Some(subject);
    world.begin(scenario.worker.run);
}
