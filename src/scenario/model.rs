//! What a scenario file says, with every default filled in and every name known to exist.
//!
//! The simulator reads this and nothing else; the spans lead an expectation that failed back to its
//! line in the file.

use std::time::Duration;

use super::keys::ANSWERS;
use crate::journal::{Call, Kind, Name, SignalName, Ties, Told};

pub use crate::journal::Cause;

/// The limits of a scenario file.
pub mod limits {
    use std::time::Duration;

    /// A file's size, in bytes.
    pub const FILE_BYTES: usize = 64 * 1024;
    /// Components in a file.
    pub const COMPONENTS: usize = 1_000;
    /// Timeline events in a file; also the jobs and callers that one event may start.
    pub const EVENTS: usize = 1_000;
    /// The longest duration a file may name.
    pub const DURATION: Duration = Duration::from_secs(3_600);
    /// The maximum number of mistakes of one file that are told: more help nobody.
    pub const DIAGNOSTICS: usize = 100;
    /// The bound of a thread, task or watchdog that names none.
    pub const JOIN_TIMEOUT: Duration = Duration::from_secs(2);
    /// The bound of a callback or closeable that names none.
    pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);
    /// A name's length, in bytes.
    pub const NAME_BYTES: usize = 200;
}

/// A range of bytes in the file.
pub type Span = std::ops::Range<usize>;

/// A value and where it stands in the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Its bytes in the file.
    pub span: Span,
}

/// How long something lasts; `None` is for ever.
pub type Lasts = Option<Duration>;

/// A scenario: a worker, what happens to it, and what is expected of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Its name: the path below the scenarios' folder, without `.toml`, with `/` between parts.
    pub name: Name,
    /// What it is about, in one line.
    pub title: String,
    /// Words to select it by.
    pub tags: Vec<String>,
    /// The reason why it cannot be run live, if it cannot.
    pub not_live: Option<String>,
    /// How long a user's own code may keep its thread in real time, if the file says it.
    pub patience: Option<Duration>,
    /// The lints that the file does not want to hear.
    pub allow: Vec<String>,
    /// The worker.
    pub worker: Worker,
    /// What happens to it, in the order of the file.
    pub timeline: Vec<Timed>,
    /// What is expected of it.
    pub expect: Expect,
}

/// The worker's limits and components.
#[derive(Clone, Debug, PartialEq)]
pub struct Worker {
    /// From the stop signal to SIGKILL.
    pub grace: Duration,
    /// Cleanup's part of the grace.
    pub reserve: Duration,
    /// Kept free at the end of the grace: min(500 ms, grace / 20), in whole milliseconds, rounded up.
    pub margin: Duration,
    /// The order among equals in cleanup.
    pub ties: Ties,
    /// How long main is waited for when a stop is requested while it runs.
    pub start_timeout: Duration,
    /// How long stop waits after a request to a running worker; zero is not at all.
    pub pre_stop: Duration,
    /// Whether the process handles signals; otherwise only `call` events happen.
    pub run: bool,
    /// The components in the order of registration; `None` for a user's own worker.
    pub components: Option<Vec<Component>>,
}

/// One component of a scripted worker.
#[derive(Clone, Debug, PartialEq)]
pub struct Component {
    /// Its name, unique in the file.
    pub name: Name,
    /// What it is; never [`Kind::Main`].
    pub kind: Kind,
    /// Its order.
    pub order: i32,
    /// How long main works before it registers this.
    pub after: Duration,
    /// Registered by a `register` event only.
    pub late: bool,
    /// What it uses.
    pub uses: Vec<Name>,
    /// Threads and tasks: from being told to the end; others: from the call to the return.
    pub takes: Duration,
    /// What it needs before it can end.
    pub needs: Option<Needs>,
    /// Its own bound: the kind's default (2 s for joins and cancels, 10 s for the others) if the file
    /// says nothing.
    pub timeout: Duration,
    /// Its explicit floor.
    pub floor: Option<Duration>,
    /// Whether a callback or closeable is async.
    pub is_async: bool,
    /// A thread's or task's cycle.
    pub period: Option<Duration>,
    /// When it is told.
    pub told: Told,
    /// What tells it in a context without tokens.
    pub told_by: Option<Name>,
    /// Whether a task ran before it was registered.
    pub adopted: bool,
    /// A watchdog's limits; `Some` exactly for watchdogs.
    pub watchdog: Option<WatchdogLimits>,
    /// Its table in the file.
    pub span: Span,
}

