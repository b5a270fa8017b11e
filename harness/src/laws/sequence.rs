//! Judges the order in which the steps of a phase came: by the claims, and by when the called code began.

use super::Breaks;
use super::record::{Record, Step, is_call};
use crate::journal::{At, Phase, What};

/// Checks that `right` holds for any two steps next to one another.
pub(super) fn judge(
    record: &Record<'_>,
    breaks: &mut Breaks<'_>,
    phase: Phase,
    right: fn(Step, Step) -> bool,
    word: &str,
) {
    let mut steps: Vec<Step> = record
        .steps()
        .map(|(_, step)| step)
        .filter(|step| step.phase == phase)
        .collect();
    steps.sort_unstable_by_key(|step| step.at);
    check(record, breaks, &steps, right, word);
    // Async code that a held executor kept back began when it could; the context does not choose that.
    let held = record
        .events
        .iter()
        .any(|event| matches!(event.what, What::Held { .. }));
    let mut called: Vec<Step> = steps
        .iter()
        .filter(|step| is_call(step.kind))
        .filter_map(|step| {
            let component = record.component(step.id)?;
            let (_, registered) = component.registered?;
            let at = component.began.filter(|_| !(held && registered.is_async))?;
            Some(Step {
                at,
                t: record.time_of(at),
                ..*step
            })
        })
        .collect();
    called.sort_unstable_by_key(|step| step.at);
    check(record, breaks, &called, right, word);
}

fn check(
    record: &Record<'_>,
    breaks: &mut Breaks<'_>,
    steps: &[Step],
    right: fn(Step, Step) -> bool,
    word: &str,
) {
    for pair in steps.windows(2) {
        let &[before, after] = pair else { continue };
        if !right(before, after) {
            breaks.at(
                after.at,
                format!(
                    "\"{}\" (order {}) came after \"{}\" (order {}) at {}: orders must be {word}",
                    record.name(after.id),
                    after.order,
                    record.name(before.id),
                    before.order,
                    At(after.t)
                ),
            );
        }
    }
}
