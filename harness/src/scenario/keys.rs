//! The table of keys of a scenario file. The parser's checks, its suggestions for misspelt keys, the grammar's page,
//! the editor's schema and the random scenarios all come from this one table.

use super::limits;
use super::lint_names::LINTS;
use crate::journal::{Call, Cause, FaultVerb, Kind, SignalName, Ties, Told};
use crate::laws;

pub use super::answer::ANSWERS;

/// The table of the file to which a key belongs.
///
/// It is exhaustive: a reader of the table has to handle each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The file itself.
    Top,
    /// `[worker]`.
    Worker,
    /// `[timeline]`.
    Timeline,
    /// One of `worker.components`.
    Component,
    /// One of `timeline.events`.
    Event,
    /// `[expect]`.
    Expect,
}

impl Place {
    /// Returns the place's name in messages.
    pub const fn title(self) -> &'static str {
        match self {
            Place::Top => "the file",
            Place::Worker => "[worker]",
            Place::Timeline => "[timeline]",
            Place::Component => "a component",
            Place::Event => "an event",
            Place::Expect => "[expect]",
        }
    }

    /// Returns the word for the key that selects what a table of this place is, or `None` if the place has no such key.
    pub const fn noun(self) -> Option<&'static str> {
        match self {
            Place::Component => Some("kind"),
            Place::Event => Some("verb"),
            _ => None,
        }
    }
}

/// Type of a key's value.
///
/// It is exhaustive: a reader of the table has to handle each.
#[derive(Clone, Copy, Debug)]
pub enum Type {
    /// A text.
    Text,
    /// One line of text that is not blank.
    Title,
    /// `no: ` and a reason, in one line.
    NotLive,
    /// A list of texts.
    Texts,
    /// `true` or `false`.
    Flag,
    /// A whole number in a range.
    Int(i64, i64),
    /// A duration with its unit, of at most 1 h.
    Time {
        /// Shortest duration, in milliseconds.
        min: u64,
        /// Whether `"forever"` is allowed.
        forever: bool,
    },
    /// The name that a component is given.
    NewName,
    /// The name of a component, or one of these reserved names.
    Name(&'static [&'static str]),
    /// A list of names of components, or of these reserved names.
    Names(&'static [&'static str]),
    /// A list of names of components, or of calls.
    NamesOrCalls,
    /// An answer of the health endpoint: a status in quotes, or one of [`ANSWERS`].
    Answer,
    /// One of these words.
    Word(fn() -> Vec<&'static str>),
    /// A list of these words.
    Words(fn() -> Vec<&'static str>),
    /// A table.
    Table,
    /// A list of tables.
    Tables,
}

impl Type {
    /// Returns the words that are allowed in place of a component's name.
    pub fn also(self) -> Vec<&'static str> {
        match self {
            Type::Name(also) | Type::Names(also) => also.to_vec(),
            Type::NamesOrCalls => calls(),
            _ => Vec::new(),
        }
    }
}

/// Names that no component of a file can have, because they mean something else.
pub const RESERVED: &[&str] = &["main", "kill", "executor"];

/// Key of the trigger between two turns.
pub(super) const AFTER_EVENT: &str = "after-event";

/// Keys that say what makes an event strike. An event has at most one of them.
pub const TRIGGERS: &[&str] = &["at", "on", "on-end", AFTER_EVENT];

/// The triggers from which `after` counts.
pub const DELAYED_TRIGGERS: &[&str] = &["on", "on-end"];

/// One key of the grammar.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Key {
    /// The table in which it stands.
    pub place: Place,
    /// Its name.
    pub name: &'static str,
    /// Type of its value.
    pub ty: Type,
    /// Effect of leaving it out, in words; empty if it has no default.
    pub default: &'static str,
    /// Its purpose, in words.
    pub doc: &'static str,
    /// Whether it is a kind or a verb: it states what a component is, or what an event does. Each component and each
    /// event has exactly one such key.
    pub selects: bool,
    /// Kinds or verbs with which it goes; empty for all.
    pub with: &'static [&'static str],
    /// Kinds or verbs with which it is required; an empty list if it is always required, `None` if it never is.
    pub required: Option<&'static [&'static str]>,
    /// Whether it goes only with an event about `main`.
    pub main_only: bool,
    /// Names with which it does not go: an event about one of them cannot have it.
    pub not_about: &'static [&'static str],
    /// For a verb: the kinds of component that it can be about; empty for all.
    pub on: &'static [&'static str],
    /// For a verb: whether it is only about what runs on the executor: a task, or a callback with `async = true`.
    pub on_executor: bool,
    /// For a verb: the reason why it cannot happen to a user's own worker, if it cannot.
    pub not_own: Option<&'static str>,
    /// Example, in one line.
    pub example: &'static str,
}

