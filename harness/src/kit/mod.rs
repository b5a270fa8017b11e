//! The test kit runs a service's own worker in the simulator, for the service's own `tests/`.
//!
//! What the service registers is real: its closures, its threads and its tasks. The simulator runs them in virtual
//! time, on its own executor and threads, lays faults over them, and judges what happens.
//!
//! [`scenarios!`](crate::scenarios) turns each file of a folder into a test; a [`Trial`] is such a test in code.
//!
//! ```
//! use std::time::Duration;
//! use deadstop::context::{BodyOpts, CallOpts, MainError, WorkerCtx};
//! use deadstop_harness::journal::{Outcome, SignalName};
//! use deadstop_harness::kit::Trial;
//! use deadstop_harness::scenario::Fault;
//!
//! /// What a service registers: the same function that its `main` starts with.
//! async fn register(ctx: WorkerCtx) -> Result<(), MainError> {
//!     ctx.add_task("poller", BodyOpts::new(), |token| async move {
//!         let mut pause = tokio::time::interval(Duration::from_secs(1));
//!         loop {
//!             tokio::select! {
//!                 biased;
//!                 () = token.cancelled() => break,
//!                 _ = pause.tick() => { /* poll */ }
//!             }
//!         }
//!     })?;
//!     ctx.defer_cleanup("db", CallOpts::new(), |_scope| { /* close */ })?;
//!     Ok(())
//! }
//!
//! let journal = Trial::of(register)
//!     .at("5s", Fault::hang("db"))
//!     .at("10s", SignalName::Sigterm)
//!     .run();
//! assert_eq!(journal.outcome("poller"), Some(Outcome::Ok));
//! assert_eq!(journal.outcome("db"), Some(Outcome::Leaked));
//! assert_eq!(journal.ended_at(), Some(Duration::from_secs(20)), "after db's 10 s");
//! ```
//!
//! `docs/testing.md` explains how to use it, what is simulated and what is not.

mod case;
mod explained;
mod flags;
mod looks;
mod macros;
mod names;
mod notes;
mod nothing;
mod output;
mod panics;
mod real;
mod runners;
mod suite;
mod trial;

pub use crate::sim::Own;
pub use suite::Suite;
pub use trial::Trial;
