//! A scenario for an own worker, written in code.

use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use crate::journal::{Name, Ties};
use crate::report::SourceFile;
use crate::scenario::{
    Layout, Scenario, Spanned, Time, Timed, Trigger, Verb, Worker, default_worker,
};
use crate::sim::{Journal, Own, Run, Twice, twice};
use deadstop::context::{MainError, WorkerCtx};

use super::case::{OwnCase, Verdict};
use super::output;
use super::runners::runners;
use super::suite::{follow_main, write_notes};

/// One run of an own worker: what happens to it, and when.
///
/// Each event has a trigger, which says when it strikes ([`at`](Trial::at), [`on`](Trial::on),
/// [`on_end`](Trial::on_end), [`after_event`](Trial::after_event), or [`when`](Trial::when) with a delay), and a verb,
/// which says what happens: a [`Fault`](crate::scenario::Fault), a [`SignalName`](crate::journal::SignalName), a
/// [`Call`](crate::journal::Call) or [`Calling`](crate::scenario::Calling), or [`Health`](crate::scenario::Health).
///
/// A trial is written as a [scenario file](Trial::file) and parsed as one. A mistake in it is reported as in a file,
/// together with that file.
///
/// ```
/// # use deadstop::context::{CallOpts, MainError, WorkerCtx};
/// # use deadstop_harness::kit::Trial;
/// use deadstop_harness::journal::SignalName;
/// use deadstop_harness::scenario::Fault;
/// # async fn register(ctx: WorkerCtx) -> Result<(), MainError> {
/// #     ctx.defer_cleanup("flush", CallOpts::new(), |_scope| {})?;
/// #     ctx.add_closeable_with("db", CallOpts::new(), (), |(), _scope| {})?;
/// #     Ok(())
/// # }
///
/// let journal = Trial::of(register)
///     .grace("20s")
///     .at("5s", Fault::hang("flush").lasting("3s"))
///     .at("10s", Fault::fail("db").message("broken pipe"))
///     .at("10s", SignalName::Sigterm)
///     .run();
/// assert_eq!(journal.closed(), ["flush"]);
/// assert_eq!(journal.exit_code(), Some(1), "{journal}");
/// ```
#[derive(Debug, Clone)]
#[must_use = "a trial does nothing until it is run"]
pub struct Trial {
    own: Own,
    seed: u64,
    limits: TrialLimits,
    /// The scenario, but for the limits.
    scenario: Scenario,
}

/// The limits that a trial sets.
#[derive(Clone, Copy, Debug, Default)]
struct TrialLimits {
    grace: Option<Duration>,
    reserve: Option<Duration>,
    start_timeout: Option<Duration>,
    pre_stop: Option<Duration>,
    ties: Option<Ties>,
}

impl Trial {
    /// Creates a trial of the worker that the function registers, with the default state.
    pub fn of<A, F, Fut>(register: F) -> Self
    where
        A: Default + Send + Sync + 'static,
        F: Fn(WorkerCtx<A>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), MainError>> + Send + 'static,
    {
        Trial::of_own(Own::new(register))
    }

    /// Creates a trial of a worker that was described before, for example with its own state or limits.
    ///
    /// ```
    /// # use deadstop::context::WorkerCtx;
    /// # use deadstop_harness::{journal::SignalName, kit::{Own, Trial}};
    /// let own = Own::with_app(|| "a state", |ctx: WorkerCtx<&str>| async move {
    ///     assert_eq!(*ctx.app(), "a state");
    ///     Ok(())
    /// });
    /// let trial = Trial::of_own(own).at("1s", SignalName::Sigint).registers([]);
    /// assert_eq!(trial.run().exit_code(), Some(0));
    /// ```
    pub fn of_own(own: Own) -> Self {
        Trial {
            own,
            seed: 0,
            limits: TrialLimits::default(),
            scenario: Scenario::new("trial", "A trial"),
        }
    }

    /// Sets the time from the stop signal to SIGKILL. Default: that of [`Own::limits`], or 30 s.
    #[track_caller]
    pub fn grace(mut self, grace: impl Time) -> Self {
        self.limits.grace = Some(grace.duration());
        self
    }

    /// Sets the part of the grace that stop leaves to cleanup. Default: that of [`Own::limits`], or a third of the
    /// grace.
    #[track_caller]
    pub fn reserve(mut self, reserve: impl Time) -> Self {
        self.limits.reserve = Some(reserve.duration());
        self
    }

    /// Sets how long main is awaited if a stop is requested while it runs. Default: that of [`Own::limits`], or 5 s.
    #[track_caller]
    pub fn start_timeout(mut self, timeout: impl Time) -> Self {
        self.limits.start_timeout = Some(timeout.duration());
        self
    }

