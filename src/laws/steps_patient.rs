//! Nothing is given up before its bound, but when stop's share is gone or a second signal comes.

use super::limits::floors;
use super::record::Record;
use super::{Breaks, Law};
use crate::journal::Ms;
use crate::journal::{Outcome, Phase};

pub(super) const LAW: Law = Law {
    name: "steps/patient",
    rules: "3, 4, 11",
    statement: "Nothing is given up before its bound, but when stop's share is gone or a second signal comes.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    if record.plan {
        return; // It does not say how a step ended.
    }
    let floors = floors(record);
    let second = record.second_signal().map(|(at, _)| record.t(at));
    for (part, step) in record.steps() {
        let Some(end) = step.end else { continue };
        if matches!(
            end.outcome,
            Outcome::Ok | Outcome::Failed | Outcome::Panicked
        ) {
            continue;
        }
        let waited = end.t.saturating_sub(step.t);
        let hurried = second.is_some_and(|second| end.t >= second);
        let patient = if step.phase == Phase::Cleanup && hurried {
            let floor = floors
                .iter()
                .find(|(id, ..)| *id == step.id)
                .map_or(0, |(_, floor, _)| *floor);
            waited >= floor.min(step.bound)
        } else {
            waited >= step.bound || (step.phase != Phase::Cleanup && hurried)
        };
        if !patient {
            breaks.at(
                end.at,
                format!(
                    "\"{}\" was given up ({}) after {} of its {}",
                    part.named(),
                    end.outcome,
                    Ms(waited),
                    Ms(step.bound)
                ),
            );
        }
    }
}
