//! The count of signals (rule 11): first, second, third, and a doubled one.

use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::limits::DOUBLED_SIGNAL_WINDOW;
use crate::journal::SignalName;

/// The signals that one context has received. There is one count for each context, however many lives receive them.
#[derive(Default)]
pub(crate) struct SignalCounter {
    state: Mutex<CountState>,
    /// Number of the second signal, such as 2 for SIGINT; 0 before there is one.
    second: AtomicI32,
    /// Number of signals that need no further action.
    heeded: AtomicU32,
}

#[derive(Clone, Copy, Default)]
struct CountState {
    count: u32,
    /// Instant of the last counted signal.
    last: Option<Duration>,
}

impl SignalCounter {
    /// Counts a signal and returns its ordinal, from 1. Returns `None` if it is the last counted one, doubled.
    ///
    /// The lock is held for these few lines only, and no caller's code runs under it.
    pub fn count(&self, signal: SignalName, now: Duration) -> Option<u32> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let CountState { count, last } = *state;
        if last.is_some_and(|last| now.saturating_sub(last) <= DOUBLED_SIGNAL_WINDOW) {
            return None;
        }
        let count = count.saturating_add(1);
        *state = CountState {
            count,
            last: Some(now),
        };
        if count == 2 {
            self.second.store(signal.number(), Ordering::SeqCst);
        }
        Some(count)
    }

    /// Records that a signal needs no further action: its request is made, or it requests nothing.
    pub fn note_heeded(&self) {
        self.heeded.fetch_add(1, Ordering::SeqCst);
    }

    /// Returns the number of signals that need no further action, doubled ones included.
    #[doc(hidden)]
    pub fn heeded(&self) -> u32 {
        self.heeded.load(Ordering::SeqCst)
    }

    /// Returns the number of the second signal, such as 2 for SIGINT.
    pub fn second(&self) -> Option<i32> {
        match self.second.load(Ordering::SeqCst) {
            0 => None,
            number => Some(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SignalName::{Sigint, Sigterm};

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn signal_within_200_ms_of_a_counted_one_is_not_counted() {
        let counter = SignalCounter::default();
        assert_eq!(counter.count(Sigterm, ms(1_000)), Some(1));
        assert_eq!(counter.count(Sigint, ms(1_200)), None);
        // The 200 ms count from the counted signal, not from the doubled one.
        assert_eq!(counter.count(Sigint, ms(1_201)), Some(2));
        assert_eq!(counter.count(Sigterm, ms(1_401)), None);
        assert_eq!(counter.count(Sigterm, ms(1_402)), Some(3));
        assert_eq!(counter.second(), Some(2), "SIGINT's number");
    }

    #[test]
    fn first_signal_sets_no_second_number() {
        let counter = SignalCounter::default();
        counter.count(Sigterm, ms(0));
        assert_eq!(counter.second(), None);
    }
}
