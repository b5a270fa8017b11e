//! The health watchdog: how it counts failures, its probe over HTTP, and whole watchdogs live.

#[cfg(feature = "http")]
#[path = "../support/changed_host.rs"]
mod changed_host;
#[path = "../support/manual_host.rs"]
mod manual_host;

mod failures;
mod live;
mod probe;
