//! Every bound, and the limit that set it, follow from the worker's limits, the component's own limits, the begin of
//! the grace, and the signals.

use super::limits::{RightBound, cleanup_bound, floor_of, floors, stop_bound};
use super::record::{Record, Step};
use super::{Breaks, Law};
use crate::journal::{At, Ms, Phase, What};

pub(super) const LAW: Law = Law {
    name: "bound/right",
    rules: "0, 3, 4, 11",
    statement: "Every bound and its reason follow from the limits of the worker, the limits of the component, the begin of the grace and the signals.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    if record.is_plan {
        return; // The plan has no bounds except those of its joins.
    }
    let Some(limits) = record.limits else { return };
    let mut steps = record.steps().map(|(_, step)| step).peekable();
    if steps.peek().is_none() {
        return;
    }
    let Some(grace) = record.grace else {
        let first = steps.map(|step| step.at).min().unwrap_or(0);
        return breaks.at(first, "a step began before the grace had begun".to_owned());
    };
    if let Some(What::GraceBegan {
        stop_ends,
        cleanup_ends,
        last_resort,
        kill,
    }) = record.events.get(grace.at).map(|event| &event.what)
    {
        let claimed = (*stop_ends, *cleanup_ends, *last_resort, *kill);
        if claimed
            != (
                grace.stop_ends,
                grace.cleanup_ends,
                grace.last_resort,
                grace.kill,
            )
        {
            breaks.at(grace.at, format!("the grace's instants should be stop {}, cleanup {}, last resort {}, SIGKILL {}", At(grace.stop_ends), At(grace.cleanup_ends), At(grace.last_resort), At(grace.kill)));
        }
    }
    let floors = floors(record);
    for step in steps {
        let own = match (
            step.phase,
            record
                .component(step.id)
                .and_then(|component| component.registered),
        ) {
            (Phase::Start, _) => limits.start_timeout,
            (_, Some((_, registered))) => registered.timeout,
            _ => continue,
        };
        let right_bound = |after_second_signal| match step.phase {
            Phase::Start | Phase::Stop => stop_bound(
                step.kind,
                own,
                grace.stop_ends.saturating_sub(step.t),
                after_second_signal,
            ),
            Phase::Cleanup => {
                let (floor, later) = floor_of(&floors, step.id);
                cleanup_bound(
                    own,
                    floor,
                    grace.cleanup_ends.saturating_sub(step.t),
                    later,
                    after_second_signal,
                )
            }
        };
        let fits = |right: RightBound| {
            right.bound == step.bound && right.by.contains(&Some(step.bound_by))
        };
        // In the instant of the second signal both are right: it is chance whether the step or the signal came first.
        let second = record
            .second_signal()
            .filter(|(at, _)| *at < step.at)
            .map(|(at, _)| record.time_of(at));
        let is_right = match second {
            None => fits(right_bound(false)),
            Some(t) if t == step.t => fits(right_bound(false)) || fits(right_bound(true)),
            Some(_) => fits(right_bound(true)),
        };
        if !is_right {
            report_wrong_bound(record, breaks, step, right_bound(second.is_some()));
        }
    }
}

fn report_wrong_bound(record: &Record<'_>, breaks: &mut Breaks<'_>, step: Step, right: RightBound) {
    let by = right
        .by
        .into_iter()
        .flatten()
        .next()
        .map_or("", |by| by.as_str());
    breaks.at(
        step.at,
        format!(
            "\"{}\" (order {}) got a bound of {} ({}): expected {} ({by})",
            record.name(step.id),
            step.order,
            Ms(step.bound),
            step.bound_by,
            Ms(right.bound)
        ),
    );
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::{day, rolled_back, second_signal_in_cleanup};

    #[test]
    fn bound_that_is_too_short_breaks() {
        day()
            .with_keys("step-started db", r#""bound":9000"#)
            .with_row(6, r#"[6,"ok",9000,"timeout",31500,200]"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn wrong_word_for_a_bound_breaks() {
        day()
            .with_keys("step-started db", r#""bound_by":"phase""#)
            .with_row(6, r#"[6,"ok",10000,"phase",31500,200]"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn grace_that_ends_too_late_breaks() {
        day()
            .with_keys("grace-began", r#""kill":60000"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn wrong_word_for_mains_bound_breaks() {
        rolled_back()
            .with_keys("step-started main", r#""bound_by":"phase""#)
            .with_row(0, r#"[0,"aborted",5000,"phase",400,5000]"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn bound_in_the_instant_of_a_second_signal_is_either() {
        // The signal comes at 31.5 s, just before the step of `db` begins. `cache` begins later, and has only its
        // floor.
        let signal = r#"{"t":31500,"event":"signal","name":"SIGTERM","nth":2}"#;
        let day = day()
            .before("step-started db", signal)
            .with_keys(
                "step-started cache",
                r#""bound":1000,"bound_by":"second-signal""#,
            )
            .with_row(11, r#"[11,"ok",1000,"second-signal",31700,0]"#)
            .with_keys("exit", r#""code":143,"cause":"second-signal""#);
        day.clone().breaks_nothing();
        day.with_keys(
            "step-started db",
            r#""bound":1000,"bound_by":"second-signal""#,
        )
        .with_row(6, r#"[6,"ok",1000,"second-signal",31500,200]"#)
        .breaks_nothing();
    }

    #[test]
    fn own_timeout_after_a_second_signal_breaks() {
        second_signal_in_cleanup()
            .with_keys("step-started db", r#""bound":10000,"bound_by":"timeout""#)
            .with_row(6, r#"[6,"ok",10000,"timeout",24500,200]"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn second_signals_bound_before_the_signal_breaks() {
        second_signal_in_cleanup()
            .with_keys(
                "step-started predictor",
                r#""bound":1000,"bound_by":"second-signal""#,
            )
            .with_row(4, r#"[4,"ok",1000,"second-signal",21500,0]"#)
            .breaks_only(LAW.name);
    }
}
