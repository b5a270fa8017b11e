//! Cleanup begins only after every step of stop has ended.

use super::record::{Record, phase_of};
use super::{Breaks, Law};
use crate::journal::{At, Kind, Phase};

pub(super) const LAW: Law = Law {
    name: "cleanup/after-stop",
    rules: "2",
    statement: "Nothing is cleaned up before every step of stop has ended.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    let began = record
        .registered()
        .filter(|(_, _, _, registered)| phase_of(registered.kind) == Phase::Cleanup)
        .filter_map(|(_, component, _, _)| {
            component.began.map(|at| (at, component.name_or_unknown()))
        });
    let Some((at, name)) = began.min() else {
        return;
    };
    if record.is_plan {
        // The plan does not claim the end of stop; but every callback that stop called must have ended.
        for (_, component, _, registered) in record.registered() {
            let open = component.began.is_some_and(|began| began < at)
                && component.end.is_none_or(|end| end.at > at);
            if registered.kind == Kind::Stop && open {
                breaks.at(
                    at,
                    format!(
                        "\"{name}\" began at {} while the stop callback \"{}\" still ran",
                        At(record.time_of(at)),
                        registered.name
                    ),
                );
            }
        }
        return;
    }
    if record
        .phase(Phase::Stop)
        .ended
        .is_none_or(|ended| ended > at)
    {
        breaks.at(
            at,
            format!(
                "\"{name}\" began at {}, before stop had ended",
                At(record.time_of(at))
            ),
        );
    }
    for (component, step) in record.steps() {
        if step.phase == Phase::Stop && step.end.is_none_or(|end| end.at > at) {
            breaks.at(
                at,
                format!(
                    "\"{name}\" began at {} while stop's step \"{}\" was open",
                    At(record.time_of(at)),
                    component.name_or_unknown()
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::{day, plan_day};

    #[test]
    fn cleanup_before_the_end_of_stop_breaks() {
        day()
            .moved_after("phase-ended stop", "began predictor")
            .breaks_only(LAW.name);
    }

    #[test]
    fn open_step_of_stop_at_cleanup_breaks() {
        // Two steps are open at once, which breaks another law too.
        day()
            .moved_after("step-ended bye", "began predictor")
            .breaks_exactly(&[LAW.name, "steps/one-at-a-time"]);
    }

    #[test]
    fn open_callback_of_the_plans_stop_at_cleanup_breaks() {
        plan_day()
            .moved_after("ended bye", "began predictor")
            .breaks_exactly(&[LAW.name, "steps/one-at-a-time"]);
        plan_day()
            .without("ended bye")
            .with_keys("exit", r#""code":1"#)
            .before(
                "exit",
                r#"{"t":26000,"event":"lost","id":3,"name":"bye","what":"running"}"#,
            )
            .breaks_exactly(&[LAW.name, "ledger/accounted", "steps/one-at-a-time"]);
    }

    #[test]
    fn open_thread_at_the_plans_cleanup_passes() {
        plan_day()
            .moved_after("ended dog", "began predictor")
            .breaks_nothing();
    }
}
