//! # Deadstop
//!
//! Ends a worker process in order and in bounded time, and tests that it does. It has two halves.
//!
//! [`WorkerCtx`](context::WorkerCtx) is a worker context for services. Threads, tasks, callbacks and resources are
//! registered with it. At the end it stops them and cleans up, in order, each step bounded in time. Code that hangs
//! is left behind and reported by name, and the steps after it still run.
//!
//! ```
//! use std::time::Duration;
//! use deadstop::context::{BodyOpts, CallOpts, WorkerCtx};
//!
//! let ctx = WorkerCtx::new(());
//! ctx.add_thread("flusher", BodyOpts::new(), |scope| {
//!     while scope.wait(Duration::from_secs(1)).elapsed() { /* flush */ }
//! })?;
//! ctx.defer_cleanup("db", CallOpts::new(), |_scope| { /* close */ })?;
//!
//! let report = ctx.cleanup_blocking()?;
//! assert!(report.is_ok(), "{report}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The simulator (feature `sim`) drives a worker context through a scenario file in virtual time, blocking threads
//! included, and records everything that happens in a journal. Laws judge the journal.
//!
#![cfg_attr(feature = "sim", doc = "```")]
#![cfg_attr(not(feature = "sim"), doc = "```ignore")]
//! use deadstop::{journal, laws, scenario, sim};
//!
//! let file = r#"
//! title = "A hung flush does not keep the db open"
//! [worker]
//! components = [{ cleanup = "flush", order = 50 }, { closeable = "db" }]
//! [timeline]
//! events = [{ at = "5s", hang = "flush" }, { at = "10s", signal = "SIGTERM" }]
//! "#;
//! let scenario = scenario::parse("hung-flush", file)?;
//! let journal = sim::run(&scenario, &sim::Options::default());
//!
//! assert!(laws::judge(&journal.events).is_empty());
//! assert!(journal::text(&journal.events).contains("WorkerCtx cleanup: db"));
//! # Ok::<(), scenario::Invalid>(())
//! ```
//!
//! - [`context`]: the worker context, its options, errors and report
//! - [`host`]: the seam through which the context runs code and waits; the live host
//! - [`watchdog`]: the health watchdog
#![cfg_attr(
    all(feature = "process", unix),
    doc = "- [`run`](fn@run), [`process`]: the life of a process in one call, with signals and a last resort"
)]
//! - [`journal`]: the typed events, as text, as JSON and through `tracing`
#![cfg_attr(
    feature = "sim",
    doc = "
- [`scenario`]: the scenario file
- [`sim`]: the world in virtual time
- [`laws`]: what must hold of every journal
- [`plan`]: the second subject, a specimen"
)]
#![cfg_attr(
    feature = "kit",
    doc = "
- [`kit`]: a service's own worker in the simulator, for its tests
- [`report`]: timelines, verdicts, snapshots"
)]
//!
//! Features: `cli` (default) builds the `deadstop` command and turns on `kit` and `process`; `kit` is the test kit,
//! and turns on `sim`; `process` is the life of a process in one call; `http` is the watchdog's probe over HTTP, and
//! comes with `sim`; `parameters` reads the watchdog's parameters as a platform passes them. Without any feature,
//! only the context is built.

#[doc(hidden)]
#[cfg(feature = "cli")]
pub mod cli;
pub mod context;
pub mod host;
pub mod journal;
#[cfg(feature = "kit")]
pub mod kit;
#[cfg(feature = "sim")]
pub mod laws;
#[cfg(feature = "cli")]
pub mod live;
#[cfg(feature = "sim")]
pub mod plan;
#[cfg(all(feature = "process", unix))]
pub mod process;
#[cfg(feature = "kit")]
pub mod report;
#[cfg(feature = "sim")]
pub mod scenario;
#[cfg(feature = "sim")]
pub mod sim;
#[cfg(feature = "sim")]
mod stage;
pub mod watchdog;
mod words;

#[cfg(all(feature = "process", unix))]
pub use process::run;

// The README's Rust code is run as a documentation test.
#[cfg(all(doctest, feature = "cli"))]
#[doc = include_str!("../README.md")]
struct Readme;

// So is the code of the page about tests.
#[cfg(all(doctest, feature = "kit"))]
#[doc = include_str!("../docs/testing.md")]
struct Testing;