/// What a component needs before it can end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Something of it must run on the executor.
    Executor,
    /// Another component must have ended.
    Component(Name),
}

/// A watchdog's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchdogLimits {
    /// The pause after a good probe.
    pub interval: Duration,
    /// Failures in a row before it fires.
    pub attempts: u32,
    /// The limit of one probe.
    pub request_timeout: Duration,
    /// After which time failures count even without a first success.
    pub start_grace: Option<Duration>,
}

/// A verb and when it strikes.
#[derive(Clone, Debug, PartialEq)]
pub struct Timed {
    /// When.
    pub when: When,
    /// What.
    pub verb: Verb,
    /// Its table in the file.
    pub span: Span,
}

/// When an event of the timeline strikes: before all else in its instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// So long after the worker began.
    At(Duration),
    /// So long after the step of that component (or `main`) began for the first time.
    On(Name, Duration),
}

/// What an event of the timeline does.
#[derive(Clone, Debug, PartialEq)]
pub enum Verb {
    /// A signal arrives.
    Signal(SignalName),
    /// The context is called, by that number of callers at once.
    Call {
        /// Which call; never [`Call::Run`].
        call: Call,
        /// The component inside which the call is made.
        from: Option<Name>,
        /// How many call.
        callers: u32,
        /// The reason given.
        message: Option<String>,
    },
    /// A late component is registered.
    Register {
        /// Which.
        name: Name,
        /// The component inside which it is registered.
        from: Option<Name>,
    },
    /// Stuck: no work, no heed.
    Hang {
        /// Who.
        name: Name,
        /// How long.
        lasts: Lasts,
    },
    /// Works on, does not heed stop.
    Ignore {
        /// Who.
        name: Name,
        /// How long.
        lasts: Lasts,
    },
    /// Takes so much longer.
    Slow {
        /// Who.
        name: Name,
        /// By how much.
        by: Duration,
    },
    /// Returns an error: a body now, a callback when called, `main` now or before a registration, `kill`
    /// from here on.
    Fail {
        /// Who.
        name: Name,
        /// The error's words.
        message: Option<String>,
        /// Main: before which component's registration.
        before: Option<Name>,
        /// Main: the exit code it asks for.
        code: Option<i32>,
    },
    /// Panics, likewise.
    Panic {
        /// Who.
        name: Name,
        /// The panic's words.
        message: Option<String>,
        /// Main: before which component's registration.
        before: Option<Name>,
    },
    /// Ends early, well.
    End {
        /// Who.
        name: Name,
    },
    /// Holds the executor.
    Hold {
        /// Who.
        name: Name,
        /// How long.
        lasts: Lasts,
    },
    /// Jobs in flight; their component's end waits for them.
    Job {
        /// Whose.
        name: Name,
        /// How many.
        count: u32,
        /// How long each takes.
        takes: Lasts,
    },
    /// The health endpoint from here on.
    Health {
        /// What it answers.
        answer: Answer,
        /// How long an answer takes; one that takes for ever never comes.
        takes: Lasts,
        /// How long it behaves so; afterwards as before.
        lasts: Lasts,
        /// Only each so-many-th answer is like this, the others are 200 at once.
        every: u32,
    },
}

impl Verb {
    /// The component that it is about: the one that it strikes, or inside which it happens.
    pub fn about(&self) -> Option<&Name> {
        match self {
            Verb::Signal(_) | Verb::Health { .. } => None,
            Verb::Call { from, .. } => from.as_ref(),
            Verb::Register { name, .. }
            | Verb::Hang { name, .. }
            | Verb::Ignore { name, .. }
            | Verb::Slow { name, .. }
            | Verb::Fail { name, .. }
            | Verb::Panic { name, .. }
            | Verb::End { name }
            | Verb::Hold { name, .. }
            | Verb::Job { name, .. } => Some(name),
        }
    }

    /// The component inside whose code it happens, where it happens inside one.
    #[cfg(feature = "kit")]
    pub(crate) fn inside(&self) -> Option<&Name> {
        match self {
            Verb::Call { from, .. } | Verb::Register { from, .. } => from.as_ref(),
            _ => None,
        }
    }

