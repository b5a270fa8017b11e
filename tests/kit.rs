//! A user's own worker in the simulator: its real code, in virtual time, with faults laid over it.

#![allow(
    clippy::disallowed_methods,
    reason = "the tests are a user's code, which takes tokio's time and tasks"
)]

#[path = "kit/ambient.rs"]
mod ambient;
#[path = "kit/clock.rs"]
mod clock;
#[path = "kit/explained.rs"]
mod explained;
#[path = "kit/faults.rs"]
mod faults;
#[path = "kit/health.rs"]
mod health;
#[path = "kit/notes.rs"]
mod notes;
#[path = "kit/nothing.rs"]
mod nothing;
#[path = "kit/real.rs"]
mod real;
#[path = "kit/runtimes.rs"]
mod runtimes;
#[path = "kit/told.rs"]
mod told;
#[path = "kit/triggers.rs"]
mod triggers;
