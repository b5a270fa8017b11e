//! The simulator: runs a scenario in virtual time, with simulated threads, endpoints and faults and one source of
//! choice, the [`Schedule`].
//!
//! [`run`] drives a worker context through a scenario and returns the journal of the run. The same scenario and the
//! same seed give the same journal, to the byte, on any machine. The `stage` scripts the components. The
//! command, the test kit and live runs use this module.

mod baton;
mod bell;
mod bodies;
mod clock;
mod coroutine;
mod endpoint;
mod entity;
mod foreign;
mod guard;
mod host;
mod inside;
#[cfg(test)]
mod laid;
mod overlay;
mod own;
mod pace;
mod plan;
mod pool;
mod ready;
mod runners;
mod schedule;
mod settlers;
mod stack;
mod stage;
mod stall;
mod subject;
mod thread;
mod twice;
mod watched;
mod worker;
mod workers;
mod world;

use std::sync::{Arc, Mutex, PoisonError};

use crate::journal::{Event, Kind, Name, What, ms_rounded_up};
use crate::scenario::Scenario;
use crate::words::{one_line, panic_message};
use deadstop::context::{Budget, Line};

pub use bodies::Bodies;
pub use foreign::Found;
pub use own::Own;
#[doc(hidden)]
pub use runners::cores;
pub use runners::{Ran, Run, RunError, Runners, Running, WorkerId};
pub use schedule::{
    Candidate, Candidates, Choice, Choices, Halt, MAX_POINTS, NotChoices, Noted, Point, PointKind,
    Points, Recorded, Recording, Repeated, Replayed, Schedule, Seeded,
};
pub use stack::{Frame, Stack};
pub use stall::{Code, Doing, Stall, Waiting};
pub(crate) use thread::start_thread;
pub use twice::{FURTHER_SEEDS, TWICE_AT_ONCE, Twice, twice};
pub use watched::{Kept, KeptBy, Panicked};
pub(crate) use worker::limits_of;
pub use world::{EVENTS_A_MILLISECOND, EVENTS_A_RUN, HORIZON, ROWS_A_RUN, TURNS_A_RUN};

/// The context under test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Subject {
    /// The worker context of this crate.
    #[default]
    Worker,
    /// The context of the plan as it was written, flaws included.
    Plan,
}

impl Subject {
    /// Returns the word for the subject that journals and the command line use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Subject::Worker => "worker",
            Subject::Plan => "plan",
        }
    }
}

/// Options of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Seed, which fixes every choice. Seed 0 takes the first of the possible choices; snapshots belong to it.
    pub seed: u64,
    /// The context under test.
    pub subject: Subject,
    /// What bodies run on. The journal does not record it, since both kinds give the same journal.
    pub bodies: Bodies,
}

/// Journal of a run, and what was observed beside its events.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    /// The events, in order.
    pub events: Vec<Event>,
    /// Instants at which something was due, in milliseconds, ascending: an event of the timeline, or the end of a
    /// wait or of a bound. An instant is listed even if no event was recorded at it. The instants at which a
    /// component only begins to wait again are not listed.
    pub instants: Vec<u64>,
    /// Events of the timeline that never struck, as their positions in the file. Either the run ended first, or the
    /// step that they waited for never began.
    pub unstruck: Vec<usize>,
    /// First request that a [user's own](Own) context got from a thread that the simulator does not know: a thread of
    /// std's, or of `spawn_blocking`. What such a thread does is not in the journal, and the rest of the run is not
    /// reproducible.
    pub outside: Option<Name>,
    /// Observations beside the events.
    pub aside: Box<Aside>,
}

impl Journal {
    /// Returns the number of events and of report rows, as a measure of what the journal costs to keep.
    pub(crate) fn size(&self) -> usize {
        let rows = self.events.iter().map(|event| match &event.what {
            What::Returned { steps, deaths, .. } => steps.len() + deaths.len(),
            _ => 0,
        });
        self.events.len() + rows.sum::<usize>()
    }
}

/// Observations of a run beside its events.
#[derive(Clone, Debug, Default)]
pub struct Aside {
    /// Findings about a [user's own](Own) code that no event records.
    pub found: Found,
    /// Jobs that a user's own code has left on the runtime's blocking pool, by the component that handed each in.
    /// Which of them are over in time may differ from run to run.
    pub jobs: Vec<Name>,
    /// Panics of a user's own code, if the test kit records them.
    pub panics: Vec<Panicked>,
    /// Why the run stands still, if [`Runners`] gave it up.
    pub stall: Option<Stall>,
    /// Turns and jobs on the blocking pool that took long in real time. Which they are, and how long they took,
    /// differs from run to run.
    pub kept: Vec<Kept>,
}

