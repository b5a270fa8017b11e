//! The paused-clock world: simulated threads, endpoints and faults, and the one source of choice.
//!
//! [`run`] drives a worker context through a scenario in virtual time and returns the journal of what
//! happened. The same scenario and the same seed give the same journal, to the byte, on any machine.

mod body;
mod choose;
mod clock;
mod coroutine;
mod endpoint;
mod entity;
mod guard;
mod host;
mod part;
mod plan;
mod ready;
mod script;
mod subject;
mod worker;
mod world;

use std::rc::Rc;
use std::time::Duration;

use crate::context::{Budget, Limits, Line};
use crate::journal::{Event, What};
use crate::scenario::Scenario;

pub use world::{EVENTS_A_MILLISECOND, EVENTS_A_RUN, HORIZON};

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
}

/// What happened in a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Journal {
    /// The events, in order.
    pub events: Vec<Event>,
}

/// Runs a scenario on this thread.
///
/// # Panics
///
/// On a fault of the simulator's own, and inside another run or runtime.
pub fn run(scenario: &Scenario, options: &Options) -> Journal {
    let world = world::World::new(scenario, options.seed, None);
    let entered = world::Entered::new(&world);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .on_thread_park(|| {
            world::try_with(world::World::quiet);
        })
        .build()
        .expect("a runtime without I/O needs nothing that could be missing");
    {
        let _inside = runtime.enter();
        open(&world, scenario, options);
    }
    runtime.block_on(std::future::poll_fn(|cx| world.poll_over(cx)));
    let events = world.take_events();
    {
        let _inside = runtime.enter();
        world.end_bodies();
    }
    // The runtime goes before the world: what its tasks hold may still look for it.
    drop(runtime);
    drop(world.subject.take());
    drop(entered);
    Journal { events }
}

fn open(world: &Rc<world::World>, scenario: &Scenario, options: &Options) {
    let limits = &scenario.worker;
    world.record(What::Journal {
        version: crate::journal::VERSION,
        scenario: scenario.name.clone(),
        seed: options.seed,
        subject: options.subject.as_str().into(),
        host: "sim".into(),
    });
    world.record(What::Worker {
        grace: millis(limits.grace),
        reserve: millis(limits.reserve),
        margin: millis(limits.margin),
        ties: limits.ties,
        start_timeout: millis(limits.start_timeout),
    });
    let subject: Rc<dyn subject::Subject> = match options.subject {
        Subject::Worker => Rc::new(worker::Worker::new(scenario)),
        Subject::Plan => Rc::new(plan::Plan::new()),
    };
    *world.subject.borrow_mut() = Some(subject);
    world.begin(limits.run);
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
            at_worst: component.timeout,
        };
        (id, line)
    });
    Budget::of(limits, lines.collect())
}

/// A duration in whole milliseconds, rounded up.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// Interim.
pub fn guarded(scenario: &Scenario, options: &Options) -> Result<Journal, String> {
    Ok(run(scenario, options))
}
