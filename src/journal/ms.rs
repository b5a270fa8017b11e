//! Durations in whole milliseconds, in which journals count time.

use std::time::Duration;

/// Returns a duration in whole milliseconds, rounded down: time that has passed.
pub fn ms_rounded_down(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Returns a duration in whole milliseconds, rounded up: a wait is never shorter than what was asked for.
pub fn ms_rounded_up(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// Returns a duration rounded up to whole milliseconds.
pub(crate) fn whole_ms(duration: Duration) -> Duration {
    Duration::from_millis(ms_rounded_up(duration))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_of_a_millisecond_is_dropped_or_made_whole() {
        let odd = Duration::from_micros(1_001);
        assert_eq!((ms_rounded_down(odd), ms_rounded_up(odd)), (1, 2));
        let whole = Duration::from_millis(3);
        assert_eq!((ms_rounded_down(whole), ms_rounded_up(whole)), (3, 3));
        let longest = Duration::MAX;
        assert_eq!(ms_rounded_down(longest), u64::MAX);
        assert_eq!(ms_rounded_up(longest), u64::MAX);
    }
}
