//! Whole milliseconds, in which journals give durations.

use std::time::Duration;

/// Returns a duration rounded up to whole milliseconds.
pub(crate) fn whole_ms(duration: Duration) -> Duration {
    Duration::from_millis(
        u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX),
    )
}

/// Returns a duration in whole milliseconds, as journals contain it.
pub(crate) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
