//! What the harness's hosts do in their own way, and every other host as the live one does.

use tokio_util::sync::CancellationToken;

use super::{BoxFuture, Host, Who};

/// The part of a host that only the harness implements: what a simulated or recorded run needs beyond a service's.
pub trait HarnessHost {
    /// Waits until everything that can run in this instant has run.
    fn settle(&self) -> BoxFuture<()> {
        Box::pin(tokio::task::yield_now())
    }

    /// Returns the token that a task gets: the one by which the context tells it. A simulator may withhold it.
    fn given(&self, who: &Who, told: CancellationToken) -> CancellationToken {
        let _ = who;
        told
    }

    /// Returns whether threads of the operating system that run already can be adopted.
    fn adopts_threads(&self) -> bool {
        true
    }
}

/// A host of a service, which has no such part.
struct Plain;

impl HarnessHost for Plain {}

/// Returns the part of a host that only the harness implements.
pub(crate) fn harness_part(host: &dyn Host) -> &dyn HarnessHost {
    host.harness_part().unwrap_or(&Plain)
}
