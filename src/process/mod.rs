//! The life of a process in one call: signals, start, stop, cleanup, the exit code, and a last resort.
//!
//! It exists on Unix only, since signals do.
//!
//! [`run`] is for a `main` that does nothing else. A `main` that builds the life of a process by hand, around a
//! [`Life`](crate::context::Life), uses its parts: [`Signals`] hears signals, [`LastResort`] ends what cannot end.

#![allow(
    clippy::disallowed_methods,
    reason = "a process is a host: its threads hear signals and end it where nothing else can any more"
)]

mod last_resort;
mod run;
mod say;
mod signals;
mod worker;

pub use last_resort::LastResort;
pub use run::run;
pub use signals::Signals;
pub use worker::Worker;
