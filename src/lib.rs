//! # Deadstop
//!
//! A worker context for services: ends a worker process in order and in bounded time.
//!
//! Threads, tasks, callbacks and resources are registered with a [`WorkerCtx`](context::WorkerCtx). At the end it
//! stops them and cleans up, in order, each step bounded in time. Code that hangs is left behind and reported by
//! name, and the steps after it still run.
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
//! - [`context`]: the worker context, its options, errors and report
//! - [`host`]: the seam through which the context runs code and waits; the live host
//! - [`watchdog`]: the health watchdog
#![cfg_attr(
    all(feature = "process", unix),
    doc = "- [`run`](fn@run), [`process`]: the life of a process in one call, with signals and a last resort"
)]
//! - [`journal`]: what the context reports, as typed events and through `tracing`
//!
//! Features: `process` (default) is the life of a process in one call; `http` is the watchdog's probe over HTTP;
//! `serde` reads and writes the journal's types. Without any feature, only the context is built.
//!
//! Public signatures have types of these dependencies: tokio's `JoinHandle`, `AbortHandle`, `runtime::Handle`,
//! `AsyncRead` and `AsyncWrite`; tokio-util's `CancellationToken`; serde's `Serialize` and `Deserialize`.
//!
//! The package `deadstop-harness` tests how a worker under this context shuts down: a simulator in virtual time,
//! scenario files with failures, and laws that judge what happened.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod context;
pub mod host;
pub mod journal;
#[cfg(all(feature = "process", unix))]
pub mod process;
pub mod watchdog;
#[doc(hidden)]
pub mod words;

#[cfg(all(feature = "process", unix))]
pub use process::run;

/// Path of this package's sources, by which a stack tells them from a service's.
#[doc(hidden)]
pub const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/");
