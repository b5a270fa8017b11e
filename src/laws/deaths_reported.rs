//! The report that is returned names every component that failed, panicked or was dropped before stop, and no other.

use super::record::{Index, Record, is_call};
use super::{Breaks, Law};
use crate::journal::{At, How, Id, Phase};

pub(super) const LAW: Law = Law {
    name: "deaths/reported",
    rules: "13, 15",
    statement: "What fails, panics or is dropped before stop, and nothing else, is in the report that comes back, by name.",
    judge,
};

/// Maximum number of deaths that a report names. It names the last ones, and only counts those before.
const KEPT: usize = 100;

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    nothing_else(record, breaks);
    let until = record.phase_began(Phase::Stop).unwrap_or(Index::MAX);
    let mut deaths: Vec<(Index, Id, How)> = record
        .registered()
        .filter(|(_, part, _, registered)| {
            !is_call(registered.kind) && (part.step.is_none() || record.plan)
        })
        .filter_map(|(id, part, _, _)| part.end.map(|end| (end.at, id, end.how)))
        .filter(|(at, _, how)| *at < until && *how != How::Ok)
        .collect();
    deaths.sort_unstable();
    let kept = deaths.len().saturating_sub(KEPT);
    for (at, id, how) in deaths.into_iter().skip(kept) {
        let report = record.callers.iter().find_map(|caller| {
            let report = caller
                .returned
                .filter(|(_, result, ..)| caller.has_report(result))?;
            (report.0 > at).then_some(report)
        });
        let Some((_, _, _, told)) = report else {
            continue;
        };
        if !told.contains(&(id, how)) {
            breaks.at(
                at,
                format!(
                    "\"{}\" {how} at {}, before stop, and no report says so",
                    record.name(id),
                    At(record.t(at))
                ),
            );
        }
    }
}

/// Checks that each death in a report has happened, and as the report has it.
fn nothing_else(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    for caller in &record.callers {
        let Some((at, _, _, told)) = caller.returned else {
            continue;
        };
        for (id, how) in told {
            let end = record.part(*id).and_then(|part| part.end);
            let died = *how != How::Ok && end.is_some_and(|end| end.at < at && end.how == *how);
            if !died {
                breaks.at(
                    at,
                    format!(
                        "the report that caller {} got says that \"{}\" {how} before stop: it did not",
                        caller.caller,
                        record.name(*id)
                    ),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::{day, planned};

    #[test]
    fn death_that_no_report_has_breaks() {
        day()
            .with("returned run", r#""deaths":[]"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn reported_death_of_a_task_that_ended_well_breaks() {
        day()
            .with("returned run", r#""deaths":[[8,"ok"],[9,"failed"]]"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn failure_after_stop_began_is_no_death() {
        // The thread ends between the state `stopping` and the phase, and has a step that takes no time (rule 2).
        day()
            .without("heard flusher")
            .moved_behind("ended flusher", "told dog")
            .with("ended flusher", r#""how":"failed""#)
            .with("step-ended flusher", r#""outcome":"failed""#)
            .row(1, r#"[1,"failed",2000,"join-timeout",20000,0]"#)
            .breaks_nothing();
    }

    #[test]
    fn death_reported_with_another_outcome_breaks() {
        day()
            .with("returned run", r#""deaths":[[9,"panicked"]]"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn death_reported_again_with_another_outcome_breaks() {
        day()
            .with("returned run", r#""deaths":[[9,"failed"],[9,"panicked"]]"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn death_that_the_plan_does_not_report_breaks() {
        planned()
            .with("ended crash", r#""how":"failed""#)
            .breaks_only(LAW.name);
    }
}
