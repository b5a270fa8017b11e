//! The stage: the parts of a scripted worker, what the script does to them, and how they behave.
//!
//! It knows neither clock nor host. Whoever runs a scenario implements [`Stage`]: the simulator in
//! virtual time, and the live run on real threads. What happens to a component, and what it does about
//! it, is one code for both, or a comparison of the two would compare two scripts.

mod body;
mod endpoint;
mod growing;
mod own;
mod part;
mod peer;
mod register;
mod said;
mod script;

use std::cell::RefCell;
use std::time::Duration;

use crate::journal::{Call, Name, SignalName, What};

pub(crate) use body::{Pace, Wait, blocking, called, live, main};
pub(crate) use endpoint::{Behaviour, Endpoint};
pub(crate) use part::{MAIN_PART, NEVER, Part, Parts, Strike};
pub(crate) use peer::{Ends, serve};
pub(crate) use register::{Cast, register};
pub(crate) use said::{Said, call};
pub(crate) use script::Script;

/// What a script needs of whoever runs it. Nothing here waits.
pub(crate) trait Stage {
    /// The components, and main.
    fn parts(&self) -> &Parts;

    /// What is still to strike.
    fn script(&self) -> &RefCell<Script>;

    /// The health endpoint.
    fn endpoint(&self) -> &RefCell<Endpoint>;

    /// Milliseconds since the worker began.
    fn now(&self) -> u64;

    /// Whether the process has ended.
    fn is_over(&self) -> bool;

    /// Writes an event down.
    fn record(&self, what: What);

    /// Ends the pause of whoever runs the part's code.
    fn wake(&self, part: &Part);

    /// Holds the executor, from the part's code, or frees it.
    fn hold_executor(&self, part: &Part, hold: bool);

    /// Has the executor run something for the part: then `executor_ran` is set, and the part woken.
    fn ask_executor(&self, part: &Part);

    /// Has something [happen](Stage::happen) after so many milliseconds.
    fn later(&self, delay: u64, later: Later);

    /// A signal reaches the process, which handles it.
    fn signal(&self, signal: SignalName);

    /// A signal ends the process.
    fn kill(&self, signal: SignalName);

    /// Somebody calls the context; from inside a component where one is named.
    fn call(&self, call: Call, from: Option<Name>, message: Option<String>);

    /// A late component is registered.
    fn register(&self, index: usize);
}

/// What happens later.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Later {
    /// The executor that a part holds is free again.
    Release(usize),
    /// That job of a part's is done.
    JobDone(usize, u32),
}

/// A duration in whole milliseconds, rounded up.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
