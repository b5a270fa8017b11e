//! Computes bounds and floors anew (rule 3), from the contract alone; shares no code with the context.

use super::record::{Record, phase_of};
use crate::journal::{BoundBy, Id, Kind, Phase, Ties};

/// Longest confirmation of an abort (rule 6), in milliseconds.
pub(super) const MAX_CONFIRMATION_MS: u64 = 100;

/// Maximum floor of a cleanup step that was given none (rule 3), in milliseconds.
const MAX_SHARED_FLOOR_MS: u64 = 1_000;

/// Returns when the confirmation of a step's abort begins, and how long it lasts at most: 100 ms, and no longer than
/// the phase has left after the floors of later steps. Returns `None` if nothing was aborted, and for an adopted
/// task, whose bound is its confirmation.
pub(super) fn confirmation(record: &Record<'_>, id: Id) -> Option<(u64, u64)> {
    let component = record.component(id)?;
    let adopted = component
        .registered
        .is_some_and(|(_, registered)| registered.adopted);
    let (step, abort) = (component.step?, *component.aborts.first()?);
    let grace = record.grace.filter(|_| !adopted)?;
    let began = record.time_of(abort);
    let (ends, later) = match step.phase {
        Phase::Start | Phase::Stop => (grace.stop_ends, 0),
        Phase::Cleanup => {
            let floors = floors(record);
            let later = floors.iter().find(|(floored, ..)| *floored == id);
            (grace.cleanup_ends, later.map_or(0, |(_, _, later)| *later))
        }
    };
    let left = ends.saturating_sub(began).saturating_sub(later);
    Some((began, left.min(MAX_CONFIRMATION_MS)))
}

/// The right bound, and the words that may be given for what set it.
#[derive(Clone, Copy)]
pub(super) struct RightBound {
    pub bound: u64,
    pub by: [Option<BoundBy>; 2],
}

fn right_bound(bound: u64, by: BoundBy) -> RightBound {
    RightBound {
        bound,
        by: [Some(by), None],
    }
}

/// Returns min(timeout, left), or zero once the share is gone or a second signal has come.
pub(super) fn stop_bound(
    kind: Kind,
    timeout: u64,
    left: u64,
    after_second_signal: bool,
) -> RightBound {
    let own = match kind {
        Kind::Thread | Kind::Watchdog => BoundBy::JoinTimeout,
        Kind::Task => BoundBy::CancelTimeout,
        _ => BoundBy::Timeout,
    };
    match (after_second_signal, left) {
        (true, _) => right_bound(0, BoundBy::SecondSignal),
        (_, 0) => right_bound(0, BoundBy::ShareGone),
        _ if timeout <= left => right_bound(timeout, own),
        _ => right_bound(left, BoundBy::Phase),
    }
}

/// Returns max(floor, min(timeout, left − later floors)), or exactly the floor after a second signal.
pub(super) fn cleanup_bound(
    timeout: u64,
    floor: u64,
    left: u64,
    later: u64,
    after_second_signal: bool,
) -> RightBound {
    if after_second_signal {
        return right_bound(floor, BoundBy::SecondSignal);
    }
    let free = left.saturating_sub(later);
    let share = if later == 0 {
        BoundBy::Phase
    } else {
        BoundBy::Floors
    };
    if timeout <= free {
        right_bound(timeout, BoundBy::Timeout)
    } else if free > floor {
        right_bound(free, share)
    } else if free == floor {
        RightBound {
            bound: floor,
            by: [Some(BoundBy::Floor), Some(share)],
        }
    } else {
        right_bound(floor, BoundBy::Floor)
    }
}

