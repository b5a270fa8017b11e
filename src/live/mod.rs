//! The same scenario, live: on threads of the operating system, on the real clock, with real signals and a
//! real HTTP server.
//!
//! [`perform`] runs one scenario in this process and ends with it, so a live run has a process of
//! its own: a signal, an exit code and a thread that was left behind are then what they are. The journal
//! goes to standard output as it is written. [`Players`] start such processes, bound them in real time and
//! read what they write. [`compare`] holds the journal against the simulated ones.
//!
//! Components are scripted by the code of the stage, as in the simulator, and wait through
//! the [live host](crate::host::Live). Only its clock is another: see [`Tempo`].

#![allow(
    clippy::disallowed_methods,
    reason = "a live run is a host: it has threads of its own, reads the clock, and ends its process"
)]

mod child;
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
