//! The watchdog itself: its limits, and the loop in which it probes.

use std::ops::RangeInclusive;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[cfg(feature = "http")]
use super::http::{HttpProbe, InvalidUrl};
use super::link::Link;
use super::probe::Probe;
use crate::host::{BoxError, Scope, exit_code, timeout_at};
use crate::journal::{Cause, WatchdogIs};

/// A watchdog's limits, as a journal gives them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WatchdogLimits {
    pub interval: Duration,
    pub attempts: u32,
    pub request_timeout: Duration,
    pub start_grace: Option<Duration>,
}

/// A watchdog over one endpoint.
///
/// Its first success arms it, so that a worker may boot as long as it needs; or its start grace does, if that is set.
/// Once armed, it counts failures in a row. After each it waits longer (4·n² s), and after the last it ends the
/// process with code 75, without cleanup.
///
/// ```
/// # use std::time::Duration;
/// # use deadstop::context::{BodyOpts, WorkerCtx};
/// # use deadstop::host::Host;
/// use deadstop::watchdog::{Probe, Probing, Watchdog};
///
/// struct Always(u16);
///
/// impl Probe for Always {
///     fn probe<'a>(&'a mut self, _host: &'a dyn Host) -> Probing<'a> {
///         Box::pin(async { Ok(self.0) })
///     }
/// }
///
/// let ctx = WorkerCtx::new(());
/// let watchdog = Watchdog::new(Always(200)).interval(Duration::from_secs(5)).attempts(3);
/// ctx.add_watchdog("watchdog", BodyOpts::new(), watchdog)?;
/// assert!(ctx.stop_blocking()?.is_ok(), "disarmed, told, and joined");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Interval, request timeout and start grace are from 1 ms to 1 h; other values are refused at registration.
pub struct Watchdog {
    probe: Box<dyn Probe>,
    interval: Duration,
    attempts: u32,
    request_timeout: Duration,
    start_grace: Option<Duration>,
}

impl std::fmt::Debug for Watchdog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watchdog")
            .field("interval", &self.interval)
            .field("attempts", &self.attempts)
            .field("request_timeout", &self.request_timeout)
            .field("start_grace", &self.start_grace)
            .finish_non_exhaustive()
    }
}

impl Watchdog {
    /// Makes a watchdog with the defaults: 3 attempts, 10 s between probes, 120 s for each.
    pub fn new(probe: impl Probe) -> Self {
        Watchdog {
            probe: Box::new(probe),
            interval: Duration::from_secs(10),
            attempts: 3,
            request_timeout: Duration::from_secs(120),
            start_grace: None,
        }
    }

    /// Makes a watchdog over an HTTP endpoint, probed by [`HttpProbe`], with the same defaults.
    ///
    /// ```
    /// # use deadstop::context::{BodyOpts, WorkerCtx};
    /// # let ctx = WorkerCtx::new(());
    /// use deadstop::watchdog::Watchdog;
    ///
    /// let watchdog = Watchdog::http("http://127.0.0.1:8000/health")?;
    /// ctx.add_watchdog("watchdog", BodyOpts::new(), watchdog)?;
    /// # assert!(ctx.stop_blocking()?.is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidUrl`] for all but `http://HOST[:PORT][/PATH]`.
    #[cfg(feature = "http")]
    pub fn http(url: &str) -> Result<Self, InvalidUrl> {
        HttpProbe::new(url).map(Watchdog::new)
    }

    /// Sets the pause from the end of a good probe to the next.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Sets the number of failures in a row after which it ends the process; at least 1.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Sets the longest time that one probe may take as a whole.
    #[must_use]
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Sets the time after which failures count even if no probe has succeeded yet.
    #[must_use]
    pub fn start_grace(mut self, grace: Duration) -> Self {
        self.start_grace = Some(grace);
        self
    }

    /// Returns the watchdog's limits.
    pub(crate) fn limits(&self) -> WatchdogLimits {
        WatchdogLimits {
            interval: self.interval,
            attempts: self.attempts,
            request_timeout: self.request_timeout,
            start_grace: self.start_grace,
        }
    }

    /// Returns a description of the first limit that is out of the range of bounds, if there is one.
    pub(crate) fn flaw(&self, bounds: &RangeInclusive<Duration>) -> Option<String> {
        let limits = [
            ("interval", Some(self.interval)),
            ("request timeout", Some(self.request_timeout)),
            ("start grace", self.start_grace),
        ];
        limits.into_iter().find_map(|(what, limit)| {
            let limit = limit?;
            (!bounds.contains(&limit))
                .then(|| format!("its {what} is {limit:?}: it must be from 1 ms to 1 h"))
        })
    }

    /// Probes until the watchdog is told, or until it has to end the process.
    pub(crate) fn run(mut self, scope: &Scope, link: &Link) -> Result<(), BoxError> {
        let mut armed = false;
        let arms_at = self.start_grace.map(|grace| link.host.now() + grace);
        let mut failures = 0;
        while scope.running() {
            let Some(probed) = self.probe_once(scope, link) else {
                // Disarmed: it probes no more, and only waits to be told.
                while scope.wait(Duration::MAX).elapsed() {}
                return Ok(());
            };
            let success = probed.is_ok();
            let was_armed = armed;
            armed |= success || arms_at.is_some_and(|at| link.host.now() >= at);
            if armed && !was_armed {
                link.claim(WatchdogIs::Armed, 0);
            }
            failures = if success || !armed { 0 } else { failures + 1 };
            link.attempts.store(failures, Ordering::SeqCst);
            let pause = if failures == 0 {
                self.interval
            } else {
                back_off(failures)
            };
            if let (1.., Err(why)) = (failures, &probed) {
                link.failed(failures, why);
            }
            // The request is checked once more: the stop may have been requested while the probe failed.
            if failures >= self.attempts && !link.requested.is_cancelled() {
                link.claim(WatchdogIs::Fired, failures);
                link.host.exit(exit_code::WATCHDOG, Cause::Watchdog);
                return Ok(());
            }
            if scope.wait(pause).told() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Probes once. Returns success, or the reason of the failure; or `None` if a stop was requested before the end.
    fn probe_once(&mut self, scope: &Scope, link: &Link) -> Option<Result<(), String>> {
        if link.requested.is_cancelled() {
            return None;
        }
        let deadline = link.host.now() + self.request_timeout;
        let probe = self.probe.probe(&*link.host);
        scope.block_on(async {
            tokio::select! {
                biased;
                () = link.requested.cancelled() => None,
                answer = timeout_at(&*link.host, deadline, probe) => Some(match answer {
                    // Only 2xx is success.
                    Some(Ok(200..=299)) => Ok(()),
                    Some(Ok(status)) => Err(format!("the answer was {status}")),
                    Some(Err(error)) => Err(error.to_string()),
                    None => Err(format!("no whole answer in {:?}", self.request_timeout)),
                })
            }
        })
    }
}

/// Returns the pause after the `n`th failure in a row: 4·n² seconds.
fn back_off(n: u32) -> Duration {
    let n = u64::from(n);
    Duration::from_secs(n.saturating_mul(n).saturating_mul(4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_after_failures_is_4_16_36_seconds() {
        assert_eq!([1, 2, 3].map(|n| back_off(n).as_secs()), [4, 16, 36]);
    }
}
