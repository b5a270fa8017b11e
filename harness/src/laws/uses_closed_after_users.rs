//! No resource is closed while a component that uses it still runs, except for users that were left behind.

use super::record::{Component, EventIndex, Record, is_call, phase_of};
use super::{Breaks, Law};
use crate::journal::{At, How, Id, Outcome, Phase, What};

pub(super) const LAW: Law = Law {
    name: "uses/closed-after-users",
    rules: "2",
    statement: "No component is closed while a component that uses it still runs, unless that user was left behind.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    for (user_id, user, user_at, registered) in record.registered() {
        for used in &registered.uses {
            let resource = record.registered().find(|(id, _, _, resource)| {
                *id != user_id
                    && resource.name == *used
                    && phase_of(resource.kind) == Phase::Cleanup
            });
            let Some((_, resource, _, _)) = resource else {
                continue;
            };
            let Some(closed) = resource.began.filter(|closed| *closed > user_at) else {
                continue;
            };
            if let Some(why) = still_uses(record, user_id, user, closed) {
                breaks.at(
                    closed,
                    format!(
                        "\"{used}\" was closed at {} while \"{}\", which uses it, {why}",
                        At(record.time_of(closed)),
                        registered.name
                    ),
                );
            }
        }
    }
    for (at, event) in record.events.iter().enumerate() {
        if let What::Used {
            id,
            of,
            alive: false,
        } = event.what
            && !record
                .component(id)
                .is_some_and(|component| left_behind(component, at))
        {
            breaks.at(
                at,
                format!(
                    "\"{}\" touched \"{}\" at {}, after its end",
                    record.name(id),
                    record.name(of),
                    At(event.t)
                ),
            );
        }
    }
}

/// Returns whether the component's step had ended before `at` without waiting for its code to end.
fn left_behind(component: &Component<'_>, at: EventIndex) -> bool {
    let end = component.step.and_then(|step| step.end);
    end.is_some_and(|end| {
        end.at < at && matches!(end.outcome, Outcome::Leaked | Outcome::NotAwaited)
    })
}

fn still_uses(
    record: &Record<'_>,
    id: Id,
    user: &Component<'_>,
    at: EventIndex,
) -> Option<&'static str> {
    if left_behind(user, at) {
        return None;
    }
    match user.end.filter(|end| end.at < at) {
        None if user.began.is_some_and(|began| began < at) => return Some("still ran"),
        None if user
            .registered
            .is_some_and(|(_, registered)| is_call(registered.kind)) =>
        {
            return Some("had not been called yet");
        }
        None => return None, // It never began to run, so it uses nothing.
        Some(end) if end.how == How::Dropped => return None, // Its jobs went with it.
        Some(_) => {}
    }
    let mut open: u32 = 0;
    for event in &record.events[..at] {
        match event.what {
            What::JobBegan { id: of, .. } if of == id => open += 1,
            What::JobEnded { id: of, .. } if of == id => open = open.saturating_sub(1),
            _ => {}
        }
    }
    (open > 0).then_some("had jobs in flight")
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::{ByHand, day, stubborn_writer};

    #[test]
    fn resource_touched_after_its_end_breaks() {
        day()
            .after(
                "step-ended predictor",
                r#"{"t":21500,"event":"used","id":3,"of":4,"alive":false}"#,
            )
            .breaks_only(LAW.name);
    }

    #[test]
    fn job_in_flight_breaks() {
        day()
            .before(
                "signal SIGTERM",
                r#"{"t":19000,"event":"job-began","id":2,"job":1}"#,
            )
            .breaks_only(LAW.name);
    }

    #[test]
    fn undeclared_use_of_a_closed_resource_breaks() {
        day()
            .with_keys("registered writer", r#""uses":[]"#)
            .after(
                "step-ended predictor",
                r#"{"t":21500,"event":"used","id":3,"of":4,"alive":false}"#,
            )
            .breaks_only(LAW.name);
    }

    #[test]
    fn user_that_was_left_behind_passes() {
        day()
            .with_keys("registered flush", r#""uses":["db"]"#)
            .after(
                "step-ended db",
                r#"{"t":31700,"event":"used","id":5,"of":6,"alive":false}"#,
            )
            .breaks_nothing();
    }

    #[test]
    fn resource_touched_before_its_user_was_left_behind_breaks() {
        day()
            .after(
                "still-waiting flush",
                r#"{"t":26500,"event":"used","id":5,"of":4,"alive":false}"#,
            )
            .breaks_only(LAW.name);
    }

    #[test]
    fn resource_closed_after_its_user_passes() {
        day()
            .with_keys("registered db", r#""uses":["cache"]"#)
            .breaks_nothing();
    }

    #[test]
    fn resource_closed_before_its_user_breaks() {
        day()
            .with_keys("registered cache", r#""uses":["flush"]"#)
            .before("state running", r#"{"t":0,"event":"closes-before-user","name":"flush","order":50,"id":5,"user":"cache","user_order":0,"user_id":11}"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn resource_that_uses_its_own_name_passes() {
        day()
            .with_keys("registered db", r#""uses":["db"]"#)
            .breaks_nothing();
    }

    #[test]
    fn user_that_still_runs_breaks() {
        // The claimed end of the step of `writer` is wrong: it goes on, and its end is never recorded.
        day().without("ended writer").breaks_exactly(&[
            LAW.name,
            "ledger/accounted",
            "outcome/true",
        ]);
    }

    #[test]
    fn body_that_never_began_uses_nothing() {
        day()
            .after("registered cache", r#"{"t":0,"event":"registered","id":12,"kind":"task","name":"idle","order":0,"timeout":2000,"floor":null,"uses":["db"],"told":"at-once","async":true,"adopted":false}"#)
            .cut_after("began db")
            .killed_at(31_500)
            .breaks_exactly(&["steps/isolated", "told/first"]);
    }

    fn job(of: u32, job: u32, event: &str) -> String {
        format!(r#"{{"t":19000,"event":"{event}","id":{of},"job":{job}}}"#)
    }

    fn jobs(jobs: &[(u32, u32, &str)]) -> ByHand {
        jobs.iter().fold(day(), |day, (of, one, event)| {
            day.before("signal SIGTERM", &job(*of, *one, event))
        })
    }

    #[test]
    fn jobs_that_have_ended_pass() {
        jobs(&[(2, 1, "job-began"), (2, 1, "job-ended")]).breaks_nothing();
        jobs(&[
            (2, 1, "job-began"),
            (2, 2, "job-began"),
            (2, 1, "job-ended"),
        ])
        .breaks_only(LAW.name);
    }

    #[test]
    fn jobs_of_another_are_not_the_users() {
        jobs(&[(1, 1, "job-began")]).breaks_nothing();
        jobs(&[
            (2, 1, "job-began"),
            (1, 2, "job-began"),
            (1, 2, "job-ended"),
        ])
        .breaks_only(LAW.name);
    }

    #[test]
    fn jobs_of_an_aborted_task_go_with_it() {
        stubborn_writer()
            .before("signal SIGTERM", &job(2, 1, "job-began"))
            .after(
                "ended writer",
                r#"{"t":22000,"event":"lost","id":2,"name":"writer","what":"job"}"#,
            )
            .breaks_nothing();
    }
}
