//! Helpers of the tests: points to tell schedules of.

use std::time::Duration;

use super::halt::Halt;
use super::point::{Candidate, Point, PointKind};
use super::seam::Schedule;

const NAMES: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];

/// Tells a schedule of a turn at that second, for which the entities with these numbers can go on. Their names are
/// letters, from `a` for 0.
pub fn tell(
    schedule: &mut impl Schedule,
    second: usize,
    ids: impl IntoIterator<Item = u32>,
) -> Result<usize, Halt> {
    let name = |id: u32| NAMES[id as usize % NAMES.len()];
    let candidates: Vec<_> = ids
        .into_iter()
        .map(|id| Candidate { id, name: name(id) })
        .collect();
    let at = Duration::from_secs(second as u64);
    schedule.choose(&Point::new(PointKind::Turn, at, &candidates))
}

/// Returns what a schedule takes in a run whose points have so many candidates, one point a second.
pub fn taken(mut schedule: impl Schedule, among: &[usize]) -> Result<Vec<usize>, Halt> {
    let told = among.iter().enumerate().map(|(second, among)| {
        let ids = 0..u32::try_from(*among).expect("few candidates");
        tell(&mut schedule, second, ids)
    });
    let taken = told.collect::<Result<_, _>>()?;
    schedule.end()?;
    Ok(taken)
}
