//! A scenario for an own worker, written in code.

use std::fmt::Write;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use crate::report::SourceFile;
use crate::scenario::time;
use crate::sim::{Journal, Own, Run, Twice, twice};
use deadstop::context::{MainError, WorkerCtx};

use super::case::{OwnCase, Verdict};
use super::output;
use super::runners::runners;
use super::suite::{follow_main, write_notes};

/// A duration: a [`Duration`], or text as in a scenario file (`"500ms"`, `"10s"`, `"1m"`). A [`Duration`] is cut to
/// whole milliseconds, as everywhere in a scenario.
pub trait Time {
    /// Returns the duration as a scenario file writes it.
    fn said(self) -> String;
}

impl Time for &str {
    fn said(self) -> String {
        self.to_owned()
    }
}

impl Time for Duration {
    fn said(self) -> String {
        time(self)
    }
}

/// One run of an own worker: what happens to it, and when.
///
/// A trial has the keys of a scenario file, and is parsed as one. A mistake in it is reported as in a file, together
/// with that file. [`at`](Trial::at), [`on`](Trial::on), [`on_end`](Trial::on_end) and
/// [`after_event`](Trial::after_event) set when the events after them strike. A verb (`hang`, `fail`, `signal`, …) adds
/// an event. `lasting`, `message`, `callers` and the like belong to the event before them.
///
/// ```
/// # use deadstop::context::{CallOpts, MainError, WorkerCtx};
/// # use deadstop_harness::kit::Trial;
/// # async fn register(ctx: WorkerCtx) -> Result<(), MainError> {
/// #     ctx.defer_cleanup("flush", CallOpts::new(), |_scope| {})?;
/// #     ctx.add_closeable_with("db", CallOpts::new(), (), |(), _scope| {})?;
/// #     Ok(())
/// # }
/// let journal = Trial::of(register)
///     .grace("20s")
///     .at("5s").hang("flush").lasting("3s")
///     .at("10s").fail("db").message("broken pipe").signal("SIGTERM")
///     .run();
/// assert_eq!(journal.closed(), ["flush"]);
/// assert_eq!(journal.exit_code(), Some(1), "{journal}");
/// ```
#[derive(Debug, Clone)]
#[must_use = "a trial does nothing until it is run"]
pub struct Trial {
    own: Own,
    seed: u64,
    patience: Option<String>,
    worker: String,
    when: String,
    events: Vec<String>,
    expect: Vec<String>,
    breaks: Vec<String>,
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
    /// # use deadstop_harness::kit::{Own, Trial};
    /// let own = Own::with_app(|| "a state", |ctx: WorkerCtx<&str>| async move {
    ///     assert_eq!(*ctx.app(), "a state");
    ///     Ok(())
    /// });
    /// let trial = Trial::of_own(own).at("1s").signal("SIGINT").registers([]);
    /// assert_eq!(trial.run().exit_code(), Some(0));
    /// ```
    pub fn of_own(own: Own) -> Self {
        Trial {
            own,
            seed: 0,
            patience: None,
            worker: String::new(),
            when: String::new(),
            events: Vec::new(),
            expect: Vec::new(),
            breaks: Vec::new(),
        }
    }

    /// Sets the time from the stop signal to SIGKILL. Default: that of [`Own::limits`], or 30 s.
    pub fn grace(self, grace: impl Time) -> Self {
        self.limit("grace", &toml_string(&grace.said()))
    }

    /// Sets the part of the grace that stop leaves to cleanup. Default: that of [`Own::limits`], or a third of the
    /// grace.
    pub fn reserve(self, reserve: impl Time) -> Self {
        self.limit("reserve", &toml_string(&reserve.said()))
    }

    /// Sets how long main is awaited if a stop is requested while it runs. Default: that of [`Own::limits`], or 5 s.
    pub fn start_timeout(self, timeout: impl Time) -> Self {
        self.limit("start-timeout", &toml_string(&timeout.said()))
    }

    /// Sets how long the worker still runs after the request to stop, when it is no longer ready. Default: that of
    /// [`Own::limits`], or no time.
    pub fn pre_stop(self, delay: impl Time) -> Self {
        self.limit("pre-stop", &toml_string(&delay.said()))
    }

    /// Makes cleanup close the component that was registered last first, among those of equal order.
    pub fn last_registered_first(self) -> Self {
        self.limit("ties", &toml_string("last"))
    }

