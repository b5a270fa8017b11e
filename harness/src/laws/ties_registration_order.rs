//! Components of equal order run in the order of registration in both phases. Cleanup reverses that only if the
//! worker's limits say so.

use super::record::{Record, Step};
use super::{Breaks, Law};
use crate::journal::{At, Phase, Ties};

pub(super) const LAW: Law = Law {
    name: "ties/registration-order",
    rules: "2, 12",
    statement: "Steps of equal order run in the order of registration, in both phases. Cleanup reverses this only if the worker's `ties` say so.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    let mut steps: Vec<Step> = record.steps().map(|(_, step)| step).collect();
    steps.sort_unstable_by_key(|step| step.at);
    for phase in [Phase::Stop, Phase::Cleanup] {
        let last_first = phase == Phase::Cleanup
            && record
                .limits
                .is_some_and(|limits| limits.ties == Ties::Last);
        let mut before: Option<Step> = None;
        for step in steps.iter().filter(|step| step.phase == phase) {
            if let Some(before) = before.filter(|before| before.order == step.order)
                && (before.id < step.id) == last_first
            {
                let which = if last_first { "later" } else { "earlier" };
                breaks.at(
                        step.at,
                        format!(
                            "\"{}\" came before \"{}\" at {}: both have order {}, and the second was registered {which}",
                            record.name(before.id),
                            record.name(step.id),
                            At(step.t),
                            step.order
                        ),
                    );
            }
            before = Some(*step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::day;

    #[test]
    fn reversed_ties_break() {
        day()
            .with_keys("worker", r#""ties":"last""#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn cleanup_reversed_by_the_worker_passes() {
        day()
            .with_keys("worker", r#""ties":"last""#)
            .moved_after("step-ended cache", "step-ended flush")
            .moved_after("ended cache", "step-ended flush")
            .moved_after("began cache", "step-ended flush")
            .moved_after("step-started cache", "step-ended flush")
            .with_keys("step-started cache", r#""group":3"#)
            .with_keys("step-started db", r#""group":4"#)
            .rows_swapped(7, 8)
            .with_row(11, r#"[11,"ok",10000,"timeout",31500,0]"#)
            .breaks_nothing();
    }
}
