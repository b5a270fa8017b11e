//! Durations as people write them.

use std::time::Duration;

use super::value::duration;

/// A duration: a [`Duration`], or text as in a scenario file (`"500ms"`, `"10s"`, `"1m"`). A [`Duration`] is cut to
/// whole milliseconds, as everywhere in a scenario. The trait is sealed: no other type implements it.
pub trait Time: sealed::Sealed {
    /// Returns the duration.
    ///
    /// # Panics
    ///
    /// If it is a text that is no duration.
    #[track_caller]
    fn duration(self) -> Duration;
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for &str {}

    impl Sealed for std::time::Duration {}
}

impl Time for &str {
    #[track_caller]
    fn duration(self) -> Duration {
        match duration(self, 0, false) {
            Ok(time) => time.unwrap_or_default(),
            Err(problem) => panic!(
                "{self:?} is not a duration: {problem}; write a whole number with its unit: \"500ms\", \"2s\", \"1m\" or \"1h\""
            ),
        }
    }
}

impl Time for Duration {
    fn duration(self) -> Duration {
        Duration::from_millis(u64::try_from(self.as_millis()).unwrap_or(u64::MAX))
    }
}
