//! The test kit: a service's own worker in the simulator, for the service's own `tests/`.
//!
//! What the service registers is real: its closures, its threads, its tasks. The simulator runs it in
//! virtual time, on an executor and on threads of its own, lays faults over it, and judges what happens.
//!
//! [`scenarios!`](crate::scenarios) makes a test of each file of a folder; [`Trial`] says the same in code.
//!
//! ```
//! use std::time::Duration;
//! use deadstop::context::{BodyOpts, CallOpts, MainError, WorkerCtx};
//! use deadstop::journal::Outcome;
//! use deadstop::kit::Trial;
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
//!     .at("5s").hang("db")
//!     .at("10s").signal("SIGTERM")
//!     .run();
//! assert_eq!(journal.outcome("poller"), Some(Outcome::Ok));
//! assert_eq!(journal.outcome("db"), Some(Outcome::Leaked));
//! assert_eq!(journal.ended_at(), Some(Duration::from_secs(20)), "after db's 10 s");
//! ```
//!
//! How it is used, what is simulated and what is not: `docs/testing.md`.

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
pub use trial::{Time, Trial};

/// Makes a test of each scenario file in a folder, for the worker that a function registers.
///
/// `register` is what the service starts with, `async fn(WorkerCtx<A>) -> Result<(), MainError>` with
/// `A: Default`, or a closure like it that can be called again and again; the folder is relative to the
/// crate's manifest. A third argument makes the state where the default one will not do:
/// `deadstop::scenarios!(register, "scenarios/", app = || App::for_tests())`.
///
/// The last argument gives the limits that the service has in production, `limits = my_service::limits()` (a
/// [`Builder`](crate::context::Builder)): they hold where a file says nothing of them. Without it the limits that are
/// tested are the file's own.
///
/// A main that may block, `fn(WorkerCtx<A>, &Scope) -> Result<(), MainError>`, has the word before it:
/// `deadstop::scenarios!(blocking register, "scenarios/")`.
///
/// It stands in a file of `tests/`, once:
///
/// ```ignore
/// // tests/shutdown.rs
/// deadstop::scenarios!(my_service::register, "scenarios/");
/// ```
///
/// It works with and without `harness = false` in the manifest's `[[test]]`. With it each file is a test,
/// and can be listed, filtered and run alone: `cargo test --test shutdown -- hung-flush`. Without it one
/// test runs all files, and `DEADSTOP_SCENARIO=hung-flush` picks some. A folder without scenarios fails.
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
        /// All files, where the harness is the usual one.
        #[test]
        fn scenarios() {
            $crate::scenarios!(@suite $own, $folder)
                .test();
        }

        /// A test a file, where the harness is this.
        #[allow(dead_code)]
        fn main() -> ::std::process::ExitCode {
            $crate::scenarios!(@suite $own, $folder)
                .main()
        }
    };
}
