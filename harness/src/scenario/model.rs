//! The model of a scenario file, with every default filled in. In a file with scripted components, every name is known
//! to exist.
//!
//! The simulator and the live run read this and nothing else. The spans lead from an unmet expectation back to its line
//! in the file.

use std::time::Duration;

use super::answer::Answer;
use super::fault::{Fault, Lasts};
use super::span::{Span, Spanned};
use super::trigger::Trigger;
use crate::journal::{Call, Kind, Name, SignalName, Ties, Told};

pub use crate::journal::Cause;

/// A scenario: a worker, the events that happen to it, and the expectations of it.
///
/// It is exhaustive: the writer must not forget a part.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Its name: the file's path below the scenarios' folder, without `.toml`, with `/` between its segments.
    pub name: Name,
    /// Its subject, in one line.
    pub title: String,
    /// Words to select it by.
    pub tags: Vec<String>,
    /// Reason why it cannot be run live, if it cannot.
    pub not_live: Option<String>,
    /// Longest real time for which a user's own code may keep its thread, if the file gives it.
    pub patience: Option<Duration>,
    /// Names of the lints that are not reported for the file.
    pub allow: Vec<String>,
    /// The worker.
    pub worker: Worker,
    /// The events that happen to the worker, in the order of the file.
    pub timeline: Vec<Timed>,
    /// The expectations of the worker.
    pub expect: Expect,
}

/// The worker's limits and components.
///
/// It is exhaustive: the writer must not forget a part.
#[derive(Clone, Debug, PartialEq)]
pub struct Worker {
    /// Time from the stop signal to SIGKILL.
    pub grace: Duration,
    /// Part of the grace that is kept for cleanup.
    pub reserve: Duration,
    /// Time that is kept free at the end of the grace: min(500 ms, grace / 20), in whole milliseconds, rounded up. If a
    /// user's own worker brings its limits, it is that worker's margin.
    pub margin: Duration,
    /// Order of cleanup among components of equal order.
    pub ties: Ties,
    /// Longest time for which main is awaited if a stop is requested while it runs.
    pub start_timeout: Duration,
    /// Delay between a request to a running worker and the begin of stop; zero if there is none.
    pub pre_stop: Duration,
    /// Whether the process handles signals. If not, a signal ends it at once, and only `call` events stop the worker.
    pub run: bool,
    /// The components in the order of registration; `None` for a user's own worker.
    pub components: Option<Vec<Component>>,
}

/// One component of a scripted worker.
///
/// It is exhaustive: the writer must not forget a part.
#[derive(Clone, Debug, PartialEq)]
pub struct Component {
    /// Its name, unique in the file.
    pub name: Name,
    /// Its kind; never [`Kind::Main`].
    pub kind: Kind,
    /// Its order.
    pub order: i32,
    /// Time for which main works before it registers the component.
    pub after: Duration,
    /// Whether only a `register` event registers it.
    pub late: bool,
    /// Names of the components that it uses.
    pub uses: Vec<Name>,
    /// For threads and tasks, the time from being told to the end; for the others, from the call to the return.
    pub takes: Duration,
    /// Condition on which its end waits.
    pub needs: Option<Needs>,
    /// Its bound. If the file gives none, the default of its kind: 2 s for threads, tasks and watchdogs, 10 s for the
    /// others.
    pub timeout: Duration,
    /// Its floor, if the file gives one.
    pub floor: Option<Duration>,
    /// Whether a callback or closeable is async.
    pub is_async: bool,
    /// Length of a thread's or task's cycle.
    pub period: Option<Duration>,
    /// Point of stop at which it is told.
    pub told: Told,
    /// Name of the component that tells it, in a context without tokens.
    pub told_by: Option<Name>,
    /// Whether a task ran before it was registered.
    pub adopted: bool,
    /// A watchdog's limits; `Some` exactly for watchdogs.
    pub watchdog: Option<WatchdogLimits>,
    /// Its table in the file.
    pub span: Span,
}

/// Condition on which a component's end waits.
///
/// It is exhaustive: a script has to handle both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Something of the component must have run on the executor.
    Executor,
    /// Another component must have ended.
    Component(Name),
}

/// A watchdog's limits.
///
/// It is exhaustive: the writer must not forget a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchdogLimits {
    /// Pause after a good probe.
    pub interval: Duration,
    /// Number of failures in a row after which it fires.
    pub attempts: u32,
    /// Longest time for one probe.
    pub request_timeout: Duration,
    /// Time after which failures count even without a first success.
    pub start_grace: Option<Duration>,
}

/// An event of the timeline: its trigger and its verb.
///
/// It is exhaustive: the writer must not forget a part.
#[derive(Clone, Debug, PartialEq)]
pub struct Timed {
    /// What makes it strike.
    pub trigger: Trigger,
    /// Its verb.
    pub verb: Verb,
    /// Its table in the file.
    pub span: Span,
}

