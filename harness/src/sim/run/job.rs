//! One run that [`Runners`](crate::sim::Runners) are asked for, and its result.

use std::fmt;
use std::sync::Arc;

use super::journal::Journal;
use super::options::Options;
use crate::journal::Name;
use crate::scenario::Scenario;
use crate::sim::schedule::{Halt, Recording, Schedule};
use crate::sim::subject::own::Own;

/// A run to execute: a scenario, its options and its worker.
///
/// It is exhaustive: a caller describes all of a run.
#[derive(Clone, Debug)]
pub struct Run {
    /// The scenario.
    pub scenario: Arc<Scenario>,
    /// How the scenario is run.
    pub options: Options,
    /// The user's own worker; `None` for the components of the file.
    pub own: Option<Own>,
    pub(in crate::sim) not_on: Option<WorkerId>,
    pub(in crate::sim) schedule: Option<MakeSchedule>,
    pub(in crate::sim) is_recorded: bool,
}

/// Creates the schedule of a run on the thread that executes the run.
#[derive(Clone)]
pub(in crate::sim) struct MakeSchedule(pub Arc<dyn Fn() -> Box<dyn Schedule> + Send + Sync>);

impl fmt::Debug for MakeSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MakeSchedule")
    }
}

impl Run {
    /// Creates a run of the file's components, which any thread may execute.
    pub fn new(scenario: Arc<Scenario>, options: Options) -> Self {
        Run {
            scenario,
            options,
            own: None,
            not_on: None,
            schedule: None,
            is_recorded: false,
        }
    }

    /// Sets a user's own worker, which runs instead of the file's components.
    #[must_use]
    pub fn of(mut self, own: Own) -> Self {
        self.own = Some(own);
        self
    }

    /// Excludes one thread from executing this run. A journal that depends on the thread then differs from the first.
    #[must_use]
    pub fn not_on(mut self, worker: WorkerId) -> Self {
        self.not_on = Some(worker);
        self
    }

    /// Sets the schedule that decides the run. `make` creates it on the thread that executes the run; it is called
    /// once for each execution. The seed of the options decides nothing then; the journal only names it.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use deadstop_harness::{scenario, sim::{Choices, Options, Replayed, Run, Runners, Seeded}};
    ///
    /// let text = "title = 'Two pools are closed'\n[worker]\n\
    ///             components = [{ closeable = 'a' }, { closeable = 'b' }]\n\
    ///             [timeline]\nevents = [{ at = '10s', signal = 'SIGTERM' }]\n";
    /// let scenario = Arc::new(scenario::parse("two-pools", text)?);
    ///
    /// let choices: Choices = "1".parse()?;
    /// let replayed = move || Replayed::new(choices.clone(), Seeded::new(0));
    /// let run = Run::new(scenario, Options::default()).scheduled(replayed).recorded();
    /// let ran = Runners::new(2)?.run_all([run]).next().expect("one result")?;
    /// assert_eq!(ran.recording.expect("it is recorded").made()[0].index, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn scheduled<S: Schedule + 'static>(
        mut self,
        make: impl Fn() -> S + Send + Sync + 'static,
    ) -> Self {
        self.schedule = Some(MakeSchedule(Arc::new(move || Box::new(make()))));
        self
    }

    /// Makes the [result](Ran::recording) contain the choices of the run.
    #[must_use]
    pub fn recorded(mut self) -> Self {
        self.is_recorded = true;
        self
    }
}

/// One of the threads of [`Runners`](crate::sim::Runners).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkerId(pub(in crate::sim) usize);

/// The result of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ran {
    /// What happened. For a run that keeps its thread for good: the events up to there, and then `stuck`.
    pub journal: Journal,
    /// The thread that executed the run.
    pub on: WorkerId,
    /// Whether a body keeps that thread for good.
    pub kept_its_thread: bool,
    /// The choices of the run, if they were to be [recorded](Run::recorded) and its thread was not kept.
    pub recording: Option<Recording>,
}

/// The reason why a run has no journal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The simulator itself panicked: this is a bug of its own, no scripted fault.
    #[error("scenario \"{scenario}\", seed {seed}: the simulator panicked: {message}")]
    Fault {
        /// The scenario.
        scenario: Name,
        /// The seed.
        seed: u64,
        /// The panic's message, in one line.
        message: Name,
    },
    /// The simulator lacks a thread or a stack that the run needs. It makes no journal then, since a scenario's journal
    /// must depend neither on the machine nor on earlier runs.
    #[error("scenario \"{scenario}\", seed {seed}, was not run: {why}")]
    NotRun {
        /// The scenario.
        scenario: Name,
        /// The seed.
        seed: u64,
        /// What the simulator lacks, in one line.
        why: Name,
    },
    /// The schedule of the run has ended it.
    #[error("scenario \"{scenario}\", seed {seed}, was not run to its end: {halt}")]
    Halted {
        /// The scenario.
        scenario: Name,
        /// The seed.
        seed: u64,
        /// The schedule's reason.
        halt: Halt,
    },
    /// Too many bodies keep their threads for good, or a thread could not be replaced: these
    /// [`Runners`](crate::sim::Runners) run nothing more.
    #[error(
        "too many bodies keep their threads for ever, the last of them \"{last}\": no further scenario is run"
    )]
    GivenUp {
        /// The last body that kept its thread.
        last: Name,
    },
}
