//! A scenario for a worker of one's own, said in code.

use std::fmt::Write;
use std::panic::Location;
use std::time::Duration;

use crate::context::{MainError, WorkerCtx};
use crate::scenario::time;
use crate::sim::{Journal, Own, Run, Twice, twice};

use super::case::{Case, Verdict};
use super::output;
use super::runners::runners;
use super::suite::{follow_main, note};

/// A duration: a [`Duration`], or as a scenario file says it (`"500ms"`, `"10s"`, `"1m"`). Of a [`Duration`] whole
/// milliseconds count, as everywhere in a scenario; the rest is cut off.
pub trait Time {
    /// As a scenario file says it.
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

/// One run of a worker of one's own: what happens to it, and when.
///
/// It says what a scenario file says, in the file's words, and is read as one: what cannot be is told as it
/// would be of a file, which is shown. [`at`](Trial::at) and [`on`](Trial::on) say when what follows
/// strikes; a verb (`hang`, `fail`, `signal`, …) adds an event; `lasting`, `by`, `message` and the like
/// belong to the event before them.
///
/// ```
/// # use deadstop::context::{CallOpts, MainError, WorkerCtx};
/// # use deadstop::kit::Trial;
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
    /// A trial of the worker that the function registers, with the default state.
    pub fn of<A, F, Fut>(register: F) -> Self
    where
        A: Default + Send + Sync + 'static,
        F: Fn(WorkerCtx<A>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), MainError>> + Send + 'static,
    {
        Trial::of_own(Own::new(register))
    }

    /// A trial of a worker that was described before, perhaps with a state of its own.
    ///
    /// ```
    /// # use deadstop::context::WorkerCtx;
    /// # use deadstop::kit::{Own, Trial};
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

    /// The time from the stop signal to SIGKILL; 30 s.
    pub fn grace(self, grace: impl Time) -> Self {
        self.limit("grace", &text(&grace.said()))
    }

    /// Cleanup's part of the grace; a third of it.
    pub fn reserve(self, reserve: impl Time) -> Self {
        self.limit("reserve", &text(&reserve.said()))
    }

    /// How long main is waited for when a stop is requested while it runs; 5 s.
    pub fn start_timeout(self, timeout: impl Time) -> Self {
        self.limit("start-timeout", &text(&timeout.said()))
    }

    /// How long the worker still runs after the request to stop, while it is not ready any more; none.
    pub fn pre_stop(self, delay: impl Time) -> Self {
        self.limit("pre-stop", &text(&delay.said()))
    }

    /// Cleanup closes the last registered of equal orders first.
    pub fn last_registered_first(self) -> Self {
        self.limit("ties", &text("last"))
    }

    /// The program handles no signals, and is stopped by [calls](Self::call) only.
    pub fn without_signals(self) -> Self {
        self.limit("run", "false")
    }

    /// Fixes every choice among what could run in one instant; 0 takes the first.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// What follows strikes so long after the worker began.
    pub fn at(mut self, at: impl Time) -> Self {
        self.when = format!("at = {}", text(&at.said()));
        self
    }

    /// What follows strikes when the step of that component begins, or `main`.
    pub fn on(mut self, name: &str) -> Self {
        self.when = format!("on = {}", text(name));
        self
    }

    /// What follows strikes so long after the begin of the step that [`on`](Self::on) names.
    pub fn after(mut self, after: impl Time) -> Self {
        let _ = write!(self.when, ", after = {}", text(&after.said()));
        self
    }

    /// A signal arrives: `SIGTERM`, `SIGINT` or `SIGKILL`.
    pub fn signal(self, signal: &str) -> Self {
        self.event("signal", signal)
    }

    /// Somebody calls the context: `start`, `stop`, `cleanup` or `request-stop`.
    pub fn call(self, call: &str) -> Self {
        self.event("call", call)
    }

    /// Stuck from here on: it does no work and heeds nothing. For ever, unless [`lasting`](Self::lasting); then
    /// it goes on with the real code.
    pub fn hang(self, name: &str) -> Self {
        self.event("hang", name)
    }

    /// A thread or task does not see that it is to stop. For ever, unless [`lasting`](Self::lasting).
    pub fn ignore(self, name: &str) -> Self {
        self.event("ignore", name)
    }

    /// A callback begins so much later, a thread or task ends so much later.
    pub fn slow(self, name: &str, by: impl Time) -> Self {
        self.event("slow", name).with("by", &text(&by.said()))
    }

    /// A thread, a task or `main` returns an error where it waits; a callback, when called.
    pub fn fail(self, name: &str) -> Self {
        self.event("fail", name)
    }

    /// It panics, likewise.
    pub fn panic(self, name: &str) -> Self {
        self.event("panic", name)
    }

    /// A thread or task ends early, and well.
    pub fn end(self, name: &str) -> Self {
        self.event("end", name)
    }

