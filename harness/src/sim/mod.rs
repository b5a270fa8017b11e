//! The simulator: runs a scenario in virtual time, with simulated threads, endpoints and faults and one source of
//! choice, the [`Schedule`].
//!
//! [`run`] drives a worker context through a scenario and returns the journal of the run. The same scenario and the
//! same seed give the same journal, to the byte, on any machine. The `stage` scripts the components. The
//! command, the test kit and live runs use this module.

mod body;
mod clock;
mod driven;
mod endpoint;
mod entity;
mod foreign;
mod guard;
mod host;
mod inside;
#[cfg(test)]
mod laid;
mod overlay;
mod pace;
mod ready;
mod role;
mod run;
mod schedule;
mod settlers;
mod stage;
mod subject;
mod thread;
mod world;

pub use body::bodies::Bodies;
pub use foreign::Found;
pub use guard::stack::{Frame, Stack};
pub use guard::stall::{Code, Doing, Stall, Waiting};
pub use guard::watched::{Kept, KeptBy, Panicked};
pub use run::budget::budget;
#[cfg(all(feature = "live", unix))]
pub(crate) use run::header::header;
pub use run::job::{Ran, Run, RunError, WorkerId};
pub use run::journal::{Aside, Journal};
pub use run::options::{Options, Subject};
#[doc(hidden)]
pub use run::runners::cores;
pub use run::runners::{Runners, Running};
pub(crate) use run::single::note_panic;
pub use run::single::{run, run_own, run_with};
pub use run::twice::{FURTHER_SEEDS, MAX_BUFFERED_RUNS, Twice, twice};
pub use schedule::{
    Candidate, Candidates, Choice, Choices, Halt, MAX_POINTS, NotChoices, Noted, Point, PointKind,
    Points, Recorded, Recording, Repeated, Replayed, Schedule, Seeded,
};
pub use subject::own::Own;
#[cfg(all(feature = "live", unix))]
pub(crate) use subject::worker::limits_of;
pub(crate) use thread::start_thread;
pub use world::{
    HORIZON, MAX_EVENTS_PER_MS, MAX_EVENTS_PER_RUN, MAX_ROWS_PER_RUN, MAX_TURNS_PER_RUN,
};
