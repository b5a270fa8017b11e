//! The worker's limits in time, and the arithmetic of instants, bounds and floors.
//!
//! The rules are those of the contract (`docs/contract.md`): 0 for instants, 3 for bounds and floors.

use std::time::Duration;

use super::error::LimitsError;
use crate::journal::{BoundBy, Id, Kind, Ties};
use crate::journal::{ms_rounded_down, whole_ms};

/// Minimum of a bound, and of the durations of builder and watchdog. A pre-stop delay of zero is none.
pub const BOUND_MIN: Duration = Duration::from_millis(1);
/// Maximum of a bound, and of the durations of builder and watchdog.
pub const BOUND_MAX: Duration = Duration::from_secs(3_600);
/// Maximum length of a name, in bytes.
pub const NAME_BYTES: usize = 200;
/// Bound of joins and cancels that were registered without one.
pub const DEFAULT_JOIN_TIMEOUT: Duration = Duration::from_secs(2);
/// Bound of callbacks and closeables that were registered without one.
pub const DEFAULT_CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum floor of a cleanup step that was registered without one.
pub const MAX_SHARED_FLOOR: Duration = Duration::from_secs(1);
/// Maximum time for which the confirmation of an abort is awaited.
pub const MAX_CONFIRMATION: Duration = Duration::from_millis(100);
/// Time after a counted signal within which another signal is the same one, doubled.
pub const DOUBLED_SIGNAL_WINDOW: Duration = Duration::from_millis(200);
/// Maximum number of deaths that the report keeps. All are counted.
pub const MAX_DEATHS: usize = 100;

/// The worker's limits in time, as a service sets them. Every one has a default: a grace of 30 s, a third of it
/// reserved for cleanup, and a margin of 500 ms or a twentieth of the grace, whichever is less.
///
/// It is one value for all that needs it: a process ([`Worker`](crate::process::Worker)), a context built by hand
/// ([`Builder`](super::Builder)), and the tests of both.
///
/// ```
/// # use std::time::Duration;
/// use deadstop::context::Limits;
/// let limits = Limits::new().grace(Duration::from_secs(60)).reserve(Duration::from_secs(20));
/// assert_eq!(limits.resolve()?.stop_share(), Duration::from_millis(39_500));
/// # Ok::<(), deadstop::context::LimitsError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[must_use = "limits do nothing until a worker is built with them"]
pub struct Limits {
    grace: Option<Duration>,
    reserve: Option<Duration>,
    margin: Option<Duration>,
    start_timeout: Option<Duration>,
    pre_stop: Duration,
    last_registered_first: bool,
}