/// Verb of an event of the timeline: the signal, call, registration or fault that strikes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Verb {
    /// A signal arrives.
    Signal(SignalName),
    /// The context is called, by a number of callers at once.
    Call {
        /// The call; never [`Call::Run`].
        call: Call,
        /// Component inside which the call is made, if it is made inside one.
        from: Option<Name>,
        /// Number of callers.
        callers: u32,
        /// Reason that is given with `request-stop`.
        message: Option<String>,
    },
    /// A late component is registered.
    Register {
        /// Name of the component.
        name: Name,
    },
    /// A fault strikes a component, or `main`.
    Fault {
        /// Name of the component, or `main`.
        name: Name,
        /// The fault.
        fault: Fault,
    },
    /// The plan's tool that kills processes fails from here on.
    KillFails,
    /// The health endpoint answers like this from here on.
    Health {
        /// Its answer.
        answer: Answer,
        /// Time that an answer takes; an answer that takes forever never comes.
        takes: Lasts,
        /// Time for which the endpoint answers like this; afterwards it answers as before.
        lasts: Lasts,
        /// Applies to every `every`-th answer; the others are an immediate 200.
        every: u32,
    },
}

impl Verb {
    /// Returns the component that the event is about: the one that it strikes, or inside which it makes a call.
    pub fn about(&self) -> Option<&Name> {
        match self {
            Verb::Signal(_) | Verb::KillFails | Verb::Health { .. } => None,
            Verb::Call { from, .. } => from.as_ref(),
            Verb::Register { name, .. } | Verb::Fault { name, .. } => Some(name),
        }
    }

    /// Returns the component inside whose code the event happens, if it happens inside one.
    pub(crate) fn inside(&self) -> Option<&Name> {
        match self {
            Verb::Call { from, .. } => from.as_ref(),
            _ => None,
        }
    }

    /// Returns the verb's key in the file.
    pub fn key(&self) -> &'static str {
        match self {
            Verb::Signal(_) => "signal",
            Verb::Call { .. } => "call",
            Verb::Register { .. } => "register",
            Verb::Fault { fault, .. } => fault.verb().as_str(),
            Verb::KillFails => "fail",
            Verb::Health { .. } => "health",
        }
    }
}

/// Expected behaviour of the watchdog.
///
/// It is exhaustive: a judge has to handle both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchdogVerdict {
    /// It does not end the process.
    Quiet,
    /// It ends the process.
    Fires,
}

/// The expectations of a scenario. `None` is not checked. A list names exactly the expected components, in any order
/// unless its field has one.
///
/// It is exhaustive: the writer must not forget a part.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expect {
    /// The exit code.
    pub exit: Option<Spanned<i32>>,
    /// The cause of the exit.
    pub cause: Option<Spanned<Cause>>,
    /// Longest time from the first request to the exit.
    pub within: Option<Spanned<Duration>>,
    /// Exact instant of the exit.
    pub ends_at: Option<Spanned<Duration>>,
    /// Whether the worker became ready before a stop was requested.
    pub ready: Option<Spanned<bool>>,
    /// The registered components.
    pub registered: Option<Spanned<Vec<Name>>>,
    /// Whether the watchdog fired.
    pub watchdog: Option<Spanned<WatchdogVerdict>>,
    /// The components that were cleaned up or closed with the outcome ok, in this order.
    pub closed: Option<Spanned<Vec<Name>>>,
    /// The components that were left behind.
    pub leaked: Option<Spanned<Vec<Name>>>,
    /// The components that timed out.
    pub timed_out: Option<Spanned<Vec<Name>>>,
    /// The components that were aborted.
    pub aborted: Option<Spanned<Vec<Name>>>,
    /// The components that failed.
    pub failed: Option<Spanned<Vec<Name>>>,
    /// The components that panicked.
    pub panicked: Option<Spanned<Vec<Name>>>,
    /// The components that were not awaited.
    pub not_awaited: Option<Spanned<Vec<Name>>>,
    /// The components of which something was lost: their stop, their close, their end or a job.
    pub lost: Option<Spanned<Vec<Name>>>,
    /// The threads and tasks that failed, panicked or were dropped before stop began.
    pub died: Option<Spanned<Vec<Name>>>,
    /// The threads and tasks that ended by themselves and well before stop began.
    pub ended: Option<Spanned<Vec<Name>>>,
    /// The components or calls that were refused.
    pub refused: Option<Spanned<Vec<Name>>>,
    /// Parts of lines of the log, in this order.
    pub lines: Option<Spanned<Vec<Spanned<String>>>>,
    /// The laws that must break; no other may.
    pub breaks: Spanned<Vec<Name>>,
}

impl Scenario {
    /// Returns the events of the timeline at those positions in the file's list.
    pub(crate) fn events_at<'a>(&'a self, places: &'a [usize]) -> impl Iterator<Item = &'a Timed> {
        let places = places.iter();
        places.filter_map(|place| self.timeline.get(*place))
    }

    /// Returns the component of that name.
    pub fn component(&self, name: &str) -> Option<&Component> {
        self.worker
            .components
            .iter()
            .flatten()
            .find(|component| &*component.name == name)
    }
}