/// Compares the events, the events that never struck, the outside request and the findings. The instants are not
/// compared, nor is what depends on real time, since that differs from run to run.
impl PartialEq for Journal {
    fn eq(&self, other: &Self) -> bool {
        self.events == other.events
            && self.unstruck == other.unstruck
            && self.outside == other.outside
            && self.aside.found == other.aside.found
    }
}

impl Eq for Journal {}

/// Runs a scenario on this thread, without a guard: code that blocks the thread for real blocks the caller.
/// [`Runners`] run scenarios under a guard.
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
        Err(payload) => match payload.downcast_ref::<bodies::MissingResource>() {
            Some(bodies::MissingResource(why)) => panic!("the scenario was not run: {why}"),
            None => std::panic::resume_unwind(payload),
        },
    }
}

fn run_seeded(scenario: &Scenario, options: &Options, own: Option<&Own>) -> Journal {
    let seeded = Box::new(Seeded::new(options.seed));
    let journal = run_watched(scenario, options, own, None, seeded);
    journal.expect("a seed ends no run")
}

fn run_watched(
    scenario: &Scenario,
    options: &Options,
    own: Option<&Own>,
    watched: Option<&Arc<watched::Watched>>,
    schedule: Box<dyn Schedule>,
) -> Result<Journal, Halt> {
    inside::refuse();
    let foreign = own.is_some();
    let world = world::World::new(
        scenario,
        schedule,
        options.bodies,
        foreign,
        watched.cloned(),
    );
    let entered = world::Entered::new(&world);
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
        .is_none_or(|simulator_panic| simulator_panic.is::<bodies::MissingResource>())
    {
        let _inside = runtime.enter();
        world.end_bodies();
    }
    // The runtime is dropped before the world, since what its tasks hold may still look the world up. A job on its
    // blocking pool that does not end is not waited for, as it is not when a process ends.
    world.observed.pool.settle(foreign::LONG_TURN);
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

fn begin_run(world: &world::World, scenario: &Scenario, options: &Options, own: Option<&Own>) {
    if let Some(foreign) = &world.foreign {
        foreign.begin();
        let starved = world.watched.as_ref().map(|watched| watched.starved());
        foreign.meter.reset(starved.unwrap_or_default());
    }
    for what in header(scenario, options, own.is_some(), "sim") {
        world.record(what);
    }
    let subject: Arc<dyn subject::DrivenSubject> = match (own, options.subject) {
        (Some(own), _) => own.subject(scenario),
        (None, Subject::Worker) => Arc::new(worker::WorkerSubject::new(scenario)),
        (None, Subject::Plan) => Arc::new(plan::PlanSubject::new()),
    };
    *world.subject.borrow_mut() = Some(subject);
    world.begin(scenario.worker.run);
}

/// Returns the events with which every journal begins.
pub(crate) fn header(scenario: &Scenario, options: &Options, own: bool, host: &str) -> [What; 2] {
    let limits = &scenario.worker;
    let subject = if own {
        Own::SUBJECT
    } else {
        options.subject.as_str()
    };
    [
        What::Journal {
            version: crate::journal::VERSION,
            scenario: scenario.name.clone(),
            seed: options.seed,
            subject: subject.into(),
            host: host.into(),
        },
        What::Worker {
            grace: ms_rounded_up(limits.grace),
            reserve: ms_rounded_up(limits.reserve),
            margin: ms_rounded_up(limits.margin),
            ties: limits.ties,
            start_timeout: ms_rounded_up(limits.start_timeout),
            pre_stop: (!limits.pre_stop.is_zero()).then(|| ms_rounded_up(limits.pre_stop)),
        },
    ]
}

/// Returns the budget of a scenario's worker after main has registered everything. Late registrations are not in it.
pub fn budget(scenario: &Scenario) -> Budget {
    let worker = &scenario.worker;
    let limits = limits_of(worker).resolve();
    let limits = limits.expect("a parsed scenario has limits that a context accepts");
    let on_time = worker
        .components
        .iter()
        .flatten()
        .filter(|component| !component.late);
    let lines = (1..).zip(on_time).map(|(id, component)| {
        let line = Line::new(
            component.name.clone(),
            component.kind,
            component.order,
            component.timeout,
            component.floor,
            component.is_async || (component.kind == Kind::Task && !component.adopted),
        );
        (id, line)
    });
    Budget::of(limits, lines.collect())
}