    /// Sets how long the worker still runs after the request to stop, when it is no longer ready. Default: that of
    /// [`Own::limits`], or no time.
    #[track_caller]
    pub fn pre_stop(mut self, delay: impl Time) -> Self {
        self.limits.pre_stop = Some(delay.duration());
        self
    }

    /// Makes cleanup close the component that was registered last first, among those of equal order.
    pub fn last_registered_first(mut self) -> Self {
        self.limits.ties = Some(Ties::Last);
        self
    }

    /// Makes the program handle no signals: a signal ends it at once, and only calls stop it.
    pub fn without_signals(mut self) -> Self {
        self.scenario.worker.run = false;
        self
    }

    /// Sets the seed, which determines every choice among what could run in one instant. Seed 0, the default, takes
    /// the first.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Adds an event that strikes so long after the worker began.
    #[track_caller]
    pub fn at(self, at: impl Time, verb: impl Into<Verb>) -> Self {
        self.when(Trigger::at(at), verb)
    }

    /// Adds an event that strikes when the step of that component first begins, or when `main` begins.
    pub fn on(self, name: impl Into<Name>, verb: impl Into<Verb>) -> Self {
        self.when(Trigger::on(name), verb)
    }

    /// Adds an event that strikes when the code of that component first ends, or when `main` ends, however it ends:
    /// before any other code goes on.
    ///
    /// ```
    /// # use deadstop::context::{BodyOpts, CallOpts, MainError, WorkerCtx};
    /// # use deadstop_harness::{journal::SignalName, kit::Trial, scenario::Fault};
    /// # async fn register(ctx: WorkerCtx) -> Result<(), MainError> {
    /// #     ctx.add_task("writer", BodyOpts::new(), |token| async move { token.cancelled().await })?;
    /// #     ctx.add_closeable_with("db", CallOpts::new(), (), |(), _scope| {})?;
    /// #     Ok(())
    /// # }
    /// // The database fails as soon as its last writer is gone.
    /// let trial = Trial::of(register)
    ///     .at("10s", SignalName::Sigterm)
    ///     .on_end("writer", Fault::fail("db"));
    /// assert_eq!(trial.run().exit_code(), Some(1));
    /// ```
    pub fn on_end(self, name: impl Into<Name>, verb: impl Into<Verb>) -> Self {
        self.when(Trigger::on_end(name), verb)
    }

    /// Adds an event that strikes between two turns of one instant: after the turn in which the journal's event of that
    /// number is written (its [`seq`](crate::journal::Event::seq)), and before the next turn. The number is that of a
    /// run with this trial's [seed](Self::seed).
    pub fn after_event(self, number: u64, verb: impl Into<Verb>) -> Self {
        self.when(Trigger::AfterEvent(number), verb)
    }

    /// Adds an event with that trigger.
    ///
    /// ```
    /// # use deadstop::context::{CallOpts, MainError, WorkerCtx};
    /// # use deadstop_harness::{journal::SignalName, kit::Trial};
    /// use deadstop_harness::scenario::Trigger;
    /// # async fn register(ctx: WorkerCtx) -> Result<(), MainError> {
    /// #     ctx.defer_cleanup("flush", CallOpts::new(), |scope| scope.sleep(std::time::Duration::from_secs(1)))?;
    /// #     Ok(())
    /// # }
    ///
    /// let second = Trigger::on("flush").after("500ms");
    /// let trial = Trial::of(register)
    ///     .at("10s", SignalName::Sigterm)
    ///     .when(second, SignalName::Sigterm);
    /// assert_eq!(trial.run().exit_code(), Some(143));
    /// ```
    pub fn when(mut self, trigger: Trigger, verb: impl Into<Verb>) -> Self {
        self.scenario
            .timeline
            .push(Timed::new(trigger, verb.into()));
        self
    }

    /// Sets how long the worker's code may keep its thread in real time, in which no virtual time passes; 5 s by
    /// default. The environment's `DEADSTOP_PATIENCE` takes precedence.
    #[track_caller]
    pub fn patience(mut self, patience: impl Time) -> Self {
        self.scenario.patience = Some(patience.duration());
        self
    }

    /// Expects exactly these components to be registered. Without any, the worker registers nothing on purpose;
    /// without this expectation that is a failure.
    pub fn registers<const N: usize>(mut self, names: [&str; N]) -> Self {
        self.scenario.expect.registered = Some(names_of(names));
        self
    }

    /// Expects exactly these threads and tasks to end well by themselves before stop. Without this expectation, each
    /// that does is noted.
    pub fn ended<const N: usize>(mut self, names: [&str; N]) -> Self {
        self.scenario.expect.ended = Some(names_of(names));
        self
    }

