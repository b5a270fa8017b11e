//! The worker context: its contract, rule by rule, on a host that a test drives by hand, and its promises on the live
//! host.

#[path = "../support/changed_host.rs"]
mod changed_host;
#[path = "../support/manual_host.rs"]
mod manual_host;

mod callers_code;
mod contract;
mod endings;
mod live_host;
mod live_steps;
mod runtimes;
