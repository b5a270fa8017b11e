//! The worker's limits in time, and the arithmetic of instants, bounds and floors.
//!
//! The rules are those of the contract (`docs/contract.md`): 0 for instants, 3 for bounds and floors.

use std::time::Duration;

use crate::journal::{BoundBy, Id, Kind, Ties};

/// The shortest bound.
pub const BOUND_MIN: Duration = Duration::from_millis(1);
/// The longest bound, grace and reserve.
pub const BOUND_MAX: Duration = Duration::from_secs(3_600);
/// The longest name, in bytes.
pub const NAME_BYTES: usize = 200;
/// The bound of joins and cancels that name none.
pub const JOIN_TIMEOUT: Duration = Duration::from_secs(2);
/// The bound of callbacks and closeables that name none.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// The most that a cleanup step without a floor of its own is sure of.
pub const SHARED_FLOOR_MAX: Duration = Duration::from_secs(1);
/// How long an abort is waited for at most.
pub const CONFIRM: Duration = Duration::from_millis(100);
/// What a signal within this time of the last counted one is: the same one, doubled.
pub const DOUBLED_SIGNAL: Duration = Duration::from_millis(200);
/// How many bad ends before stop the report keeps; all are counted.
pub const DEATHS_KEPT: usize = 100;

/// The worker's limits in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the first signal or stop to SIGKILL.
    pub grace: Duration,
    /// Cleanup's part of the grace.
    pub reserve: Duration,
    /// Kept free at the end of the grace.
    pub margin: Duration,
    /// The order of equals in cleanup.
    pub ties: Ties,
    /// How long main is waited for when a stop is requested while it runs.
    pub start_timeout: Duration,
    /// How long stop waits after a request to a running worker. Taken from stop's share; zero is not at all.
    pub pre_stop: Duration,
}

/// The instants of one grace, on the host's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instants {
    pub stop_ends: Duration,
    pub cleanup_ends: Duration,
    pub last_resort: Duration,
    pub kill: Duration,
}

impl Limits {
    /// Stop's share of the grace.
    pub fn stop_share(&self) -> Duration {
        self.grace.saturating_sub(self.margin + self.reserve)
    }

    pub(crate) fn instants(&self, from: Duration) -> Instants {
        Instants {
            stop_ends: from + self.stop_share(),
            cleanup_ends: from + self.grace.saturating_sub(self.margin),
            // Half of an odd margin is rounded up: a last resort that comes with SIGKILL comes too late.
            last_resort: from + self.grace.saturating_sub(whole_ms(self.margin / 2)),
            kill: from + self.grace,
        }
    }
}

/// By what cleanup's steps are sorted (rules 2 and 12). By key, never by reversing an ascending sort: that
/// would turn ties round too.
pub(crate) fn cleanup_key(order: i32, id: Id, ties: Ties) -> (i64, i128) {
    let id = i128::from(id);
    let among_equals = match ties {
        Ties::First => id,
        Ties::Last => -id,
    };
    (-i64::from(order), among_equals)
}

/// A duration rounded up to whole milliseconds.
pub(crate) fn whole_ms(duration: Duration) -> Duration {
    Duration::from_millis(
        u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX),
    )
}

/// A duration in whole milliseconds, as journals carry it.
pub(crate) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A step's bound, and what set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    pub of: Duration,
    pub by: BoundBy,
}

/// Which word says that a step's own bound was the limit.
pub(crate) fn own_bound(kind: Kind) -> BoundBy {
    match kind {
        Kind::Thread | Kind::Watchdog => BoundBy::JoinTimeout,
        Kind::Task => BoundBy::CancelTimeout,
        Kind::Stop | Kind::Cleanup | Kind::Closeable | Kind::Main => BoundBy::Timeout,
    }
}

/// The bound of a step of start or stop (rules 3, 4, 9, 11).
pub(crate) fn stop_bound(kind: Kind, timeout: Duration, left: Duration, hurried: bool) -> Bound {
    if hurried {
        Bound {
            of: Duration::ZERO,
            by: BoundBy::SecondSignal,
        }
    } else if left.is_zero() {
        Bound {
            of: Duration::ZERO,
            by: BoundBy::ShareGone,
        }
    } else if timeout <= left {
        Bound {
            of: timeout,
            by: own_bound(kind),
        }
    } else {
        Bound {
            of: left,
            by: BoundBy::Phase,
        }
    }
}

/// The bound of a cleanup step, where the steps after it are sure of `later` (rules 3, 11).
pub(crate) fn cleanup_bound(
    timeout: Duration,
    floor: Duration,
    left: Duration,
    later: Duration,
    hurried: bool,
) -> Bound {
    if hurried {
        return Bound {
            of: floor,
            by: BoundBy::SecondSignal,
        };
    }
    let free = left.saturating_sub(later);
    if timeout <= free {
        Bound {
            of: timeout,
            by: BoundBy::Timeout,
        }
    } else if free < floor {
        Bound {
            of: floor,
            by: BoundBy::Floor,
        }
    } else if later.is_zero() {
        Bound {
            of: free,
            by: BoundBy::Phase,
        }
    } else {
        Bound {
            of: free,
            by: BoundBy::Floors,
        }
    }
}

