//! Stop clears the running flag before its first step, and before it calls anything.

use super::record::Record;
use super::{Breaks, Law};
use crate::journal::{At, Kind, Phase};

pub(super) const LAW: Law = Law {
    name: "running/false-first",
    rules: "1",
    statement: "Stop clears the running flag before its first step, and before it calls anything.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    // The flag is read right after each claim: one event later it still is the claim's moment.
    let steps = record
        .steps()
        .filter(|(_, step)| step.phase == Phase::Stop)
        .map(|(part, step)| (step.at, step.at + 1, part.named()));
    let calls = record
        .registered()
        .filter(|(_, _, _, registered)| registered.kind == Kind::Stop)
        .filter_map(|(_, part, _, _)| part.began.map(|at| (at, at, part.named())));
    let Some((at, by, name)) = steps.chain(calls).min() else {
        return;
    };
    if record.running_false.is_none_or(|cleared| cleared > by) {
        breaks.at(
            at,
            format!(
                "running was still true when stop's first step, \"{name}\", began at {}",
                At(record.t(at))
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::day;

    #[test]
    fn a_flag_that_is_cleared_after_the_first_step() {
        day()
            .moved_behind("running", "heard flusher")
            .breaks_only(LAW.name);
    }
}
