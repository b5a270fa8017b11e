//! The health watchdog: ends the process when its own health endpoint fails several times in a row.
//!
//! It runs on a thread of its own, never on the runtime that it watches. The first request to stop disarms it: a
//! server that drains must not be killed because it is closed. It asks the endpoint through a [`Probe`]; over HTTP
//! that is `HttpProbe` (feature `http`).

#[cfg(feature = "http")]
mod http;
mod link;
mod probe;
#[cfg(feature = "http")]
mod together;
mod watch;

#[cfg(feature = "http")]
pub use http::{HttpProbe, InvalidUrl};
pub(crate) use link::Link;
pub use probe::{Probe, ProbeError, Probing};
pub use watch::Watchdog;
pub(crate) use watch::WatchdogLimits;
