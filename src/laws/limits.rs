//! Rule 3 anew: bounds and floors, from the contract alone and sharing nothing with the context.

use super::record::{Record, phase_of};
use crate::journal::{BoundBy, Id, Kind, Phase, Ties};

/// How long an abort is waited for at most (rule 6), in milliseconds.
pub(super) const CONFIRM: u64 = 100;

/// The most that a cleanup step without a floor of its own is sure of (rule 3), in milliseconds.
const SHARED_FLOOR: u64 = 1_000;

/// How long the abort of a step is confirmed at most: 100 ms, and no longer than the phase has left after the
/// floors of later steps. None where nothing was aborted; an adopted task's bound is its confirmation.
pub(super) fn confirmation(record: &Record<'_>, id: Id) -> Option<(u64, u64)> {
    let part = record.part(id)?;
    let adopted = part
        .registered
        .is_some_and(|(_, registered)| registered.adopted);
    let (step, abort) = (part.step?, *part.aborts.first()?);
    let grace = record.grace.filter(|_| !adopted)?;
    let began = record.t(abort);
    let (ends, later) = match step.phase {
        Phase::Start | Phase::Stop => (grace.stop_ends, 0),
        Phase::Cleanup => {
            let floors = floors(record);
            let later = floors.iter().find(|(floored, ..)| *floored == id);
            (grace.cleanup_ends, later.map_or(0, |(_, _, later)| *later))
        }
    };
    let left = ends.saturating_sub(began).saturating_sub(later);
    Some((began, left.min(CONFIRM)))
}

/// The right bound, and the words that may say what set it.
#[derive(Clone, Copy)]
pub(super) struct Limit {
    pub bound: u64,
    pub by: [Option<BoundBy>; 2],
}

fn limit(bound: u64, by: BoundBy) -> Limit {
    Limit {
        bound,
        by: [Some(by), None],
    }
}

/// min(timeout, left); nothing once the share is gone, or a second signal has come.
pub(super) fn stop_limit(kind: Kind, timeout: u64, left: u64, hurried: bool) -> Limit {
    let own = match kind {
        Kind::Thread | Kind::Watchdog => BoundBy::JoinTimeout,
        Kind::Task => BoundBy::CancelTimeout,
        _ => BoundBy::Timeout,
    };
    match (hurried, left) {
        (true, _) => limit(0, BoundBy::SecondSignal),
        (_, 0) => limit(0, BoundBy::ShareGone),
        _ if timeout <= left => limit(timeout, own),
        _ => limit(left, BoundBy::Phase),
    }
}

/// max(floor, min(timeout, left − later floors)); exactly the floor after a second signal.
pub(super) fn cleanup_limit(
    timeout: u64,
    floor: u64,
    left: u64,
    later: u64,
    hurried: bool,
) -> Limit {
    if hurried {
        return limit(floor, BoundBy::SecondSignal);
    }
    let free = left.saturating_sub(later);
    let share = if later == 0 {
        BoundBy::Phase
    } else {
        BoundBy::Floors
    };
    if timeout <= free {
        limit(timeout, BoundBy::Timeout)
    } else if free > floor {
        limit(free, share)
    } else if free == floor {
        Limit {
            bound: floor,
            by: [Some(BoundBy::Floor), Some(share)],
        }
    } else {
        limit(floor, BoundBy::Floor)
    }
}

/// The floors of cleanup's steps in the order in which they come, each with the sum of those after it.
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
        .min(SHARED_FLOOR);
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

/// A step's floor, and the sum of those after it; nothing for what is no step of cleanup's.
pub(super) fn floor_of(floors: &[(Id, u64, u64)], id: Id) -> (u64, u64) {
    let found = floors.iter().find(|(floored, ..)| *floored == id);
    found.map_or((0, 0), |(_, floor, later)| (*floor, *later))
}