    /// Expects the worker to be asked to stop before main is done. Without this expectation that is a failure.
    pub fn before_ready(mut self) -> Self {
        self.scenario.expect.ready = Some(false.into());
        self
    }

    /// Expects that law to break. A law that is not named so must hold.
    pub fn breaks(mut self, law: &str) -> Self {
        self.scenario.expect.breaks.value.push(law.into());
        self
    }

    /// Runs the trial twice, judges it, and returns the journal. The [notes](Self::notes) are written to standard
    /// error.
    ///
    /// # Panics
    ///
    /// If the trial is no valid scenario; if a law or an expectation breaks; if nothing is tested, or an event never
    /// strikes; if the two runs differ, or never come to an end; also if a name is not registered, or something
    /// cannot be simulated. The message contains all problems, and the trial as a file.
    #[track_caller]
    pub fn run(self) -> Journal {
        let (journal, notes) = self.try_run(true);
        write_notes(&format!("trial at {}", Location::caller()), &notes);
        journal
    }

    /// Runs the trial as [`run`](Self::run), and returns the journal and the notes on it: findings that are no
    /// failures, but are hardly what the author of a worker intends, such as a thread that ends by itself.
    ///
    /// ```
    /// # use deadstop::context::{BodyOpts, MainError, WorkerCtx};
    /// # use deadstop_harness::{journal::SignalName, kit::Trial};
    /// async fn register(ctx: WorkerCtx) -> Result<(), MainError> {
    ///     ctx.add_task("consumer", BodyOpts::new(), |_token| async {})?;
    ///     Ok(())
    /// }
    /// let (_journal, notes) = Trial::of(register).at("10s", SignalName::Sigterm).notes();
    /// assert_eq!(notes, ["\"consumer\" ended by itself at 0.000"]);
    /// ```
    ///
    /// # Panics
    ///
    /// As [`run`](Self::run).
    #[track_caller]
    pub fn notes(self) -> (Journal, Vec<String>) {
        self.try_run(true)
    }

    /// Runs the trial twice and returns the journal, whichever laws it breaks, and also if it never came to an end:
    /// for a test of a mistake.
    ///
    /// # Panics
    ///
    /// If the trial is no valid scenario, if the two runs differ, if a name is not registered, or if something cannot
    /// be simulated.
    #[track_caller]
    pub fn observe(self) -> Journal {
        self.try_run(false).0
    }

    /// Returns the trial as a scenario file.
    pub fn file(&self) -> String {
        let own = self.own.own_limits();
        let limits = self.limits;
        let defaults = default_worker(limits.grace, own);
        let mut scenario = self.scenario.clone();
        scenario.worker = Worker {
            reserve: limits.reserve.unwrap_or(defaults.reserve),
            start_timeout: limits.start_timeout.unwrap_or(defaults.start_timeout),
            pre_stop: limits.pre_stop.unwrap_or(defaults.pre_stop),
            ties: limits.ties.unwrap_or(defaults.ties),
            run: scenario.worker.run,
            ..defaults
        };
        let layout = own.map_or_else(Layout::new, |own| Layout::new().limits(*own));
        layout.write(&scenario)
    }

    #[track_caller]
    fn try_run(&self, laws: bool) -> (Journal, Vec<String>) {
        let case = OwnCase {
            name: "trial".to_owned(),
            file: Arc::new(SourceFile {
                path: "the trial".to_owned(),
                text: self.file(),
            }),
        };
        let verdict = case.parse(&self.own).map_or_else(
            |invalid| *invalid,
            |scenario| {
                let runners = runners(2);
                let run = OwnCase::planned_run(&scenario, &self.own, self.seed);
                let mut verdict = None;
                let judged =
                    |(): &(), run: &Run, both: Twice| verdict = Some(case.judge(run, both, laws));
                twice(&runners, [((), run.clone())], judged, |_| {});
                let mut verdict: Verdict = verdict.expect("a verdict for the run");
                follow_main(&runners, &run, &mut verdict);
                if runners.left_behind() > 0 {
                    output::exit_if_stdout_locked(&verdict.text_of(&case.name));
                }
                verdict
            },
        );
        match verdict {
            Verdict {
                journal: Some(journal),
                findings,
                notes,
                ..
            } if findings.is_empty() => (journal, notes),
            wrong => panic!(
                "\n{}the trial:\n{}",
                wrong.text_of(&case.name),
                case.file.text
            ),
        }
    }
}

fn names_of<const N: usize>(names: [&str; N]) -> Spanned<Vec<Name>> {
    names.map(Name::from).to_vec().into()
}
