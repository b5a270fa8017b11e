//! The report that is returned names every component that failed, panicked or was dropped before stop, and no other.

use super::record::{EventIndex, Record, is_call};
use super::{Breaks, Law};
use crate::journal::{At, How, Id, Phase};

pub(super) const LAW: Law = Law {
    name: "deaths/reported",
    rules: "13, 15",
    statement: "Every report names the components that failed, panicked or were dropped before stop, and no others.",
    judge,
};

/// Maximum number of deaths that a report names. It names the last ones, and only counts those before.
const MAX_NAMED_DEATHS: usize = 100;

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    check_reported_deaths(record, breaks);
    let until = record.phase_began(Phase::Stop).unwrap_or(EventIndex::MAX);
    let mut deaths: Vec<(EventIndex, Id, How)> = record
        .registered()
        .filter(|(_, component, _, registered)| {
            !is_call(registered.kind) && (component.step.is_none() || record.is_plan)
        })
        .filter_map(|(id, component, _, _)| component.end.map(|end| (end.at, id, end.how)))
        .filter(|(at, _, how)| *at < until && *how != How::Ok)
        .collect();
    deaths.sort_unstable();
    let unnamed = deaths.len().saturating_sub(MAX_NAMED_DEATHS);
    for (at, id, how) in deaths.into_iter().skip(unnamed) {
        let report = record.calls.iter().find_map(|call| {
            let report = call
                .returned
                .filter(|(_, result, ..)| call.has_report(result))?;
            (report.0 > at).then_some(report)
        });
        let Some((_, _, _, reported)) = report else {
            continue;
        };
        if !reported.contains(&(id, how)) {
            breaks.at(
                at,
                format!(
                    "\"{}\" {how} at {}, before stop, but no report says so",
                    record.name(id),
                    At(record.time_of(at))
                ),
            );
        }
    }
}

/// Checks that each death in a report has happened, and as the report has it.
fn check_reported_deaths(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    for call in &record.calls {
        let Some((at, _, _, reported)) = call.returned else {
            continue;
        };
        for (id, how) in reported {
            let end = record.component(*id).and_then(|component| component.end);
            let died = *how != How::Ok && end.is_some_and(|end| end.at < at && end.how == *how);
            if !died {
                breaks.at(
                    at,
                    format!(
                        "the report to caller {} says that \"{}\" {how} before stop: this is not so",
                        call.caller,
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
    use crate::laws::by_hand::{day, plan_day};

    #[test]
    fn death_that_no_report_has_breaks() {
        day()
            .with_keys("returned run", r#""deaths":[]"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn reported_death_of_a_task_that_ended_well_breaks() {
        day()
            .with_keys("returned run", r#""deaths":[[8,"ok"],[9,"failed"]]"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn failure_after_stop_began_is_no_death() {
        // The thread ends between the state `stopping` and the phase, and has a step that takes no time (rule 2).
        day()
            .without("heard flusher")
            .moved_after("ended flusher", "told dog")
            .with_keys("ended flusher", r#""how":"failed""#)
            .with_keys("step-ended flusher", r#""outcome":"failed""#)
            .with_row(1, r#"[1,"failed",2000,"join-timeout",20000,0]"#)
            .breaks_nothing();
    }

    #[test]
    fn death_reported_with_another_outcome_breaks() {
        day()
            .with_keys("returned run", r#""deaths":[[9,"panicked"]]"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn death_reported_again_with_another_outcome_breaks() {
        day()
            .with_keys("returned run", r#""deaths":[[9,"failed"],[9,"panicked"]]"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn death_that_the_plan_does_not_report_breaks() {
        plan_day()
            .with_keys("ended crash", r#""how":"failed""#)
            .breaks_only(LAW.name);
    }
}
