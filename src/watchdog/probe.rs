//! The probe: how a watchdog asks its endpoint.

use std::pin::Pin;

use crate::host::Host;

/// A probe in progress: ends with the status of the answer, or with the reason why there was no whole one.
pub type Probing<'a> = Pin<Box<dyn Future<Output = Result<u16, ProbeError>> + Send + 'a>>;

/// Asks a health endpoint once. Services may implement it; [`Watchdog`](super::Watchdog) has an example.
///
/// Most services need `HttpProbe` (feature `http`).
pub trait Probe: Send + 'static {
    /// Asks, and returns the status of the answer. The host provides what depends on where the probe runs: the time
    /// and connections.
    ///
    /// The watchdog bounds the whole probe with its request timeout. It drops the future when that is over or when a
    /// stop is requested: a late answer must not be taken for that of the next probe.
    ///
    /// # Errors
    ///
    /// If there was no whole answer.
    fn probe<'a>(&'a mut self, host: &'a dyn Host) -> Probing<'a>;
}

/// The reason why there was no whole answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ProbeError(String);

impl ProbeError {
    /// Creates the error with its reason, for the log.
    pub fn new(reason: impl Into<String>) -> Self {
        ProbeError(reason.into())
    }
}
