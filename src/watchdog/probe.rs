//! How a watchdog asks.

use std::pin::Pin;

/// Asks a health endpoint once.
pub trait Probe: Send + 'static {
    /// Asks, and returns the status of the answer.
    ///
    /// The watchdog bounds the whole of it with its request timeout, and drops the future when that is
    /// over or when a stop is requested: a late answer must not be taken for that of the next probe.
    ///
    /// # Errors
    ///
    /// If there was no whole answer.
    fn probe(&mut self) -> Pin<Box<dyn Future<Output = Result<u16, ProbeError>> + Send + '_>>;
}

/// There was no whole answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ProbeError(pub String);
