//! The simulator: runs a scenario in virtual time, with simulated threads, endpoints and faults and one source of
//! choice, the [`Schedule`].
//!
//! [`run`] drives a worker context through a scenario and returns the journal of the run. The same scenario and the
//! same seed give the same journal, to the byte, on any machine. The `stage` scripts the components. The
//! command, the test kit and live runs use this module.

mod baton;
mod bell;
mod bodies;
mod body_turn;
mod budget;
mod clock;
mod coroutine;
mod endpoint;
mod entity;
mod foreign;
mod guard;
mod header;
mod host;
mod inside;
mod job;
mod journal;
#[cfg(test)]
mod laid;
mod left_behind;
mod lock;
mod meter;
mod options;
mod overlay;
mod own;
mod pace;
mod plan;
mod pool;
mod ready;
mod role;
mod run;
mod runners;
mod schedule;
mod settlers;
mod stack;
mod stage;
mod stall;
mod subject;
mod thread;
mod thread_id;
mod twice;
mod usage;
mod wait;
mod watched;
mod worker;
mod workers;
mod world;

pub use bodies::Bodies;
pub use budget::budget;
pub use foreign::Found;
pub(crate) use header::header;
pub use job::{Ran, Run, RunError, WorkerId};
pub use journal::{Aside, Journal};
pub use options::{Options, Subject};
pub use own::Own;
pub(crate) use run::note_panic;
pub use run::{run, run_own, run_with};
#[doc(hidden)]
pub use runners::cores;
pub use runners::{Runners, Running};
pub use schedule::{
    Candidate, Candidates, Choice, Choices, Halt, MAX_POINTS, NotChoices, Noted, Point, PointKind,
    Points, Recorded, Recording, Repeated, Replayed, Schedule, Seeded,
};
pub use stack::{Frame, Stack};
pub use stall::{Code, Doing, Stall, Waiting};
pub(crate) use thread::start_thread;
pub use twice::{FURTHER_SEEDS, TWICE_AT_ONCE, Twice, twice};
pub use watched::{Kept, KeptBy, Panicked};
pub(crate) use worker::limits_of;
pub use world::{EVENTS_A_MILLISECOND, EVENTS_A_RUN, HORIZON, ROWS_A_RUN, TURNS_A_RUN};
