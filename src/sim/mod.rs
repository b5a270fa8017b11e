//! The paused-clock world: simulated threads, endpoints and faults, and the one source of choice.
//!
//! [`run`] drives a worker context through a scenario in virtual time and returns the journal of what
//! happened. The same scenario and the same seed give the same journal, to the byte, on any machine.

mod baton;
mod bell;
mod bodies;
mod choose;
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
mod ready;
mod runners;
mod stage;
mod subject;
mod twice;
mod worker;
mod workers;
mod world;

use std::sync::Arc;

use crate::context::{Budget, Limits, Line};
use crate::journal::{Event, Kind, Name, What};
use crate::scenario::Scenario;
use crate::stage::millis;

pub use bodies::Bodies;
pub use own::Own;
#[cfg(feature = "kit")]
pub(crate) use runners::cores;
pub use runners::{Ran, Run, RunError, Runners, Running, WorkerId};
pub use twice::{TWICE_AT_ONCE, Twice, twice};
#[cfg(feature = "cli")]
pub(crate) use worker::limits_of;
pub use world::{EVENTS_A_MILLISECOND, EVENTS_A_RUN, HORIZON, TURNS_A_RUN};

/// The context under test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Subject {
    /// The worker context of this crate.
    #[default]
    Worker,
    /// The plan as it was written, flaws included.
    Plan,
}

impl Subject {
    /// The word for it, as journals and the command line carry it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Subject::Worker => "worker",
            Subject::Plan => "plan",
        }
    }
}

/// How a scenario is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Fixes every choice. Seed 0 takes the first of what is possible; snapshots belong to it.
    pub seed: u64,
    /// The context under test.
    pub subject: Subject,
    /// What bodies run on. The journal does not say: it is the same.
    pub bodies: Bodies,
}

/// What happened in a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Journal {
    /// The events, in order.
    pub events: Vec<Event>,
    /// The instants at which something was due, in milliseconds, ascending: an event of the timeline, the end of a wait or
    /// of a bound, also where nothing was written down then. Not the cycles in which a component only waits
    /// again.
    pub instants: Vec<u64>,
    /// The events of the timeline that never struck, by their place in the file: the run was over, or the
    /// step that they waited for never came.
    pub unstruck: Vec<usize>,
    /// What a thread that the simulator knows nothing of asked a [user's own](Own) context for, the first time: a thread of
    /// std's, or of `spawn_blocking`. What it does is not in the journal, and the rest of the run is chance.
    pub outside: Option<Name>,
}

/// Runs a scenario on this thread. Nobody watches: code that blocks the thread for real blocks the
/// caller. [`Runners`] watch.
///
/// # Panics
///
/// On a fault of the simulator's own, and inside another run or runtime: what a scenario simulates can
/// have a thread of its own run one, and cannot do so itself.
pub fn run(scenario: &Scenario, options: &Options) -> Journal {
    run_watched(scenario, options, None, None)
}

/// Runs a scenario for a worker of a user's own on this thread, where [nobody watches](run).
///
/// # Panics
///
/// As [`run`].
pub fn run_own(scenario: &Scenario, options: &Options, own: &Own) -> Journal {
    run_watched(scenario, options, Some(own), None)
}

fn run_watched(
    scenario: &Scenario,
    options: &Options,
    own: Option<&Own>,
    watched: Option<&Arc<guard::Watched>>,
) -> Journal {
    inside::refuse();
    let foreign = own.is_some();
    let world = world::World::new(
        scenario,
        options.seed,
        options.bodies,
        foreign,
        watched.cloned(),
    );
    let entered = world::Entered::new(&world);
    let mut builder = tokio::runtime::Builder::new_current_thread();
    if own.is_some() {
        // A user's own code may want to bind a socket, on which nobody will call.
        builder.enable_all();
    }
    let runtime = builder
        .enable_time()
        .start_paused(true)
        .on_thread_park(|| {
            world::try_with(|world| world.or_fail(|| world.quiet()));
        })
        .build()
        .expect("a runtime without I/O needs nothing that could be missing");
    {
        let _inside = runtime.enter();
        open(&world, scenario, options, own);
    }
    runtime.block_on(std::future::poll_fn(|cx| world.poll_over(cx)));
    let unstruck = world.script.borrow().unstruck();
    let (events, instants) = (world.take_events(), world.take_instants());
    let fault = world.fault.take();
    if fault.is_none() {
        let _inside = runtime.enter();
        world.end_bodies();
    }
    // The runtime goes before the world: what its tasks hold may still look for it.
    drop(runtime);
    drop(world.subject.take());
    drop(entered);
    if let Some(fault) = fault {
        std::panic::resume_unwind(fault);
    }
    // tokio has waited for its blocking threads.
    let outside = world.foreign.as_ref();
    let outside = outside.and_then(|foreign| foreign.outside.first_asked());
    Journal {
        events,
        instants,
        unstruck,
        outside,
    }
}

fn open(world: &world::World, scenario: &Scenario, options: &Options, own: Option<&Own>) {
    if let Some(foreign) = &world.foreign {
        foreign.begin();
    }
    for what in header(scenario, options, own.is_some(), "sim") {
        world.record(what);
    }
    let subject: Arc<dyn subject::Subject> = match (own, options.subject) {
        (Some(own), _) => own.subject(scenario),
        (None, Subject::Worker) => Arc::new(worker::Worker::new(scenario)),
        (None, Subject::Plan) => Arc::new(plan::Plan::new()),
    };
    *world.subject.borrow_mut() = Some(subject);
    world.begin(scenario.worker.run);
}

/// The events with which every journal begins.
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
            grace: millis(limits.grace),
            reserve: millis(limits.reserve),
            margin: millis(limits.margin),
            ties: limits.ties,
            start_timeout: millis(limits.start_timeout),
            pre_stop: (!limits.pre_stop.is_zero()).then(|| millis(limits.pre_stop)),
        },
    ]
}

/// The budget of a scenario's worker, once main has registered everything; what comes late is not in it.
pub fn budget(scenario: &Scenario) -> Budget {
    let worker = &scenario.worker;
    let limits = Limits {
        grace: worker.grace,
        reserve: worker.reserve,
        margin: worker.margin,
        ties: worker.ties,
        start_timeout: worker.start_timeout,
        pre_stop: worker.pre_stop,
    };
    let on_time = worker
        .components
        .iter()
        .flatten()
        .filter(|component| !component.late);
    let lines = (1..).zip(on_time).map(|(id, component)| {
        let line = Line {
            name: component.name.clone(),
            kind: component.kind,
            order: component.order,
            timeout: component.timeout,
            floor: component.floor,
            aborts: component.is_async || (component.kind == Kind::Task && !component.adopted),
            at_worst: component.timeout,
        };
        (id, line)
    });
    Budget::of(limits, lines.collect())
}