impl Limits {
    /// Returns the default limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the grace: the time that the platform gives from the first signal or stop to SIGKILL. Default: 30 s.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = Some(grace);
        self
    }

    /// Sets the reserve: the part of the grace that stop leaves to cleanup in every case. Default: a third of the
    /// grace.
    pub fn reserve(mut self, reserve: Duration) -> Self {
        self.reserve = Some(reserve);
        self
    }

    /// Sets the margin: the part at the end of the grace in which nothing is awaited any more. Default: a twentieth
    /// of the grace, at most 500 ms.
    pub fn margin(mut self, margin: Duration) -> Self {
        self.margin = Some(margin);
        self
    }

    /// Sets how long main is awaited if a stop is requested while it runs. Default: 5 s.
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.start_timeout = Some(timeout);
        self
    }

    /// Sets the pre-stop delay: how long a running worker goes on after a signal or a request, while
    /// [`ready`](super::WorkerCtx::ready) is already false. It is the time that a load balancer takes to notice.
    /// Default: 0 s.
    ///
    /// The grace has begun by then, so the delay is taken from stop's share, and must be shorter than that share. A
    /// second signal cuts the delay, and so does a call of `stop` or `cleanup`.
    ///
    /// ```
    /// # use std::time::Duration;
    /// use deadstop::context::{Limits, WorkerCtx};
    /// let limits = Limits::new().pre_stop(Duration::from_secs(5));
    /// let ctx = WorkerCtx::builder().limits(limits).build(())?;
    /// // grace 30 s = stop 19.5 s (its first 5 s are the pre-stop delay) + cleanup 10 s + margin 500 ms
    /// println!("{}", ctx.budget());
    /// # assert!(ctx.budget().to_string().contains("(its first 5 s are the pre-stop delay)"));
    /// # Ok::<(), deadstop::context::LimitsError>(())
    /// ```
    pub fn pre_stop(mut self, delay: Duration) -> Self {
        self.pre_stop = delay;
        self
    }

    /// Makes cleanup close the last registered of equal orders first, which suits resources that are built on one
    /// another. By default the first registered is closed first.
    pub fn last_registered_first(mut self) -> Self {
        self.last_registered_first = true;
        self
    }

    /// Returns these limits with every default filled in, and all durations in whole milliseconds, rounded up.
    ///
    /// # Errors
    ///
    /// If a duration is not from 1 ms to 1 h (a pre-stop delay may be zero), if the reserve and the margin leave stop
    /// nothing of the grace, or if the pre-stop delay leaves stop nothing of its share.
    pub fn resolve(&self) -> Result<ResolvedLimits, LimitsError> {
        let ranged = |what, was: Duration| {
            let rounded = whole_ms(was);
            if rounded < BOUND_MIN || rounded > BOUND_MAX {
                return Err(LimitsError::OutOfRange { what, was });
            }
            Ok(rounded)
        };
        let grace = ranged("the grace", self.grace.unwrap_or(Duration::from_secs(30)))?;
        let reserve = match self.reserve {
            Some(reserve) => ranged("the reserve", reserve)?,
            None => Duration::from_millis(ms_rounded_down(grace) / 3),
        };
        let margin = match self.margin {
            Some(margin) => ranged("the margin", margin)?,
            None => whole_ms((grace / 20).min(Duration::from_millis(500))),
        };
        let start_timeout = ranged(
            "the start timeout",
            self.start_timeout.unwrap_or(Duration::from_secs(5)),
        )?;
        let pre_stop = match self.pre_stop {
            Duration::ZERO => Duration::ZERO,
            delay => ranged("the pre-stop delay", delay)?,
        };
        let ties = if self.last_registered_first {
            Ties::Last
        } else {
            Ties::First
        };
        let limits = ResolvedLimits {
            grace,
            reserve,
            margin,
            ties,
            start_timeout,
            pre_stop,
        };
        if limits.stop_share().is_zero() {
            return Err(LimitsError::NoShare {
                grace,
                reserve,
                margin,
            });
        }
        if pre_stop >= limits.stop_share() {
            return Err(LimitsError::PreStop {
                delay: pre_stop,
                share: limits.stop_share(),
            });
        }
        Ok(limits)
    }
}

/// The worker's limits in time, with every default filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ResolvedLimits {
    /// Time from the first signal or stop to SIGKILL.
    pub grace: Duration,
    /// Part of the grace that is kept for cleanup.
    pub reserve: Duration,
    /// Part at the end of the grace in which nothing is awaited any more.
    pub margin: Duration,
    /// Order of equals in cleanup.
    pub ties: Ties,
    /// Maximum time for which main is awaited if a stop is requested while it runs.
    pub start_timeout: Duration,
    /// Pre-stop delay: time by which stop is delayed after a request to a running worker. It is taken from stop's
    /// share; zero is no delay.
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

impl ResolvedLimits {
    /// Returns stop's share of the grace.
    pub fn stop_share(&self) -> Duration {
        self.grace.saturating_sub(self.margin + self.reserve)
    }

    pub(crate) fn instants(&self, from: Duration) -> Instants {
        Instants {
            stop_ends: from + self.stop_share(),
            cleanup_ends: from + self.grace.saturating_sub(self.margin),
            // Half of an odd margin is rounded up: a last resort at the instant of SIGKILL would come too late.
            last_resort: from + self.grace.saturating_sub(whole_ms(self.margin / 2)),
            kill: from + self.grace,
        }
    }
}

/// Returns the key by which cleanup's steps are sorted (rules 2 and 12). Reversing an ascending sort would not do: it
/// would also reverse steps of equal order.
pub(crate) fn cleanup_key(order: i32, id: Id, ties: Ties) -> (i64, i128) {
    let id = i128::from(id);
    let among_equals = match ties {
        Ties::First => id,
        Ties::Last => -id,
    };
    (-i64::from(order), among_equals)
}

/// The bound of a step, and the limit that set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    pub time: Duration,
    pub by: BoundBy,
}

