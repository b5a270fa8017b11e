//! The events of the journal.

use deadstop::journal::{
    BoundBy, By, Cause, How, Id, Kind, Name, Outcome, Phase, RefusedReason, Registered, SignalName,
    State, Ties, WatchdogIs,
};
use std::sync::Arc;

use super::row::Row;
use super::words::{Call, FaultVerb, LostWhat, StuckWhy};

/// The version of the journal's JSON form. New keys follow the old ones; a key that is removed or changes its meaning
/// makes a new version.
pub const VERSION: u32 = 1;

/// One entry of the journal: what happened, and when.
///
/// In JSON an event is one object a line: `t`, `seq`, `event`, then the keys of [`What`] in their order of
/// declaration.
///
/// It is exhaustive: a journal written by hand, as the tests of laws write them, has to give all of it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Event {
    /// Whole milliseconds since the worker began.
    pub t: u64,
    /// The event's number in its journal, from 0.
    pub seq: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened. Times are in whole milliseconds: instants since the worker began, and bounds and durations.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[allow(missing_docs, reason = "each key is described at its variant")]
#[non_exhaustive]
pub enum What {
    /// Fact, the first event: which run this is.
    Journal {
        version: u32,
        scenario: Name,
        seed: u64,
        subject: Name,
        host: Name,
    },
    /// Fact: the worker's limits.
    Worker {
        grace: u64,
        reserve: u64,
        margin: u64,
        ties: Ties,
        start_timeout: u64,
        /// The time for which a running worker goes on after it was asked to stop; absent without a pre-stop delay.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pre_stop: Option<u64>,
    },
    /// Fact: a component was registered, with all of its limits.
    Registered(Arc<Registered>),
    /// Claim: a registration or a call was refused.
    Refused {
        what: Name,
        name: Name,
        reason: RefusedReason,
    },
    /// Claim: the context moved to a state.
    State { state: State },
    /// Fact: the running flag changed, as read after each claim.
    Running { value: bool },
    /// Fact: a signal arrived; `nth` numbers the counted signals, and is 0 for a doubled one.
    Signal { name: SignalName, nth: u32 },
    /// Claim: a stop was requested. The first request counts.
    Requested { reason: Name, by: By },
    /// Claim: the grace began. The keys are the instants at which its parts end.
    GraceBegan {
        stop_ends: u64,
        cleanup_ends: u64,
        last_resort: u64,
        kill: u64,
    },
    /// Fact: the context was called. `caller` numbers the calls of a run from 1; `from` names the component inside
    /// which the call was made.
    CallBegan {
        call: Call,
        caller: u32,
        from: Option<Name>,
    },
    /// Fact: a call returned; `steps` and `deaths` are the report that it returned.
    Returned {
        call: Call,
        caller: u32,
        result: Name,
        steps: Vec<Row>,
        deaths: Vec<(Id, How)>,
    },
    /// Claim: a phase began; `ends` is the end of its share, if it has one.
    PhaseStarted { phase: Phase, ends: Option<u64> },
    /// Claim: a phase ended.
    PhaseEnded { phase: Phase, ends: Option<u64> },
    /// Claim: a step began. Steps of one `group` of a phase are awaited together.
    StepStarted {
        phase: Phase,
        name: Name,
        order: i32,
        bound: u64,
        bound_by: BoundBy,
        id: Id,
        kind: Kind,
        group: u32,
    },
    /// Claim: half of a step's bound has passed, and the step has not ended.
    StillWaiting {
        name: Name,
        waited: u64,
        bound: u64,
        id: Id,
    },
    /// Claim: a thread, task, watchdog or main was told to stop.
    Told { name: Name, id: Id },
    /// Claim: the `wake` of a component that was told panicked.
    WakePanicked { id: Id, name: Name, error: Name },
    /// Claim: a task, an async callback or main was aborted.
    Abort { name: Name, id: Id },
    /// Claim: a step ended for the context.
    StepEnded {
        phase: Phase,
        name: Name,
        order: i32,
        outcome: Outcome,
        took: u64,
        id: Id,
        error: Option<Name>,
    },
    /// Fact: a body, a callback or main began to run, for the `nth` time.
    Began { id: Id, name: Name, nth: u32 },
    /// Fact: a body saw for the first time that it is to stop.
    Heard { id: Id, name: Name },
    /// Fact: a body, a callback or main ended; also after a leak.
    Ended {
        id: Id,
        name: Name,
        nth: u32,
        how: How,
        error: Option<Name>,
        /// The exit code that main asks for with its error.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<i32>,
    },
    /// Fact: a job of a component is in flight. `job` numbers the jobs of a run from 1.
    JobBegan { id: Id, job: u32 },
    /// Fact: a job ended well.
    JobEnded { id: Id, job: u32 },
    /// Fact: `id` touched the resource `of`. `alive` is false once the resource's close has begun.
    Used { id: Id, of: Id, alive: bool },
    /// Fact: a component holds the executor: no task and no async callback runs.
    Held { id: Id, name: Name },
    /// Fact: the component no longer holds the executor.
    Released { id: Id, name: Name },
    /// Fact: a fault was laid over a component; `id` is null before its registration.
    Fault {
        fault: FaultVerb,
        name: Name,
        id: Option<Id>,
        /// How long the fault lasts, or how much longer things take; absent if it lasts for ever or has no length.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lasts: Option<u64>,
        /// The health endpoint's answer from here on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answer: Option<Name>,
    },
    /// Fact: the watchdog's `n`th probe began.
    ProbeBegan { n: u32 },
    /// Fact: a probe ended. `result` is a status or a word; `ignored` marks an answer that came after its probe had
    /// been given up.
    Probe {
        n: u32,
        result: Name,
        took: u64,
        ignored: bool,
    },
    /// Claim: the watchdog's state changed, or a probe of it failed; `attempt` counts the failures in a row.
    Watchdog { is: WatchdogIs, attempt: u32 },
    /// Claim: a component was left behind and still runs.
    Leak { id: Id, name: Name, kind: Kind },
    /// Fact: the process ended and took a component with it, or a job that its component did not wait for.
    Lost { id: Id, name: Name, what: LostWhat },
    /// Fact: the run could not be finished; `name` is the component to blame. The last event of such a journal.
    Stuck { why: StuckWhy, name: Name },
    /// Fact: a signal that was not caught ended the process: SIGKILL, or any signal where the program
    /// handles none.
    Killed { signal: SignalName },
    /// Fact, the last event: the process ended.
    Exit { code: i32, cause: Cause },
    /// Claim: the last handle was dropped without a stop; the named components were left running.
    Abandoned { names: Vec<Name> },
    /// Claim, at the end of start: `name` will be closed before `user`, which uses it.
    ClosesBeforeUser {
        name: Name,
        order: i32,
        id: Id,
        user: Name,
        user_order: i32,
        user_id: Id,
    },
    /// Claim, at the end of start: `name` uses `used`, and no component has that name.
    UsesUnknown { id: Id, name: Name, used: Name },
    /// Claim, at the end of start: `name` may end before `user`, which uses it.
    EndsBeforeUser {
        name: Name,
        id: Id,
        user: Name,
        user_id: Id,
    },
    /// Claim, at the end of start: the component's own bound is longer than the whole share of its phase.
    BoundOverShare {
        id: Id,
        name: Name,
        bound: u64,
        phase: Phase,
        share: u64,
    },
}
