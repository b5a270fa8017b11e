//! The clock of a live run.

use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use super::tempo::{TimeMap, nanos};

/// The clock of a live run: real time, at the scenario's tempo.
#[derive(Debug)]
pub(super) struct Clock {
    began: Instant,
    pub time_map: TimeMap,
    /// Maximum time by which a thread that only waits was woken late, in nanoseconds.
    pub lag: AtomicU64,
}

impl Clock {
    pub fn new(time_map: TimeMap, began: Instant) -> Self {
        Clock {
            began,
            time_map,
            lag: AtomicU64::new(0),
        }
    }

    /// Returns the real time since the run began, in nanoseconds.
    pub fn real(&self) -> u64 {
        nanos(Instant::now().saturating_duration_since(self.began))
    }

    /// Returns the time in the scenario.
    pub fn now(&self) -> Duration {
        self.time_map.scenario_time(self.real())
    }

    /// Returns the system's time `real` nanoseconds after the run began, if it can be represented.
    pub fn at(&self, real: u64) -> Option<Instant> {
        self.began.checked_add(Duration::from_nanos(real))
    }

    /// Returns the real time from now until a thread or task that waits for a time of the scenario is woken.
    pub fn until(&self, at: Duration) -> Duration {
        Duration::from_nanos(self.time_map.wakes_at(at).saturating_sub(self.real()))
    }
}
