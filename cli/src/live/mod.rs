//! `deadstop live`: runs scenarios on real threads and the real clock, and compares them with the simulation.

mod command;
mod coverage;
mod play;
mod random;
mod repeat;
mod verdict;

pub use command::{Live, PERFORM, Perform};
