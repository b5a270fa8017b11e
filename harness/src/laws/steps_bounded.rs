//! No step takes longer than its bound and, if something is aborted, the confirmation of 100 ms or what is left. No
//! step is open at the end.

use super::limits::confirmation;
use super::record::{Record, is_call};
use super::{Breaks, Law};
use crate::journal::{At, Ms};

pub(super) const LAW: Law = Law {
    name: "steps/bounded",
    rules: "3, 6",
    statement: "No step takes longer than its bound. After an abort, it may take up to 100 ms more for the confirmation, or less if less time is left. No step is open at the end.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    if record.is_plan {
        return check_calls_bounded(record, breaks);
    }
    for (component, step) in record.steps() {
        let confirm = confirmation(record, step.id).map_or(0, |(_, confirm)| confirm);
        let limit = step.bound.saturating_add(confirm);
        match step.end {
            Some(end) => {
                let took = end.took.max(end.t.saturating_sub(step.t));
                if took > limit {
                    breaks.at(
                        end.at,
                        format!(
                            "\"{}\" took {}: its bound is {}",
                            component.name_or_unknown(),
                            Ms(took),
                            Ms(step.bound)
                        ),
                    );
                }
            }
            None if !record.is_cut() || record.last_instant().saturating_sub(step.t) > limit => {
                breaks.at(
                    step.at,
                    format!(
                        "the step of \"{}\" began at {}, but never ended",
                        component.name_or_unknown(),
                        At(step.t)
                    ),
                );
            }
            None => {}
        }
    }
}

/// Checks, by the facts alone, that called code returns within its timeout.
fn check_calls_bounded(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    for (_, component, _, registered) in record.registered() {
        let (true, Some(began)) = (is_call(registered.kind), component.began) else {
            continue;
        };
        let until = component.end.map_or(record.last_instant(), |end| end.t);
        let took = until.saturating_sub(record.time_of(began));
        if took > registered.timeout {
            breaks.at(
                began,
                format!(
                    "\"{}\" held everything up for {}: its bound is {}",
                    registered.name,
                    Ms(took),
                    Ms(registered.timeout)
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
    fn step_waited_for_beyond_its_bound_breaks() {
        day()
            .with_keys("registered flush", r#""timeout":9950"#)
            .with_keys("step-started flush", r#""bound":9950"#)
            .with_keys(
                "still-waiting flush",
                r#""t":26475,"waited":4975,"bound":9950"#,
            )
            .with_row(5, r#"[5,"leaked",9950,"timeout",21500,10000]"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn step_that_never_ends_breaks() {
        day()
            .without("step-ended cache")
            .with_row(11, "")
            .breaks_only(LAW.name);
    }

    #[test]
    fn open_step_of_a_run_that_was_cut_breaks_beyond_its_bound() {
        // `flush` began at 21.5 s, with a bound of 10 s.
        let cut = |t: u64| day().cut_after("still-waiting flush").killed_at(t);
        cut(31_500).breaks_nothing();
        cut(31_501).breaks_only(LAW.name);
        cut(40_000).breaks_only(LAW.name);
    }

    #[test]
    fn call_of_the_plan_that_overruns_its_timeout_breaks() {
        let flush = |t: i64| plan_day().shifted("ended flush", t - 4_000);
        flush(10_000).breaks_nothing();
        flush(10_001).breaks_only(LAW.name);
        flush(12_000).breaks_only(LAW.name);
    }
}