/// Returns the floors of cleanup's steps in the order of the steps, each with the sum of the floors after it.
pub(super) fn floors(record: &Record<'_>) -> Vec<(Id, u64, u64)> {
    let Some(limits) = record.limits else {
        return Vec::new();
    };
    let began = record.phase_began(Phase::Cleanup).unwrap_or(usize::MAX);
    let mut steps: Vec<_> = record
        .registered()
        .filter(|(_, _, at, registered)| phase_of(registered.kind) == Phase::Cleanup && *at < began)
        .map(|(_, _, _, registered)| registered)
        .collect();
    let last_first = limits.ties == Ties::Last;
    steps.sort_unstable_by_key(|step| {
        let id = i128::from(step.id);
        (-i64::from(step.order), if last_first { -id } else { id })
    });
    let explicit: u64 = steps
        .iter()
        .filter_map(|step| step.floor)
        .fold(0, u64::saturating_add);
    let sharing = steps.iter().filter(|step| step.floor.is_none()).count() as u64;
    let share = limits
        .reserve
        .saturating_sub(explicit)
        .checked_div(sharing)
        .unwrap_or(0)
        .min(MAX_SHARED_FLOOR_MS);
    let mut later = 0;
    let mut floors: Vec<_> = steps
        .iter()
        .rev()
        .map(|step| {
            let floor = step.floor.unwrap_or(share.min(step.timeout));
            let after = later;
            later = floor.saturating_add(later);
            (step.id, floor, after)
        })
        .collect();
    floors.reverse();
    floors
}

