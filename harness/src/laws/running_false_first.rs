//! Stop clears the running flag when it begins: not earlier, and before any component is told or called.

use super::record::Record;
use super::{Breaks, Law};
use crate::journal::{At, Kind, Phase, State};

pub(super) const LAW: Law = Law {
    name: "running/false-first",
    rules: "1",
    statement: "Stop clears the running flag when it begins: not earlier, and before it tells or calls any component.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    if !record.is_plan {
        check_cleared_with_stop(record, breaks);
    }
    // The flag is read right after each claim, so one event after the claim still counts as the same moment.
    let steps = record
        .steps()
        .filter(|(_, step)| step.phase == Phase::Stop)
        .map(|(component, step)| (step.at, step.at + 1, component.name_or_unknown()));
    let calls = record
        .registered()
        .filter(|(_, _, _, registered)| registered.kind == Kind::Stop)
        .filter_map(|(_, component, _, _)| {
            component
                .began
                .map(|at| (at, at, component.name_or_unknown()))
        });
    let Some((at, by, name)) = steps.chain(calls).min() else {
        return;
    };
    if record.running_false.is_none_or(|cleared| cleared > by) {
        breaks.at(
            at,
            format!(
                "running was still true when stop's first step, \"{name}\", began at {}",
                At(record.time_of(at))
            ),
        );
    }
}

/// Checks that the flag is cleared between the state `stopping` and the first `told`.
fn check_cleared_with_stop(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    let stopping = record.entered(State::Stopping);
    if let Some(cleared) = record.running_false
        && stopping.is_none_or(|stopping| cleared < stopping)
    {
        let at = At(record.time_of(cleared));
        breaks.at(
            cleared,
            format!("running was cleared at {at}, before stop had begun"),
        );
    }
    let components = record.components.iter().skip(1);
    let told = components.filter_map(|component| Some((component.told?, component)));
    let first = told.min_by_key(|(told, _)| *told);
    // Main is told before stop, and so is left out.
    if let Some((told, component)) = first
        && record.running_false.is_none_or(|cleared| cleared > told)
    {
        breaks.at(
            told,
            format!(
                "running was still true when \"{}\" was told",
                component.name_or_unknown()
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::day;

    #[test]
    fn flag_cleared_after_the_first_step_breaks() {
        day()
            .moved_after("running", "heard flusher")
            .breaks_only(LAW.name);
    }

    #[test]
    fn flag_cleared_after_the_first_telling_breaks() {
        day()
            .moved_after("running", "told flusher")
            .breaks_only(LAW.name);
    }

    #[test]
    fn flag_cleared_by_the_request_breaks() {
        day()
            .moved_after("running", "requested")
            .breaks_only(LAW.name);
    }
}
