//! A user's own worker in the simulator: its real code, in virtual time, with faults laid over it.

#![allow(
    clippy::disallowed_methods,
    reason = "the tests are a user's code, which takes tokio's time and tasks"
)]

mod ambient;
mod clock;
mod explained;
mod faults;
mod health;
mod notes;
mod nothing;
mod real;
mod runtimes;
mod told;
mod triggers;
