//! Schedules: what decides which of several things goes on in one instant. Nothing else in a simulated run is random.
//!
//! The [world](super::world) describes each turn to the run's [`Schedule`] as a [`Point`]: the instant, and the
//! candidates with their names. The schedule answers with one of them.
//!
//! - [`Seeded`] takes what a seed draws; it decides every run that is given no other schedule.
//! - [`Recorded`] writes down what another schedule chooses, as [`Choices`], which have a text form of one line.
//! - [`Replayed`] takes recorded choices again, then leaves the rest to another schedule.
//! - [`Noted`] and [`Repeated`] check that two runs have the same points.
//!
//! [`run_with`](super::run_with) and [`Run::scheduled`](super::Run::scheduled) run a scenario by a schedule.

mod choices;
mod halt;
mod mark;
mod point;
mod recorded;
mod repeated;
mod replayed;
mod seam;
mod seeded;
#[cfg(test)]
mod told;

pub use choices::{Choices, NotChoices};
pub use halt::Halt;
pub(crate) use point::Lend;
pub use point::{Candidate, Candidates, Point, PointKind};
pub use recorded::{Choice, Recorded, Recording};
pub use repeated::{MAX_POINTS, Noted, Points, Repeated};
pub use replayed::Replayed;
pub use seam::Schedule;
pub use seeded::Seeded;