    /// The key of the file that says it.
    pub fn key(&self) -> &'static str {
        match self {
            Verb::Signal(_) => "signal",
            Verb::Call { .. } => "call",
            Verb::Register { .. } => "register",
            Verb::Hang { .. } => "hang",
            Verb::Ignore { .. } => "ignore",
            Verb::Slow { .. } => "slow",
            Verb::Fail { .. } => "fail",
            Verb::Panic { .. } => "panic",
            Verb::End { .. } => "end",
            Verb::Hold { .. } => "hold",
            Verb::Job { .. } => "job",
            Verb::Health { .. } => "health",
        }
    }
}

/// What the health endpoint answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A status, 200 to 599.
    Status(u16),
    /// The connection is refused.
    Refused,
    /// It accepts and says nothing.
    Silent,
    /// Half of a status line, then nothing.
    HalfLine,
    /// A status line, then nothing.
    Stalls,
    /// A good answer, byte by byte.
    Drip,
    /// A good status, and a body that does not end.
    Endless,
    /// The connection is closed in the middle of the answer.
    Cut,
    /// The connection is torn down before the answer.
    Reset,
    /// Something that is not HTTP.
    Garbage,
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Answer::Status(status) = self {
            return write!(f, "{status}");
        }
        let mut words = ANSWERS.iter().filter(|(_, answer)| answer == self);
        words.try_for_each(|(word, _)| f.write_str(word))
    }
}

/// Whether the watchdog ended the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchdogVerdict {
    /// It did not.
    Quiet,
    /// It did.
    Fires,
}

/// What is expected. `None` is not checked; sets are exact.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expect {
    /// The exit code.
    pub exit: Option<Spanned<i32>>,
    /// The cause of the exit.
    pub cause: Option<Spanned<Cause>>,
    /// From the first request to the exit, at most.
    pub within: Option<Spanned<Duration>>,
    /// The exit's instant, exactly.
    pub ends_at: Option<Spanned<Duration>>,
    /// Whether the worker became ready before a stop was asked for.
    pub ready: Option<Spanned<bool>>,
    /// The registered components.
    pub registered: Option<Spanned<Vec<Name>>>,
    /// Whether the watchdog fired.
    pub watchdog: Option<Spanned<WatchdogVerdict>>,
    /// The cleanup and closeable steps that ended ok: exactly these, in this order.
    pub closed: Option<Spanned<Vec<Name>>>,
    /// The steps that ended so.
    pub leaked: Option<Spanned<Vec<Name>>>,
    /// Likewise.
    pub timed_out: Option<Spanned<Vec<Name>>>,
    /// Likewise.
    pub aborted: Option<Spanned<Vec<Name>>>,
    /// Likewise.
    pub failed: Option<Spanned<Vec<Name>>>,
    /// Likewise.
    pub panicked: Option<Spanned<Vec<Name>>>,
    /// Likewise.
    pub not_awaited: Option<Spanned<Vec<Name>>>,
    /// The components of which something was lost.
    pub lost: Option<Spanned<Vec<Name>>>,
    /// The components that failed or panicked before stop began.
    pub died: Option<Spanned<Vec<Name>>>,
    /// The threads and tasks that ended by themselves and well before stop began.
    pub ended: Option<Spanned<Vec<Name>>>,
    /// The components or calls that were refused.
    pub refused: Option<Spanned<Vec<Name>>>,
    /// Lines of the rendered log, each a part of a line, in this order.
    pub lines: Option<Spanned<Vec<Spanned<String>>>>,
    /// The laws that must break; no other may.
    pub breaks: Spanned<Vec<Name>>,
}

impl<T: Default> Default for Spanned<T> {
    fn default() -> Self {
        Spanned {
            value: T::default(),
            span: 0..0,
        }
    }
}

impl Scenario {
    /// The events of the timeline at those places of the file.
    #[cfg(feature = "kit")]
    pub(crate) fn events_at<'a>(&'a self, places: &'a [usize]) -> impl Iterator<Item = &'a Timed> {
        let places = places.iter();
        places.filter_map(|place| self.timeline.get(*place))
    }

    /// The component of that name.
    pub fn component(&self, name: &str) -> Option<&Component> {
        self.worker
            .components
            .iter()
            .flatten()
            .find(|component| &*component.name == name)
    }
}
