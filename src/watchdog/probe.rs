//! How a watchdog asks.

use std::pin::Pin;

use crate::host::Host;

/// One probe under way: the status of the answer, or why there was no whole one.
pub type Probing<'a> = Pin<Box<dyn Future<Output = Result<u16, ProbeError>> + Send + 'a>>;

/// Asks a health endpoint once.
///
/// `HttpProbe` (feature `http`) is the one that most services need.
pub trait Probe: Send + 'static {
    /// Asks, and returns the status of the answer. What depends on where it runs is the host's: the time,
    /// and connections.
    ///
    /// The watchdog bounds the whole of it with its request timeout, and drops the future when that is
    /// over or when a stop is requested: a late answer must not be taken for that of the next probe.
    ///
    /// # Errors
    ///
    /// If there was no whole answer.
    fn probe<'a>(&'a mut self, host: &'a dyn Host) -> Probing<'a>;
}

/// There was no whole answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ProbeError(pub String);
