//! # Deadstop
//!
//! A worker context for services, and the simulator that proves how it shuts down.

#![deny(missing_docs)]
#![deny(unsafe_code)]

#[cfg(feature = "cli")]
pub mod cli;
pub mod context;
pub mod host;
pub mod journal;
#[cfg(feature = "sim")]
pub mod laws;
#[cfg(feature = "sim")]
pub mod plan;
#[cfg(feature = "cli")]
pub mod report;
#[cfg(feature = "sim")]
pub mod scenario;
#[cfg(feature = "sim")]
pub mod sim;
pub mod watchdog;
mod words;

// The README's Rust is run as a documentation test.
#[cfg(all(doctest, feature = "cli"))]
#[doc = include_str!("../README.md")]
struct Readme;