    /// Makes the program handle no signals: a signal ends it at once, and only [calls](Self::call) stop it.
    pub fn without_signals(self) -> Self {
        self.limit("run", "false")
    }

    /// Sets the seed, which determines every choice among what could run in one instant. Seed 0, the default, takes
    /// the first.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the time after the start of the worker at which the events that follow strike.
    pub fn at(mut self, at: impl Time) -> Self {
        self.when = format!("at = {}", toml_string(&at.said()));
        self
    }

    /// Makes the events that follow strike when the step of that component first begins, or when `main` begins.
    pub fn on(mut self, name: &str) -> Self {
        self.when = format!("on = {}", toml_string(name));
        self
    }

    /// Makes the events that follow strike when the code of that component first ends, or when `main` ends, however it
    /// ends: before any other code goes on.
    ///
    /// ```
    /// # use deadstop::context::{BodyOpts, CallOpts, MainError, WorkerCtx};
    /// # use deadstop_harness::kit::Trial;
    /// # async fn register(ctx: WorkerCtx) -> Result<(), MainError> {
    /// #     ctx.add_task("writer", BodyOpts::new(), |token| async move { token.cancelled().await })?;
    /// #     ctx.add_closeable_with("db", CallOpts::new(), (), |(), _scope| {})?;
    /// #     Ok(())
    /// # }
    /// // The database fails as soon as its last writer is gone.
    /// let trial = Trial::of(register).at("10s").signal("SIGTERM").on_end("writer").fail("db");
    /// assert_eq!(trial.run().exit_code(), Some(1));
    /// ```
    pub fn on_end(mut self, name: &str) -> Self {
        self.when = format!("on-end = {}", toml_string(name));
        self
    }

    /// Makes the events that follow strike between two turns of one instant: after the turn in which the journal's event
    /// of that number is written (its [`seq`](crate::journal::Event::seq)), and before the next turn. The number is that
    /// of a run with this trial's [seed](Self::seed).
    pub fn after_event(mut self, number: u64) -> Self {
        self.when = format!("after-event = {number}");
        self
    }

    /// Delays the events that follow by a time after the begin that [`on`](Self::on) names, or after the end that
    /// [`on_end`](Self::on_end) names.
    pub fn after(mut self, after: impl Time) -> Self {
        let _ = write!(self.when, ", after = {}", toml_string(&after.said()));
        self
    }

    /// Adds a signal that arrives: `SIGTERM`, `SIGINT` or `SIGKILL`.
    pub fn signal(self, signal: &str) -> Self {
        self.event("signal", signal)
    }

    /// Adds a call of the context: `start`, `stop`, `cleanup` or `request-stop`.
    pub fn call(self, call: &str) -> Self {
        self.event("call", call)
    }

    /// Makes a component hang: it does no work and heeds nothing. This lasts for ever, unless
    /// [`lasting`](Self::lasting) limits it; then the component goes on with the real code.
    pub fn hang(self, name: &str) -> Self {
        self.event("hang", name)
    }

    /// Keeps a thread or task from seeing that it is to stop. This lasts for ever, unless [`lasting`](Self::lasting)
    /// limits it.
    pub fn ignore(self, name: &str) -> Self {
        self.event("ignore", name)
    }

    /// Makes a callback begin later, or a thread or task end later, by that time.
    pub fn slow(self, name: &str, by: impl Time) -> Self {
        self.event("slow", name)
            .with("by", &toml_string(&by.said()))
    }

    /// Makes a component return an error: a thread, a task or `main` where it waits, a callback instead of its real
    /// code or where it waits.
    pub fn fail(self, name: &str) -> Self {
        self.event("fail", name)
    }

    /// Makes a component panic, in the same places as [`fail`](Self::fail).
    pub fn panic(self, name: &str) -> Self {
        self.event("panic", name)
    }

    /// Makes a thread or task end early, and well.
    pub fn end(self, name: &str) -> Self {
        self.event("end", name)
    }

    /// Sets what the health endpoint answers from here on: a status, `refused`, `silent`, `half-line`, `stalls`,
    /// `drip`, `endless`, `cut`, `reset` or `garbage`.
    pub fn health(self, answer: &str) -> Self {
        self.event("health", answer)
    }

    /// Sets how long the event before this lasts.
    pub fn lasting(self, lasts: impl Time) -> Self {
        self.with("for", &toml_string(&lasts.said()))
    }

