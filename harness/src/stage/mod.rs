//! The stage: the components of a scripted worker, the script that strikes them, and their behaviour.
//!
//! The stage has no clock and no host of its own. Two modules implement [`Stage`]: the simulator in virtual time, and
//! the live run on real threads. Both use the same code for the script and for the behaviour of components, because a
//! comparison of the two would otherwise compare two scripts.

mod body;
mod endpoint;
mod fault;
mod own;
mod part;
mod part_events;
mod peer;
mod register;
mod said;
mod script;
mod seam;
mod strike;

pub(crate) use body::{Pace, Wait, blocking, called, live, main};
pub(crate) use endpoint::Endpoint;
pub(crate) use fault::{Met, Struck, look_once, meet, take_time};
pub(crate) use part::{MAIN_PART, NEVER, Part, Parts};
pub(crate) use peer::{Ends, serve};
pub(crate) use register::{Cast, register};
pub(crate) use said::{Said, call};
pub(crate) use script::Script;
pub(crate) use seam::{Later, Stage};
