//! # Deadstop's harness
//!
//! Tests how a worker under the [`deadstop`] context shuts down.
//!
//! The simulator drives a worker context through a scenario file in virtual time, blocking threads included, and
//! records everything that happens in a journal. Laws judge the journal.
//!
//! ```
//! use deadstop_harness::{journal, laws, scenario, sim};
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
//! - [`kit`]: a service's own worker in the simulator, for its tests
//! - [`scenario`]: the scenario file
//! - [`sim`]: the world in virtual time
//! - [`laws`]: what must hold of every journal
//! - [`journal`]: the typed events, as text and as JSON
//! - [`report`]: timelines, verdicts, snapshots
//! - [`plan`]: the second subject, a specimen
#![cfg_attr(
    all(feature = "live", unix),
    doc = "- [`live`]: the same scenarios with real threads, signals and sockets"
)]
//!
//! Feature `live` runs scenarios with real threads, signals and sockets beside their simulation. It is not needed to
//! test a service.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod journal;
pub mod kit;
pub mod laws;
#[cfg(all(feature = "live", unix))]
pub mod live;
mod lock;
pub mod plan;
pub mod report;
pub mod scenario;
pub mod sim;
mod stage;
#[doc(hidden)]
pub mod words;

// The README's Rust code is run as a documentation test.
#[cfg(all(doctest, unix))]
#[doc = include_str!("../../README.md")]
struct Readme;

// So is the code of the page about tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/testing.md")]
struct Testing;