fn lints() -> Vec<&'static str> {
    LINTS.iter().map(|(name, _)| *name).collect()
}

fn law_names() -> Vec<&'static str> {
    laws::all().iter().map(|law| law.name).collect()
}

fn words<W: Copy>(all: &[W], word: fn(W) -> &'static str) -> Vec<&'static str> {
    all.iter().map(|one| word(*one)).collect()
}

/// Returns the calls that an event can make and that can be refused.
pub fn calls() -> Vec<&'static str> {
    words(Call::ALL, Call::as_str)
        .into_iter()
        .filter(|call| *call != Call::Run.as_str())
        .collect()
}

/// Returns the words of [`ANSWERS`].
pub fn answers() -> Vec<&'static str> {
    ANSWERS.iter().map(|(word, _)| *word).collect()
}

const TIME: Type = Type::Time {
    min: 0,
    forever: false,
};
const BOUND: Type = Type::Time {
    min: 1,
    forever: false,
};
const TIME_OR_FOREVER: Type = Type::Time {
    min: 0,
    forever: true,
};
const NAME: Type = Type::Name(&[]);
const NAMES: Type = Type::Names(&[]);
const NAMES_OR_MAIN: Type = Type::Names(&["main"]);
/// The name of a component, or `main`.
const NAME_OR_MAIN: Type = Type::Name(&["main"]);

const BODIES: &[&str] = &["thread", "task"];
const CALLBACKS: &[&str] = &["stop", "cleanup", "closeable"];
const CLEANUPS: &[&str] = &["cleanup", "closeable"];

/// Returns a key with these properties and no others. This function and the builder methods below are `const`, since
/// the table is a static.
const fn key(
    place: Place,
    name: &'static str,
    ty: Type,
    default: &'static str,
    doc: &'static str,
    example: &'static str,
) -> Key {
    Key {
        place,
        name,
        ty,
        default,
        doc,
        selects: false,
        with: &[],
        required: None,
        main_only: false,
        not_about: &[],
        on: &[],
        on_executor: false,
        not_own: None,
        example,
    }
}

impl Key {
    const fn selects(mut self) -> Self {
        self.selects = true;
        self
    }

    const fn with(mut self, with: &'static [&'static str]) -> Self {
        self.with = with;
        self
    }

    const fn on(mut self, on: &'static [&'static str]) -> Self {
        self.on = on;
        self
    }

    const fn on_executor(mut self) -> Self {
        self.on_executor = true;
        self
    }

    const fn not_about(mut self, names: &'static [&'static str]) -> Self {
        self.not_about = names;
        self
    }

    const fn not_own(mut self, reason: &'static str) -> Self {
        self.not_own = Some(reason);
        self
    }

    const fn required(mut self, with: &'static [&'static str]) -> Self {
        self.required = Some(with);
        self
    }

    const fn main_only(mut self) -> Self {
        self.main_only = true;
        self
    }

    /// Returns whether the key is required, beside that kind or verb if there is one.
    pub fn is_required(&self, selector: Option<&str>) -> bool {
        self.required.is_some_and(|with| {
            with.is_empty() || selector.is_some_and(|selector| with.contains(&selector))
        })
    }

    /// Returns whether a verb can be about a component of that kind, or about `main`.
    pub fn can_strike(&self, kind: Kind) -> bool {
        match kind {
            Kind::Main => self.ty.also().contains(&kind.as_str()),
            kind => self.on.is_empty() || self.on.contains(&kind.as_str()),
        }
    }

    /// Returns whether the key goes with that kind or verb.
    pub fn goes_with(&self, selector: &str) -> bool {
        self.with.is_empty() || self.with.contains(&selector)
    }
}

/// Returns the verbs that are faults of components, in the order of the table.
pub fn faults() -> impl Iterator<Item = &'static Key> {
    let is_fault = |key: &&Key| {
        FaultVerb::ALL
            .iter()
            .any(|fault| fault.as_str() == key.name)
    };
    of(Place::Event)
        .filter(move |key| key.selects && matches!(key.ty, Type::Name(_)) && is_fault(key))
}

