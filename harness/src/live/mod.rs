//! Runs a scenario live: on threads of the operating system, on the real clock, with real signals and a real HTTP
//! server.
//!
//! [`perform`] runs one scenario in this process, and the process ends with it. Each live run has a process of its
//! own, so that its signals, its exit code and the threads that it leaves behind are real. The process writes its
//! journal to standard output, event by event. [`Players`] start such processes, bound them in real time and read
//! their journals. [`compare`] compares such a journal with the simulated ones. `deadstop live` is built on this
//! module.
//!
//! The code of the stage scripts the components, as in the simulator. They wait through the [live
//! host](deadstop::host::Live), on another clock: see [`Tempo`].

#![allow(
    clippy::disallowed_methods,
    reason = "a live run is a host: it has threads of its own, reads the clock, and ends its process"
)]

mod blocker;
mod child;
mod clock;
mod compare;
mod executor;
mod host;
mod pace;
mod play;
mod players;
mod probe;
mod scene;
mod server;
mod tempo;
mod timeline;
mod turns;

pub use child::perform;
pub use compare::{Difference, Known, Late, Side, agrees, compare};
pub use players::{Failed, Played, Players, Request};
pub use tempo::{CLOSEST, Pace, Tempo, TooFast};
