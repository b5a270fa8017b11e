//! The part of a host that only the harness implements.

use tokio_util::sync::CancellationToken;

use super::code::{BoxFuture, Who};

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