use Place::{Component, Event, Expect, Timeline, Top, Worker};

/// Every key of the grammar.
pub static KEYS: &[Key] = &[
    key(Top, "title", Type::Title, "", "What the scenario is about, in one line.", r#"title = "The db waits for the last flush""#).required(&[]),
    key(Top, "tags", Type::Texts, "none", "Words by which a command can select the scenario.", r#"tags = ["drain"]"#),
    key(Top, "live", Type::NotLive, "it can be run live", "`\"no: REASON\"`: the scenario cannot be run on real threads and real time.", r#"live = "no: it takes two hours""#),
    key(Top, "patience", BOUND, "5s", "Only for a worker of your own: how long its code may keep its thread in real time while no virtual time passes. The environment variable `DEADSTOP_PATIENCE` takes precedence.", r#"patience = "500ms""#),
    key(Top, "allow", Type::Words(lints), "none", "Lints that are not reported for this file.", r#"allow = ["bounds-over-grace"]"#),
    key(Top, "worker", Type::Table, "a test brings a worker of its own", "The worker: its limits and its components.", "worker = {}"),
    key(Top, "timeline", Type::Table, "nothing happens", "What happens to the worker, and when.", "timeline = {}"),
    key(Top, "expect", Type::Table, "no law may break", "The expected result of the run.", "expect = {}"),
    //
    key(Worker, "grace", BOUND, "30s", "The time from the stop signal to SIGKILL.", r#"grace = "60s""#),
    key(Worker, "reserve", BOUND, "a third of the grace", "The part of the grace that is kept for cleanup.", r#"reserve = "5s""#),
    key(Worker, "ties", Type::Word(|| words(Ties::ALL, Ties::as_str)), "first", "Which component of equal order cleanup runs first: the one registered `first`, or the one registered `last`.", r#"ties = "last""#),
    key(Worker, "start-timeout", BOUND, "5s", "How long a stop waits for main if main still runs when the stop is requested.", r#"start-timeout = "2s""#),
    key(Worker, "pre-stop", BOUND, "stop begins at once", "The delay from a signal or `request-stop` to the begin of stop. During the delay the worker reports that it is not ready, and continues to work. The delay is part of stop's share, and must be shorter than the share.", r#"pre-stop = "5s""#),
    key(Worker, "run", Type::Flag, "true", "`false`: the program handles no signals, so that a signal ends it at once. Only `call` events stop it.", "run = false"),
    key(Worker, "components", Type::Tables, "a test brings a worker of its own", "The components of the worker: one list, in the order of registration.", r#"components = [{ closeable = "db" }]"#),
    //
    key(Component, "thread", Type::NewName, "", "A background thread. Stop tells it to stop, then joins it.", r#"{ thread = "flusher" }"#).selects(),
    key(Component, "task", Type::NewName, "", "A background task. Stop tells it through its token, awaits it, and aborts it at its bound.", r#"{ task = "writer" }"#).selects(),
    key(Component, "stop", Type::NewName, "", "A callback that stop calls.", r#"{ stop = "drain" }"#).selects(),
    key(Component, "cleanup", Type::NewName, "", "A callback that cleanup calls.", r#"{ cleanup = "flush" }"#).selects(),
    key(Component, "closeable", Type::NewName, "", "A resource that cleanup closes.", r#"{ closeable = "db" }"#).selects(),
    key(Component, "watchdog", Type::NewName, "", "The health watchdog: a thread that probes the health endpoint. It ends the process after too many failures in a row. After the n-th failure in a row it waits 4·n² seconds.", r#"{ watchdog = "NIM Sidecar Watchdog" }"#).selects(),
    key(Component, "order", Type::Int(i32::MIN as i64, i32::MAX as i64), "0", "Stop runs its steps in ascending order, cleanup in descending order.", r#"{ closeable = "predictor", order = 200 }"#),
    key(Component, "after", TIME, "0ms", "How long main works before it registers this component.", r#"{ closeable = "db", after = "700ms" }"#),
    key(Component, "late", Type::Flag, "false", "`true`: main does not register the component; a `register` event does.", r#"{ closeable = "late pool", late = true }"#),
    key(Component, "uses", NAMES, "none", "The components that it uses. A law requires that they are closed after it.", r#"{ task = "writer", uses = ["db"] }"#),
    key(Component, "takes", TIME, "0ms", "For a thread or task: the time from being told to its end. For the others: the time from the call to the return.", r#"{ cleanup = "flush", takes = "2s" }"#).with(&["thread", "task", "stop", "cleanup", "closeable"]),
    key(Component, "needs", Type::Name(&["executor"]), "nothing", "It ends only after that component has ended. With `executor`: only after the executor has run something for it.", r#"{ thread = "bridge", needs = "executor" }"#).with(&["thread", "task", "stop", "cleanup", "closeable"]),
    key(Component, "join-timeout", BOUND, "2s", "How long stop waits for its end.", r#"{ thread = "flusher", join-timeout = "5s" }"#).with(&["thread", "watchdog"]),
    key(Component, "cancel-timeout", BOUND, "2s", "How long stop waits for its end before it aborts the task.", r#"{ task = "server", cancel-timeout = "45s" }"#).with(&["task"]),
    key(Component, "timeout", BOUND, "10s", "How long stop or cleanup waits for its end.", r#"{ stop = "drain", timeout = "1s" }"#).with(CALLBACKS),
    key(Component, "floor", BOUND, "a share of the reserve, at most 1s", "The time that its step gets in any case, however long the steps before it took.", r#"{ cleanup = "flush", floor = "1s" }"#).with(CLEANUPS),
    key(Component, "async", Type::Flag, "false", "`true`: it runs on the executor, and can be aborted.", r#"{ closeable = "client", async = true }"#).with(CALLBACKS),
    key(Component, "period", BOUND, "it waits until told", "The length of its cycle. It spends the cycle in a wait that ends early when it is told.", r#"{ thread = "flusher", period = "1s" }"#).with(BODIES),
    key(Component, "told", Type::Word(|| words(Told::ALL, Told::as_str)), "at-once", "When it is told to stop: `at-once` when stop begins, or `in-turn` when its group begins.", r#"{ task = "writer", order = 10, told = "in-turn" }"#).with(BODIES),
    key(Component, "told-by", NAME, "the running flag", "Only for the plan, which has no tokens: the callback that tells it to stop.", r#"{ thread = "flusher", told-by = "stdout flusher" }"#).with(&["thread"]),
    key(Component, "adopted", Type::Flag, "false", "`true`: it ran before it was registered, and has no token.", r#"{ task = "old hand", adopted = true }"#).with(&["task"]),
    key(Component, "interval", BOUND, "10s", "The pause after a successful probe.", r#"{ watchdog = "w", interval = "5s" }"#).with(&["watchdog"]),
    key(Component, "attempts", Type::Int(1, 1_000), "3", "The number of failures in a row after which it ends the process.", r#"{ watchdog = "w", attempts = 5 }"#).with(&["watchdog"]),
    key(Component, "request-timeout", BOUND, "120s", "How long one probe may take.", r#"{ watchdog = "w", request-timeout = "10s" }"#).with(&["watchdog"]),
    key(Component, "start-grace", BOUND, "failures count only after the first success", "Failures count after this time, even without a first success.", r#"{ watchdog = "w", start-grace = "60s" }"#).with(&["watchdog"]),
    //
    key(Timeline, "events", Type::Tables, "none", "What happens, and when. Events of one instant strike in the order of the file, before anything else in that instant.", r#"events = [{ at = "10s", signal = "SIGTERM" }]"#),
    //
    key(Event, "signal", Type::Word(|| words(SignalName::ALL, SignalName::as_str)), "", "A signal arrives.", r#"{ at = "10s", signal = "SIGTERM" }"#).selects(),
    key(Event, "call", Type::Word(calls), "", "A caller calls this function of the context.", r#"{ at = "10s", call = "stop", callers = 2 }"#).selects(),
    key(Event, "register", NAME, "", "A component that is `late` is registered.", r#"{ on = "drain", register = "late pool" }"#).selects().not_own("your own code registers late components, for example in a task of the worker after a `tokio::time::sleep`"),
    key(Event, "hang", NAME_OR_MAIN, "", "It is stuck from here on: it does no work and reacts to nothing.", r#"{ at = "5s", hang = "flush" }"#).selects(),
    key(Event, "ignore", NAME, "", "It continues to work, although it is told to stop.", r#"{ at = "5s", ignore = "writer", for = "8s" }"#).selects().on(BODIES),
    key(Event, "slow", NAME_OR_MAIN, "", "It takes longer, by the time that `by` gives.", r#"{ at = "5s", slow = "flush", by = "3s" }"#).selects().on(&["thread", "task", "stop", "cleanup", "closeable"]),
    key(Event, "fail", Type::Name(&["main", "kill"]), "", "It returns an error: a thread or task now, a callback when it is called, `main` now or before a registration (`before`). The watchdog cannot return an error, so it panics. `kill`: the plan's kill tool fails from here on.", r#"{ at = "5s", fail = "db", message = "already closed" }"#).selects(),
    key(Event, "panic", NAME_OR_MAIN, "", "It panics, at the same moment at which `fail` makes it return an error.", r#"{ at = "5s", panic = "flush" }"#).selects(),
    key(Event, "end", NAME, "", "It ends early, and without an error.", r#"{ at = "5s", end = "writer" }"#).selects().on(BODIES),
    key(Event, "hold", NAME_OR_MAIN, "", "It holds the executor, so that no task and no async callback runs. A task holds it from now on, an async callback from its call on.", r#"{ at = "5s", hold = "writer", for = "3s" }"#).selects().on(&["task", "stop", "cleanup", "closeable"]).on_executor().not_own("only the code of a task can hold its executor; `hang` stops the task alone"),
    key(Event, "job", NAME, "", "It has jobs in flight, and its end waits for them.", r#"{ at = "5s", job = "thread pool", count = 4, takes = "3s" }"#).selects().on(&["thread", "task", "stop", "cleanup", "closeable"]).not_own("jobs in flight are real code here: start them in the function that registers the components"),
    key(Event, "health", Type::Answer, "", "What the health endpoint answers from here on. `refused`: it refuses the connection. `silent`: it accepts the connection and sends nothing. `half-line`: it sends half of a status line, then nothing. `stalls`: it sends the whole status line, then nothing. `drip`: it sends an answer 200 byte by byte, spread over the time `takes`; without `takes`, one byte a second for ever. `endless`: it sends 200 with a body that does not end. `cut`: it closes the connection in the middle of the answer. `reset`: it resets the connection before the answer. `garbage`: it sends something that is not HTTP.", r#"{ at = "5s", health = "503", takes = "2s" }"#).selects(),
    key(Event, "at", TIME, "the start", "When it strikes: at this time after the start of the worker.", r#"{ at = "10s", signal = "SIGTERM" }"#),
    key(Event, "on", NAME_OR_MAIN, "", "When it strikes: when the step of that component begins for the first time, or when `main` begins.", r#"{ on = "flush", signal = "SIGTERM" }"#),
    key(Event, "on-end", NAME_OR_MAIN, "", "When it strikes: when the code of that component, or `main`, ends for the first time, however it ends.", r#"{ on-end = "flush", signal = "SIGTERM" }"#),
    key(Event, AFTER_EVENT, Type::Int(0, limits::EVENT_NUMBER as i64), "", "When it strikes: after the turn in which the event with this number (`seq`) is written to the journal, and before the next turn. A live run cannot have it.", r#"{ after-event = 12, signal = "SIGTERM" }"#),
    key(Event, "after", TIME, "0ms", "The delay after the begin that `on` names, or after the end that `on-end` names.", r#"{ on = "flush", after = "500ms", signal = "SIGTERM" }"#),
    key(Event, "from", NAME_OR_MAIN, "from outside", "The component whose code makes the call.", r#"{ at = "5s", call = "stop", from = "writer" }"#).with(&["call"]),
    key(Event, "callers", Type::Int(1, 1_000), "1", "The number of callers that call at the same time.", r#"{ at = "5s", call = "cleanup", callers = 3 }"#).with(&["call"]),
    key(Event, "message", Type::Text, "scripted failure, scripted panic", "The text of the error or panic, or the reason that is given with `request-stop`.", r#"{ at = "5s", fail = "db", message = "broken pipe" }"#).with(&["fail", "panic", "call"]).not_about(&["kill"]),
    key(Event, "for", TIME_OR_FOREVER, "forever", "How long it lasts.", r#"{ at = "5s", hang = "flush", for = "3s" }"#).with(&["hang", "ignore", "hold", "health"]),
    key(Event, "by", TIME, "", "How much longer it takes.", r#"{ at = "5s", slow = "flush", by = "3s" }"#).with(&["slow"]).required(&["slow"]),
    key(Event, "before", NAME, "now", "Main ends just before it registers this component.", r#"{ fail = "main", before = "db" }"#).with(&["fail", "panic"]).main_only(),
    key(Event, "code", Type::Int(1, 255), "none", "The exit code that main asks for.", r#"{ fail = "main", before = "db", code = 255 }"#).with(&["fail"]).main_only(),
    key(Event, "count", Type::Int(1, 1_000), "1", "The number of jobs.", r#"{ at = "5s", job = "thread pool", count = 4, takes = "3s" }"#).with(&["job"]),
    key(Event, "takes", TIME_OR_FOREVER, "an answer comes at once", "How long each job or each answer takes. An answer that takes `forever` never comes.", r#"{ at = "5s", job = "thread pool", takes = "3s" }"#).with(&["job", "health"]).required(&["job"]),
    key(Event, "every", Type::Int(1, 1_000), "1", "Which answers are like this: with 3, every third one. The others are an immediate 200.", r#"{ at = "5s", health = "503", every = 3 }"#).with(&["health"]),
    //
    key(Expect, "exit", Type::Int(0, 255), "", "The exit code.", "exit = 0"),
    key(Expect, "cause", Type::Word(|| words(Cause::ALL, Cause::as_str)), "", "Why the process ends.", r#"cause = "stopped""#),
    key(Expect, "within", TIME, "", "The longest time from the first request to stop to the exit.", r#"within = "3s""#),
    key(Expect, "ends-at", TIME, "", "The exact time at which the process ends, from the start of the worker.", r#"ends-at = "10s""#),
    key(Expect, "ready", Type::Flag, "", "Whether main is done, and the worker is ready, before the first request to stop.", "ready = true"),
    key(Expect, "registered", NAMES, "", "The components that are registered: exactly these. An empty list allows a worker of your own to register nothing, which is otherwise a mistake.", "registered = []"),
    key(Expect, "watchdog", Type::Word(|| vec!["quiet", "fires"]), "", "Whether the watchdog ends the process.", r#"watchdog = "quiet""#),
    key(Expect, "closed", NAMES, "", "The cleanup and closeable steps that end ok: exactly these, in this order.", r#"closed = ["db"]"#),
    key(Expect, "leaked", NAMES_OR_MAIN, "", "The components that still run when they are no longer awaited: exactly these.", "leaked = []"),
    key(Expect, "timed-out", NAMES, "", "The async callbacks that are aborted at their bound: exactly these.", "timed-out = []"),
    key(Expect, "aborted", NAMES_OR_MAIN, "", "The tasks that are aborted at their bound: exactly these.", "aborted = []"),
    key(Expect, "failed", NAMES_OR_MAIN, "", "The steps that return an error: exactly these.", "failed = []"),
    key(Expect, "panicked", NAMES_OR_MAIN, "", "The steps that panic: exactly these.", "panicked = []"),
    key(Expect, "not-awaited", NAMES_OR_MAIN, "", "The steps whose wait is cut short: exactly these.", "not-awaited = []"),
    key(Expect, "lost", NAMES, "", "The components that, when the process ends, are not stopped or not closed, still run without being reported as leaked, or have a job in flight: exactly these.", "lost = []"),
    key(Expect, "died", NAMES, "", "The threads and tasks that fail, panic or are dropped before stop: exactly these.", "died = []"),
    key(Expect, "ended", NAMES, "", "The threads and tasks that end by themselves and without an error before stop: exactly these. The futures of `spawn_or_block_on` are expected to end, and are not among them.", "ended = []"),
    key(Expect, "refused", Type::NamesOrCalls, "", "The registrations and calls that are refused: exactly these.", "refused = []"),
    key(Expect, "lines", Type::Texts, "", "Texts that lines of the log contain, in this order.", r#"lines = ["Stopping: drain"]"#),
    key(Expect, "breaks", Type::Words(law_names), "none", "The laws that must break. No other law may break.", "breaks = []"),
];

/// Returns the keys of one place.
pub fn of(place: Place) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.place == place)
}

/// Returns the key of that name in that place.
pub fn find(place: Place, name: &str) -> Option<&'static Key> {
    of(place).find(|key| key.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_no_key_twice() {
        for (n, key) in KEYS.iter().enumerate() {
            assert!(
                !KEYS[..n]
                    .iter()
                    .any(|other| other.place == key.place && other.name == key.name),
                "{}",
                key.name
            );
        }
    }

    #[test]
    fn key_goes_with_kinds_or_verbs_of_its_own_place() {
        for key in KEYS {
            for with in key.with.iter().chain(key.required.unwrap_or(&[])) {
                assert!(
                    of(key.place).any(|other| other.selects && other.name == *with),
                    "{} with {with}",
                    key.name
                );
            }
        }
    }
}
