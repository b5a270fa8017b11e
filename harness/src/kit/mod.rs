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

/// Turns each scenario file in a folder into a test of the worker that a function registers.
///
/// `register` is the function that the service starts with: `async fn(WorkerCtx<A>) -> Result<(), MainError>` with
/// `A: Default`, or such a closure that can be called many times. The folder is relative to the crate's manifest. A
/// third argument makes the state if the default one does not suit a test: `deadstop_harness::scenarios!(register,
/// "scenarios/", app = || App::for_tests())`.
///
/// The last argument gives the limits that the service has in production, `limits = my_service::limits()` (a
/// [`Limits`](deadstop::context::Limits)). They hold where a file sets none. Without this argument, a limit that a
/// file does not set has the default of scenario files.
///
/// For a main that may block, `fn(WorkerCtx<A>, &Scope) -> Result<(), MainError>`, write `blocking` before it:
/// `deadstop_harness::scenarios!(blocking register, "scenarios/")`.
///
/// Use it once in a file of `tests/`:
///
/// ```ignore
/// // tests/shutdown.rs
/// deadstop_harness::scenarios!(my_service::register, "scenarios/");
/// ```
///
/// It works with and without `harness = false` in the manifest's `[[test]]`. With it, each file is a test that can be
/// listed, filtered and run alone: `cargo test --test shutdown -- hung-flush`. Without it, one test runs all files.
/// In both cases `DEADSTOP_SCENARIO=hung-flush` picks some by a part of their name. A folder without scenarios fails.
#[macro_export]
macro_rules! scenarios {
    (blocking $register:expr, $folder:expr $(, limits = $limits:expr)? $(,)?) => {
        $crate::scenarios!(@ $crate::kit::Own::blocking($register)$(.limits($limits))?, $folder);
    };
    (blocking $register:expr, $folder:expr, app = $app:expr $(, limits = $limits:expr)? $(,)?) => {
        $crate::scenarios!(
            @ $crate::kit::Own::blocking_with_app($app, $register)$(.limits($limits))?, $folder
        );
    };
    ($register:expr, $folder:expr $(, limits = $limits:expr)? $(,)?) => {
        $crate::scenarios!(@ $crate::kit::Own::new($register)$(.limits($limits))?, $folder);
    };
    ($register:expr, $folder:expr, app = $app:expr $(, limits = $limits:expr)? $(,)?) => {
        $crate::scenarios!(@ $crate::kit::Own::with_app($app, $register)$(.limits($limits))?, $folder);
    };
    (@suite $own:expr, $folder:expr) => {
        $crate::kit::Suite::new(
            ::core::env!("CARGO_MANIFEST_DIR"),
            $folder,
            ::core::env!("CARGO_PKG_NAME"),
            ::core::file!(),
            ::core::env!("CARGO_CRATE_NAME"),
            $own,
        )
    };
    (@ $own:expr, $folder:expr) => {
        /// Runs all files as one test, under the usual harness.
        #[test]
        fn scenarios() {
            $crate::scenarios!(@suite $own, $folder)
                .test();
        }

        /// Runs each file as a test, as its own harness.
        #[allow(dead_code)]
        fn main() -> ::std::process::ExitCode {
            $crate::scenarios!(@suite $own, $folder)
                .main()
        }
    };
}
