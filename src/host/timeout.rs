//! Waits for a future with a deadline on the host's clock.

use std::time::Duration;

use super::seam::Host;

/// Waits for `future`, but not past `deadline` on the host's clock.
///
/// A future that is ready at the deadline is in time: it is polled before the clock is looked at.
///
/// ```
/// # use std::time::Duration;
/// # use deadstop::host::{Host, Live, timeout_at};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let host = Live::new();
/// let deadline = host.now() + Duration::from_millis(1);
/// assert_eq!(timeout_at(&host, deadline, async { 42 }).await, Some(42));
/// assert_eq!(timeout_at(&host, deadline, std::future::pending::<()>()).await, None);
/// # }
/// ```
///
/// # Cancel safety
///
/// As that of `future`.
pub async fn timeout_at<F: Future>(
    host: &dyn Host,
    deadline: Duration,
    future: F,
) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = host.sleep_until(deadline) => None,
    }
}
