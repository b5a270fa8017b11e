//! The operations that a script needs from the simulator or the live run.

use std::cell::RefCell;

use super::endpoint::Endpoint;
use super::part::{Part, Parts};
use super::script::Script;
use crate::journal::{Call, Name, SignalName, What};

/// Operations that a script needs from the simulator or the live run. None of them waits.
pub(crate) trait Stage {
    /// Returns the components, with main.
    fn parts(&self) -> &Parts;

    /// Returns the script: the events that are still to strike.
    fn script(&self) -> &RefCell<Script>;

    /// Returns the health endpoint.
    fn endpoint(&self) -> &RefCell<Endpoint>;

    /// Returns the time since the worker began, in milliseconds.
    fn now(&self) -> u64;

    /// Returns whether the process has ended.
    fn is_over(&self) -> bool;

    /// Records an event.
    fn record(&self, what: What);

    /// Ends the pause of the component's code.
    fn wake(&self, part: &Part);

    /// Holds the executor from the component's code, or frees it.
    fn hold_executor(&self, part: &Part, hold: bool);

    /// Makes the executor run something for the component. When that has run, sets `executor_ran` and wakes the
    /// component.
    fn ask_executor(&self, part: &Part);

    /// Makes `later` [happen](Stage::happen) after `delay` milliseconds.
    fn later(&self, delay: u64, later: Later);

    /// Delivers a signal to the process, which handles it.
    fn signal(&self, signal: SignalName);

    /// Ends the process by a signal.
    fn kill(&self, signal: SignalName);

    /// Calls the context, from inside the component `from` if there is one.
    fn call(&self, call: Call, from: Option<Name>, message: Option<String>);

    /// Registers a late component.
    fn register(&self, index: usize);
}

/// An effect that is set for later.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Later {
    /// The component of this index no longer holds the executor.
    Release(usize),
    /// The job of this number is done, of the component of this index.
    JobDone(usize, u32),
}