/// Returns a step's floor, and the sum of the floors after it; zeros if the step is not one of cleanup's.
pub(super) fn floor_of(floors: &[(Id, u64, u64)], id: Id) -> (u64, u64) {
    let found = floors.iter().find(|(floored, ..)| *floored == id);
    found.map_or((0, 0), |(_, floor, later)| (*floor, *later))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::laws::by_hand::{ByHand, adopted_task, day, plan_day, rolled_back};
    use BoundBy::{CancelTimeout, Floor, Floors, JoinTimeout, SecondSignal, ShareGone, Timeout};

    fn words(limit: RightBound) -> (u64, Vec<BoundBy>) {
        (limit.bound, limit.by.into_iter().flatten().collect())
    }

    #[test]
    fn bound_of_stop_is_the_lesser_of_timeout_and_share() {
        let limit = |kind, timeout, left| words(stop_bound(kind, timeout, left, false));
        assert_eq!(
            limit(Kind::Thread, 2_000, 2_001),
            (2_000, vec![JoinTimeout])
        );
        assert_eq!(
            limit(Kind::Watchdog, 2_000, 2_000),
            (2_000, vec![JoinTimeout])
        );
        assert_eq!(
            limit(Kind::Task, 2_000, 2_000),
            (2_000, vec![CancelTimeout])
        );
        assert_eq!(limit(Kind::Stop, 2_000, 2_000), (2_000, vec![Timeout]));
        assert_eq!(
            limit(Kind::Task, 2_000, 1_999),
            (1_999, vec![BoundBy::Phase])
        );
        assert_eq!(limit(Kind::Task, 2_000, 0), (0, vec![ShareGone]));
    }

    #[test]
    fn bound_of_stop_after_a_second_signal_is_zero() {
        for left in [0, 5_000] {
            let limit = words(stop_bound(Kind::Task, 2_000, left, true));
            assert_eq!(limit, (0, vec![SecondSignal]));
        }
    }

    #[test]
    fn bound_of_cleanup_leaves_the_later_floors() {
        let limit = |left, later| words(cleanup_bound(1_000, 500, left, later, false));
        assert_eq!(limit(2_000, 0), (1_000, vec![Timeout]));
        assert_eq!(limit(1_000, 0), (1_000, vec![Timeout]));
        assert_eq!(limit(2_000, 1_000), (1_000, vec![Timeout]));
        assert_eq!(limit(999, 0), (999, vec![BoundBy::Phase]));
        assert_eq!(limit(1_999, 1_000), (999, vec![Floors]));
        assert_eq!(limit(499, 0), (500, vec![Floor]));
        assert_eq!(limit(1_499, 1_000), (500, vec![Floor]));
    }

    #[test]
    fn bound_of_cleanup_that_is_the_floor_has_two_words() {
        let limit = |left, later| words(cleanup_bound(1_000, 500, left, later, false));
        assert_eq!(limit(500, 0), (500, vec![Floor, BoundBy::Phase]));
        assert_eq!(limit(1_500, 1_000), (500, vec![Floor, Floors]));
    }

    #[test]
    fn bound_of_cleanup_after_a_second_signal_is_the_floor() {
        let limit = words(cleanup_bound(1_000, 500, 20_000, 0, true));
        assert_eq!(limit, (500, vec![SecondSignal]));
    }

    fn floors_of(journal: ByHand) -> Vec<(Id, u64, u64)> {
        floors(&Record::new(&journal.events()))
    }

    #[test]
    fn floors_share_what_the_given_ones_leave() {
        // 10,000 − 3,000 ms for three steps is more than a second each.
        let shared = [
            (4, 1_000, 5_000),
            (5, 3_000, 2_000),
            (6, 1_000, 1_000),
            (11, 1_000, 0),
        ];
        assert_eq!(floors_of(day()), shared);
        // 4,000 − 3,000 ms for three steps, rounded down.
        let small = day().with_keys("worker", r#""reserve":4000"#);
        let shared = [
            (4, 333, 3_666),
            (5, 3_000, 666),
            (6, 333, 333),
            (11, 333, 0),
        ];
        assert_eq!(floors_of(small), shared);
        let short = day().with_keys("registered db", r#""timeout":200"#);
        let shared = [
            (4, 1_000, 4_200),
            (5, 3_000, 1_200),
            (6, 200, 1_000),
            (11, 1_000, 0),
        ];
        assert_eq!(floors_of(short), shared);
    }

    #[test]
    fn floors_come_in_the_order_of_the_steps() {
        let last = day().with_keys("worker", r#""ties":"last""#);
        let turned = [
            (4, 1_000, 5_000),
            (5, 3_000, 2_000),
            (11, 1_000, 1_000),
            (6, 1_000, 0),
        ];
        assert_eq!(floors_of(last), turned);
    }

    #[test]
    fn floors_include_what_is_registered_before_cleanup_begins() {
        let late = r#"{"t":21500,"event":"registered","id":12,"kind":"cleanup","name":"late","order":-1,"timeout":10000,"floor":null,"uses":[],"told":"at-once","async":false,"adopted":false}"#;
        let during_stop = floors_of(day().before("phase-started cleanup", late));
        assert_eq!(during_stop.last(), Some(&(12, 1_000, 0)));
        assert_eq!(during_stop.len(), 5);
        assert_eq!(
            floors_of(day().after("phase-started cleanup", late)).len(),
            4
        );
        // The plan claims no phases: its cleanup begins with its first step.
        assert_eq!(floors_of(plan_day()).len(), 3);
    }

    #[test]
    fn floor_of_a_step_is_found_by_its_id() {
        let floors = [(4, 1_000, 5_000), (5, 3_000, 2_000)];
        assert_eq!(floor_of(&floors, 4), (1_000, 5_000));
        assert_eq!(floor_of(&floors, 5), (3_000, 2_000));
        assert_eq!(floor_of(&floors, 6), (0, 0));
    }

    fn confirmation_of(id: Id, journal: ByHand) -> Option<(u64, u64)> {
        confirmation(&Record::new(&journal.events()), id)
    }

    #[test]
    fn confirmation_in_cleanup_leaves_the_later_floors() {
        let aborted = |t: u64| {
            let abort = format!(r#"{{"t":{t},"event":"abort","name":"db","id":6}}"#);
            confirmation_of(6, day().before("ended db", &abort))
        };
        // Cleanup's share ends at 49.5 s, and the floor of `cache` is a second.
        assert_eq!(aborted(48_400), Some((48_400, 100)));
        assert_eq!(aborted(48_401), Some((48_401, 99)));
        assert_eq!(aborted(48_500), Some((48_500, 0)));
        assert_eq!(aborted(50_000), Some((50_000, 0)));
    }

    #[test]
    fn confirmation_in_stop_ends_with_its_share() {
        let aborted = |t: u64| {
            let abort = format!(r#"{{"t":{t},"event":"abort","name":"writer","id":2}}"#);
            confirmation_of(2, day().before("ended writer", &abort))
        };
        assert_eq!(aborted(39_400), Some((39_400, 100)));
        assert_eq!(aborted(39_450), Some((39_450, 50)));
        assert_eq!(confirmation_of(0, rolled_back()), Some((5_400, 100)));
    }

    #[test]
    fn confirmation_is_none_without_an_abort_or_of_an_adopted_task() {
        assert_eq!(confirmation_of(2, day()), None);
        assert_eq!(confirmation_of(12, adopted_task()), None);
    }
}