/// Returns the `bound_by` of a step that is bounded by its own timeout.
fn own_bound(kind: Kind) -> BoundBy {
    match kind {
        Kind::Thread | Kind::Watchdog => BoundBy::JoinTimeout,
        Kind::Task => BoundBy::CancelTimeout,
        Kind::Stop | Kind::Cleanup | Kind::Closeable | Kind::Main => BoundBy::Timeout,
    }
}

/// Returns the bound of a step of start or stop (rules 3, 4, 9 and 11).
pub(crate) fn stop_bound(
    kind: Kind,
    timeout: Duration,
    time_left: Duration,
    second_signal_came: bool,
) -> Bound {
    if second_signal_came {
        Bound {
            time: Duration::ZERO,
            by: BoundBy::SecondSignal,
        }
    } else if time_left.is_zero() {
        Bound {
            time: Duration::ZERO,
            by: BoundBy::ShareGone,
        }
    } else if timeout <= time_left {
        Bound {
            time: timeout,
            by: own_bound(kind),
        }
    } else {
        Bound {
            time: time_left,
            by: BoundBy::Phase,
        }
    }
}

/// Returns the bound of a cleanup step; `later` is the sum of the floors of later steps (rules 3 and 11).
pub(crate) fn cleanup_bound(
    timeout: Duration,
    floor: Duration,
    time_left: Duration,
    later: Duration,
    second_signal_came: bool,
) -> Bound {
    if second_signal_came {
        return Bound {
            time: floor,
            by: BoundBy::SecondSignal,
        };
    }
    let free = time_left.saturating_sub(later);
    if timeout <= free {
        Bound {
            time: timeout,
            by: BoundBy::Timeout,
        }
    } else if free < floor {
        Bound {
            time: floor,
            by: BoundBy::Floor,
        }
    } else if later.is_zero() {
        Bound {
            time: free,
            by: BoundBy::Phase,
        }
    } else {
        Bound {
            time: free,
            by: BoundBy::Floors,
        }
    }
}

/// Returns the floors of cleanup's steps, in the order of `steps`. Each step is given as (timeout, explicit floor).
/// The steps without an explicit floor share what the explicit ones leave of the reserve (rule 3).
pub(crate) fn floors(reserve: Duration, steps: &[(Duration, Option<Duration>)]) -> Vec<Duration> {
    let explicit: Duration = steps.iter().filter_map(|(_, floor)| *floor).sum();
    let without = steps.iter().filter(|(_, floor)| floor.is_none()).count();
    let each = match u64::try_from(without) {
        Ok(0) | Err(_) => Duration::ZERO,
        Ok(n) => Duration::from_millis(ms_rounded_down(reserve.saturating_sub(explicit)) / n),
    };
    let each = each.min(MAX_SHARED_FLOOR);
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

    fn default_limits() -> ResolvedLimits {
        ResolvedLimits {
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
        let instants = default_limits().instants(s(10));
        assert_eq!(ms_rounded_down(instants.stop_ends), 29_500);
        assert_eq!(ms_rounded_down(instants.cleanup_ends), 39_500);
        assert_eq!(ms_rounded_down(instants.last_resort), 39_750);
        assert_eq!(ms_rounded_down(instants.kill), 40_000);
    }

    #[test]
    fn the_last_resort_comes_before_the_kill_at_whole_milliseconds() {
        let limits = ResolvedLimits {
            grace: Duration::from_millis(20),
            reserve: Duration::from_millis(6),
            margin: Duration::from_millis(1),
            ..default_limits()
        };
        let instants = limits.instants(s(10));
        assert_eq!(instants.last_resort, Duration::from_millis(10_019));
        assert_eq!(instants.kill, Duration::from_millis(10_020));
    }

    #[test]
    fn equal_limits_name_the_steps_own_timeout() {
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
                time: s(3),
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
                time: s(7),
                by: BoundBy::Floors
            }
        );
        assert_eq!(
            cleanup_bound(s(10), s(1), s(9), s(0), false),
            Bound {
                time: s(9),
                by: BoundBy::Phase
            }
        );
        assert_eq!(
            cleanup_bound(s(10), s(1), s(2), s(2), false),
            Bound {
                time: s(1),
                by: BoundBy::Floor
            }
        );
        assert_eq!(
            cleanup_bound(s(10), s(1), s(9), s(0), true),
            Bound {
                time: s(1),
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
            shared
                .iter()
                .map(|floor| ms_rounded_down(*floor))
                .collect::<Vec<_>>(),
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