    /// Sets the message of the failure or panic before this, or the reason of the call before this.
    pub fn message(self, message: &str) -> Self {
        self.with("message", &toml_string(message))
    }

    /// Sets the exit code that main asks for with the failure before this.
    pub fn code(self, code: u8) -> Self {
        self.with("code", &code.to_string())
    }

    /// Sets the number of callers that make the call before this, at once.
    pub fn callers(self, callers: u32) -> Self {
        self.with("callers", &callers.to_string())
    }

    /// Makes the call before this come from inside that component.
    pub fn from(self, name: &str) -> Self {
        self.with("from", &toml_string(name))
    }

    /// Sets how long the answer before this takes.
    pub fn taking(self, takes: impl Time) -> Self {
        self.with("takes", &toml_string(&takes.said()))
    }

    /// Applies the answer before this to every `every`-th answer; the others are an immediate 200.
    pub fn every(self, every: u32) -> Self {
        self.with("every", &every.to_string())
    }

    /// Sets how long the worker's code may keep its thread in real time, in which no virtual time passes; 5 s by default.
    /// The environment's `DEADSTOP_PATIENCE` takes precedence.
    pub fn patience(mut self, patience: impl Time) -> Self {
        self.patience = Some(toml_string(&patience.said()));
        self
    }

    /// Expects exactly these components to be registered. Without any, the worker registers nothing on purpose;
    /// without this expectation that is a failure.
    pub fn registers<const N: usize>(self, names: [&str; N]) -> Self {
        self.expects("registered", &toml_array(&names))
    }

    /// Expects exactly these threads and tasks to end well by themselves before stop. Without this expectation, each
    /// that does is noted.
    pub fn ended<const N: usize>(self, names: [&str; N]) -> Self {
        self.expects("ended", &toml_array(&names))
    }

    /// Expects the worker to be asked to stop before main is done. Without this expectation that is a failure.
    pub fn before_ready(self) -> Self {
        self.expects("ready", "false")
    }

    /// Expects that law to break. A law that is not named so must hold.
    pub fn breaks(mut self, law: &str) -> Self {
        self.breaks.push(toml_string(law));
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
    /// # use deadstop_harness::kit::Trial;
    /// async fn register(ctx: WorkerCtx) -> Result<(), MainError> {
    ///     ctx.add_task("consumer", BodyOpts::new(), |_token| async {})?;
    ///     Ok(())
    /// }
    /// let (_journal, notes) = Trial::of(register).at("10s").signal("SIGTERM").notes();
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
        let mut file = "title = \"A trial\"\n".to_owned();
        if let Some(patience) = &self.patience {
            let _ = writeln!(file, "patience = {patience}");
        }
        let _ = write!(file, "\n[worker]\n{}", self.worker);
        file += "\n[timeline]\nevents = [\n";
        for event in &self.events {
            let _ = writeln!(file, "  {{ {event} }},");
        }
        file += "]\n";
        let breaks =
            (!self.breaks.is_empty()).then(|| format!("breaks = [{}]", self.breaks.join(", ")));
        let expect: Vec<_> = self.expect.iter().chain(&breaks).collect();
        if !expect.is_empty() {
            file += "\n[expect]\n";
            for expected in expect {
                let _ = writeln!(file, "{expected}");
            }
        }
        file
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

    fn limit(mut self, key: &str, value: &str) -> Self {
        let _ = writeln!(self.worker, "{key} = {value}");
        self
    }

    fn expects(mut self, key: &str, value: &str) -> Self {
        self.expect.push(format!("{key} = {value}"));
        self
    }

    fn event(mut self, verb: &str, value: &str) -> Self {
        let when = if self.when.is_empty() {
            String::new()
        } else {
            format!("{}, ", self.when)
        };
        self.events
            .push(format!("{when}{verb} = {}", toml_string(value)));
        self
    }

    #[track_caller]
    fn with(mut self, key: &str, value: &str) -> Self {
        let event = self.events.last_mut();
        let event = event
            .unwrap_or_else(|| panic!("`{key}` belongs to an event, and there is none before it"));
        let _ = write!(event, ", {key} = {value}");
        self
    }
}

/// Returns texts as a TOML array.
fn toml_array(texts: &[&str]) -> String {
    let texts: Vec<_> = texts.iter().map(|one| toml_string(one)).collect();
    format!("[{}]", texts.join(", "))
}

/// Returns a text as a TOML string.
fn toml_string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}
