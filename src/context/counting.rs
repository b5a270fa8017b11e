//! Counting signals (rule 11): first, second, third, and the same one doubled.

use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::limits::DOUBLED_SIGNAL;
use crate::journal::SignalName;

/// The signals that one worker has had. One count a context, however many hear for it.
#[derive(Default)]
pub(crate) struct Counting {
    counted: Mutex<Counted>,
    /// The number of the second one.
    second: AtomicI32,
    /// How many there is nothing left to do about.
    heeded: AtomicU32,
}

#[derive(Clone, Copy, Default)]
struct Counted {
    count: u32,
    /// When the last counted one came.
    last: Option<Duration>,
}

impl Counting {
    /// Counts a signal: which one it is, or nothing where it is the last one, doubled.
    ///
    /// The lock is held for these few lines only, and no caller's code runs in them.
    pub fn count(&self, signal: SignalName, now: Duration) -> Option<u32> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let Counted { count, last } = *counted;
        if last.is_some_and(|last| now.saturating_sub(last) <= DOUBLED_SIGNAL) {
            return None;
        }
        let count = count.saturating_add(1);
        *counted = Counted {
            count,
            last: Some(now),
        };
        if count == 2 {
            self.second.store(signal.number(), Ordering::SeqCst);
        }
        Some(count)
    }

    /// Notes that there is nothing left to do about a signal: it asked for what it asks for, or for nothing.
    pub fn note_heeded(&self) {
        self.heeded.fetch_add(1, Ordering::SeqCst);
    }

    /// Returns how many signals there is nothing left to do about, doubled ones included.
    #[cfg(feature = "cli")]
    pub fn heeded(&self) -> u32 {
        self.heeded.load(Ordering::SeqCst)
    }

    /// The number of the second signal.
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
    fn one_within_two_hundred_milliseconds_of_the_last_counted_one_is_the_same() {
        let counting = Counting::default();
        assert_eq!(counting.count(Sigterm, ms(1_000)), Some(1));
        assert_eq!(counting.count(Sigint, ms(1_200)), None);
        // From the counted one, not from the doubled one.
        assert_eq!(counting.count(Sigint, ms(1_201)), Some(2));
        assert_eq!(counting.count(Sigterm, ms(1_401)), None);
        assert_eq!(counting.count(Sigterm, ms(1_402)), Some(3));
        assert_eq!(counting.second(), Some(2), "SIGINT's number");
    }

    #[test]
    fn there_is_no_second_before_there_is_one() {
        let counting = Counting::default();
        counting.count(Sigterm, ms(0));
        assert_eq!(counting.second(), None);
    }
}
