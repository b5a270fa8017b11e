//! Measures the real time that passes while virtual time stands still.

use std::cell::Cell;
use std::time::Duration;

/// Real time of a turn under which the kernel is not asked how long the threads have waited for a CPU.
const MEASURED_FROM: Duration = Duration::from_millis(1);

/// Real time from which on a turn is recorded as long. No virtual time passes in a turn.
pub(crate) const LONG_TURN: Duration = Duration::from_millis(100);

/// Meter of the real time that passes while virtual time stands still.
#[derive(Default)]
pub(crate) struct Meter {
    /// Instant at which the current turn began, the last one ended, or the executor was last woken.
    since: Cell<Option<std::time::Instant>>,
    /// Time that the threads had waited for a CPU when the kernel was last asked.
    starved: Cell<Duration>,
}

#[allow(
    clippy::disallowed_methods,
    reason = "what takes real time is measured in real time"
)]
impl Meter {
    /// Begins a run before which the threads have waited for a CPU for `starved`.
    pub fn reset(&self, starved: Duration) {
        self.starved.set(starved);
    }

    /// Starts to measure.
    pub fn start(&self) {
        self.since.set(Some(std::time::Instant::now()));
    }

    /// Returns how long the measured code took, if that was long. Time that the threads waited for a CPU meanwhile
    /// does not count.
    pub fn stop(&self, starved: impl FnOnce() -> Duration) -> Option<Duration> {
        let took = self.since.take()?.elapsed();
        // Asking the kernel takes longer than most turns. In a turn as short as this, the threads cannot have waited
        // for longer than the turn.
        if took < MEASURED_FROM {
            return None;
        }
        let starved = starved();
        let waited = starved.saturating_sub(self.starved.replace(starved));
        Some(took.saturating_sub(waited)).filter(|took| *took >= LONG_TURN)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a meter measures real time")]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Measures code that began `took` ago, while the threads have waited for a CPU for `starved` in all.
    fn measure(meter: &Meter, took: Duration, starved: Duration) -> Option<Duration> {
        meter.since.set(std::time::Instant::now().checked_sub(took));
        meter.stop(|| starved)
    }

    #[test]
    fn only_starvation_in_the_turn_itself_does_not_count() {
        let meter = Meter::default();
        meter.reset(ms(40));
        // Many short turns on a busy machine, and then a long one in which nothing waits for a CPU.
        assert_eq!(measure(&meter, ms(90), ms(10_000)), None);
        let long = measure(&meter, ms(150), ms(10_000)).expect("it took long");
        assert!(long >= ms(150), "{long:?}");
        // A turn that waited for a CPU for most of its time.
        assert_eq!(measure(&meter, ms(150), ms(20_000)), None);
        let long = measure(&meter, ms(1_000), ms(20_200)).expect("most of it is the turn's");
        assert!(long >= ms(800), "{long:?}");
    }
}
