//! What a run gives: its journal, and what was observed beside the events.

use crate::journal::{Event, Name, What};
use crate::sim::foreign::Found;
use crate::sim::guard::stall::Stall;
use crate::sim::guard::watched::{Kept, Panicked};

/// Journal of a run, and what was observed beside its events.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Journal {
    /// The events, in order.
    pub events: Vec<Event>,
    /// Instants at which something was due, in milliseconds, ascending: an event of the timeline, or the end of a
    /// wait or of a bound. An instant is listed even if no event was recorded at it. The instants at which a
    /// component only begins to wait again are not listed.
    pub instants: Vec<u64>,
    /// Events of the timeline that never struck, as their positions in the file. Either the run ended first, or the
    /// step that they waited for never began.
    pub unstruck: Vec<usize>,
    /// First request that a [user's own](crate::sim::Own) context got from a thread that the simulator does not know: a
    /// thread of std's, or of `spawn_blocking`. What such a thread does is not in the journal, and the rest of the run
    /// is not reproducible.
    pub outside: Option<Name>,
    /// Observations beside the events.
    pub aside: Box<Aside>,
}

impl Journal {
    /// Returns the number of events and of report rows, as a measure of what the journal costs to keep.
    pub(crate) fn size(&self) -> usize {
        let rows = self.events.iter().map(|event| match &event.what {
            What::Returned { steps, deaths, .. } => steps.len() + deaths.len(),
            _ => 0,
        });
        self.events.len() + rows.sum::<usize>()
    }
}

/// Observations of a run beside its events.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Aside {
    /// Findings about a [user's own](crate::sim::Own) code that no event records.
    pub found: Found,
    /// Jobs that a user's own code has left on the runtime's blocking pool, by the component that handed each in.
    /// Which of them are over in time may differ from run to run.
    pub jobs: Vec<Name>,
    /// Panics of a user's own code, if the test kit records them.
    pub panics: Vec<Panicked>,
    /// Why the run stands still, if [`Runners`](crate::sim::Runners) gave it up.
    pub stall: Option<Stall>,
    /// Turns and jobs on the blocking pool that took long in real time. Which they are, and how long they took,
    /// differs from run to run.
    pub kept: Vec<Kept>,
}

/// Compares the events, the events that never struck, the outside request and the findings. The instants are not
/// compared, nor is what depends on real time, since that differs from run to run.
impl PartialEq for Journal {
    fn eq(&self, other: &Self) -> bool {
        self.events == other.events
            && self.unstruck == other.unstruck
            && self.outside == other.outside
            && self.aside.found == other.aside.found
    }
}

impl Eq for Journal {}
