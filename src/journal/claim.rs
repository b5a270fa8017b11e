//! The claim: an event that a worker context reports about itself.

use std::sync::Arc;

use super::words::{
    BoundBy, By, How, Kind, Outcome, Phase, RefusedReason, State, Told, WatchdogIs,
};

/// The number of a component: from 1, in the order of registration. [`MAIN`] is the main function.
///
/// An id is never used twice. 64 bits do not run out; 32 would after 50 days of a thousand registrations a second.
pub type Id = u64;

/// The id in the main function's events; main is never registered.
pub const MAIN: Id = 0;

/// A name, or any other short line of text, shared by the claims that carry it.
pub type Name = Arc<str>;

/// An event that a worker context reports about itself or one of its components.
///
/// Times are in whole milliseconds: instants since the worker began, and bounds and durations. As text
/// ([`Display`](std::fmt::Display)) a claim is the line that a service logs. As JSON (feature `serde`) it is one
/// object: `event`, the name of the claim, then its keys in the order of declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(tag = "event", rename_all = "kebab-case")
)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each key is described at its variant")]
pub enum Claim {
    /// A component was accepted, with all of its limits. Its code may already run.
    Registered(Arc<Registered>),
    /// A registration or a call was refused.
    Refused {
        what: Name,
        name: Name,
        reason: RefusedReason,
    },
    /// The context moved to a state.
    State { state: State },
    /// A stop was requested. The first request counts.
    Requested { reason: Name, by: By },
    /// The grace began. The keys are the instants at which its parts end.
    GraceBegan {
        stop_ends: u64,
        cleanup_ends: u64,
        last_resort: u64,
        kill: u64,
    },
    /// A phase began; `ends` is the end of its share, if it has one.
    PhaseStarted { phase: Phase, ends: Option<u64> },
    /// A phase ended.
    PhaseEnded { phase: Phase, ends: Option<u64> },
    /// A step began. Steps of one `group` of a phase are awaited together.
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
    /// Half of a step's bound has passed, and the step has not ended.
    StillWaiting {
        name: Name,
        waited: u64,
        bound: u64,
        id: Id,
    },
    /// A thread, task, watchdog or main was told to stop.
    Told { name: Name, id: Id },
    /// The `wake` of a component that was told panicked.
    WakePanicked { id: Id, name: Name, error: Name },
    /// A task, an async callback or main was aborted.
    Abort { name: Name, id: Id },
    /// A step ended for the context.
    StepEnded {
        phase: Phase,
        name: Name,
        order: i32,
        outcome: Outcome,
        took: u64,
        id: Id,
        error: Option<Name>,
    },
    /// A body, a callback or main ended, as its host reports; also after a leak.
    Ended {
        id: Id,
        name: Name,
        nth: u32,
        how: How,
        error: Option<Name>,
        /// The exit code that main asks for with its error.
        #[cfg_attr(
            feature = "serde",
            serde(default, skip_serializing_if = "Option::is_none")
        )]
        code: Option<i32>,
    },
    /// The watchdog's state changed, or a probe of it failed; `attempt` counts the failures in a row.
    Watchdog { is: WatchdogIs, attempt: u32 },
    /// A component was left behind and still runs.
    Leak { id: Id, name: Name, kind: Kind },
    /// The last handle was dropped without a stop; the named components were left running.
    Abandoned { names: Vec<Name> },
    /// At the end of start: `name` will be closed before `user`, which uses it.
    ClosesBeforeUser {
        name: Name,
        order: i32,
        id: Id,
        user: Name,
        user_order: i32,
        user_id: Id,
    },
    /// At the end of start: `name` uses `used`, and no component has that name.
    UsesUnknown { id: Id, name: Name, used: Name },
    /// At the end of start: `name` may end before `user`, which uses it.
    EndsBeforeUser {
        name: Name,
        id: Id,
        user: Name,
        user_id: Id,
    },
    /// At the end of start: the component's own bound is longer than the whole share of its phase.
    BoundOverShare {
        id: Id,
        name: Name,
        bound: u64,
        phase: Phase,
        share: u64,
    },
}

/// A component as it was registered, with every limit that a law needs.
///
/// It is exhaustive: a simulator that writes one must not forget a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Registered {
    /// The component's id.
    pub id: Id,
    /// The component's kind.
    pub kind: Kind,
    /// Its name.
    pub name: Name,
    /// Its order.
    pub order: i32,
    /// Its own bound.
    pub timeout: u64,
    /// Its floor, if one was given.
    pub floor: Option<u64>,
    /// The names of the components that it uses.
    pub uses: Vec<Name>,
    /// When it is told.
    pub told: Told,
    /// Whether it runs on the executor.
    #[cfg_attr(feature = "serde", serde(rename = "async"))]
    pub is_async: bool,
    /// Whether it ran before it was registered, so that it has no token.
    pub adopted: bool,
    /// Whether it is a future that runs to its end (`spawn_or_block_on`), so that it may end by itself.
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "std::ops::Not::not")
    )]
    pub once: bool,
    /// A watchdog's pause after a good probe.
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    pub interval: Option<u64>,
    /// The number of failures in a row at which a watchdog fires.
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    pub attempts: Option<u32>,
    /// A watchdog's bound for one probe.
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    pub request_timeout: Option<u64>,
    /// The time after which a watchdog counts failures even without a success.
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    pub start_grace: Option<u64>,
}
