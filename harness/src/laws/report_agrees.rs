//! Every caller gets an answer, and every report agrees with what happened.

use super::record::Record;
use super::{Breaks, Law};
use crate::journal::{At, Call, Phase, Row};

pub(super) const LAW: Law = Law {
    name: "report/agrees",
    rules: "8, 15",
    statement: "Every caller gets an answer, and every report agrees with what happened.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    // Number of rows of the current report, by component.
    let mut counts = vec![0_usize; record.components.len()];
    for call in &record.calls {
        let Some((at, result, rows, _)) = call.returned else {
            if !record.is_cut() {
                breaks.at(
                    call.at,
                    format!(
                        "caller {} called {} at {}, but got no answer",
                        call.caller,
                        call.method,
                        At(record.time_of(call.at))
                    ),
                );
            }
            continue;
        };
        if record.is_plan || !call.has_report(result) {
            continue;
        }
        for row in rows {
            let step = record
                .component(row.id)
                .and_then(|component| component.step)
                .and_then(|step| Some((step, step.end?)));
            let agrees = step.is_some_and(|(step, end)| {
                *row == Row {
                    id: step.id,
                    outcome: end.outcome,
                    bound: step.bound,
                    bound_by: step.bound_by,
                    started: step.t,
                    took: end.took,
                } && end.at < at
                    && end.took == end.t.saturating_sub(step.t)
            });
            if !agrees {
                breaks.at(
                    at,
                    format!(
                        "the report to caller {} does not agree with the step of \"{}\"",
                        call.caller,
                        record.name(row.id)
                    ),
                );
            }
        }
        let mut before = 0;
        for row in rows {
            let begun = record
                .component(row.id)
                .and_then(|component| component.step)
                .map_or(before, |step| step.at);
            if begun < before {
                breaks.at(
                    at,
                    format!(
                        "the report to caller {} lists \"{}\" too late: its rows must be in the order in which the steps began",
                        call.caller,
                        record.name(row.id)
                    ),
                );
            }
            before = begun;
        }
        counts.fill(0);
        for row in rows {
            if let Some(count) = counts.get_mut(row.id as usize) {
                *count += 1;
            }
        }
        for (component, step) in record.steps() {
            let covered = call.method != Call::Stop || step.phase != Phase::Cleanup;
            let ended = step.end.is_some_and(|end| end.at < at);
            let count = counts.get(step.id as usize).copied().unwrap_or(0);
            if (covered && ended && count == 0) || count > 1 {
                breaks.at(
                    at,
                    format!(
                        "the report to caller {} lists \"{}\" {count} times",
                        call.caller,
                        component.name_or_unknown()
                    ),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::{day, program};

    #[test]
    fn row_that_disagrees_breaks() {
        day()
            .with_row(6, r#"[6,"ok",10000,"timeout",31500,100]"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn wrong_time_in_both_row_and_claim_breaks() {
        day()
            .with_keys("step-ended db", r#""took":100"#)
            .with_row(6, r#"[6,"ok",10000,"timeout",31500,100]"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn rows_in_another_order_break() {
        day().rows_swapped(0, 1).breaks_only(LAW.name);
    }

    #[test]
    fn missing_row_breaks() {
        day().with_row(6, "").breaks_only(LAW.name);
    }

    #[test]
    fn stop_called_after_cleanup_has_the_report_of_stop() {
        program()
            .before("exit", r#"{"t":30000,"event":"call-began","call":"stop","caller":4,"from":null}"#)
            .before("exit", r#"{"t":30000,"event":"returned","call":"stop","caller":4,"result":"ok","steps":[[1,"ok",2000,"join-timeout",10000,0],[2,"ok",10000,"timeout",10000,1000]],"deaths":[]}"#)
            .with_keys("exit", r#""t":30000"#)
            .breaks_nothing();
    }

    #[test]
    fn row_that_stands_twice_breaks_once() {
        let twice = day().row_after(6, r#"[6,"ok",10000,"timeout",31500,200]"#);
        twice.clone().breaks_only(LAW.name);
        assert_eq!(
            twice.messages(LAW.name),
            [r#"the report to caller 1 lists "db" 2 times"#]
        );
    }

    #[test]
    fn row_without_a_step_breaks_once() {
        let more = day().row_after(11, r#"[8,"ok",2000,"cancel-timeout",20000,0]"#);
        more.clone().breaks_only(LAW.name);
        assert_eq!(
            more.messages(LAW.name),
            [r#"the report to caller 1 does not agree with the step of "burst""#]
        );
    }
}
