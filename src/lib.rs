//! # Deadstop
//!
//! A worker context for services, and the simulator that proves how it shuts down.

#![deny(missing_docs)]
#![deny(unsafe_code)]

pub mod journal;
#[cfg(feature = "sim")]
pub mod laws;
#[cfg(feature = "sim")]
pub mod scenario;
