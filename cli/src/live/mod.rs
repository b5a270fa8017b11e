//! `deadstop live`: runs scenarios on real threads and the real clock, and compares them with the simulation.

mod arguments;
mod command;
mod coverage;
mod files;
mod perform;
mod play;
mod random;
mod repeat;
mod text;
mod verdict;

pub use arguments::Live;
pub use perform::{PERFORM, Perform};