/// The floors of cleanup's steps, in the order of `steps`, each given as (timeout, explicit floor):
/// those without one share what the explicit ones leave of the reserve (rule 3).
pub(crate) fn floors(reserve: Duration, steps: &[(Duration, Option<Duration>)]) -> Vec<Duration> {
    let explicit: Duration = steps.iter().filter_map(|(_, floor)| *floor).sum();
    let without = steps.iter().filter(|(_, floor)| floor.is_none()).count();
    let each = match u64::try_from(without) {
        Ok(0) | Err(_) => Duration::ZERO,
        Ok(n) => Duration::from_millis(ms(reserve.saturating_sub(explicit)) / n),
    };
    let each = each.min(SHARED_FLOOR_MAX);
    steps
        .iter()
        .map(|(timeout, floor)| floor.unwrap_or_else(|| each.min(*timeout)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn thirty() -> Limits {
        Limits {
            grace: s(30),
            reserve: s(10),
            margin: Duration::from_millis(500),
            ties: Ties::First,
            start_timeout: s(5),
            pre_stop: Duration::ZERO,
        }
    }

    #[test]
    fn the_instants_of_the_default_grace() {
        let instants = thirty().instants(s(10));
        assert_eq!(ms(instants.stop_ends), 29_500);
        assert_eq!(ms(instants.cleanup_ends), 39_500);
        assert_eq!(ms(instants.last_resort), 39_750);
        assert_eq!(ms(instants.kill), 40_000);
    }

    #[test]
    fn the_last_resort_comes_before_the_kill_at_whole_milliseconds() {
        let limits = Limits {
            grace: Duration::from_millis(20),
            reserve: Duration::from_millis(6),
            margin: Duration::from_millis(1),
            ..thirty()
        };
        let instants = limits.instants(s(10));
        assert_eq!(instants.last_resort, Duration::from_millis(10_019));
        assert_eq!(instants.kill, Duration::from_millis(10_020));
    }

    #[test]
    fn at_equality_the_bound_is_the_steps_own() {
        assert_eq!(
            stop_bound(Kind::Task, s(2), s(2), false).by,
            BoundBy::CancelTimeout
        );
        assert_eq!(
            cleanup_bound(s(2), s(1), s(5), s(3), false).by,
            BoundBy::Timeout
        );
    }

    #[test]
    fn stop_is_cut_by_its_share() {
        assert_eq!(
            stop_bound(Kind::Thread, s(5), s(3), false),
            Bound {
                of: s(3),
                by: BoundBy::Phase
            }
        );
        assert_eq!(
            stop_bound(Kind::Thread, s(5), s(0), false).by,
            BoundBy::ShareGone
        );
        assert_eq!(
            stop_bound(Kind::Thread, s(5), s(9), true).by,
            BoundBy::SecondSignal
        );
    }

    #[test]
    fn cleanup_keeps_the_floors_of_the_later_steps() {
        assert_eq!(
            cleanup_bound(s(10), s(1), s(9), s(2), false),
            Bound {
                of: s(7),
                by: BoundBy::Floors
            }
        );
        assert_eq!(
            cleanup_bound(s(10), s(1), s(9), s(0), false),
            Bound {
                of: s(9),
                by: BoundBy::Phase
            }
        );
        assert_eq!(
            cleanup_bound(s(10), s(1), s(2), s(2), false),
            Bound {
                of: s(1),
                by: BoundBy::Floor
            }
        );
        assert_eq!(
            cleanup_bound(s(10), s(1), s(9), s(0), true),
            Bound {
                of: s(1),
                by: BoundBy::SecondSignal
            }
        );
    }

    #[test]
    fn steps_without_a_floor_share_the_rest_of_the_reserve() {
        let shared = floors(
            s(10),
            &[
                (s(10), Some(s(9))),
                (s(10), None),
                (s(10), None),
                (Duration::from_millis(100), None),
            ],
        );
        assert_eq!(
            shared.iter().map(|floor| ms(*floor)).collect::<Vec<_>>(),
            [9_000, 333, 333, 100]
        );
        assert_eq!(
            floors(s(10), &[(s(10), None)]),
            [s(1)],
            "one second at most"
        );
    }

    #[test]
    fn bounds_are_rounded_up_to_whole_milliseconds() {
        assert_eq!(whole_ms(Duration::from_micros(1)), Duration::from_millis(1));
        assert_eq!(
            whole_ms(Duration::from_micros(1_000)),
            Duration::from_millis(1)
        );
        assert_eq!(
            whole_ms(Duration::from_micros(1_001)),
            Duration::from_millis(2)
        );
    }
}