    /// What the health endpoint answers from here on: a status, `refused`, `silent`, `stalls`, `cut` or
    /// `garbage`.
    pub fn health(self, answer: &str) -> Self {
        self.event("health", answer)
    }

    /// The event before this lasts so long.
    pub fn lasting(self, lasts: impl Time) -> Self {
        self.with("for", &text(&lasts.said()))
    }

    /// The words of the failure or panic before this, or the reason of the call.
    pub fn message(self, message: &str) -> Self {
        self.with("message", &text(message))
    }

    /// The exit code that main asks for with the failure before this.
    pub fn code(self, code: u8) -> Self {
        self.with("code", &code.to_string())
    }

    /// That number of callers make the call before this, at once.
    pub fn callers(self, callers: u32) -> Self {
        self.with("callers", &callers.to_string())
    }

    /// The call before this is made from inside that component.
    pub fn from(self, name: &str) -> Self {
        self.with("from", &text(name))
    }

    /// The answer before this takes so long.
    pub fn taking(self, takes: impl Time) -> Self {
        self.with("takes", &text(&takes.said()))
    }

    /// Only each so-many-th answer is like that before this.
    pub fn every(self, every: u32) -> Self {
        self.with("every", &every.to_string())
    }

    /// Sets how long the worker's code may keep its thread in real time, in which no virtual time passes; 5 s. The
    /// environment's `DEADSTOP_PATIENCE` goes before it.
    pub fn patience(mut self, patience: impl Time) -> Self {
        self.patience = Some(text(&patience.said()));
        self
    }

    /// Expects these components to be registered, and no others. With none the worker registers nothing on purpose,
    /// which is a mistake otherwise.
    pub fn registers<const N: usize>(self, names: [&str; N]) -> Self {
        self.expects("registered", &list(&names))
    }

    /// Expects these threads and tasks to end by themselves, and well, before stop, and no others. Without it each that
    /// does is noted.
    pub fn ended<const N: usize>(self, names: [&str; N]) -> Self {
        self.expects("ended", &list(&names))
    }

    /// Expects the worker to be asked to stop before main is done, which is a mistake otherwise.
    pub fn before_ready(self) -> Self {
        self.expects("ready", "false")
    }

    /// That law must break; no other may.
    pub fn breaks(mut self, law: &str) -> Self {
        self.breaks.push(text(law));
        self
    }

    /// Runs it twice, judges it, and returns what happened.
    ///
    /// # Panics
    ///
    /// If a law breaks, if the two runs differ, or if the run never comes to an end; also if a name is not
    /// registered, or something cannot be simulated. With all that is wrong, and the trial as a file.
    #[track_caller]
    pub fn run(self) -> Journal {
        let (journal, notes) = self.try_run(true);
        note(&format!("trial at {}", Location::caller()), &notes);
        journal
    }

    /// Runs it as [`run`](Self::run), and returns what happened with what is noted of it: what is no failure, and yet
    /// hardly what the author of a worker means, such as a thread that ends by itself. `run` writes these notes to standard
    /// error.
    ///
    /// ```
    /// # use deadstop::context::{BodyOpts, MainError, WorkerCtx};
    /// # use deadstop::kit::Trial;
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

    /// Runs it twice and returns what happened, whatever laws that breaks, and also if it never came to an
    /// end: for a test of what is wrong.
    ///
    /// # Panics
    ///
    /// If the two runs differ, if a name is not registered, or if something cannot be simulated.
    #[track_caller]
    pub fn observe(self) -> Journal {
        self.try_run(false).0
    }

    /// The trial as a scenario file.
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
        let case = Case {
            name: "trial".to_owned(),
            path: "the trial".to_owned(),
            text: self.file(),
        };
        let verdict = case.parse(&self.own).map_or_else(
            |invalid| *invalid,
            |scenario| {
                let runners = runners(2);
                let run = Case::run(&scenario, &self.own, self.seed);
                let mut verdict = None;
                let judged =
                    |(): &(), run: &Run, both: Twice| verdict = Some(case.judge(run, both, laws));
                twice(&runners, [((), run.clone())], judged, |_| {});
                let mut verdict: Verdict = verdict.expect("a verdict for the run");
                follow_main(&runners, &run, &mut verdict);
                if runners.left_behind() > 0 {
                    output::exit_if_locked(&verdict.told(&case.name));
                }
                verdict
            },
        );
        match verdict {
            Verdict {
                journal: Some(journal),
                problems,
                notes,
                ..
            } if problems.is_empty() => (journal, notes),
            wrong => panic!("\n{}the trial:\n{}", wrong.told(&case.name), case.text),
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
        self.events.push(format!("{when}{verb} = {}", text(value)));
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

/// Texts as TOML writes them.
fn list(texts: &[&str]) -> String {
    let texts: Vec<_> = texts.iter().map(|one| text(one)).collect();
    format!("[{}]", texts.join(", "))
}

/// A text as TOML writes it.
fn text(text: &str) -> String {
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
